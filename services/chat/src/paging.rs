//! Pages with sealed cursors.

use cqrs_core::Failure;
use cqrs_http::{Cursors, Limit, Page};
use serde::Serialize;

/// A page of `items`, of which one more was asked for than fits: if it is there, a cursor to the `place` of the last
/// that fits says where to go on.
pub(crate) fn page<T, P: Serialize>(
    mut items: Vec<T>,
    limit: Limit,
    cursors: &Cursors,
    scope: &str,
    place: impl FnOnce(&T) -> P,
) -> Result<Page<T>, Failure> {
    let more = items.len() > limit.get();
    items.truncate(limit.get());
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| cursors.encode(scope, &place(last))).transpose()?;
    Ok(Page { items, next_cursor })
}
