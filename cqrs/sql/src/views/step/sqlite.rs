//! Steps on SQLite.

use cqrs_core::{Position, Statement, StoreError, Value};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::alike;
use super::{StepError, Taker, Waiting, in_statement};
use crate::dialect::sqlite_error;
use crate::sqlite::checkpoint::Writer;
use crate::value::ToSqlite;
use crate::views::Views;

impl Taker {
    pub(super) fn take_on_sqlite(&mut self, writer: &Mutex<Writer>) {
        while let Some(steps) = self.next() {
            let connection = writer.lock();
            let results = match self.views.take_all_on_sqlite(&connection, &steps) {
                Ok(results) => results,
                Err(error) if steps.len() == 1 => vec![Err(error)],
                Err(_) => steps.iter().map(|one| self.views.take_one_on_sqlite(&connection, one)).collect(),
            };
            self.views.told(steps, results);
        }
    }
}

impl Views {
    fn take_one_on_sqlite(&self, connection: &Connection, step: &Waiting) -> Result<(), StepError> {
        self.take_all_on_sqlite(connection, std::slice::from_ref(step))?.pop().unwrap_or(Ok(()))
    }

    /// Takes steps in one transaction: all, except those of views that aren't where they start from.
    fn take_all_on_sqlite(
        &self,
        connection: &Connection,
        steps: &[Waiting],
    ) -> Result<Vec<Result<(), StepError>>, StepError> {
        let taken = (|| {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut results = Vec::with_capacity(steps.len());
            for step in steps {
                match self.take_on(connection, step) {
                    moved @ (Ok(()) | Err(StepError::Moved)) => results.push(moved),
                    Err(error) => return Err(error),
                }
            }
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(results)
        })();
        if taken.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        taken
    }

    /// Takes a step within a transaction, or leaves everything as it is if the view is somewhere else.
    fn take_on(&self, connection: &Connection, waiting: &Waiting) -> Result<(), StepError> {
        let Waiting { name, generation, step, .. } = waiting;
        let place: Option<i64> = connection
            .prepare_cached(
                "SELECT position FROM view_places WHERE name = ?1 AND generation = ?2 AND source = ?3",
            )?
            .query_row(params![name, *generation as i64, step.source], |row| row.get(0))
            .optional()?;
        if Position(place.unwrap_or(0) as u64) != step.from {
            return Err(StepError::Moved);
        }
        let mut rest = &step.statements[..];
        while let Some((first, others)) = rest.split_first() {
            match first {
                Statement::One { sql, params } => {
                    self.run(connection, &[self.dialect().pick(*sql)], *generation, &[params])?;
                    rest = others;
                }
                Statement::Row { of, .. } => {
                    let rows = alike(of, rest);
                    self.run(connection, of.sqlite, *generation, &rows)?;
                    rest = &rest[rows.len()..];
                }
            }
        }
        connection
            .prepare_cached(
                "INSERT INTO view_places (name, generation, source, epoch, position) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name, generation, source)
                 DO UPDATE SET position = excluded.position, epoch = excluded.epoch",
            )?
            .execute(params![
                name,
                *generation as i64,
                step.source,
                step.epoch.as_bytes(),
                step.to.0 as i64
            ])?;
        Ok(())
    }

    /// Runs statements for each row, with those of its values that they name.
    fn run(
        &self,
        connection: &Connection,
        statements: &[&'static str],
        generation: u64,
        rows: &[&[Value]],
    ) -> Result<(), StoreError> {
        let texts: Vec<_> = statements.iter().map(|sql| self.text(sql, generation, String::new)).collect();
        let mut prepared = Vec::with_capacity(texts.len());
        for sql in &texts {
            let statement = connection.prepare_cached(sql);
            prepared.push(statement.map_err(|error| in_statement(sqlite_error(&error), sql))?);
        }
        for row in rows {
            for (statement, sql) in prepared.iter_mut().zip(&texts) {
                run(statement, row).map_err(|error| in_statement(sqlite_error(&error), sql))?;
            }
        }
        Ok(())
    }
}

fn run(statement: &mut rusqlite::Statement<'_>, values: &[Value]) -> rusqlite::Result<()> {
    for (n, value) in values.iter().enumerate().take(statement.parameter_count()) {
        statement.raw_bind_parameter(n + 1, ToSqlite(value))?;
    }
    statement.raw_execute().map(drop)
}
