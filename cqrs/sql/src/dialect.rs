//! One SQL for two stores: numbered parameters, table prefixes, and errors in the kernel's words.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_core::{Sql, StoreError};
use parking_lot::RwLock;

/// Which store is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    /// The text of `sql` for this store.
    pub(crate) fn pick(self, sql: Sql) -> &'static str {
        match (self, sql) {
            (_, Sql::Any(text)) => text,
            (Self::Sqlite, Sql::Each { sqlite, .. }) => sqlite,
            (Self::Postgres, Sql::Each { postgres, .. }) => postgres,
        }
    }

    /// `?1` as the store writes it.
    pub(crate) fn parameters(self, sql: &str) -> String {
        match self {
            Self::Sqlite => sql.to_owned(),
            Self::Postgres => sql.replace('?', "$"),
        }
    }
}

/// Puts a view's prefix in front of each name.
pub(crate) fn resolve(sql: &str, prefix: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(sql.len() + 32);
    let mut rest = sql;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        if let Some(close) = after.find('}') {
            out.push_str(&prefix(&after[..close]));
            rest = &after[close + 1..];
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A statement's address and length, its view if that isn't clear from the generation, and the generation.
type StatementKey = (usize, usize, &'static str, u64);

/// The resolved texts of statements.
#[derive(Default)]
pub(crate) struct Resolved(RwLock<HashMap<StatementKey, Arc<str>>>);

impl Resolved {
    /// The text of a statement about a view's tables, in what `generation` stands for.
    pub(crate) fn get(
        &self,
        sql: &'static str,
        view: &'static str,
        generation: u64,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        let key = (sql.as_ptr() as usize, sql.len(), view, generation);
        if let Some(found) = self.0.read().get(&key) {
            return found.clone();
        }
        self.0.write().entry(key).or_insert_with(|| make().into()).clone()
    }
}

/// A SQLite error in the kernel's words.
pub(crate) fn sqlite_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::SystemIoFailure) => {
            StoreError::Unavailable(error.to_string())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Other(error.to_string()),
    }
}

/// A PostgreSQL error in the kernel's words.
pub(crate) fn postgres_error(error: &tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        // No answer from the server: connection refused, lost, or timed out.
        return StoreError::Unavailable(describe(error));
    };
    let code = db.code().code();
    match code {
        "53100" => StoreError::Full,
        // Connection exceptions, resources, operator's intervention, and races that a retry settles.
        _ if code.starts_with("08")
            || code.starts_with("53")
            || code.starts_with("57")
            || code.starts_with("40")
            || code == "55P03" =>
        {
            StoreError::Unavailable(describe(error))
        }
        _ => StoreError::Other(describe(error)),
    }
}

/// What a driver's error says, down to its cause.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// The error of a pool of `size` connections in the kernel's words.
pub(crate) fn pool_error(error: &deadpool_postgres::PoolError, size: usize) -> StoreError {
    use deadpool_postgres::{PoolError, TimeoutType};
    match error {
        PoolError::Backend(error) => postgres_error(error),
        PoolError::Timeout(TimeoutType::Wait) => {
            StoreError::Unavailable(format!("all {size} connections of the pool are busy"))
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_views_prefix_and_parameters_their_stores_form() {
        let sql = "SELECT a FROM {p}rows JOIN {people}names ON x = ?1 AND y = ?12";
        let resolved = resolve(sql, |name| if name == "p" { "t3_".to_owned() } else { format!("{name}1_") });
        assert_eq!(resolved, "SELECT a FROM t3_rows JOIN people1_names ON x = ?1 AND y = ?12");
        assert!(Dialect::Postgres.parameters(&resolved).ends_with("x = $1 AND y = $12"));
    }
}
