//! The log on PostgreSQL: its tables, and reading it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_core::{Actor, Guard, Position, RecordedEvent, StoreError, StreamId, Value};
use futures::future::try_join;
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::committer::{BATCH, Committer};
use super::schema::{Tables, prepare};
use super::{Param, Pool};
use crate::batch::Waiting;
use crate::dialect::Dialect;
use crate::leases::PostgresLeases;
use crate::log::LogOptions;
use crate::sqlite::log::FORMAT;
use crate::tail::Tail;
use crate::value::{ToPostgres, postgres_params};

/// The log's tables.
const TABLES: Tables = Tables {
    format: FORMAT,
    steps: &[FIRST, crate::leases::TABLE, crate::places::ADD_EPOCH, crate::parked::POSTGRES],
};

const FIRST: &str = "
CREATE TABLE IF NOT EXISTS head (one integer PRIMARY KEY CHECK (one = 1), position bigint NOT NULL, at bigint NOT NULL)
  WITH (fillfactor = 10);
INSERT INTO head (one, position, at) VALUES (1, 0, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS events (
  position bigint PRIMARY KEY, id uuid NOT NULL, category text NOT NULL, stream uuid NOT NULL,
  version bigint NOT NULL, name text NOT NULL, schema smallint NOT NULL, at bigint NOT NULL,
  actor_kind smallint NOT NULL, actor uuid, correlation uuid NOT NULL, causation uuid, data bytea NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_stream ON events (stream, category, version);
CREATE TABLE IF NOT EXISTS claims (
  set_name text NOT NULL, value bytea NOT NULL, owner uuid NOT NULL, until bigint, PRIMARY KEY (set_name, value)
);
CREATE TABLE IF NOT EXISTS ledger (
  key bytea PRIMARY KEY, content bytea NOT NULL, answer bytea NOT NULL, at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_time ON ledger (at);
CREATE TABLE IF NOT EXISTS snapshots (
  stream uuid NOT NULL, category text NOT NULL, version bigint NOT NULL, data bytea NOT NULL,
  PRIMARY KEY (stream, category)
);
CREATE TABLE IF NOT EXISTS places (
  consumer text NOT NULL, source text NOT NULL, position bigint NOT NULL, epoch uuid, PRIMARY KEY (consumer, source)
);
";

const EVENT: &str = "position, id, category, stream, version, name, schema, at, actor_kind, actor, correlation, causation, data";

/// For how long after an event a log counts as moving: where something happens, more does.
const LIVELY: Duration = Duration::from_secs(5);
/// How many times as long a log that rests is left alone.
const RESTING: u32 = 5;
/// How long a database that doesn't answer is left alone.
const UNREACHABLE: Duration = Duration::from_millis(250);

/// The log's committer and readers.
pub(crate) struct PostgresLog {
    pub(crate) epoch: Uuid,
    pool: Pool,
    schema: String,
    /// Statements with their tables' schema, by what they were without.
    qualified: RwLock<HashMap<String, Arc<str>>>,
    writer: mpsc::Sender<Waiting>,
}

/// How many qualified statements are remembered at most.
const QUALIFIED: usize = 500;

/// A name as SQL takes it, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl PostgresLog {
    #[expect(clippy::too_many_arguments, reason = "called once, by SqlLog::open, which has them at hand")]
    pub(crate) async fn open(
        pool: Pool,
        schema: &str,
        name: &'static str,
        fresh_epoch: Uuid,
        tables: Option<&str>,
        head: watch::Sender<Position>,
        tail: Arc<Tail>,
        options: &LogOptions,
    ) -> Result<Self, StoreError> {
        pool.require_durability().await?;
        let first = [("name", name.as_bytes()), ("epoch", &fresh_epoch.as_bytes()[..])];
        let meta = prepare(&pool, schema, &TABLES, tables, &first, options.migrate).await?;
        let get = |key: &str| meta.get(key).map(Vec::as_slice);
        let epoch = crate::log::check_meta(name, get("format"), get("name"), get("epoch"))?;
        let (writer, jobs) = mpsc::channel(8 * BATCH);
        let committer = Committer::new(pool.clone(), schema, head.clone(), tail);
        tokio::spawn(committer.run(jobs));
        let log = Self { epoch, pool, schema: schema.to_owned(), qualified: RwLock::default(), writer };
        let known = log.read_head().await?;
        head.send_replace(known);
        log.follow_others(head, options.poll);
        Ok(log)
    }

    /// Other processes' commits are seen by looking; our own are announced at once.
    fn follow_others(&self, head: watch::Sender<Position>, every: Duration) {
        let (pool, sql) = (self.pool.clone(), self.sql("SELECT position FROM {s}head"));
        tokio::spawn(async move {
            let (mut seen, mut moved, mut pause) = (*head.borrow(), Instant::now(), every);
            while !head.is_closed() {
                tokio::time::sleep(pause).await;
                let look = async { pool.get().await?.query_one(&sql, &[]).await };
                let Ok(row) = look.await else {
                    pause = UNREACHABLE;
                    continue;
                };
                let position = Position(row.get::<_, i64>(0) as u64);
                head.send_if_modified(|known| {
                    let newer = position > *known;
                    *known = position.max(*known);
                    newer
                });
                if position != std::mem::replace(&mut seen, position) {
                    moved = Instant::now();
                }
                pause = if moved.elapsed() < LIVELY { every } else { every * RESTING };
            }
        });
    }

    /// The name of one of the service's own tables.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}.{name}", quoted(&self.schema))
    }

    /// The leases beside the log.
    pub(crate) fn leases(&self) -> PostgresLeases<'_> {
        PostgresLeases { pool: &self.pool, schema: &self.schema }
    }

    /// See [`crate::leases::held_sql`].
    pub(crate) fn held_sql(&self, name: usize, fence: usize) -> String {
        crate::leases::held_sql(&self.schema, name, fence)
    }

    fn sql(&self, sql: &str) -> String {
        let schema = format!("{}.", quoted(&self.schema));
        crate::dialect::resolve(sql, |_| schema.clone())
    }

    /// The kernel's own statements name tables without a schema.
    fn qualify(&self, sql: &str) -> Arc<str> {
        if let Some(known) = self.qualified.read().get(sql) {
            return known.clone();
        }
        let mut text = Dialect::Postgres.parameters(sql);
        for table in ["events", "ledger", "claims", "snapshots", "places", "parked", "head"] {
            for before in ["FROM ", "INTO ", "UPDATE "] {
                let (from, to) =
                    (format!("{before}{table}"), format!("{before}{}.{table}", quoted(&self.schema)));
                text = text.replace(&from, &to);
            }
        }
        let text: Arc<str> = text.into();
        let mut qualified = self.qualified.write();
        // The kernel has some dozens of them.
        if qualified.len() < QUALIFIED {
            qualified.insert(sql.to_owned(), text.clone());
        }
        text
    }

    pub(crate) async fn read_head(&self) -> Result<Position, StoreError> {
        let rows = self.query("SELECT position FROM head", &[]).await?;
        Ok(Position(rows.first().map_or(0, |row| row.get::<_, i64>(0)) as u64))
    }

    /// How long to wait for a commit at most: a little longer than for its batch, so that what is known is told.
    pub(crate) fn longest_commit(&self) -> Duration {
        self.pool.patience() + Duration::from_millis(250)
    }

    pub(crate) async fn submit(&self, waiting: Waiting) -> Result<(), StoreError> {
        self.writer
            .send(waiting)
            .await
            .map_err(|_| StoreError::Unavailable("the log is shut down".to_owned()))
    }

    pub(crate) async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let values: Vec<_> = params.iter().map(ToPostgres).collect();
        self.query_raw(sql, &postgres_params(&values)).await
    }

    async fn query_raw(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        self.pool.get().await?.query(&self.qualify(sql), params).await
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        let values: Vec<_> = params.iter().map(ToPostgres).collect();
        self.pool.get().await?.execute(&self.qualify(sql), &postgres_params(&values)).await
    }

    pub(crate) async fn read_stream(
        &self,
        stream: StreamId,
        after: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = format!(
            "SELECT {EVENT} FROM events WHERE stream = $1 AND category = $2 AND version > $3 ORDER BY version"
        );
        let rows = self
            .query_raw(
                &sql,
                &[(&stream.id, Type::UUID), (&stream.category, Type::TEXT), (&(after as i64), Type::INT8)],
            )
            .await?;
        Ok(rows.iter().map(event).collect())
    }

    pub(crate) async fn read_from_snapshot(
        &self,
        stream: StreamId,
    ) -> Result<(Option<(u64, Vec<u8>)>, Vec<RecordedEvent>), StoreError> {
        let after = "(SELECT s.version FROM snapshots AS s WHERE s.stream = $1 AND s.category = $2)";
        let events = self.qualify(&format!(
            "SELECT {EVENT} FROM events WHERE stream = $1 AND category = $2 AND version > coalesce({after}, 0)
             ORDER BY version"
        ));
        let snapshot = self.qualify(crate::log::SNAPSHOT);
        let params: [Param<'_>; 2] = [(&stream.id, Type::UUID), (&stream.category, Type::TEXT)];
        let connection = self.pool.get().await?;
        connection.prepare(&events, &params).await?;
        connection.prepare(&snapshot, &params).await?;
        // Sent together, the events first: a snapshot kept in between leaves none of them out.
        let both = try_join(connection.query(&events, &params), connection.query_opt(&snapshot, &params));
        let (events, snapshot) = both.await?;
        let snapshot = snapshot.map(|row| (row.get::<_, i64>(0) as u64, row.get::<_, Vec<u8>>(1)));
        let after = snapshot.as_ref().map_or(0, |(version, _)| *version);
        Ok((snapshot, events.iter().map(event).filter(|event| event.version > after).collect()))
    }

    pub(crate) async fn read_log(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let sql = format!("SELECT {EVENT} FROM events WHERE position > $1 ORDER BY position LIMIT $2");
        let rows =
            self.query_raw(&sql, &[(&(after.0 as i64), Type::INT8), (&(limit as i64), Type::INT8)]).await?;
        Ok(rows.iter().map(|row| Arc::new(event(row))).collect())
    }

    pub(crate) async fn read_at(
        &self,
        positions: &[Position],
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let wanted: Vec<i64> = positions.iter().map(|position| position.0 as i64).collect();
        let sql = format!("SELECT {EVENT} FROM events WHERE position = ANY ($1)");
        let rows = self.query_raw(&sql, &[(&wanted, Type::INT8_ARRAY)]).await?;
        let found: HashMap<u64, Arc<RecordedEvent>> =
            rows.iter().map(event).map(|event| (event.position.0, Arc::new(event))).collect();
        Ok(positions.iter().filter_map(|position| found.get(&position.0).cloned()).collect())
    }

    pub(crate) async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError> {
        let ids: Vec<Uuid> = guards.iter().map(|guard| guard.stream.id).collect();
        let categories: Vec<&str> = guards.iter().map(|guard| guard.stream.category).collect();
        let schema = quoted(&self.schema);
        let params: [Param<'_>; 2] = [(&ids, Type::UUID_ARRAY), (&categories, Type::TEXT_ARRAY)];
        let rows = self.query_raw(&versions_sql(&schema), &params).await?;
        for (guard, row) in guards.iter().zip(&rows) {
            let actual = row.get::<_, Option<i64>>(2).unwrap_or(0) as u64;
            if actual != guard.expected {
                return Ok(Some(Guard { stream: guard.stream, expected: actual }));
            }
        }
        Ok(None)
    }
}

pub(super) fn versions_sql(schema: &str) -> String {
    format!(
        "SELECT s.id, s.category, (SELECT e.version FROM {schema}.events e
           WHERE e.stream = s.id AND e.category = s.category ORDER BY e.version DESC LIMIT 1)
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS s(id, category, n) ORDER BY s.n"
    )
}

fn event(row: &Row) -> RecordedEvent {
    RecordedEvent {
        position: Position(row.get::<_, i64>(0) as u64),
        id: row.get(1),
        category: Cow::Owned(row.get(2)),
        stream: row.get(3),
        version: row.get::<_, i64>(4) as u64,
        name: Cow::Owned(row.get(5)),
        schema: row.get::<_, i16>(6) as u16,
        at: Timestamp::from_millisecond(row.get(7)).unwrap_or_default(),
        actor: Actor::from_parts(row.get(8), row.get(9)),
        correlation: row.get(10),
        causation: row.get(11),
        data: row.get::<_, Vec<u8>>(12).into(),
    }
}
