//! Reading from views.

use std::sync::Arc;

use cqrs_core::{Position, Row, RowError, Sql, StoreError, Value};

use super::{Views, prefix};
use crate::dialect::resolve;
use crate::postgres::log::quoted;

impl Views {
    /// How far a view has come in a source, as stored where queries read: whichever process keeps it. 0 if it never started.
    pub async fn place_of(&self, view: &'static str, source: &'static str) -> Result<Position, StoreError> {
        let read = &self.0.read;
        let place = match read.place(view, read.generation(view), source).await? {
            None => {
                // Never started, or swapped for a rebuilt one by another process.
                read.reload(&self.0.projections).await?;
                read.place(view, read.generation(view), source).await?
            }
            known => known,
        };
        Ok(place.map_or(Position(0), |(position, _)| position))
    }

    /// Runs a query in a snapshot of its own. `{p}` in the SQL stands for the tables of `view`, `{other}` for those of
    /// the view called `other`.
    pub async fn query<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let sql = self.dialect().pick(sql.into());
        let text = || {
            let generations = self.0.read.generations();
            self.0.queries.get(sql, view, generations, || self.query_text(view, sql))
        };
        self.retrying(view, text, params, map).await
    }

    /// The first row of [`Views::query`].
    pub async fn query_one<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(view, sql, params, map).await?.into_iter().next())
    }

    fn query_text(&self, view: &str, sql: &str) -> String {
        let read = &self.0.read;
        read.text(&resolve(sql, |name| prefix(read.generation(if name == "p" { view } else { name }))))
    }

    /// Runs SQL made at run time, its names resolved with `{p}` for `view`.
    pub(crate) async fn query_made<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: &str,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        self.retrying(view, || self.query_text(view, sql).into(), params, map).await
    }

    async fn retrying<T: Send + 'static>(
        &self,
        view: &'static str,
        text: impl Fn() -> Arc<str> + Send,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let read = &self.0.read;
        let mut swaps = 0;
        loop {
            match read.select_text(text(), params.clone(), map.clone()).await {
                // The view was rebuilt, here or by another process, while the query was on its way.
                Err(error) if swaps < SWAPS && was_swapped(&error) => {
                    swaps += 1;
                    read.reload(&self.0.projections).await?;
                    self.swapped();
                }
                Err(StoreError::Other(detail)) if is_missing_table(&detail) && self.is_elsewhere() => {
                    let detail = format!("the copy that is read has no view {view} yet: {detail}");
                    return Err(StoreError::Unavailable(detail));
                }
                result => return result,
            }
        }
    }
}

/// How many swaps of rebuilt views a query gets over. It names the tables of two views at most, and each may be swapped.
const SWAPS: u32 = 2;

/// Whether a query failed by a view's being swapped: its tables were gone already, or they were to be dropped when the query had
/// locked some of them and waited for others, and PostgreSQL sent the query away.
fn was_swapped(error: &StoreError) -> bool {
    match error {
        StoreError::Other(detail) => is_missing_table(detail),
        error => is_deadlock(error),
    }
}

/// Whether PostgreSQL found that a statement and another transaction waited for each other, and sent this one away.
pub(super) fn is_deadlock(error: &StoreError) -> bool {
    // PostgreSQL's code for it.
    matches!(error, StoreError::Unavailable(detail) if detail.contains("(40P01)"))
}

/// Whether a statement named a table that isn't there.
pub(crate) fn is_missing_table(detail: &str) -> bool {
    // SQLite's message; PostgreSQL's code for an undefined table.
    detail.contains("no such table") || detail.contains("(42P01)")
}

/// Qualifies the tables of views (`g1_…`) with their schema, so that nothing depends on a session.
pub(super) fn in_schema(sql: &str, schema: &str) -> String {
    let schema = quoted(schema);
    let mut out = String::with_capacity(sql.len() + 64);
    let bytes = sql.as_bytes();
    let mut i = 0;
    while i < sql.len() {
        let at_word =
            i == 0 || !(bytes[i - 1].is_ascii_alphanumeric() || matches!(bytes[i - 1], b'_' | b'.' | b'"'));
        let rest = &sql[i..];
        if at_word && is_generation_name(rest) {
            out.push_str(&schema);
            out.push('.');
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..step]);
        i += step;
    }
    out
}

/// `g`, digits, `_`.
fn is_generation_name(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('g') else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest[digits..].starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_tables_get_the_schema() {
        assert_eq!(
            in_schema("SELECT g.x, mg2_y FROM g12_rows r JOIN g3_more ON views = 'é'", "chat"),
            "SELECT g.x, mg2_y FROM \"chat\".g12_rows r JOIN \"chat\".g3_more ON views = 'é'"
        );
    }
}
