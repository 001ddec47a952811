//! The log on either store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{
    Commit, CommitError, Committed, Guard, LedgerRecord, Log, Position, RecordedEvent, RowWrite, StoreError,
    StreamId, Value,
};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::batch::Waiting;
use crate::dialect::Dialect;
use crate::postgres::Pool;
use crate::postgres::log::PostgresLog;
use crate::sqlite::log::{FORMAT, SqliteLog};
use crate::tail::Tail;

/// Where a store lies.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A schema in a PostgreSQL database.
    Postgres {
        /// Connections to the database.
        pool: Pool,
        /// The schema that holds the store's tables.
        schema: String,
    },
}

impl Location {
    /// Which store it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }
}

/// How a [`SqlLog`] works.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// How many bytes of the newest events stay in memory for the log's followers.
    pub tail_bytes: usize,
    /// How long the ledger keeps answers at least.
    pub ledger_retention: Duration,
    /// Connections that read the log.
    pub readers: usize,
    /// How often a log that others write to as well is looked at (PostgreSQL) while it moves; while it rests, less often.
    pub poll: Duration,
    /// Whether tables are made and brought up to date when the log is opened (PostgreSQL). If not, and they aren't there or
    /// are older, opening fails: a process whose role may only read and write leaves that to one with the owner's.
    pub migrate: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            tail_bytes: 4 * 1024 * 1024,
            ledger_retention: Duration::from_hours(48),
            readers: 4,
            poll: Duration::from_millis(10),
            migrate: true,
        }
    }
}

/// A log with its ledger, claims, snapshots, state-stored rows and consumers' places.
pub struct SqlLog {
    name: &'static str,
    pub(crate) backend: Backend,
    head: watch::Receiver<Position>,
    tail: Arc<Tail>,
}

pub(crate) enum Backend {
    Sqlite(SqliteLog),
    Postgres(PostgresLog),
}

impl SqlLog {
    /// Opens the log called `name`, making it with the epoch `fresh_epoch` if it isn't there. `write_schema` creates
    /// the tables of the service's state-stored aggregates (for SQLite, for PostgreSQL), if it has any.
    pub async fn open(
        name: &'static str,
        location: &Location,
        fresh_epoch: Uuid,
        write_schema: Option<(&'static str, &'static str)>,
        options: LogOptions,
    ) -> Result<Arc<Self>, StoreError> {
        let (sender, head) = watch::channel(Position(0));
        let tail = Arc::new(Tail::new(options.tail_bytes));
        let backend = match location {
            Location::Sqlite(path) => {
                let (path, tail, readers) = (path.clone(), tail.clone(), options.readers);
                let log = crate::sqlite::blocking(move || {
                    let schema = write_schema.map(|(sqlite, _)| sqlite);
                    SqliteLog::open(&path, name, fresh_epoch, schema, readers, sender, tail)
                })
                .await?;
                Backend::Sqlite(log)
            }
            Location::Postgres { pool, schema } => {
                let tables = write_schema.map(|(_, postgres)| postgres);
                let log = PostgresLog::open(
                    pool.clone(),
                    schema,
                    name,
                    fresh_epoch,
                    tables,
                    sender,
                    tail.clone(),
                    &options,
                )
                .await?;
                Backend::Postgres(log)
            }
        };
        let log = Arc::new(Self { name, backend, head, tail });
        log.clone().expire_ledger(options.ledger_retention);
        Ok(log)
    }

    /// Which store it is on.
    pub fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The name of one of the service's own tables in SQL.
    pub(crate) fn table(&self, name: &str) -> String {
        match &self.backend {
            Backend::Sqlite(_) => name.to_owned(),
            Backend::Postgres(log) => log.table(name),
        }
    }

    /// Lets go of stored answers past their time, a few at a time, as long as the log is in use.
    fn expire_ledger(self: Arc<Self>, retention: Duration) {
        let log = Arc::downgrade(&self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_mins(1)).await;
                let Some(log) = log.upgrade() else { return };
                while let Ok(deleted) = log.expire_ledger_once(retention).await {
                    if deleted < EXPIRED_AT_ONCE {
                        break;
                    }
                }
            }
        });
    }

    /// Lets go of some stored answers that are older, by the log's own time, than `retention`; how many they were.
    pub async fn expire_ledger_once(&self, retention: Duration) -> Result<u64, StoreError> {
        let millis = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let sql = format!(
            "DELETE FROM ledger WHERE key IN (SELECT key FROM ledger
             WHERE at < (SELECT at FROM head) - ?1 ORDER BY at LIMIT {EXPIRED_AT_ONCE})"
        );
        match &self.backend {
            Backend::Sqlite(log) => {
                log.write(move |connection| connection.execute(&sql, [millis]).map(|n| n as u64)).await
            }
            Backend::Postgres(log) => log.execute(&sql, &[Value::Int(millis)]).await,
        }
    }
}

/// The snapshot of a stream: its version, and what it is.
pub(crate) const SNAPSHOT: &str = "SELECT version, data FROM snapshots WHERE stream = ?1 AND category = ?2";

/// How many stored answers one transaction lets go of.
const EXPIRED_AT_ONCE: u64 = 1000;

#[async_trait]
impl Log for SqlLog {
    fn name(&self) -> &'static str {
        self.name
    }

    fn epoch(&self) -> Uuid {
        match &self.backend {
            Backend::Sqlite(log) => log.epoch,
            Backend::Postgres(log) => log.epoch,
        }
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let (reply, receive) = oneshot::channel();
        let waiting = Waiting { commit, reply };
        match &self.backend {
            Backend::Sqlite(log) => log.submit(waiting).await?,
            Backend::Postgres(log) => log.submit(waiting).await?,
        }
        let down = |_| Err(CommitError::Unknown("the log went down".to_owned()));
        let Backend::Postgres(log) = &self.backend else { return receive.await.unwrap_or_else(down) };
        // Behind a batch that PostgreSQL is slow to answer. One that wasn't begun by then never is.
        match tokio::time::timeout(log.longest_commit(), receive).await {
            Ok(answer) => answer.unwrap_or_else(down),
            Err(_) => Err(CommitError::Unknown("PostgreSQL did not answer in time".to_owned())),
        }
    }

    async fn read_stream(&self, stream: StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => log.read_stream(stream, after).await,
            Backend::Postgres(log) => log.read_stream(stream, after).await,
        }
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        if let Some(events) = self.tail.read(after, limit) {
            return Ok(events);
        }
        match &self.backend {
            Backend::Sqlite(log) => log.read_log(after, limit).await,
            Backend::Postgres(log) => log.read_log(after, limit).await,
        }
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => log.read_at(positions.to_vec()).await,
            Backend::Postgres(log) => log.read_at(positions).await,
        }
    }

    async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => log.verify(guards.to_vec()).await,
            Backend::Postgres(log) => log.verify(guards).await,
        }
    }

    async fn ledger(&self, key: [u8; 32]) -> Result<Option<LedgerRecord>, StoreError> {
        let sql = "SELECT content, answer FROM ledger WHERE key = ?1";
        self.select(sql, vec![Value::from(key)], |row| {
            let content: Vec<u8> = row.bytes(0)?.unwrap_or_default();
            Ok(LedgerRecord {
                content: content.try_into().unwrap_or([0; 32]),
                answer: row.bytes(1)?.unwrap_or_default(),
            })
        })
        .await
        .map(|mut found| found.pop())
    }

    async fn claim_owner(&self, set: &'static str, value: [u8; 32]) -> Result<Option<Uuid>, StoreError> {
        let sql = "SELECT owner FROM claims WHERE set_name = ?1 AND value = ?2";
        let found = self.select(sql, vec![set.into(), Value::from(value)], |row| row.uuid(0)).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn snapshot(&self, stream: StreamId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let found = self
            .select(SNAPSHOT, vec![stream.id.into(), stream.category.into()], |row| {
                Ok((row.int(0)?.unwrap_or(0) as u64, row.bytes(1)?.unwrap_or_default()))
            })
            .await?;
        Ok(found.into_iter().next())
    }

    async fn read_from_snapshot(
        &self,
        stream: StreamId,
    ) -> Result<(Option<(u64, Vec<u8>)>, Vec<RecordedEvent>), StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => log.read_from_snapshot(stream).await,
            Backend::Postgres(log) => log.read_from_snapshot(stream).await,
        }
    }

    async fn save_snapshot(&self, stream: StreamId, version: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        let sql = "INSERT INTO snapshots (stream, category, version, data) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (stream, category) DO UPDATE SET version = excluded.version, data = excluded.data
             WHERE excluded.version > snapshots.version";
        let params = vec![stream.id.into(), stream.category.into(), version.into(), bytes.into()];
        self.execute_unsynced(sql.to_owned(), params).await.map(drop)
    }

    async fn count_streams(&self, category: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM events WHERE category = ?1 AND version = 1";
        let found = self.select(sql, vec![category.into()], |row| row.int(0)).await?;
        Ok(found.into_iter().next().flatten().unwrap_or(0) as u64)
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    async fn newest(&self) -> Result<Position, StoreError> {
        match &self.backend {
            // One process has the store, and tells of a commit before it answers it.
            Backend::Sqlite(_) => Ok(*self.head.borrow()),
            Backend::Postgres(log) => log.read_head().await,
        }
    }
}

/// What the ledger keeps, for operators to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerSize {
    /// Answers to commands with an idempotency key.
    pub keys: u64,
    /// When the oldest of them was given; nothing if there are none.
    pub oldest: Option<Timestamp>,
}

impl SqlLog {
    /// Where a stream's events stand: those before `before` (a version; `u64::MAX` for all), newest first, `limit` at most.
    pub async fn stream_positions(
        &self,
        category: &str,
        stream: Uuid,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Position>, StoreError> {
        let sql = "SELECT position FROM events WHERE stream = ?1 AND category = ?2 AND version < ?3
             ORDER BY version DESC LIMIT ?4";
        let before = before.min(i64::MAX as u64);
        let params = vec![stream.into(), category.into(), before.into(), (limit as u64).into()];
        self.select(sql, params, |row| Ok(Position(row.int(0)?.unwrap_or(0) as u64))).await
    }

    /// How much the ledger keeps. It is counted: not to be asked all the time.
    pub async fn ledger_size(&self) -> Result<LedgerSize, StoreError> {
        let found = self
            .select("SELECT count(*), min(at) FROM ledger", Vec::new(), |row| {
                let oldest = row.int(1)?.and_then(|millis| Timestamp::from_millisecond(millis).ok());
                Ok(LedgerSize { keys: row.int(0)?.unwrap_or(0) as u64, oldest })
            })
            .await?;
        Ok(found.into_iter().next().unwrap_or(LedgerSize { keys: 0, oldest: None }))
    }

    /// Reads rows of the log's store, as a state-stored aggregate's repository does.
    pub(crate) async fn select<T: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        map: impl Fn(&dyn cqrs_core::Row) -> Result<T, cqrs_core::RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => {
                let sql = sql.to_owned();
                let rows = log
                    .read(move |connection| {
                        let mut statement = connection.prepare_cached(&sql)?;
                        let params = params.iter().map(crate::value::ToSqlite);
                        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
                        let mut found = Vec::new();
                        while let Some(row) = rows.next()? {
                            found.push(map(&crate::value::SqliteRow(row)));
                        }
                        Ok(found)
                    })
                    .await?;
                rows.into_iter().collect::<Result<_, _>>().map_err(corrupt)
            }
            Backend::Postgres(log) => {
                let rows = log.query(sql, &params).await?;
                rows.iter()
                    .map(|row| map(&crate::value::PostgresRow(row)))
                    .collect::<Result<_, _>>()
                    .map_err(corrupt)
            }
        }
    }

    pub(crate) async fn execute(&self, sql: String, params: Vec<Value>) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => {
                log.write(move |connection| {
                    let params = params.iter().map(crate::value::ToSqlite);
                    let changed =
                        connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(params))?;
                    Ok(changed as u64)
                })
                .await
            }
            Backend::Postgres(log) => log.execute(&sql, &params).await,
        }
    }

    /// The same for what may be lost when the machine dies, and not when the process does: on SQLite nothing is synced for it,
    /// so that no commit waits for the disk behind it.
    pub(crate) async fn execute_unsynced(&self, sql: String, params: Vec<Value>) -> Result<u64, StoreError> {
        match &self.backend {
            Backend::Sqlite(log) => {
                log.write(move |connection| {
                    let params = params.iter().map(crate::value::ToSqlite);
                    crate::sqlite::log::unsynced(connection, || {
                        let changed =
                            connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(params))?;
                        Ok(changed as u64)
                    })
                })
                .await
            }
            Backend::Postgres(_) => self.execute(sql, params).await,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands behind map_err")]
pub(crate) fn corrupt(error: cqrs_core::RowError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// The statement that writes a row of a state-stored aggregate, with its values.
pub(crate) fn row_sql(row: &RowWrite, version: u64) -> (String, Vec<Value>) {
    let (table, key) = (row.table, row.key_column);
    let Some(columns) = &row.columns else {
        return (format!("DELETE FROM {table} WHERE {key} = ?1"), vec![row.key.clone()]);
    };
    let mut values = vec![row.key.clone(), version.into()];
    values.extend(columns.iter().map(|(_, value)| value.clone()));
    let join = |parts: Vec<String>| parts.concat();
    let names = join(columns.iter().map(|(name, _)| format!(", {name}")).collect());
    let places = join((3..=values.len()).map(|n| format!(", ?{n}")).collect());
    let updates = join(columns.iter().map(|(name, _)| format!(", {name} = excluded.{name}")).collect());
    let sql = format!(
        "INSERT INTO {table} ({key}, version{names}) VALUES (?1, ?2{places})
         ON CONFLICT ({key}) DO UPDATE SET version = excluded.version{updates}"
    );
    (sql, values)
}

/// Whether a store in this format can be used here, where `newest` is the newest that is known.
pub(crate) fn check_format(what: &str, stored: Option<&[u8]>, newest: i64) -> Result<(), StoreError> {
    let Some(stored) = stored else { return Ok(()) };
    let format = stored.try_into().map_or(-1, i64::from_be_bytes);
    if format > newest {
        return Err(StoreError::Corrupt(format!(
            "{what} has format {format}; this version knows {newest} at most. Use the newer version that made it"
        )));
    }
    if format < 1 {
        return Err(StoreError::Corrupt(format!("{what} doesn't say which format it has")));
    }
    Ok(())
}

/// The epoch of a store that is the log `name` in a known format.
pub(crate) fn check_meta(
    name: &str,
    format: Option<&[u8]>,
    stored_name: Option<&[u8]>,
    epoch: Option<&[u8]>,
) -> Result<Uuid, StoreError> {
    check_format(&format!("the log {name}"), format, FORMAT)?;
    let stored_name = stored_name.map(String::from_utf8_lossy).unwrap_or_default();
    if stored_name != name {
        return Err(StoreError::Corrupt(format!(
            "the store of the log {name} holds the log {stored_name:?}"
        )));
    }
    epoch
        .and_then(|bytes| Uuid::from_slice(bytes).ok())
        .ok_or_else(|| StoreError::Corrupt(format!("the log {name} has no epoch")))
}
