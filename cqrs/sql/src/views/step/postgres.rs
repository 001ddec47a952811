//! Steps on PostgreSQL.

use std::sync::Arc;

use cqrs_core::{Statement, StoreError};
use futures::TryFutureExt as _;
use futures::future::{join_all, try_join, try_join_all};
use tokio_postgres::types::Type;

use super::rows::{Array, alike, arrays, table};
use super::{AT_ONCE, StepError, Taker, Waiting, in_statement, settings};
use crate::leases::held_sql;
use crate::postgres::log::quoted;
use crate::postgres::{BACKGROUND, CommitFailed, Connection, Param, Pool, Settings};
use crate::value::{ToPostgres, postgres_params};
use crate::views::Views;

/// The class of the advisory locks under which a view's steps are taken. They are transactions' locks.
const STEPS: i32 = 7_305_807;

/// How long steps that share a transaction wait for a lock. Whoever keeps one view standing keeps the others no longer.
const SHARED_PATIENCE: &str = "set_config('lock_timeout', '200', true)";

/// Where steps are taken: in sessions of their own, which have from the start what else each step would have to say.
pub(super) struct StepSessions {
    pool: Pool,
    /// Beside the limits that each transaction has.
    settings: Settings,
    schema: String,
}

impl StepSessions {
    pub(super) fn new(pool: &Pool, schema: &str) -> Result<Self, StoreError> {
        let settings = Settings::by_keys().and(settings(schema));
        let from_start = Settings::limits(BACKGROUND).and(settings.clone());
        let pool = pool.another(AT_ONCE, BACKGROUND, &from_start)?;
        Ok(Self { pool, settings, schema: schema.to_owned() })
    }

    async fn get(&self) -> Result<Connection, StoreError> {
        let mut client = self.pool.get_for(BACKGROUND).await?;
        // Waiting for it takes no time from the step.
        client.restart();
        Ok(client)
    }
}

type Results = Vec<Result<(), StepError>>;

impl Taker {
    pub(super) async fn take_on_postgres(&mut self, sessions: &StepSessions) {
        while let Some(mut steps) = self.next() {
            // Locks are taken in the same order by all processes.
            steps.sort_by_key(|waiting| waiting.name);
            let results = match sessions.get().await {
                Ok(client) => self.views.take_all_on_postgres(sessions, &client, &steps).await,
                Err(error) => Ok(steps.iter().map(|_| Err(unreachable(&error))).collect()),
            };
            let results = match results {
                Ok(results) => results,
                Err(error) if steps.len() == 1 => vec![Err(error)],
                Err(_) => {
                    join_all(steps.iter().map(|one| self.views.take_one_on_postgres(sessions, one))).await
                }
            };
            self.views.told(steps, results);
        }
    }
}

/// Without a connection, none of the steps is taken.
fn unreachable(error: &StoreError) -> StepError {
    StepError::Store(StoreError::Unavailable(match error {
        StoreError::Unavailable(detail) => detail.clone(),
        other => other.to_string(),
    }))
}

impl From<CommitFailed> for StepError {
    /// Whether it happened or not shows where the view's place is read again.
    fn from(failed: CommitFailed) -> Self {
        let (CommitFailed::Before(error) | CommitFailed::Unknown(error)) = failed;
        Self::Store(error)
    }
}

/// What is sent for one statement, or for rows that are taken in together.
enum Sent<'a> {
    One(Vec<ToPostgres<'a>>),
    Rows(Arc<Vec<Array<'a>>>),
}

impl Sent<'_> {
    fn params(&self) -> Vec<Param<'_>> {
        match self {
            Self::One(values) => postgres_params(values),
            Self::Rows(arrays) => arrays.iter().map(Array::param).collect(),
        }
    }
}

impl Views {
    async fn take_one_on_postgres(&self, sessions: &StepSessions, step: &Waiting) -> Result<(), StepError> {
        let client = sessions.get().await?;
        let results = self.take_all_on_postgres(sessions, &client, std::slice::from_ref(step)).await?;
        results.into_iter().next().unwrap_or(Ok(()))
    }

    /// Takes steps in one transaction: all, except those of views that aren't where they start from.
    async fn take_all_on_postgres(
        &self,
        sessions: &StepSessions,
        client: &Connection,
        steps: &[Waiting],
    ) -> Result<Results, StepError> {
        let taken = self.transaction(sessions, client, steps).await;
        if taken.is_err() {
            let _ = client.rollback().await;
        }
        taken
    }

    async fn transaction(
        &self,
        sessions: &StepSessions,
        client: &Connection,
        steps: &[Waiting],
    ) -> Result<Results, StepError> {
        let schema = &sessions.schema;
        // One step of a view at a time: two, from different sources, that read each other's rows would both miss what the
        // other hasn't committed yet. Each statement after the lock sees all that was committed before it.
        let mut locks = Vec::new();
        if steps.len() > 1 {
            locks.push(SHARED_PATIENCE.to_owned());
        }
        for (n, Waiting { name, .. }) in steps.iter().enumerate() {
            if n == 0 || steps[n - 1].name != *name {
                let view = format!("{schema}.{name}").replace('\'', "''");
                locks.push(format!("pg_advisory_xact_lock({STEPS}, hashtext('{view}'))"));
            }
        }
        let said = if client.owns_session() { String::new() } else { sessions.settings.for_transaction() };
        let first = format!("{said}SELECT {}", locks.join(", "));
        let places: Vec<_> = steps.iter().map(|waiting| Move::of(schema, waiting)).collect();
        for one in &places {
            client.prepare(&one.sql, &one.params()).await?;
        }
        // Sent together: the places' rows are locked behind the views. A rival waits there and then finds that it came too late.
        let moved =
            try_join_all(places.iter().map(|one| async { client.execute(&one.sql, &one.params()).await }));
        let ((), moved) = try_join(client.begin(&first), moved).await?;
        let mut statements = Vec::new();
        for (waiting, moved) in steps.iter().zip(&moved) {
            if *moved > 0 {
                self.statements(waiting, &mut statements)?;
            }
        }
        for (sql, sent) in &statements {
            let prepared = client.prepare(sql, &sent.params()).await;
            prepared.map_err(|error| in_statement(error, sql))?;
        }
        // All are sent at once, in order, and the commit with them; the server answers as it goes.
        let runs = statements.iter().map(|(sql, sent)| async move {
            let run = client.execute(sql, &sent.params()).await;
            run.map_err(|error| in_statement(error, sql))
        });
        client.commit_with(Box::pin(try_join_all(runs).map_ok(drop))).await?;
        let result = |moved: u64| if moved > 0 { Ok(()) } else { Err(StepError::Moved) };
        Ok(moved.into_iter().map(result).collect())
    }

    /// What there is to send for a step.
    fn statements<'a>(
        &self,
        waiting: &'a Waiting,
        all: &mut Vec<(Arc<str>, Sent<'a>)>,
    ) -> Result<(), StoreError> {
        let mut rest = &waiting.step.statements[..];
        while let Some((first, others)) = rest.split_first() {
            match first {
                Statement::One { sql, params } => {
                    let sql = self.text(self.dialect().pick(*sql), waiting.generation, String::new);
                    all.push((sql, Sent::One(params.iter().map(ToPostgres).collect())));
                    rest = others;
                }
                Statement::Row { of, .. } => {
                    let rows = alike(of, rest);
                    rest = &rest[rows.len()..];
                    let arrays = Arc::new(arrays(of, &rows)?);
                    for sql in of.postgres {
                        let sql = self.text(sql, waiting.generation, || table(of));
                        all.push((sql, Sent::Rows(arrays.clone())));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Moves a view's place, if it still is where a step starts from.
struct Move<'a> {
    sql: String,
    waiting: &'a Waiting,
    generation: i64,
    to: i64,
    from: i64,
    fence: Option<i64>,
}

impl<'a> Move<'a> {
    fn of(schema: &str, waiting: &'a Waiting) -> Self {
        let (s, step) = (quoted(schema), &waiting.step);
        let (held, from_held) = match step.fence {
            Some(_) => (held_sql(schema, 1, 7), "FROM held"),
            None => (String::new(), ""),
        };
        // A place that has gone is that of a generation that has gone, or begins anew: not where this step starts from.
        let sql = if step.from.0 == 0 {
            format!(
                "{held} INSERT INTO {s}.view_places (name, generation, source, epoch, position)
                 SELECT $1, $2::bigint, $3, $4::uuid, $5::bigint {from_held}
                 ON CONFLICT (name, generation, source)
                 DO UPDATE SET position = excluded.position, epoch = excluded.epoch
                 WHERE view_places.position = $6"
            )
        } else {
            format!(
                "{held} UPDATE {s}.view_places SET position = $5, epoch = $4 {from_held}
                 WHERE name = $1 AND generation = $2 AND source = $3 AND position = $6"
            )
        };
        Self {
            sql,
            waiting,
            generation: waiting.generation as i64,
            to: step.to.0 as i64,
            from: step.from.0 as i64,
            fence: step.fence.map(|fence| fence.0 as i64),
        }
    }

    fn params(&self) -> Vec<Param<'_>> {
        let mut params: Vec<Param<'_>> = vec![
            (&self.waiting.name, Type::TEXT),
            (&self.generation, Type::INT8),
            (&self.waiting.step.source, Type::TEXT),
            (&self.waiting.step.epoch, Type::UUID),
            (&self.to, Type::INT8),
            (&self.from, Type::INT8),
        ];
        params.extend(self.fence.iter().map(|fence| -> Param<'_> { (fence, Type::INT8) }));
        params
    }
}
