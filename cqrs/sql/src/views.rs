//! A service's views: their tables by generation, their places, and reading from them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cqrs_core::{Position, Projection, Row, RowError, Sql, Statement, StoreError, Value};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use uuid::Uuid;

use crate::dialect::{Dialect, Resolved, postgres_error, resolve, sqlite_error};
use crate::log::{Location, corrupt};
use crate::postgres::Pool;
use crate::postgres::log::{enter_schema, quoted};
use crate::sqlite::{self, Durability, Readers};
use crate::value::{PostgresRow, SqliteRow, ToPostgres, ToSqlite, postgres_params};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS view_places (
  name TEXT NOT NULL, generation BIGINT NOT NULL, source TEXT NOT NULL, epoch UUID_TYPE NOT NULL,
  position BIGINT NOT NULL, PRIMARY KEY (name, generation, source)
);
";

/// One service's view store. Cheap to clone.
#[derive(Clone)]
pub struct Views(Arc<Inner>);

struct Inner {
    backend: Backend,
    /// The generation of each view that is live.
    live: RwLock<HashMap<&'static str, u64>>,
    resolved: Resolved,
    projections: Vec<Arc<dyn Projection>>,
}

enum Backend {
    Sqlite { writer: Arc<Mutex<Connection>>, readers: Readers },
    Postgres { pool: Pool, schema: String },
}

/// What a batch does to a view: statements, and the place it moves.
pub(crate) struct Step {
    pub(crate) source: &'static str,
    pub(crate) epoch: Uuid,
    pub(crate) statements: Vec<Statement>,
    /// Applied only if the view's place is this.
    pub(crate) from: Position,
    pub(crate) to: Position,
}

/// Why a step wasn't taken.
pub(crate) enum StepError {
    /// The view's place is another: somebody else moved it.
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

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(postgres_error(&error))
    }
}

/// The prefix of a generation's tables.
fn prefix(generation: u64) -> String {
    format!("g{generation}_")
}

impl Views {
    /// Opens the store and makes the tables of `projections` that aren't there. A view whose tables are of another
    /// version than its projection starts anew and is filled from the log.
    pub async fn open(
        location: &Location,
        projections: Vec<Arc<dyn Projection>>,
        readers: usize,
    ) -> Result<Self, StoreError> {
        let backend = match location {
            Location::Sqlite(path) => {
                let path: PathBuf = path.clone();
                sqlite::blocking(move || {
                    let connection = sqlite::open(&path, Durability::Normal)?;
                    let schema = SCHEMA.replace("UUID_TYPE", "BLOB");
                    connection
                        .execute_batch(&format!("BEGIN IMMEDIATE;{schema};COMMIT"))
                        .map_err(|error| sqlite_error(&error))?;
                    let writer = Arc::new(Mutex::new(connection));
                    Ok(Backend::Sqlite { writer, readers: Readers::new(path, readers) })
                })
                .await?
            }
            Location::Postgres { pool, schema } => {
                let client = pool.connect().await?;
                let failed = |error: tokio_postgres::Error| postgres_error(&error);
                client.batch_execute("BEGIN").await.map_err(failed)?;
                enter_schema(&client, schema).await.map_err(failed)?;
                client.batch_execute(&SCHEMA.replace("UUID_TYPE", "uuid")).await.map_err(failed)?;
                client.batch_execute("COMMIT").await.map_err(failed)?;
                Backend::Postgres { pool: pool.clone(), schema: schema.clone() }
            }
        };
        let views = Self(Arc::new(Inner {
            backend,
            live: RwLock::default(),
            resolved: Resolved::default(),
            projections,
        }));
        for projection in &views.0.projections {
            views.ensure(&**projection).await?;
        }
        Ok(views)
    }

    /// Which store it is on.
    pub fn dialect(&self) -> Dialect {
        match self.0.backend {
            Backend::Sqlite { .. } => Dialect::Sqlite,
            Backend::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// The projections that keep these views.
    pub fn projections(&self) -> &[Arc<dyn Projection>] {
        &self.0.projections
    }

    /// Makes a view's tables, or a new generation of them if their version is another.
    async fn ensure(&self, projection: &dyn Projection) -> Result<(), StoreError> {
        let (name, schema) = (projection.name(), projection.schema());
        match self.registered(name).await? {
            Some((generation, version)) if version == u64::from(schema.version) => {
                self.0.live.write().insert(name, generation);
                Ok(())
            }
            Some((generation, version)) => {
                tracing::info!(
                    view = name,
                    from = version,
                    to = schema.version,
                    "a view is rebuilt for its new version"
                );
                self.create(projection, generation + 1).await?;
                self.go_live(projection, generation + 1).await
            }
            None => {
                self.create(projection, 1).await?;
                self.go_live(projection, 1).await
            }
        }
    }

    /// The live generation of a view and the version of its tables, as registered.
    pub(crate) async fn registered(&self, name: &'static str) -> Result<Option<(u64, u64)>, StoreError> {
        let sql = "SELECT generation, version FROM views WHERE name = ?1";
        let found = self
            .select(sql.into(), vec![name.into()], |row| {
                Ok((row.int(0)?.unwrap_or(0) as u64, row.int(1)?.unwrap_or(0) as u64))
            })
            .await?;
        Ok(found.into_iter().next())
    }

    /// The live generation of a view.
    pub(crate) fn generation(&self, name: &str) -> u64 {
        self.0.live.read().get(name).copied().unwrap_or(1)
    }

    /// Makes the empty tables of a generation; whatever was left of it is dropped.
    pub(crate) async fn create(
        &self,
        projection: &dyn Projection,
        generation: u64,
    ) -> Result<(), StoreError> {
        let schema = projection.schema();
        let ddl = match self.dialect() {
            Dialect::Sqlite => schema.sqlite,
            Dialect::Postgres => schema.postgres,
        };
        let drops = self.drop_sql(projection, generation);
        let ddl = resolve(ddl, |_| prefix(generation));
        let name = projection.name().replace('\'', "");
        self.batch(format!(
            "{drops} DELETE FROM view_places WHERE name = '{name}' AND generation = {generation}; {ddl}"
        ))
        .await
    }

    fn drop_sql(&self, projection: &dyn Projection, generation: u64) -> String {
        projection
            .schema()
            .tables
            .iter()
            .map(|table| format!("DROP TABLE IF EXISTS {}{table};", prefix(generation)))
            .collect()
    }

    /// Makes a generation the live one and drops the one before, in one transaction.
    pub(crate) async fn go_live(
        &self,
        projection: &dyn Projection,
        generation: u64,
    ) -> Result<(), StoreError> {
        let (name, version) = (projection.name(), projection.schema().version);
        let old = self.registered(name).await?.map(|(generation, _)| generation);
        let drops = match old {
            Some(old) if old != generation => self.drop_sql(projection, old),
            _ => String::new(),
        };
        self.batch(format!(
            "INSERT INTO views (name, generation, version) VALUES ('{name}', {generation}, {version})
               ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, version = excluded.version;
             DELETE FROM view_places WHERE name = '{name}' AND generation <> {generation};
             {drops}"
        ))
        .await?;
        self.0.live.write().insert(name, generation);
        Ok(())
    }

    /// Runs several statements in one transaction.
    async fn batch(&self, sql: String) -> Result<(), StoreError> {
        match &self.0.backend {
            Backend::Sqlite { writer, .. } => {
                let writer = writer.clone();
                sqlite::blocking(move || {
                    let connection = writer.lock();
                    let result = connection.execute_batch(&format!("BEGIN IMMEDIATE; {sql} ;COMMIT"));
                    if result.is_err() && !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { pool, schema } => {
                let client = pool.get().await?;
                let schema = quoted(schema);
                let result = client
                    .batch_execute(&format!("BEGIN; SET LOCAL search_path TO {schema}; {sql} ;COMMIT"))
                    .await;
                if result.is_err() {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
                result.map_err(|error| postgres_error(&error))
            }
        }
    }

    /// How far a view's generation has come in a source, with the source's epoch then; nothing if it never started.
    pub(crate) async fn place(
        &self,
        name: &'static str,
        generation: u64,
        source: &'static str,
    ) -> Result<Option<(Position, Uuid)>, StoreError> {
        let sql =
            "SELECT position, epoch FROM view_places WHERE name = ?1 AND generation = ?2 AND source = ?3";
        let found = self
            .select(sql.into(), vec![name.into(), generation.into(), source.into()], |row| {
                Ok((Position(row.int(0)?.unwrap_or(0) as u64), row.uuid(1)?.unwrap_or_default()))
            })
            .await?;
        Ok(found.into_iter().next())
    }

    /// Takes a step in one transaction: statements and place.
    pub(crate) async fn step(
        &self,
        name: &'static str,
        generation: u64,
        step: Step,
    ) -> Result<(), StepError> {
        match &self.0.backend {
            Backend::Sqlite { writer, .. } => {
                let (writer, views) = (writer.clone(), self.clone());
                tokio::task::spawn_blocking(move || {
                    let connection = writer.lock();
                    let result = views.step_sqlite(&connection, name, generation, &step);
                    if result.is_err() && !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result
                })
                .await
                .unwrap_or_else(|error| Err(StepError::Store(StoreError::Other(error.to_string()))))
            }
            Backend::Postgres { pool, schema } => {
                let client = pool.get().await?;
                let result = self.step_postgres(&client, schema, name, generation, &step).await;
                if result.is_err() {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
                result
            }
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
        client: &deadpool_postgres::Object,
        schema: &str,
        name: &str,
        generation: u64,
        step: &Step,
    ) -> Result<(), StepError> {
        let s = quoted(schema);
        client.batch_execute(&format!("BEGIN; SET LOCAL search_path TO {s}")).await?;
        let move_place = client
            .prepare_cached(&format!(
                "INSERT INTO {s}.view_places (name, generation, source, epoch, position) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (name, generation, source)
                 DO UPDATE SET position = excluded.position, epoch = excluded.epoch
                 WHERE view_places.position = $6"
            ))
            .await?;
        // Moving the place first takes its row's lock: a rival waits here and then finds that it came too late.
        let (generation_, to, from) = (generation as i64, step.to.0 as i64, step.from.0 as i64);
        let moved = client
            .execute(&move_place, &[&name, &generation_, &step.source, &step.epoch, &to, &from])
            .await?;
        if moved == 0 {
            return Err(StepError::Moved);
        }
        let mut prepared = Vec::with_capacity(step.statements.len());
        for statement in &step.statements {
            let sql = self.resolved(statement.sql, generation);
            let ready = client
                .prepare_cached(&sql)
                .await
                .map_err(|error| in_statement(postgres_error(&error), &sql))?;
            prepared.push((ready, sql, statement.params.iter().map(ToPostgres).collect::<Vec<_>>()));
        }
        // All are sent at once, in order; the server answers as it goes.
        let runs = prepared.iter().map(|(ready, sql, values)| async move {
            client
                .execute(ready, &postgres_params(values))
                .await
                .map_err(|error| in_statement(postgres_error(&error), sql))
        });
        futures::future::try_join_all(runs).await?;
        client.batch_execute("COMMIT").await?;
        Ok(())
    }

    fn resolved(&self, sql: Sql, generation: u64) -> Arc<str> {
        let dialect = self.dialect();
        self.0.resolved.get(dialect.pick(sql), (generation, 0), || {
            dialect.parameters(&resolve(dialect.pick(sql), |_| prefix(generation)))
        })
    }

    /// Runs a query in a snapshot of its own. `{p}` in the SQL stands for the tables of `view`, `{other}` for those of
    /// the view called `other`.
    pub async fn query<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let sql = sql.into();
        let first = self.select(self.query_text(view, sql), params.clone(), map.clone()).await;
        match first {
            // The view was rebuilt, here or by another process, while the query was on its way.
            Err(StoreError::Other(detail)) if is_missing_table(&detail) => {
                self.reload().await?;
                self.select(self.query_text(view, sql), params, map).await
            }
            result => result,
        }
    }

    /// The first row of [`Views::query`].
    pub async fn query_one<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(view, sql, params, map).await?.into_iter().next())
    }

    fn query_text(&self, view: &'static str, sql: Sql) -> String {
        let dialect = self.dialect();
        let text =
            resolve(dialect.pick(sql), |name| prefix(self.generation(if name == "p" { view } else { name })));
        dialect.parameters(&text)
    }

    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        for projection in &self.0.projections {
            if let Some((generation, _)) = self.registered(projection.name()).await? {
                self.0.live.write().insert(projection.name(), generation);
            }
        }
        Ok(())
    }

    /// Runs SQL made at run time, its names resolved with `{p}` for `view`.
    pub(crate) async fn query_made<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: &str,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let text = resolve(sql, |name| prefix(self.generation(if name == "p" { view } else { name })));
        self.select(self.dialect().parameters(&text), params, map).await
    }

    async fn select<T: Send + 'static>(
        &self,
        sql: String,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        match &self.0.backend {
            Backend::Sqlite { readers, .. } => {
                readers
                    .run(move |connection| {
                        let failed = |error: rusqlite::Error| sqlite_error(&error);
                        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
                        let params = params_from_iter(params.iter().map(ToSqlite));
                        let mut rows = statement.query(params).map_err(failed)?;
                        let mut found = Vec::new();
                        while let Some(row) = rows.next().map_err(failed)? {
                            found.push(map(&SqliteRow(row)).map_err(corrupt)?);
                        }
                        Ok(found)
                    })
                    .await
            }
            Backend::Postgres { pool, schema } => {
                let client = pool.get().await?;
                let sql = in_schema(&Dialect::Postgres.parameters(&sql), schema);
                let failed = |error: tokio_postgres::Error| postgres_error(&error);
                let statement = client.prepare_cached(&sql).await.map_err(failed)?;
                let values: Vec<_> = params.iter().map(ToPostgres).collect();
                let rows = client.query(&statement, &postgres_params(&values)).await.map_err(failed)?;
                rows.iter().map(|row| map(&PostgresRow(row))).collect::<Result<_, _>>().map_err(corrupt)
            }
        }
    }
}

pub(crate) fn is_missing_table(detail: &str) -> bool {
    // SQLite's message; PostgreSQL's code for an undefined table.
    detail.contains("no such table") || detail.contains("(42P01)")
}

fn in_statement(error: StoreError, sql: &str) -> StoreError {
    match error {
        StoreError::Other(detail) => StoreError::Other(format!("{detail}, in: {sql}")),
        other => other,
    }
}

/// Qualifies the tables of views (`g1_…`) and of the registry with their schema, so that nothing depends on a session.
fn in_schema(sql: &str, schema: &str) -> String {
    let schema = quoted(schema);
    let mut out = String::with_capacity(sql.len() + 64);
    let bytes = sql.as_bytes();
    let mut i = 0;
    while i < sql.len() {
        let at_word =
            i == 0 || !(bytes[i - 1].is_ascii_alphanumeric() || matches!(bytes[i - 1], b'_' | b'.' | b'"'));
        let rest = &sql[i..];
        let is_table =
            at_word && (is_generation_name(rest) || is_word(rest, "views") || is_word(rest, "view_places"));
        if is_table {
            out.push_str(&schema);
            out.push('.');
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..step]);
        i += step;
    }
    out
}

fn is_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// `g`, digits, `_`.
fn is_generation_name(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('g') else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest[digits..].starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_tables_get_the_schema() {
        assert_eq!(
            in_schema("SELECT g.x, mg2_y FROM g12_rows r JOIN views ON views_x = 'é'", "chat"),
            "SELECT g.x, mg2_y FROM \"chat\".g12_rows r JOIN \"chat\".views ON views_x = 'é'"
        );
    }
}
