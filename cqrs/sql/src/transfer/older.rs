//! Whether a log is older than those who follow it remember.

use std::fmt;

use cqrs_core::{StoreError, Value};
use uuid::Uuid;

use super::{Snapshot, Table, TransferError};
use crate::log::Location;

/// Somebody has seen more of a log than it holds: an older copy of the log was put in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderLog {
    /// The log.
    pub log: String,
    /// Where it ends.
    pub ends_at: u64,
    /// Who has seen more: a view, or a reactor.
    pub follower: String,
    /// How far they have come.
    pub seen: u64,
}

impl fmt::Display for OlderLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, ends_at, follower, seen } = self;
        write!(f, "the log {log} ends at {ends_at}, and {follower} has seen it at {seen}")
    }
}

/// A place that somebody keeps in a log.
struct Seen {
    follower: String,
    log: String,
    /// Nothing where it isn't kept with the place.
    epoch: Option<Vec<u8>>,
    position: u64,
}

/// Compares what is remembered of logs, in stores of views and in the logs' own consumers, with the logs. Stores that aren't
/// there yet remember nothing.
pub async fn find_older_log(
    logs: &[(&str, &Location)],
    views: &[&Location],
) -> Result<Option<OlderLog>, TransferError> {
    let mut seen = Vec::new();
    for location in views.iter().copied().chain(logs.iter().map(|(_, location)| *location)) {
        if let Some(store) = there("places", location).await? {
            seen.extend(places(&store).await.map_err(TransferError::store(store.name()))?);
        }
    }
    // The logs last: what others commit meanwhile only makes them longer.
    for (name, location) in logs {
        let Some(log) = there(name, location).await? else { continue };
        let (Some(epoch), Some(end)) = (log.epoch(), log.position()) else { continue };
        let of_log = seen.iter().filter(|place| place.log == *name);
        let same_epoch =
            of_log.filter(|place| place.epoch.as_ref().is_none_or(|seen| *seen == epoch.as_bytes()));
        if let Some(place) =
            same_epoch.max_by_key(|place| place.position).filter(|place| place.position > end.0)
        {
            return Ok(Some(OlderLog {
                log: (*name).to_owned(),
                ends_at: end.0,
                follower: place.follower.clone(),
                seen: place.position,
            }));
        }
    }
    Ok(None)
}

async fn there(name: &str, location: &Location) -> Result<Option<Snapshot>, TransferError> {
    match location {
        Location::Sqlite(path) if !path.exists() => Ok(None),
        _ => Snapshot::of_unfinished(name, location).await.map(Some),
    }
}

async fn places(store: &Snapshot) -> Result<Vec<Seen>, StoreError> {
    let mut seen = Vec::new();
    for (table, kind, follower) in [("view_places", "view", "name"), ("places", "consumer", "consumer")] {
        let Some(table) = store.table(table) else { continue };
        for row in store.all(table).await? {
            let text = |name| match value(table, &row, name) {
                Some(Value::Text(text)) => text.clone(),
                _ => String::new(),
            };
            let Some(Value::Int(position)) = value(table, &row, "position") else { continue };
            let epoch = match value(table, &row, "epoch") {
                // Nil where it wasn't known.
                Some(Value::Bytes(epoch)) if *epoch != Uuid::nil().as_bytes() => Some(epoch.clone()),
                _ => None,
            };
            let source = text("source");
            seen.push(Seen {
                follower: format!("the {kind} {}", text(follower)),
                log: source.strip_suffix(".public").unwrap_or(&source).to_owned(),
                epoch,
                position: *position as u64,
            });
        }
    }
    Ok(seen)
}

fn value<'a>(table: &Table, row: &'a [Value], column: &str) -> Option<&'a Value> {
    row.get(table.column(column)?)
}
