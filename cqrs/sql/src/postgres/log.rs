//! The log on PostgreSQL: one committer per process, three round trips per batch, the head row as the only lock.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{
    Actor, ClaimChange, CommitError, Guard, LedgerRecord, Position, RecordedEvent, Row as _, StoreError,
    StreamId, Value,
};
use futures::future::{try_join, try_join4};
use futures::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::Pool;
use crate::batch::{self, Facts, Plan, RowId, Touched, Waiting};
use crate::dialect::{Dialect, postgres_error};
use crate::leases::PostgresLeases;
use crate::sqlite::log::FORMAT;
use crate::tail::Tail;
use crate::value::{PostgresRow, ToPostgres, postgres_params};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value bytea NOT NULL);
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

/// How many commits one transaction takes at most.
const BATCH: usize = 1024;

/// The log's committer and readers.
pub(crate) struct PostgresLog {
    pub(crate) epoch: Uuid,
    pool: Pool,
    schema: String,
    writer: mpsc::Sender<Waiting>,
}

/// A name as SQL takes it, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes a schema and sets it as the one that unqualified names mean, for the transaction under way.
pub(crate) async fn enter_schema(client: &Client, schema: &str) -> Result<(), tokio_postgres::Error> {
    // Two processes may start at once; the lock is given back with the transaction.
    let lock = "SELECT pg_advisory_xact_lock(7305805, hashtext($1))";
    client.execute(lock, &[&schema]).await?;
    let name = quoted(schema);
    client
        .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {name}; SET LOCAL search_path TO {name}"))
        .await
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
        every: Duration,
    ) -> Result<Self, StoreError> {
        pool.require_durability().await?;
        let client = pool.connect().await?;
        let epoch = Self::migrate(&client, schema, name, fresh_epoch, tables).await?;
        let (writer, jobs) = mpsc::channel(8 * BATCH);
        let committer = Committer {
            pool: pool.clone(),
            schema: schema.to_owned(),
            connected: None,
            head: head.clone(),
            tail,
        };
        tokio::spawn(committer.run(jobs));
        let log = Self { epoch, pool, schema: schema.to_owned(), writer };
        let known = log.read_head().await?;
        head.send_replace(known);
        log.follow_others(head, every);
        Ok(log)
    }

    async fn migrate(
        client: &Client,
        schema: &str,
        name: &str,
        fresh_epoch: Uuid,
        tables: Option<&str>,
    ) -> Result<Uuid, StoreError> {
        let failed = |error: tokio_postgres::Error| postgres_error(&error);
        client.batch_execute("BEGIN").await.map_err(failed)?;
        enter_schema(client, schema).await.map_err(failed)?;
        let known: bool =
            client.query_one("SELECT to_regclass('meta') IS NOT NULL", &[]).await.map_err(failed)?.get(0);
        if known {
            let format = client
                .query_opt("SELECT value FROM meta WHERE key = 'format'", &[])
                .await
                .map_err(failed)?
                .map(|row| row.get::<_, Vec<u8>>(0));
            crate::log::check_format(&format!("the schema {schema}"), format.as_deref())?;
        }
        client.batch_execute(SCHEMA).await.map_err(failed)?;
        client.batch_execute(crate::leases::TABLE).await.map_err(failed)?;
        client.batch_execute(crate::places::ADD_EPOCH).await.map_err(failed)?;
        if let Some(tables) = tables {
            client.batch_execute(tables).await.map_err(failed)?;
        }
        let set = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let format = FORMAT.to_be_bytes();
        for (key, value) in
            [("format", &format[..]), ("name", name.as_bytes()), ("epoch", &fresh_epoch.as_bytes()[..])]
        {
            client.execute(set, &[&key, &value]).await.map_err(failed)?;
        }
        let rows = client.query("SELECT key, value FROM meta", &[]).await.map_err(failed)?;
        let meta: HashMap<String, Vec<u8>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let get = |key: &str| meta.get(key).map(Vec::as_slice);
        let epoch = crate::log::check_meta(name, get("format"), get("name"), get("epoch"))?;
        client.batch_execute("COMMIT").await.map_err(failed)?;
        Ok(epoch)
    }

    /// Other processes' commits are seen by looking; our own are announced at once.
    fn follow_others(&self, head: watch::Sender<Position>, every: Duration) {
        let (pool, sql) = (self.pool.clone(), self.sql("SELECT position FROM {s}head"));
        tokio::spawn(async move {
            while !head.is_closed() {
                tokio::time::sleep(every).await;
                let Ok(client) = pool.get().await else { continue };
                let Ok(statement) = client.prepare_cached(&sql).await else { continue };
                if let Ok(row) = client.query_one(&statement, &[]).await {
                    let position = Position(row.get::<_, i64>(0) as u64);
                    head.send_if_modified(|known| {
                        let newer = position > *known;
                        *known = position.max(*known);
                        newer
                    });
                }
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
    fn qualify(&self, sql: &str) -> String {
        let mut text = Dialect::Postgres.parameters(sql);
        for table in ["events", "ledger", "claims", "snapshots", "places", "head"] {
            for before in ["FROM ", "INTO ", "UPDATE "] {
                let (from, to) =
                    (format!("{before}{table}"), format!("{before}{}.{table}", quoted(&self.schema)));
                text = text.replace(&from, &to);
            }
        }
        text
    }

    async fn read_head(&self) -> Result<Position, StoreError> {
        let rows = self.query("SELECT position FROM head", &[]).await?;
        Ok(Position(rows.first().map_or(0, |row| row.get::<_, i64>(0)) as u64))
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

    async fn query_raw(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let client = self.pool.get().await?;
        let statement =
            client.prepare_cached(&self.qualify(sql)).await.map_err(|error| postgres_error(&error))?;
        client.query(&statement, params).await.map_err(|error| postgres_error(&error))
    }

    pub(crate) async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        let values: Vec<_> = params.iter().map(ToPostgres).collect();
        let client = self.pool.get().await?;
        let statement =
            client.prepare_cached(&self.qualify(sql)).await.map_err(|error| postgres_error(&error))?;
        client.execute(&statement, &postgres_params(&values)).await.map_err(|error| postgres_error(&error))
    }

    pub(crate) async fn read_stream(
        &self,
        stream: StreamId,
        after: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = format!(
            "SELECT {EVENT} FROM events WHERE stream = $1 AND category = $2 AND version > $3 ORDER BY version"
        );
        let rows = self.query_raw(&sql, &[&stream.id, &stream.category, &(after as i64)]).await?;
        Ok(rows.iter().map(event).collect())
    }

    pub(crate) async fn read_log(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let sql = format!("SELECT {EVENT} FROM events WHERE position > $1 ORDER BY position LIMIT $2");
        let rows = self.query_raw(&sql, &[&(after.0 as i64), &(limit as i64)]).await?;
        Ok(rows.iter().map(|row| Arc::new(event(row))).collect())
    }

    pub(crate) async fn read_at(
        &self,
        positions: &[Position],
    ) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let wanted: Vec<i64> = positions.iter().map(|position| position.0 as i64).collect();
        let sql = format!("SELECT {EVENT} FROM events WHERE position = ANY ($1)");
        let rows = self.query_raw(&sql, &[&wanted]).await?;
        let found: HashMap<u64, Arc<RecordedEvent>> =
            rows.iter().map(event).map(|event| (event.position.0, Arc::new(event))).collect();
        Ok(positions.iter().filter_map(|position| found.get(&position.0).cloned()).collect())
    }

    pub(crate) async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError> {
        let ids: Vec<Uuid> = guards.iter().map(|guard| guard.stream.id).collect();
        let categories: Vec<&str> = guards.iter().map(|guard| guard.stream.category).collect();
        let schema = quoted(&self.schema);
        let rows = self.query_raw(&versions_sql(&schema), &[&ids, &categories]).await?;
        for (guard, row) in guards.iter().zip(&rows) {
            let actual = row.get::<_, Option<i64>>(2).unwrap_or(0) as u64;
            if actual != guard.expected {
                return Ok(Some(Guard { stream: guard.stream, expected: actual }));
            }
        }
        Ok(None)
    }
}

fn versions_sql(schema: &str) -> String {
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

struct Committer {
    pool: Pool,
    schema: String,
    connected: Option<Connected>,
    head: watch::Sender<Position>,
    tail: Arc<Tail>,
}

struct Connected {
    client: Client,
    begin: Statement,
    lock: Statement,
    versions: Statement,
    ledger: Statement,
    claims: Statement,
    set_head: Statement,
    insert_events: Statement,
    insert_ledger: Statement,
    take_claim: Statement,
    release_claim: Statement,
    commit: Statement,
    rollback: Statement,
}

enum Failed {
    Before(StoreError),
    AtCommit(StoreError),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Before(postgres_error(&error))
    }
}

impl Connected {
    async fn new(pool: &Pool, schema: &str) -> Result<Self, StoreError> {
        let client = pool.connect().await?;
        Self::prepare(client, &quoted(schema)).await.map_err(|error| postgres_error(&error))
    }

    async fn prepare(client: Client, s: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            begin: client.prepare("BEGIN").await?,
            // A statement of its own: what is read after it sees everything committed before the lock was got.
            lock: client
                .prepare(&format!("UPDATE {s}.head SET position = position RETURNING position, at"))
                .await?,
            versions: client.prepare(&versions_sql(s)).await?,
            ledger: client
                .prepare(&format!("SELECT key, content, answer FROM {s}.ledger WHERE key = ANY ($1::bytea[])"))
                .await?,
            claims: client
                .prepare(&format!(
                    "SELECT c.set_name, c.value, c.owner, c.until FROM {s}.claims c
                     JOIN unnest($1::text[], $2::bytea[]) AS w(set_name, value)
                       ON c.set_name = w.set_name AND c.value = w.value"
                ))
                .await?,
            set_head: client.prepare(&format!("UPDATE {s}.head SET position = $1, at = $2")).await?,
            insert_events: client
                .prepare(&format!(
                    "INSERT INTO {s}.events (position, id, category, stream, version, name, schema, at, actor_kind,
                       actor, correlation, causation, data)
                     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[],
                       $6::text[], $7::smallint[], $8::bigint[], $9::smallint[], $10::uuid[], $11::uuid[],
                       $12::uuid[], $13::bytea[])"
                ))
                .await?,
            insert_ledger: client
                .prepare(&format!(
                    "INSERT INTO {s}.ledger (key, content, answer, at)
                     SELECT k, c, a, $4 FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS r(k, c, a)"
                ))
                .await?,
            take_claim: client
                .prepare(&format!(
                    "INSERT INTO {s}.claims (set_name, value, owner, until) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (set_name, value) DO UPDATE SET owner = excluded.owner, until = excluded.until"
                ))
                .await?,
            release_claim: client
                .prepare(&format!("DELETE FROM {s}.claims WHERE set_name = $1 AND value = $2 AND owner = $3"))
                .await?,
            commit: client.prepare("COMMIT").await?,
            rollback: client.prepare("ROLLBACK").await?,
            client,
        })
    }

    async fn transact(&self, schema: &str, batch: &mut [Waiting]) -> Result<Plan, Failed> {
        // Sent together: the second waits for the head's lock on the server, not the first on the network.
        let (_, locked) =
            try_join(self.client.execute(&self.begin, &[]), self.client.query_one(&self.lock, &[])).await?;
        let (head, at): (i64, i64) = (locked.get(0), locked.get(1));
        let mut facts = self.gather(schema, &Touched::by(batch)).await?;
        let plan = Plan::make(batch, &mut facts, Position(head as u64), at);
        if plan.is_empty() {
            self.client.execute(&self.rollback, &[]).await?;
            return Ok(plan);
        }
        self.write(schema, &plan).await?;
        self.client
            .execute(&self.commit, &[])
            .await
            .map_err(|error| Failed::AtCommit(postgres_error(&error)))?;
        Ok(plan)
    }

    async fn gather(&self, schema: &str, touched: &Touched) -> Result<Facts, tokio_postgres::Error> {
        let ids: Vec<Uuid> = touched.streams.iter().map(|stream| stream.id).collect();
        let categories: Vec<&str> = touched.streams.iter().map(|stream| stream.category).collect();
        let keys: Vec<&[u8]> = touched.ledger.iter().map(<[u8; 32]>::as_slice).collect();
        let sets: Vec<&str> = touched.claims.iter().map(|(set, _)| *set).collect();
        let values: Vec<&[u8]> = touched.claims.iter().map(|(_, value)| value.as_slice()).collect();
        let none = || futures::future::ready(Ok(Vec::new())).left_future();
        let stream_params: [&(dyn ToSql + Sync); 2] = [&ids, &categories];
        let ledger_params: [&(dyn ToSql + Sync); 1] = [&keys];
        let claim_params: [&(dyn ToSql + Sync); 2] = [&sets, &values];
        let versions = if ids.is_empty() {
            none()
        } else {
            self.client.query(&self.versions, &stream_params).right_future()
        };
        let ledger = if keys.is_empty() {
            none()
        } else {
            self.client.query(&self.ledger, &ledger_params).right_future()
        };
        let claims = if sets.is_empty() {
            none()
        } else {
            self.client.query(&self.claims, &claim_params).right_future()
        };
        let rows = self.gather_rows(schema, touched);
        let (versions, ledger, claims, rows) = try_join4(versions, ledger, claims, rows).await?;
        let mut facts = Facts { rows, ..Facts::default() };
        for (stream, row) in touched.streams.iter().zip(&versions) {
            facts.versions.insert(*stream, row.get::<_, Option<i64>>(2).unwrap_or(0) as u64);
        }
        for row in &ledger {
            let fixed = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap_or([0; 32]);
            let record = LedgerRecord { content: fixed(row.get(1)), answer: row.get(2) };
            facts.ledger.insert(fixed(row.get(0)), record);
        }
        for row in &claims {
            let held: (&str, &[u8]) = (row.get(0), row.get(1));
            // They are sorted; see `Touched::by`.
            let found = touched.claims.binary_search_by(|(set, value)| (*set, value.as_slice()).cmp(&held));
            if let Ok(n) = found {
                facts.claims.insert(touched.claims[n], (row.get(2), row.get(3)));
            }
        }
        Ok(facts)
    }

    async fn gather_rows(
        &self,
        schema: &str,
        touched: &Touched,
    ) -> Result<HashMap<batch::RowKey, u64>, tokio_postgres::Error> {
        let mut rows = HashMap::new();
        for (table, key_column, key) in &touched.rows {
            let sql = format!("SELECT version FROM {}.{table} WHERE {key_column} = $1", quoted(schema));
            let found = self.client.query_opt(&sql, &[&ToPostgres(key)]).await?;
            if let Some(row) = found {
                // The service's own table: a version of another integer type is no reason to go down.
                let version = PostgresRow(&row).int(0).ok().flatten().unwrap_or(0);
                rows.insert((*table, RowId::of(key)), version as u64);
            }
        }
        Ok(rows)
    }

    async fn write(&self, schema: &str, plan: &Plan) -> Result<(), tokio_postgres::Error> {
        let (head, at) = (plan.head.0 as i64, plan.at);
        let set_head: [&(dyn ToSql + Sync); 2] = [&head, &at];
        let set_head = self.client.execute(&self.set_head, &set_head);
        let events = Columns::of(&plan.events);
        let event_params = events.params();
        let insert_events = async {
            if plan.events.is_empty() {
                return Ok(0);
            }
            self.client.execute(&self.insert_events, &event_params).await
        };
        let keys: Vec<&[u8]> = plan.ledger.iter().map(|(key, _)| key.as_slice()).collect();
        let contents: Vec<&[u8]> = plan.ledger.iter().map(|(_, record)| record.content.as_slice()).collect();
        let answers: Vec<&[u8]> = plan.ledger.iter().map(|(_, record)| record.answer.as_slice()).collect();
        let ledger_params: [&(dyn ToSql + Sync); 4] = [&keys, &contents, &answers, &at];
        let insert_ledger = async {
            if keys.is_empty() {
                return Ok(0);
            }
            self.client.execute(&self.insert_ledger, &ledger_params).await
        };
        let others = async {
            for claim in &plan.claims {
                let value = claim.value.as_slice();
                match claim.change {
                    ClaimChange::Take => {
                        let until = claim.until.map(Timestamp::as_millisecond);
                        let params: [&(dyn ToSql + Sync); 4] = [&claim.set, &value, &claim.owner, &until];
                        self.client.execute(&self.take_claim, &params).await?;
                    }
                    ClaimChange::Release => {
                        let params: [&(dyn ToSql + Sync); 3] = [&claim.set, &value, &claim.owner];
                        self.client.execute(&self.release_claim, &params).await?;
                    }
                }
            }
            for (row, version) in &plan.rows {
                let (sql, values) = crate::log::row_sql(row, *version);
                let sql = Dialect::Postgres.parameters(&sql).replacen(
                    row.table,
                    &format!("{}.{}", quoted(schema), row.table),
                    1,
                );
                let values: Vec<_> = values.iter().map(ToPostgres).collect();
                self.client.execute(&sql, &postgres_params(&values)).await?;
            }
            Ok(0)
        };
        try_join4(set_head, insert_events, insert_ledger, others).map_ok(drop).await
    }
}

/// Events by column, as `unnest` takes them.
#[derive(Default)]
struct Columns<'a> {
    position: Vec<i64>,
    id: Vec<Uuid>,
    category: Vec<&'a str>,
    stream: Vec<Uuid>,
    version: Vec<i64>,
    name: Vec<&'a str>,
    schema: Vec<i16>,
    at: Vec<i64>,
    actor_kind: Vec<i16>,
    actor: Vec<Option<Uuid>>,
    correlation: Vec<Uuid>,
    causation: Vec<Option<Uuid>>,
    data: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(events: &'a [Arc<RecordedEvent>]) -> Self {
        let mut columns = Self::default();
        for event in events {
            let (actor_kind, actor) = event.actor.parts();
            columns.position.push(event.position.0 as i64);
            columns.id.push(event.id);
            columns.category.push(&event.category);
            columns.stream.push(event.stream);
            columns.version.push(event.version as i64);
            columns.name.push(&event.name);
            columns.schema.push(event.schema as i16);
            columns.at.push(event.at.as_millisecond());
            columns.actor_kind.push(actor_kind);
            columns.actor.push(actor);
            columns.correlation.push(event.correlation);
            columns.causation.push(event.causation);
            columns.data.push(&event.data);
        }
        columns
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.position,
            &self.id,
            &self.category,
            &self.stream,
            &self.version,
            &self.name,
            &self.schema,
            &self.at,
            &self.actor_kind,
            &self.actor,
            &self.correlation,
            &self.causation,
            &self.data,
        ]
    }
}

impl Committer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.recv_many(&mut batch, BATCH).await > 0 {
            metrics::histogram!("cqrs_batch_commits").record(batch.len() as f64);
            let gathered = std::mem::take(&mut batch);
            if let Err(gathered) = self.commit(gathered).await {
                for waiting in gathered {
                    // A batch of one is answered, whatever comes of it.
                    let _ = self.commit(vec![waiting]).await;
                }
            }
        }
    }

    /// Commits a batch and answers it, or gives it back to be tried one by one.
    async fn commit(&mut self, mut batch: Vec<Waiting>) -> Result<(), Vec<Waiting>> {
        // A connection that was lost since the last batch needn't fail this one.
        if self.connected.as_ref().is_none_or(|connected| connected.client.is_closed()) {
            match Connected::new(&self.pool, &self.schema).await {
                Ok(connected) => self.connected = Some(connected),
                Err(error) => {
                    self.connected = None;
                    batch::fail(batch, || CommitError::Store(StoreError::Unavailable(error.to_string())));
                    return Ok(());
                }
            }
        }
        let Some(connected) = &self.connected else { return Err(batch) };
        let error = match connected.transact(&self.schema, &mut batch).await {
            Ok(plan) => {
                self.tail.push(&plan.events);
                self.head.send_if_modified(|known| {
                    let newer = plan.head > *known;
                    *known = plan.head.max(*known);
                    newer
                });
                batch::answer(batch, plan.results);
                return Ok(());
            }
            Err(error) => error,
        };
        let usable =
            !connected.client.is_closed() && connected.client.execute(&connected.rollback, &[]).await.is_ok();
        if !usable {
            self.connected = None;
        }
        match error {
            Failed::Before(error) => {
                if batch.len() > 1 && !matches!(error, StoreError::Unavailable(_)) {
                    return Err(batch);
                }
                tracing::error!(%error, "a commit failed");
                batch::fail(batch, || {
                    CommitError::Store(match &error {
                        StoreError::Full => StoreError::Full,
                        StoreError::Unavailable(detail) => StoreError::Unavailable(detail.clone()),
                        other => StoreError::Other(other.to_string()),
                    })
                });
            }
            Failed::AtCommit(error) => {
                tracing::error!(%error, "the outcome of a commit is unknown");
                batch::fail(batch, || CommitError::Unknown(error.to_string()));
            }
        }
        Ok(())
    }
}
