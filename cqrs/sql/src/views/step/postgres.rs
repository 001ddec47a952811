//! Steps on PostgreSQL.

use std::sync::Arc;

use cqrs_core::{Statement, StoreError};
use futures::future::{join_all, try_join, try_join_all};
use tokio_postgres::types::Type;

use super::rows::{Array, alike, arrays, table};
use super::{STANDSTILL, StepError, Taker, Waiting, in_statement};
use crate::leases::held_sql;
use crate::postgres::log::quoted;
use crate::postgres::{BACKGROUND, Connection, Param, Pool};
use crate::value::{ToPostgres, postgres_params};
use crate::views::Views;

/// The class of the advisory locks under which a view's steps are taken. They are transactions' locks.
const STEPS: i32 = 7_305_807;

/// How a step's statements are planned: rows are looked up by their keys, by plans that are made once.
///
/// Left to itself the planner reads a table of some thousand rows whole to find a hundred of them, and makes the plan anew each
/// time; or it keeps one that it made while the table was empty. JIT is off, too: what can only be
/// read whole counts as dear then.
const BY_KEYS: &str = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), \
     set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true), \
     set_config('jit', 'off', true)";

/// How long steps that share a transaction wait for a lock. Whoever keeps one view standing keeps the others no longer.
const SHARED_PATIENCE: &str = "SET LOCAL lock_timeout = 200";

type Results = Vec<Result<(), StepError>>;

impl Taker {
    pub(super) async fn take_on_postgres(&mut self, pool: &Pool, schema: &str) {
        while let Some(mut steps) = self.next() {
            // Locks are taken in the same order by all processes.
            steps.sort_by_key(|waiting| waiting.name);
            let results = match pool.get_for(BACKGROUND).await {
                Ok(client) => self.views.take_all_on_postgres(&client, schema, &steps).await,
                Err(error) => Ok(steps.iter().map(|_| Err(unreachable(&error))).collect()),
            };
            let results = match results {
                Ok(results) => results,
                Err(error) if steps.len() == 1 => vec![Err(error)],
                Err(_) => {
                    join_all(steps.iter().map(|one| self.views.take_one_on_postgres(pool, schema, one))).await
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
    async fn take_one_on_postgres(&self, pool: &Pool, schema: &str, step: &Waiting) -> Result<(), StepError> {
        let client = pool.get_for(BACKGROUND).await?;
        let results = self.take_all_on_postgres(&client, schema, std::slice::from_ref(step)).await?;
        results.into_iter().next().unwrap_or(Ok(()))
    }

    /// Takes steps in one transaction: all, except those of views that aren't where they start from.
    async fn take_all_on_postgres(
        &self,
        client: &Connection,
        schema: &str,
        steps: &[Waiting],
    ) -> Result<Results, StepError> {
        let taken = self.transaction(client, schema, steps).await;
        if taken.is_err() {
            let _ = client.rollback().await;
        }
        taken
    }

    async fn transaction(
        &self,
        client: &Connection,
        schema: &str,
        steps: &[Waiting],
    ) -> Result<Results, StepError> {
        // One step of a view at a time: two, from different sources, that read each other's rows would both miss what the
        // other hasn't committed yet. Each statement after the lock sees all that was committed before it.
        let mut first = format!("SET LOCAL search_path TO {}; {STANDSTILL}; {BY_KEYS}", quoted(schema));
        if steps.len() > 1 {
            first = format!("{first}; {SHARED_PATIENCE}");
        }
        for (n, Waiting { name, .. }) in steps.iter().enumerate() {
            if n == 0 || steps[n - 1].name != *name {
                let view = format!("{schema}.{name}").replace('\'', "''");
                first = format!("{first}; SELECT pg_advisory_xact_lock({STEPS}, hashtext('{view}'))");
            }
        }
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
        // All are sent at once, in order; the server answers as it goes.
        let runs = statements.iter().map(|(sql, sent)| async move {
            let run = client.execute(sql, &sent.params()).await;
            run.map_err(|error| in_statement(error, sql))
        });
        try_join_all(runs).await?;
        client.commit().await?;
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
