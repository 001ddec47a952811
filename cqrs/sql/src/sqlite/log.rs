//! The log on SQLite: one writer thread that commits what gathered while the last transaction was under way.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use cqrs_core::{
    Actor, ClaimChange, CommitError, Guard, LedgerRecord, Position, RecordedEvent, StoreError, StreamId,
    Value,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params, params_from_iter};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{Durability, Readers, checkpoint};
use crate::batch::{self, Facts, Plan, RowId, Touched, Waiting};
use crate::dialect::sqlite_error;
use crate::tail::Tail;
use crate::value::ToSqlite;

/// The format of the log's tables; a store with a greater number was made by a newer version.
pub(crate) const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
INSERT INTO head (one, position, at) VALUES (1, 0, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS events (
  position INTEGER PRIMARY KEY, id BLOB NOT NULL, category TEXT NOT NULL, stream BLOB NOT NULL,
  version INTEGER NOT NULL, name TEXT NOT NULL, schema INTEGER NOT NULL, at INTEGER NOT NULL,
  actor_kind INTEGER NOT NULL, actor BLOB, correlation BLOB NOT NULL, causation BLOB, data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS events_by_stream ON events (stream, category, version);
CREATE TABLE IF NOT EXISTS claims (
  set_name TEXT NOT NULL, value BLOB NOT NULL, owner BLOB NOT NULL, until INTEGER, PRIMARY KEY (set_name, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
  key BLOB NOT NULL PRIMARY KEY, content BLOB NOT NULL, answer BLOB NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ledger_by_time ON ledger (at);
CREATE TABLE IF NOT EXISTS snapshots (
  stream BLOB NOT NULL, category TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (stream, category)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
  consumer TEXT NOT NULL, source TEXT NOT NULL, position INTEGER NOT NULL, epoch BLOB, PRIMARY KEY (consumer, source)
) STRICT, WITHOUT ROWID;
";

const EVENT: &str = "position, id, category, stream, version, name, schema, at, actor_kind, actor, correlation, causation, data";

/// How many commits one transaction takes at most.
const BATCH: usize = 1024;

/// The log's writer and readers.
pub(crate) struct SqliteLog {
    pub(crate) epoch: Uuid,
    readers: Readers,
    writer: mpsc::Sender<Job>,
}

enum Job {
    Commit(Box<Waiting>),
    /// Anything else that writes, in a transaction of its own.
    Write(Box<dyn FnOnce(&Connection) + Send>),
}

fn check_format(connection: &Connection, name: &str, fresh_epoch: Uuid) -> Result<Uuid, StoreError> {
    let get = |key: &str| -> rusqlite::Result<Option<Vec<u8>>> {
        connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
    };
    let set = |key: &str, value: &[u8]| {
        connection.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])
    };
    let stored = (|| -> rusqlite::Result<_> {
        if get("format")?.is_none() {
            set("format", &FORMAT.to_be_bytes())?;
            set("name", name.as_bytes())?;
            set("epoch", fresh_epoch.as_bytes())?;
        }
        Ok((get("format")?, get("name")?, get("epoch")?))
    })()
    .map_err(|error| sqlite_error(&error))?;
    crate::log::check_meta(name, stored.0.as_deref(), stored.1.as_deref(), stored.2.as_deref())
}

impl SqliteLog {
    pub(crate) fn open(
        path: &Path,
        name: &str,
        fresh_epoch: Uuid,
        write_schema: Option<&str>,
        readers: usize,
        head: watch::Sender<Position>,
        tail: Arc<Tail>,
    ) -> Result<Self, StoreError> {
        refuse_foreign(path)?;
        let connection = super::open(path, Durability::Full)?;
        crate::transfer::refuse_unfinished_sqlite(path, &connection)?;
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}{}", crate::parked::SQLITE))
            .map_err(|error| sqlite_error(&error))?;
        crate::places::add_epoch(&connection).map_err(|error| sqlite_error(&error))?;
        let epoch = check_format(&connection, name, fresh_epoch)?;
        if let Some(schema) = write_schema {
            connection.execute_batch(schema).map_err(|error| sqlite_error(&error))?;
        }
        connection.execute_batch("COMMIT").map_err(|error| sqlite_error(&error))?;
        let position: i64 = connection
            .query_row("SELECT position FROM head", [], |row| row.get(0))
            .map_err(|error| sqlite_error(&error))?;
        head.send_replace(Position(position as u64));
        let connection = checkpoint::Writer::new(connection, path, Durability::Full)?;
        let (writer, jobs) = mpsc::channel(8 * BATCH);
        std::thread::Builder::new()
            .name(format!("log {name}"))
            .spawn(move || write_loop(&connection, jobs, &head, &tail))
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self { epoch, readers: Readers::new(path.to_owned(), readers), writer })
    }

    pub(crate) async fn submit(&self, waiting: Waiting) -> Result<(), StoreError> {
        self.writer
            .send(Job::Commit(Box::new(waiting)))
            .await
            .map_err(|_| StoreError::Unavailable("the log is shut down".to_owned()))
    }

    pub(crate) async fn write<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let job = Job::Write(Box::new(move |connection| {
            let _ = send.send(work(connection).map_err(|error| sqlite_error(&error)));
        }));
        let down = || StoreError::Unavailable("the log is shut down".to_owned());
        self.writer.send(job).await.map_err(|_| down())?;
        receive.await.map_err(|_| down())?
    }

    pub(crate) async fn read<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.readers.run(move |connection| work(connection).map_err(|error| sqlite_error(&error))).await
    }

    pub(crate) async fn read_stream(
        &self,
        stream: StreamId,
        after: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read(move |connection| stream_after(connection, stream, after)).await
    }

    pub(crate) async fn read_from_snapshot(
        &self,
        stream: StreamId,
    ) -> Result<(Option<(u64, Vec<u8>)>, Vec<RecordedEvent>), StoreError> {
        self.read(move |connection| {
            let snapshot = connection
                .prepare_cached(crate::log::SNAPSHOT)?
                .query_row(params![stream.id.as_bytes(), stream.category], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
                })
                .optional()?;
            let after = snapshot.as_ref().map_or(0, |(version, _)| *version);
            Ok((snapshot, stream_after(connection, stream, after)?))
        })
        .await
    }

    pub(crate) async fn read_log(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {EVENT} FROM events WHERE position > ?1 ORDER BY position LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map(params![after.0 as i64, limit as i64], |row| event(row).map(Arc::new))?;
            rows.collect()
        })
        .await
    }

    pub(crate) async fn read_at(
        &self,
        positions: Vec<Position>,
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.read(move |connection| {
            let sql = format!("SELECT {EVENT} FROM events WHERE position = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut events = Vec::with_capacity(positions.len());
            for position in positions {
                events.extend(
                    statement.query_row([position.0 as i64], |row| event(row).map(Arc::new)).optional()?,
                );
            }
            Ok(events)
        })
        .await
    }

    pub(crate) async fn verify(&self, guards: Vec<Guard>) -> Result<Option<Guard>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(VERSION)?;
            for guard in guards {
                let actual = version(&mut statement, guard.stream)?;
                if actual != guard.expected {
                    return Ok(Some(Guard { stream: guard.stream, expected: actual }));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// What isn't a log of a known format is recognised before anything is written to it.
fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let found = super::inspect(path, |connection| {
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let tables = count("SELECT count(*) FROM sqlite_schema")?;
        if count("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'")? == 0 {
            return Ok((tables, None));
        }
        let format = "SELECT value FROM meta WHERE key = 'format'";
        Ok((tables, connection.query_row(format, [], |row| row.get::<_, Vec<u8>>(0)).optional()?))
    })?;
    match found {
        None | Some((0, _)) => Ok(()),
        Some((_, None)) => Err(StoreError::Corrupt(format!(
            "{} is a database of something else, not a log's",
            path.display()
        ))),
        Some((_, format)) => crate::log::check_format(&path.display().to_string(), format.as_deref(), FORMAT),
    }
}

fn stream_after(
    connection: &Connection,
    stream: StreamId,
    after: u64,
) -> rusqlite::Result<Vec<RecordedEvent>> {
    let sql = format!(
        "SELECT {EVENT} FROM events WHERE stream = ?1 AND category = ?2 AND version > ?3 ORDER BY version"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![stream.id.as_bytes(), stream.category, after as i64], event)?;
    rows.collect()
}

const VERSION: &str = "SELECT max(version) FROM events WHERE stream = ?1 AND category = ?2";

/// A stream's version, by [`VERSION`].
fn version(statement: &mut Statement<'_>, stream: StreamId) -> rusqlite::Result<u64> {
    let version = statement.query_row(params![stream.id.as_bytes(), stream.category], |row| row.get(0));
    version.map(|version: Option<i64>| version.unwrap_or(0) as u64)
}

pub(crate) fn event(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    let uuid = |column: usize| -> rusqlite::Result<Uuid> {
        let bytes: [u8; 16] = row.get(column)?;
        Ok(Uuid::from_bytes(bytes))
    };
    let optional_uuid = |column: usize| -> rusqlite::Result<Option<Uuid>> {
        Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
    };
    Ok(RecordedEvent {
        position: Position(row.get::<_, i64>(0)? as u64),
        id: uuid(1)?,
        category: Cow::Owned(row.get(2)?),
        stream: uuid(3)?,
        version: row.get::<_, i64>(4)? as u64,
        name: Cow::Owned(row.get(5)?),
        schema: row.get::<_, i64>(6)? as u16,
        at: Timestamp::from_millisecond(row.get(7)?).unwrap_or_default(),
        actor: Actor::from_parts(row.get::<_, i64>(8)? as i16, optional_uuid(9)?),
        correlation: uuid(10)?,
        causation: optional_uuid(11)?,
        data: row.get::<_, Vec<u8>>(12)?.into(),
    })
}

fn write_loop(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Job>,
    head: &watch::Sender<Position>,
    tail: &Tail,
) {
    let mut gathered = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut gathered, BATCH) > 0 {
        let mut batch = Vec::with_capacity(gathered.len());
        let mut others = Vec::new();
        for job in gathered.drain(..) {
            match job {
                Job::Commit(waiting) => batch.push(*waiting),
                Job::Write(work) => others.push(work),
            }
        }
        if !batch.is_empty() {
            commit_batch(connection, batch, head, tail);
        }
        for work in others {
            work(connection);
        }
    }
}

/// Does a transaction's work without syncing its commit. It comes before all later commits in the write-ahead log, so the next
/// of them syncs it along; after a crash of the machine there may be none of it, never a part or a later one without it.
///
/// # Panics
/// If syncing can't be switched on again: no later commit could be relied on.
pub(crate) fn unsynced<R>(
    connection: &Connection,
    work: impl FnOnce() -> rusqlite::Result<R>,
) -> rusqlite::Result<R> {
    let set = |durability: Durability| connection.pragma_update(None, "synchronous", durability.pragma());
    set(Durability::Normal)?;
    let result = work();
    set(Durability::Full).expect("commits can be synced again");
    result
}

/// Commits the batch; if it fails as a whole, each command alone, so that one can't harm the others.
fn commit_batch(
    connection: &Connection,
    mut batch: Vec<Waiting>,
    head: &watch::Sender<Position>,
    tail: &Tail,
) {
    metrics::histogram!("cqrs_batch_commits").record(batch.len() as f64);
    match transact(connection, &mut batch) {
        Ok(plan) => {
            tail.push(&plan.events);
            if plan.head.0 > head.borrow().0 {
                head.send_replace(plan.head);
            }
            batch::answer(batch, plan.results);
        }
        Err(error) => {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            let outcome_known = !matches!(error, Failed::AtCommit(_));
            let error = error.into_store();
            if batch.len() > 1 && outcome_known {
                for waiting in batch {
                    commit_batch(connection, vec![waiting], head, tail);
                }
            } else if outcome_known || matches!(error, StoreError::Full) {
                tracing::error!(%error, "a commit failed");
                batch::fail(batch, || CommitError::Store(copy(&error)));
            } else {
                tracing::error!(%error, "the outcome of a commit is unknown");
                batch::fail(batch, || CommitError::Unknown(error.to_string()));
            }
        }
    }
}

fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(detail) => StoreError::Unavailable(detail.clone()),
        StoreError::Full => StoreError::Full,
        StoreError::Corrupt(detail) => StoreError::Corrupt(detail.clone()),
        StoreError::Other(detail) => StoreError::Other(detail.clone()),
    }
}

enum Failed {
    Before(StoreError),
    AtCommit(StoreError),
}

impl Failed {
    fn into_store(self) -> StoreError {
        match self {
            Self::Before(error) | Self::AtCommit(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Before(sqlite_error(&error))
    }
}

fn transact(connection: &Connection, batch: &mut [Waiting]) -> Result<Plan, Failed> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let (head, at) = connection
        .prepare_cached("SELECT position, at FROM head")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let mut facts = gather(connection, &Touched::by(batch))?;
    let plan = Plan::make(batch, &mut facts, Position(head as u64), at);
    if plan.is_empty() {
        connection.prepare_cached("ROLLBACK")?.execute([])?;
        return Ok(plan);
    }
    write(connection, &plan)?;
    connection
        .prepare_cached("COMMIT")?
        .execute([])
        .map_err(|error| Failed::AtCommit(sqlite_error(&error)))?;
    Ok(plan)
}

fn gather(connection: &Connection, touched: &Touched) -> rusqlite::Result<Facts> {
    let mut facts = Facts::default();
    if !touched.streams.is_empty() {
        let mut statement = connection.prepare_cached(VERSION)?;
        for &stream in &touched.streams {
            facts.versions.insert(stream, version(&mut statement, stream)?);
        }
    }
    if !touched.ledger.is_empty() {
        let mut statement = connection.prepare_cached("SELECT content, answer FROM ledger WHERE key = ?1")?;
        for key in &touched.ledger {
            let record = statement
                .query_row([key.as_slice()], |row| {
                    Ok(LedgerRecord { content: row.get(0)?, answer: row.get(1)? })
                })
                .optional()?;
            facts.ledger.extend(record.map(|record| (*key, record)));
        }
    }
    if !touched.claims.is_empty() {
        let mut statement = connection
            .prepare_cached("SELECT owner, until FROM claims WHERE set_name = ?1 AND value = ?2")?;
        for (set, value) in &touched.claims {
            let held = statement
                .query_row(params![set, value.as_slice()], |row| {
                    Ok((Uuid::from_bytes(row.get(0)?), row.get::<_, Option<i64>>(1)?))
                })
                .optional()?;
            facts.claims.extend(held.map(|held| ((*set, *value), held)));
        }
    }
    for (table, key_column, key) in &touched.rows {
        let sql = format!("SELECT version FROM {table} WHERE {key_column} = ?1");
        let version: Option<i64> =
            connection.prepare_cached(&sql)?.query_row([ToSqlite(key)], |row| row.get(0)).optional()?;
        facts.rows.extend(version.map(|version| ((*table, RowId::of(key)), version as u64)));
    }
    Ok(facts)
}

fn write(connection: &Connection, plan: &Plan) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE head SET position = ?1, at = ?2")?
        .execute([plan.head.0 as i64, plan.at])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO events (position, id, category, stream, version, name, schema, at, actor_kind, actor,
         correlation, causation, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for event in &plan.events {
        let (actor_kind, actor) = event.actor.parts();
        insert.execute(params![
            event.position.0 as i64,
            event.id.as_bytes(),
            event.category,
            event.stream.as_bytes(),
            event.version as i64,
            event.name,
            event.schema,
            event.at.as_millisecond(),
            actor_kind,
            actor.as_ref().map(Uuid::as_bytes),
            event.correlation.as_bytes(),
            event.causation.as_ref().map(Uuid::as_bytes),
            &event.data[..],
        ])?;
    }
    for claim in &plan.claims {
        match claim.change {
            ClaimChange::Take => connection
                .prepare_cached(
                    "INSERT INTO claims (set_name, value, owner, until) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (set_name, value) DO UPDATE SET owner = excluded.owner, until = excluded.until",
                )?
                .execute(params![
                    claim.set,
                    claim.value.as_slice(),
                    claim.owner.as_bytes(),
                    claim.until.map(Timestamp::as_millisecond)
                ])?,
            ClaimChange::Release => connection
                .prepare_cached("DELETE FROM claims WHERE set_name = ?1 AND value = ?2 AND owner = ?3")?
                .execute(params![claim.set, claim.value.as_slice(), claim.owner.as_bytes()])?,
        };
    }
    if !plan.ledger.is_empty() {
        let mut insert = connection
            .prepare_cached("INSERT INTO ledger (key, content, answer, at) VALUES (?1, ?2, ?3, ?4)")?;
        for (key, record) in &plan.ledger {
            insert.execute(params![key.as_slice(), record.content.as_slice(), record.answer, plan.at])?;
        }
    }
    for (row, version) in &plan.rows {
        let (sql, values) = crate::log::row_sql(row, *version);
        connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(values.iter().map(|value: &Value| ToSqlite(value))))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_lost_is_committed_without_a_sync_whatever_comes_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection =
            super::super::open(&folder.path().join("log.db"), Durability::Full).expect("it opens");
        let synchronous = || connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
        assert_eq!(unsynced(&connection, synchronous), Ok(1));
        assert_eq!(synchronous(), Ok(2));
        let failed = unsynced(&connection, || connection.execute("INSERT INTO nothing VALUES (1)", []));
        assert!(failed.is_err());
        assert_eq!(synchronous(), Ok(2));
    }
}
