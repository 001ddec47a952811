//! The log's committer on PostgreSQL: one per process, the head row as the only lock. A batch goes at once, in one round trip,
//! while nobody else commits ([`AtOnce`]); otherwise, and whenever that doesn't hold, in two, reading what there is under the
//! lock before anything is decided.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_core::{ClaimChange, CommitError, LedgerRecord, Position, Row as _, StoreError};
use futures::future::{try_join3, try_join5};
use futures::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::at_once::{AtOnce, Ended, Known};
use super::log::{quoted, versions_sql};
use super::rows::{EventColumns, LedgerColumns};
use super::{CommitFailed, Connection, Param, Pool, Settings};
use crate::batch::{self, Facts, Plan, RowId, Touched, Waiting};
use crate::dialect::Dialect;
use crate::tail::Tail;
use crate::value::{PostgresRow, ToPostgres, postgres_params};

/// How many commits one transaction takes at most.
pub(super) const BATCH: usize = 1024;

/// Gathers what is to be committed and commits it as one.
pub(super) struct Committer {
    pool: Pool,
    statements: Statements,
    at_once: AtOnce,
    connection: Option<Connection>,
    head: watch::Sender<Position>,
    tail: Arc<Tail>,
}

/// The texts of a log's own statements.
struct Statements {
    schema: String,
    lock: String,
    versions: String,
    ledger: String,
    claims: String,
    set_head: String,
    insert_events: String,
    insert_ledger: String,
    take_claim: String,
    release_claim: String,
}

impl Statements {
    fn of(schema: &str) -> Self {
        let s = quoted(schema);
        Self {
            // A statement of its own: what is read after it sees everything committed before the lock was got.
            lock: format!("UPDATE {s}.head SET position = position RETURNING position, at"),
            versions: versions_sql(&s),
            // Each by the index: a plan that was made while the tables were empty may stay for long, and reads them whole.
            ledger: format!(
                "SELECT l.* FROM unnest($1::bytea[]) AS k (key)
                 CROSS JOIN LATERAL (SELECT key, content, answer FROM {s}.ledger WHERE key = k.key LIMIT 1) l"
            ),
            claims: format!(
                "SELECT c.* FROM unnest($1::text[], $2::bytea[]) AS w (set_name, value)
                 CROSS JOIN LATERAL (SELECT set_name, value, owner, until FROM {s}.claims
                   WHERE set_name = w.set_name AND value = w.value LIMIT 1) c"
            ),
            set_head: format!("UPDATE {s}.head SET position = $1, at = $2"),
            insert_events: format!(
                "INSERT INTO {s}.events (position, id, category, stream, version, name, schema, at, actor_kind,
                   actor, correlation, causation, data)
                 SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[],
                   $6::text[], $7::smallint[], $8::bigint[], $9::smallint[], $10::uuid[], $11::uuid[],
                   $12::uuid[], $13::bytea[])"
            ),
            insert_ledger: format!(
                "INSERT INTO {s}.ledger (key, content, answer, at)
                 SELECT k, c, a, $4 FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS r(k, c, a)"
            ),
            take_claim: format!(
                "INSERT INTO {s}.claims (set_name, value, owner, until) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (set_name, value) DO UPDATE SET owner = excluded.owner, until = excluded.until"
            ),
            release_claim: format!("DELETE FROM {s}.claims WHERE set_name = $1 AND value = $2 AND owner = $3"),
            schema: s,
        }
    }
}

/// One batch's transaction.
struct Transaction<'a> {
    connection: &'a Connection,
    statements: &'a Statements,
}

impl Transaction<'_> {
    /// The plan carried out, and the head as it was found.
    async fn run(&self, batch: &mut [Waiting]) -> Result<(Position, Plan), CommitFailed> {
        let touched = Touched::by(batch);
        let (head, at, mut facts) = self.gather(&touched).await?;
        let plan = Plan::make(batch, &mut facts, head, at);
        if plan.is_empty() {
            self.connection.rollback().await?;
            return Ok((head, plan));
        }
        self.write(&plan).await?;
        Ok((head, plan))
    }

    /// Begins the transaction, takes the head's lock, and reads what is there under it.
    async fn gather(&self, touched: &Touched) -> Result<(Position, i64, Facts), StoreError> {
        let ids: Vec<Uuid> = touched.streams.iter().map(|stream| stream.id).collect();
        let categories: Vec<&str> = touched.streams.iter().map(|stream| stream.category).collect();
        let keys: Vec<&[u8]> = touched.ledger.iter().map(<[u8; 32]>::as_slice).collect();
        let sets: Vec<&str> = touched.claims.iter().map(|(set, _)| *set).collect();
        let values: Vec<&[u8]> = touched.claims.iter().map(|(_, value)| value.as_slice()).collect();
        let stream_params: [Param<'_>; 2] = [(&ids, Type::UUID_ARRAY), (&categories, Type::TEXT_ARRAY)];
        let ledger_params: [Param<'_>; 1] = [(&keys, Type::BYTEA_ARRAY)];
        let claim_params: [Param<'_>; 2] = [(&sets, Type::TEXT_ARRAY), (&values, Type::BYTEA_ARRAY)];
        let Self { connection, statements } = self;
        for (sql, params) in [
            (&statements.lock, &[][..]),
            (&statements.versions, &stream_params),
            (&statements.ledger, &ledger_params),
            (&statements.claims, &claim_params),
        ] {
            connection.prepare(sql, params).await?;
        }
        let none = || futures::future::ready(Ok(Vec::new())).left_future();
        let versions = if ids.is_empty() {
            none()
        } else {
            connection.query(&statements.versions, &stream_params).right_future()
        };
        let ledger = if keys.is_empty() {
            none()
        } else {
            connection.query(&statements.ledger, &ledger_params).right_future()
        };
        let claims = if sets.is_empty() {
            none()
        } else {
            connection.query(&statements.claims, &claim_params).right_future()
        };
        // Sent together, in this order: the lock is waited for on the server, and each statement behind it sees everything
        // that was committed before it was got.
        let begin = connection.begin("");
        let lock = connection.query_one(&statements.lock, &[]);
        let ((), locked, versions, ledger, claims) = try_join5(begin, lock, versions, ledger, claims).await?;
        let mut facts = Facts { rows: self.gather_rows(touched).await?, ..Facts::default() };
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
        Ok((Position(locked.get::<_, i64>(0) as u64), locked.get(1), facts))
    }

    async fn gather_rows(&self, touched: &Touched) -> Result<HashMap<batch::RowKey, u64>, StoreError> {
        let mut rows = HashMap::new();
        for (table, key_column, key) in &touched.rows {
            let sql =
                format!("SELECT version FROM {}.{table} WHERE {key_column} = $1", self.statements.schema);
            let key_value = [ToPostgres(key)];
            let found = self.connection.query_opt(&sql, &postgres_params(&key_value)).await?;
            if let Some(row) = found {
                // The service's own table: a version of another integer type is no reason to go down.
                let version = PostgresRow(&row).int(0).ok().flatten().unwrap_or(0);
                rows.insert((*table, RowId::of(key)), version as u64);
            }
        }
        Ok(rows)
    }

    /// Writes the plan and commits it.
    async fn write(&self, plan: &Plan) -> Result<(), CommitFailed> {
        let Self { connection, statements } = self;
        // Those few that come a row at a time come first.
        self.write_claims(plan).await?;
        self.write_rows(plan).await?;
        let (head, at) = (plan.head.0 as i64, plan.at);
        let head_params: [Param<'_>; 2] = [(&head, Type::INT8), (&at, Type::INT8)];
        let events = EventColumns::of(&plan.events);
        let event_params = events.params();
        let ledger = LedgerColumns::of(&plan.ledger);
        let [key, content, answer] = ledger.params();
        let ledger_params = [key, content, answer, (&at, Type::INT8)];
        for (sql, params) in [
            (&statements.set_head, &head_params[..]),
            (&statements.insert_events, &event_params),
            (&statements.insert_ledger, &ledger_params),
        ] {
            connection.prepare(sql, params).await?;
        }
        let nothing = || futures::future::ready(Ok(0)).left_future();
        let set_head = connection.execute(&statements.set_head, &head_params);
        let insert_events = if plan.events.is_empty() {
            nothing()
        } else {
            connection.execute(&statements.insert_events, &event_params).right_future()
        };
        let insert_ledger = if plan.ledger.is_empty() {
            nothing()
        } else {
            connection.execute(&statements.insert_ledger, &ledger_params).right_future()
        };
        let writes = try_join3(set_head, insert_events, insert_ledger).map_ok(drop);
        connection.commit_with(Box::pin(writes)).await
    }

    async fn write_claims(&self, plan: &Plan) -> Result<(), StoreError> {
        let Self { connection, statements } = self;
        for claim in &plan.claims {
            let value = claim.value.as_slice();
            match claim.change {
                ClaimChange::Take => {
                    let until = claim.until.map(Timestamp::as_millisecond);
                    let params: [Param<'_>; 4] = [
                        (&claim.set, Type::TEXT),
                        (&value, Type::BYTEA),
                        (&claim.owner, Type::UUID),
                        (&until, Type::INT8),
                    ];
                    connection.execute(&statements.take_claim, &params).await?;
                }
                ClaimChange::Release => {
                    let params: [Param<'_>; 3] =
                        [(&claim.set, Type::TEXT), (&value, Type::BYTEA), (&claim.owner, Type::UUID)];
                    connection.execute(&statements.release_claim, &params).await?;
                }
            }
        }
        Ok(())
    }

    async fn write_rows(&self, plan: &Plan) -> Result<(), StoreError> {
        let Self { connection, statements } = self;
        for (row, version) in &plan.rows {
            let (sql, values) = crate::log::row_sql(row, *version);
            let sql = Dialect::Postgres.parameters(&sql).replacen(
                row.table,
                &format!("{}.{}", statements.schema, row.table),
                1,
            );
            let values: Vec<_> = values.iter().map(ToPostgres).collect();
            connection.execute(&sql, &postgres_params(&values)).await?;
        }
        Ok(())
    }
}

impl Committer {
    pub(super) fn new(pool: Pool, schema: &str, head: watch::Sender<Position>, tail: Arc<Tail>) -> Self {
        let (statements, at_once) = (Statements::of(schema), AtOnce::in_schema(&quoted(schema)));
        Self { pool, statements, at_once, connection: None, head, tail }
    }

    /// Commits what comes until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.recv_many(&mut batch, BATCH).await > 0 {
            metrics::histogram!("cqrs_batch_commits").record(batch.len() as f64);
            let mut gathered = std::mem::take(&mut batch);
            // Whoever stopped waiting before it was begun need not be kept up with.
            gathered.retain(|waiting| !waiting.reply.is_closed());
            if gathered.is_empty() {
                continue;
            }
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
        if self.connection.as_ref().is_none_or(Connection::is_lost) {
            self.connection = None;
            match self.connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    batch::fail(batch, || CommitError::Store(StoreError::Unavailable(error.to_string())));
                    return Ok(());
                }
            }
        }
        let Some(connection) = &mut self.connection else { return Err(batch) };
        connection.restart();
        let error = match self.at_once.commit(connection, &mut batch).await {
            Ended::Committed(plan) => {
                self.announce(batch, plan);
                return Ok(());
            }
            Ended::Unknown(error) => CommitFailed::Unknown(error),
            Ended::NotAtOnce => {
                let transaction = Transaction { connection, statements: &self.statements };
                match transaction.run(&mut batch).await {
                    Ok((found, plan)) => {
                        self.at_once.learn(found, Known { head: plan.head, at: plan.at });
                        self.announce(batch, plan);
                        return Ok(());
                    }
                    Err(error) => error,
                }
            }
        };
        self.at_once.forget();
        if connection.rollback().await.is_err() {
            self.connection = None;
        }
        match error {
            CommitFailed::Before(error) => {
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
            CommitFailed::Unknown(error) => {
                tracing::error!(%error, "the outcome of a commit is unknown");
                batch::fail(batch, || CommitError::Unknown(error.to_string()));
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        let connection = self.pool.connect(self.pool.patience()).await?;
        if connection.owns_session() {
            connection.batch(&Settings::by_keys().for_session()).await?;
        }
        Ok(connection)
    }

    /// Answers a batch that is committed, as far as it could be.
    fn announce(&self, batch: Vec<Waiting>, plan: Plan) {
        self.tail.push(&plan.events);
        self.head.send_if_modified(|known| {
            let newer = plan.head > *known;
            *known = plan.head.max(*known);
            newer
        });
        batch::answer(batch, plan.results);
    }
}
