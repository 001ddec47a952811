//! SQLite: connections as Parlor wants them, and a pool of readers.

pub(crate) mod log;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::StoreError;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::dialect::sqlite_error;

/// Older versions can lose commits when two connections checkpoint at once (SQLite's release notes for 3.51.3).
const OLDEST: i32 = 3_051_003;

/// How far a commit must have come before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced to disk: logs and keys.
    Full,
    /// Written, synced at the next checkpoint: views, which can be rebuilt.
    Normal,
}

/// Opens a database for writing, making it if it isn't there.
pub(crate) fn open(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < OLDEST {
        let version = rusqlite::version();
        return Err(StoreError::Other(format!(
            "SQLite {version} can lose commits; 3.51.3 or later is needed"
        )));
    }
    let connection = Connection::open(path).map_err(|error| sqlite_error(&error))?;
    prepare(&connection, durability).map_err(|error| match sqlite_error(&error) {
        StoreError::Corrupt(detail) => StoreError::Corrupt(format!("{}: {detail}", path.display())),
        other => other,
    })?;
    Ok(connection)
}

fn prepare(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let synchronous = match durability {
        Durability::Full => "full",
        Durability::Normal => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    // Up to 8 MiB of pages, taken only as they are used.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", "on")?;
    connection.pragma_update(None, "cache_size", -4096)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Connections that only read, opened when first needed.
#[derive(Clone)]
pub(crate) struct Readers(Arc<ReadersInner>);

struct ReadersInner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, connections: usize) -> Self {
        Self(Arc::new(ReadersInner { path, idle: Mutex::default(), permits: Semaphore::new(connections) }))
    }

    /// Runs `work` on a connection, off the runtime's own threads.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let permit = tokio::time::timeout(Duration::from_secs(5), self.0.permits.acquire())
            .await
            .map_err(|_| StoreError::Unavailable("all readers of the store are busy".to_owned()))?
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let inner = self.0.clone();
        let result = blocking(move || {
            let idle = inner.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&inner.path).map_err(|error| sqlite_error(&error))?,
            };
            let result = work(&connection);
            inner.idle.lock().push(connection);
            result
        })
        .await;
        drop(permit);
        result
    }
}

/// Runs blocking work on the runtime's threads for it.
pub(crate) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Other(format!("a store's task failed: {error}"))))
}
