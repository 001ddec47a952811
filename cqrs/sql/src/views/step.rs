//! A projection's step: what a batch of events does to a view and the place that it moves, in one transaction.

use std::sync::Arc;

use cqrs_core::{Fence, Position, Sql, Statement, StoreError};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::side::Backend;
use super::{Views, prefix};
use crate::dialect::{resolve, sqlite_error};
use crate::leases::held_sql;
use crate::postgres::log::quoted;
use crate::postgres::{self, BACKGROUND, Param};
use crate::value::{ToPostgres, ToSqlite, postgres_params};

/// A process that is stopped in the middle of a step keeps its locks no longer than its lease.
pub(super) const STANDSTILL: &str = "SET LOCAL idle_in_transaction_session_timeout = 2000";

/// The class of the advisory locks under which a view's steps are taken, on PostgreSQL. They are transactions' locks.
const STEPS: i32 = 7_305_807;

/// What a batch does to a view: statements, and the place it moves.
pub(crate) struct Step {
    pub(crate) source: &'static str,
    pub(crate) epoch: Uuid,
    pub(crate) statements: Vec<Statement>,
    /// What they change, for those who remember it.
    pub(crate) touched: Vec<Uuid>,
    /// Applied only if the view's lease has this number, where it is kept under one.
    pub(crate) fence: Option<Fence>,
    /// Applied only if the view's place is this.
    pub(crate) from: Position,
    pub(crate) to: Position,
}

/// Why a step wasn't taken.
pub(crate) enum StepError {
    /// The view's place is another, or its lease: somebody else moved it, or took it over.
    Moved,
    Store(StoreError),
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(sqlite_error(&error))
    }
}

impl Views {
    /// Takes a step in one transaction: statements and place.
    pub(crate) async fn step(
        &self,
        name: &'static str,
        generation: u64,
        step: Step,
    ) -> Result<(), StepError> {
        match &self.kept()?.backend {
            Backend::Sqlite { writer, .. } => {
                let (writer, views) = (writer.clone(), self.clone());
                tokio::task::spawn_blocking(move || {
                    let connection = writer.lock();
                    let result = views.step_sqlite(&connection, name, generation, &step);
                    if result.is_err() && !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    // Here, for whoever waits for the step may be gone by now.
                    views.told(name, generation, &step, result.is_ok());
                    result
                })
                .await
                .unwrap_or_else(|error| Err(StepError::Store(StoreError::Other(error.to_string()))))
            }
            Backend::Postgres { pool, schema } => {
                let (views, pool, schema) = (self.clone(), pool.clone(), schema.clone());
                // A task of its own, for the reason given in `batch`.
                let run = async move {
                    let client = pool.get_for(BACKGROUND).await?;
                    let result = views.step_postgres(&client, &schema, name, generation, &step).await;
                    if result.is_err() {
                        let _ = client.rollback().await;
                    }
                    views.told(name, generation, &step, result.is_ok());
                    result
                };
                tokio::spawn(run)
                    .await
                    .unwrap_or_else(|error| Err(StepError::Store(StoreError::Other(error.to_string()))))
            }
        }
    }

    /// Tells of a step those who remember what it changed; that of a generation which isn't live yet concerns nobody.
    fn told(&self, name: &'static str, generation: u64, step: &Step, taken: bool) {
        if generation == self.generation(name) {
            self.settle(name, step.source, taken.then_some((step.to, &step.touched)));
        }
    }

    fn step_sqlite(
        &self,
        connection: &Connection,
        name: &str,
        generation: u64,
        step: &Step,
    ) -> Result<(), StepError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let place: Option<i64> = connection
            .prepare_cached(
                "SELECT position FROM view_places WHERE name = ?1 AND generation = ?2 AND source = ?3",
            )?
            .query_row(params![name, generation as i64, step.source], |row| row.get(0))
            .optional()?;
        let place = Position(place.unwrap_or(0) as u64);
        if place != step.from {
            return Err(StepError::Moved);
        }
        for statement in &step.statements {
            let sql = self.resolved(statement.sql, generation);
            connection
                .prepare_cached(&sql)?
                .execute(params_from_iter(statement.params.iter().map(ToSqlite)))
                .map_err(|error| in_statement(sqlite_error(&error), &sql))?;
        }
        connection
            .prepare_cached(
                "INSERT INTO view_places (name, generation, source, epoch, position) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name, generation, source)
                 DO UPDATE SET position = excluded.position, epoch = excluded.epoch",
            )?
            .execute(params![
                name,
                generation as i64,
                step.source,
                step.epoch.as_bytes(),
                step.to.0 as i64
            ])?;
        connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    async fn step_postgres(
        &self,
        client: &postgres::Connection,
        schema: &str,
        name: &str,
        generation: u64,
        step: &Step,
    ) -> Result<(), StepError> {
        let s = quoted(schema);
        // One step of a view at a time: two, from different sources, that read each other's rows would both miss what the
        // other hasn't committed yet. Each statement after the lock sees all that was committed before it.
        let view = format!("{schema}.{name}").replace('\'', "''");
        let first = format!(
            "SET LOCAL search_path TO {s}; {STANDSTILL}; SELECT pg_advisory_xact_lock({STEPS}, hashtext('{view}'))"
        );
        // A place that has gone is that of a generation that has gone, or begins anew: not where this step starts from.
        let (held, from_held) = match step.fence {
            Some(_) => (held_sql(schema, 1, 7), "FROM held"),
            None => (String::new(), ""),
        };
        let move_place = if step.from.0 == 0 {
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
        // Moving the place first takes its row's lock: a rival waits here and then finds that it came too late.
        let (generation_, to, from) = (generation as i64, step.to.0 as i64, step.from.0 as i64);
        let fence = step.fence.map(|fence| fence.0 as i64);
        let mut params: Vec<Param<'_>> = vec![
            (&name, Type::TEXT),
            (&generation_, Type::INT8),
            (&step.source, Type::TEXT),
            (&step.epoch, Type::UUID),
            (&to, Type::INT8),
            (&from, Type::INT8),
        ];
        params.extend(fence.iter().map(|fence| -> Param<'_> { (fence, Type::INT8) }));
        client.prepare(&move_place, &params).await?;
        // Sent together: the second waits for the lock on the server.
        let ((), moved) =
            futures::future::try_join(client.begin(&first), client.execute(&move_place, &params)).await?;
        if moved == 0 {
            return Err(StepError::Moved);
        }
        let mut statements: Vec<(Arc<str>, Vec<ToPostgres<'_>>)> = Vec::with_capacity(step.statements.len());
        for statement in &step.statements {
            let (sql, values) =
                (self.resolved(statement.sql, generation), statement.params.iter().map(ToPostgres));
            statements.push((sql, values.collect()));
        }
        for (sql, values) in &statements {
            let prepared = client.prepare(sql, &postgres_params(values)).await;
            prepared.map_err(|error| in_statement(error, sql))?;
        }
        // All are sent at once, in order; the server answers as it goes.
        let runs = statements.iter().map(|(sql, values)| async move {
            let run = client.execute(sql, &postgres_params(values)).await;
            run.map_err(|error| in_statement(error, sql))
        });
        futures::future::try_join_all(runs).await?;
        client.commit().await?;
        Ok(())
    }

    fn resolved(&self, sql: Sql, generation: u64) -> Arc<str> {
        let dialect = self.dialect();
        self.0.resolved.get(dialect.pick(sql), generation, || {
            dialect.parameters(&resolve(dialect.pick(sql), |_| prefix(generation)))
        })
    }
}

fn in_statement(error: StoreError, sql: &str) -> StoreError {
    match error {
        StoreError::Other(detail) => StoreError::Other(format!("{detail}, in: {sql}")),
        other => other,
    }
}
