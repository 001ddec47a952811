//! SQLite: connections as Parlor wants them, and a pool of readers.

pub(crate) mod checkpoint;
pub(crate) mod log;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::StoreError;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
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

impl Durability {
    pub(crate) fn pragma(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
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
    prepare(&connection, durability).map_err(|error| in_file(path, sqlite_error(&error)))?;
    Ok(connection)
}

fn prepare(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", durability.pragma())?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    // Up to 8 MiB of pages, taken only as they are used.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    keep_statements(connection)
}

/// Statements are prepared once. The bundled SQLite would prepare many of them again whenever a parameter has another
/// value, in case its statistics (STAT4) suggest another plan then; that took a tenth of a commit's time, and there are
/// no statistics.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(256);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Looks at a store before anything is written to it, or beside it: nothing to look at where there is none.
pub(crate) fn inspect<R>(
    path: &Path,
    look: impl FnOnce(&Connection) -> rusqlite::Result<R>,
) -> Result<Option<R>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let has_wal = std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0);
    let found = (|| {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // A file whose write-ahead log is empty is read as it lies, without as much as a lock file beside it.
        let connection = match path.to_str() {
            Some(text) if !has_wal => {
                flags |= OpenFlags::SQLITE_OPEN_URI;
                let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
                Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?
            }
            _ => Connection::open_with_flags(path, flags)?,
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        look(&connection)
    })();
    found.map(Some).map_err(|error| in_file(path, sqlite_error(&error)))
}

/// The format of the stores of views and of keys; the log's own is in its tables.
const SIDE_FORMAT: i64 = 1;

/// Opens a store of views or keys and makes its tables, unless a newer version made it.
pub(crate) fn open_side(path: &Path, durability: Durability, schema: &str) -> Result<Connection, StoreError> {
    let format = inspect(path, |connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    })?;
    if let Some(format) = format.filter(|format| *format > SIDE_FORMAT) {
        return Err(StoreError::Corrupt(format!(
            "{} has format {format}; this version knows {SIDE_FORMAT} at most. Use the newer version that made it",
            path.display()
        )));
    }
    let connection = open(path, durability)?;
    connection
        .execute_batch(&format!("BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {SIDE_FORMAT}; COMMIT"))
        .map_err(|error| in_file(path, sqlite_error(&error)))?;
    Ok(connection)
}

/// Names the file that is corrupt.
fn in_file(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(detail) => StoreError::Corrupt(format!("{}: {detail}", path.display())),
        other => other,
    }
}

/// A connection to a database that is there.
pub(crate) fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// A connection to a database that is there, which only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_existing(path)?;
    connection.pragma_update(None, "query_only", "on")?;
    connection.pragma_update(None, "cache_size", -4096)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Connections that only read, opened when first needed.
#[derive(Clone)]
pub(crate) struct Readers(Arc<ReadersInner>);

struct ReadersInner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, connections: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections));
        Self(Arc::new(ReadersInner { path, idle: Mutex::default(), permits }))
    }

    /// Runs `work` on a connection, off the runtime's own threads.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let permit = tokio::time::timeout(Duration::from_secs(5), self.0.permits.clone().acquire_owned())
            .await
            .map_err(|_| StoreError::Unavailable("all readers of the store are busy".to_owned()))?
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let inner = self.0.clone();
        blocking(move || {
            // Held by the work itself, which goes on when whoever asked for it stops waiting.
            let _permit = permit;
            let idle = inner.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&inner.path).map_err(|error| sqlite_error(&error))?,
            };
            let result = work(&connection);
            inner.idle.lock().push(connection);
            result
        })
        .await
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
