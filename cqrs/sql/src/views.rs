//! A service's views: their tables by generation, their places, and reading from them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Fence, LeaseStore, Position, Projection, Row, RowError, Sql, Statement, StoreError, Value};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::dialect::{Dialect, Resolved, resolve, sqlite_error};
use crate::leases::{ALWAYS, PostgresLeases, held_sql};
use crate::log::{Location, corrupt};
use crate::postgres::log::quoted;
use crate::postgres::schema::{Tables, prepare};
use crate::postgres::{self, BACKGROUND, Param, Pool};
use crate::sqlite::{self, Durability, Readers};
use crate::value::{PostgresRow, SqliteRow, ToPostgres, ToSqlite, postgres_params};

const SQLITE: &str = "
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS view_places (
  name TEXT NOT NULL, generation BIGINT NOT NULL, source TEXT NOT NULL, epoch BLOB NOT NULL,
  position BIGINT NOT NULL, PRIMARY KEY (name, generation, source)
);
";

/// The tables on PostgreSQL.
const TABLES: Tables = Tables {
    format: 1,
    steps: &[
        "CREATE TABLE IF NOT EXISTS views (name text PRIMARY KEY, generation bigint NOT NULL, version bigint NOT NULL);
         CREATE TABLE IF NOT EXISTS view_places (
           name text NOT NULL, generation bigint NOT NULL, source text NOT NULL, epoch uuid NOT NULL,
           position bigint NOT NULL, PRIMARY KEY (name, generation, source)
         );",
        crate::leases::TABLE,
    ],
};

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

/// How far one generation of a view has come in one source.
struct Place {
    generation: u64,
    source: String,
    epoch: Uuid,
    position: u64,
}

/// Decides on a view's places whether a transaction goes on.
type Allow = Box<dyn FnOnce(&[Place]) -> bool + Send>;

/// Whether another generation has come further than this one in any source, as long as the source is still the log that
/// it was (its epoch).
fn is_behind(places: &[Place], generation: u64, sources: &[(&'static str, Uuid)]) -> bool {
    sources.iter().any(|(source, epoch)| {
        let come = |ours: bool| {
            let of_source = |place: &&Place| place.source == *source && place.epoch == *epoch;
            let places =
                places.iter().filter(of_source).filter(|place| (place.generation == generation) == ours);
            places.map(|place| place.position).max().unwrap_or(0)
        };
        come(true) < come(false)
    })
}

/// Drops a generation's tables.
fn drop_sql(projection: &dyn Projection, generation: u64) -> String {
    let drop = |table: &&str| format!("DROP TABLE IF EXISTS {}{table};", prefix(generation));
    projection.schema().tables.iter().map(drop).collect::<Vec<_>>().concat()
}

/// A table belongs to one view: views of the same generation would otherwise write into each other's.
fn refuse_shared_tables(projections: &[Arc<dyn Projection>]) -> Result<(), StoreError> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for projection in projections {
        for table in projection.schema().tables {
            if let Some(other) = owners.insert(table, projection.name()) {
                let name = projection.name();
                let detail = format!("the views {other} and {name} both have a table {table}; rename one");
                return Err(StoreError::Other(detail));
            }
        }
    }
    Ok(())
}

/// The class of the advisory locks under which a view's steps are taken, on PostgreSQL.
const STEPS: i32 = 7_305_807;

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
        refuse_shared_tables(&projections)?;
        let backend = match location {
            Location::Sqlite(path) => {
                let path: PathBuf = path.clone();
                sqlite::blocking(move || {
                    let connection = sqlite::open_side(&path, Durability::Normal, SQLITE)?;
                    let writer = Arc::new(Mutex::new(connection));
                    Ok(Backend::Sqlite { writer, readers: Readers::new(path, readers) })
                })
                .await?
            }
            Location::Postgres { pool, schema } => {
                prepare(pool, schema, &TABLES, None, &[], true).await?;
                Backend::Postgres { pool: pool.clone(), schema: schema.clone() }
            }
        };
        let views = Self(Arc::new(Inner {
            backend,
            live: RwLock::default(),
            resolved: Resolved::default(),
            projections,
        }));
        let starting = views.lock_start().await?;
        for projection in &views.0.projections {
            views.ensure(&**projection).await?;
        }
        drop(starting);
        Ok(views)
    }

    /// Keeps other processes that start at the same time from making the same tables. The lock goes with the connection.
    async fn lock_start(&self) -> Result<Option<postgres::Connection>, StoreError> {
        let Backend::Postgres { pool, schema } = &self.0.backend else { return Ok(None) };
        let connection = pool.connect(BACKGROUND).await?;
        connection.begin("").await?;
        let lock = "SELECT pg_advisory_xact_lock(7305806, hashtext($1))";
        connection.execute(lock, &[(schema, Type::TEXT)]).await?;
        Ok(Some(connection))
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
                self.go_live(projection, generation + 1, &[]).await.map(drop)
            }
            None => {
                self.create(projection, 1).await?;
                self.go_live(projection, 1, &[]).await.map(drop)
            }
        }
    }

    /// The live generation of a view and the version of its tables, as registered.
    pub(crate) async fn registered(&self, name: &'static str) -> Result<Option<(u64, u64)>, StoreError> {
        let found = self
            .select(
                self.own("SELECT generation, version FROM {s}views WHERE name = ?1"),
                vec![name.into()],
                |row| Ok((row.int(0)?.unwrap_or(0) as u64, row.int(1)?.unwrap_or(0) as u64)),
            )
            .await?;
        Ok(found.into_iter().next())
    }

    /// A statement about the registry's own tables, which `{s}` stands before.
    fn own(&self, sql: &str) -> String {
        let prefix = match &self.0.backend {
            Backend::Sqlite { .. } => String::new(),
            Backend::Postgres { schema, .. } => format!("{}.", quoted(schema)),
        };
        sql.replace("{s}", &prefix)
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
        let drops = drop_sql(projection, generation);
        let ddl = resolve(ddl, |_| prefix(generation));
        let name = projection.name().replace('\'', "");
        let sql = format!(
            "{drops} DELETE FROM view_places WHERE name = '{name}' AND generation = {generation}; {ddl}"
        );
        self.batch(None, projection.name(), sql).await.map(drop)
    }

    /// Makes a generation the live one and drops the one before, in one transaction; but not (`false`) while it is behind
    /// the live one in any of `sources`: a view doesn't go back.
    pub(crate) async fn go_live(
        &self,
        projection: &dyn Projection,
        generation: u64,
        sources: &[(&'static str, Uuid)],
    ) -> Result<bool, StoreError> {
        let (name, version) = (projection.name(), projection.schema().version);
        let old = self.registered(name).await?.map(|(generation, _)| generation);
        let drops = match old {
            Some(old) if old != generation => drop_sql(projection, old),
            _ => String::new(),
        };
        let swap = format!(
            "INSERT INTO views (name, generation, version) VALUES ('{name}', {generation}, {version})
               ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, version = excluded.version;
             DELETE FROM view_places WHERE name = '{name}' AND generation <> {generation};
             {drops}"
        );
        let sources = sources.to_vec();
        let swapped = self
            .batch(Some(Box::new(move |places| !is_behind(places, generation, &sources))), name, swap)
            .await?;
        if swapped {
            self.0.live.write().insert(name, generation);
        }
        Ok(swapped)
    }

    /// Runs several statements in one transaction, if the view's places, locked in it, allow; whether they did.
    async fn batch(&self, allow: Option<Allow>, name: &'static str, sql: String) -> Result<bool, StoreError> {
        let places = self.own("SELECT generation, source, epoch, position FROM {s}view_places");
        match &self.0.backend {
            Backend::Sqlite { writer, .. } => {
                let writer = writer.clone();
                sqlite::blocking(move || {
                    let connection = writer.lock();
                    let result = (|| -> rusqlite::Result<bool> {
                        connection.execute_batch("BEGIN IMMEDIATE")?;
                        if let Some(allow) = allow {
                            let mut statement = connection.prepare(&format!("{places} WHERE name = ?1"))?;
                            let found = statement.query_map([name], |row| {
                                Ok(Place {
                                    generation: row.get::<_, i64>(0)? as u64,
                                    source: row.get(1)?,
                                    epoch: Uuid::from_bytes(row.get(2)?),
                                    position: row.get::<_, i64>(3)? as u64,
                                })
                            })?;
                            if !allow(&found.collect::<Result<Vec<_>, _>>()?) {
                                return Ok(false);
                            }
                        }
                        connection.execute_batch(&format!("{sql} ;COMMIT"))?;
                        Ok(true)
                    })();
                    if !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { pool, schema } => {
                let (pool, schema) = (pool.clone(), quoted(schema));
                // A task of its own: were the caller dropped half-way, the connection would go back to the pool with
                // the transaction open.
                let run = async move {
                    let client = pool.get_for(BACKGROUND).await?;
                    let done = async {
                        client.begin(&format!("SET LOCAL search_path TO {schema}")).await?;
                        if let Some(allow) = allow {
                            let locked =
                                format!("{places} WHERE name = $1 ORDER BY generation, source FOR UPDATE");
                            let found = client.query(&locked, &[(&name, Type::TEXT)]).await?;
                            let found: Vec<_> = found
                                .iter()
                                .map(|row| Place {
                                    generation: row.get::<_, i64>(0) as u64,
                                    source: row.get(1),
                                    epoch: row.get(2),
                                    position: row.get::<_, i64>(3) as u64,
                                })
                                .collect();
                            if !allow(&found) {
                                return Ok(false);
                            }
                        }
                        client.batch(&sql).await?;
                        client.commit().await?;
                        Ok(true)
                    };
                    let result: Result<bool, StoreError> = done.await;
                    if !matches!(result, Ok(true)) {
                        let _ = client.rollback().await;
                    }
                    result
                };
                tokio::spawn(run).await.unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
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
        let sql = self.own(
            "SELECT position, epoch FROM {s}view_places WHERE name = ?1 AND generation = ?2 AND source = ?3",
        );
        let found = self
            .select(sql, vec![name.into(), generation.into(), source.into()], |row| {
                Ok((Position(row.int(0)?.unwrap_or(0) as u64), row.uuid(1)?.unwrap_or_default()))
            })
            .await?;
        Ok(found.into_iter().next())
    }

    /// How far a view has come in a source, as stored: whichever process keeps it. 0 if it never started.
    pub async fn place_of(&self, view: &'static str, source: &'static str) -> Result<Position, StoreError> {
        if let Some((position, _)) = self.place(view, self.generation(view), source).await? {
            return Ok(position);
        }
        // Never started, or swapped for a rebuilt one by another process.
        self.reload().await?;
        let place = self.place(view, self.generation(view), source).await?;
        Ok(place.map_or(Position(0), |(position, _)| position))
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
                let (views, pool, schema) = (self.clone(), pool.clone(), schema.clone());
                // A task of its own, for the reason given in `batch`.
                let run = async move {
                    let client = pool.get_for(BACKGROUND).await?;
                    let result = views.step_postgres(&client, &schema, name, generation, &step).await;
                    if result.is_err() {
                        let _ = client.rollback().await;
                    }
                    result
                };
                tokio::spawn(run)
                    .await
                    .unwrap_or_else(|error| Err(StepError::Store(StoreError::Other(error.to_string()))))
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
            "SET LOCAL search_path TO {s}; SELECT pg_advisory_xact_lock({STEPS}, hashtext('{view}'))"
        );
        client.begin(&first).await?;
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
        let moved = client.execute(&move_place, &params).await?;
        if moved == 0 {
            return Err(StepError::Moved);
        }
        // All are sent at once, in order; the server answers as it goes.
        let runs = step.statements.iter().map(|statement| async move {
            let sql = self.resolved(statement.sql, generation);
            let values: Vec<_> = statement.params.iter().map(ToPostgres).collect();
            let run = client.execute(&sql, &postgres_params(&values)).await;
            run.map_err(|error| in_statement(error, &sql))
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

    /// Runs a query in a snapshot of its own. `{p}` in the SQL stands for the tables of `view`, `{other}` for those of
    /// the view called `other`.
    pub async fn query<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        self.retrying(view, self.dialect().pick(sql.into()), params, map).await
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

    fn query_text(&self, view: &str, sql: &str) -> String {
        let text = resolve(sql, |name| prefix(self.generation(if name == "p" { view } else { name })));
        self.dialect().parameters(&text)
    }

    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        for projection in &self.0.projections {
            let (name, known) = (projection.name(), projection.schema().version);
            match self.registered(name).await? {
                Some((generation, version)) if version == u64::from(known) => {
                    self.0.live.write().insert(name, generation);
                }
                Some((_, version)) => {
                    return Err(StoreError::Corrupt(format!(
                        "another process brought the view {name} to version {version}; this one knows {known}"
                    )));
                }
                None => {}
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
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
        self.retrying(view, sql, params, map).await
    }

    async fn retrying<T: Send + 'static>(
        &self,
        view: &'static str,
        sql: &str,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<T>, StoreError> {
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
                let values: Vec<_> = params.iter().map(ToPostgres).collect();
                let rows = client.query(&sql, &postgres_params(&values)).await?;
                rows.iter().map(|row| map(&PostgresRow(row))).collect::<Result<_, _>>().map_err(corrupt)
            }
        }
    }
}

#[async_trait]
impl LeaseStore for Views {
    async fn acquire(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        match &self.0.backend {
            Backend::Sqlite { .. } => Ok(Some(ALWAYS)),
            Backend::Postgres { pool, schema } => {
                PostgresLeases { pool, schema }.acquire(name, holder, ttl).await
            }
        }
    }

    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        match &self.0.backend {
            Backend::Sqlite { .. } => Ok(true),
            Backend::Postgres { pool, schema } => {
                PostgresLeases { pool, schema }.renew(name, fence, ttl).await
            }
        }
    }

    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        match &self.0.backend {
            Backend::Sqlite { .. } => Ok(()),
            Backend::Postgres { pool, schema } => PostgresLeases { pool, schema }.release(name, fence).await,
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

/// Qualifies the tables of views (`g1_…`) with their schema, so that nothing depends on a session.
fn in_schema(sql: &str, schema: &str) -> String {
    let schema = quoted(schema);
    let mut out = String::with_capacity(sql.len() + 64);
    let bytes = sql.as_bytes();
    let mut i = 0;
    while i < sql.len() {
        let at_word =
            i == 0 || !(bytes[i - 1].is_ascii_alphanumeric() || matches!(bytes[i - 1], b'_' | b'.' | b'"'));
        let rest = &sql[i..];
        if at_word && is_generation_name(rest) {
            out.push_str(&schema);
            out.push('.');
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..step]);
        i += step;
    }
    out
}

/// `g`, digits, `_`.
fn is_generation_name(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('g') else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && rest[digits..].starts_with('_')
}

#[cfg(test)]
mod tests {
    use cqrs_core::{CodecError, Incoming, Schema, Writes};

    use super::*;

    struct View(&'static str, &'static [&'static str]);

    impl Projection for View {
        fn name(&self) -> &'static str {
            self.0
        }
        fn sources(&self) -> &'static [&'static str] {
            &[]
        }
        fn schema(&self) -> Schema {
            Schema { version: 1, sqlite: "", postgres: "", tables: self.1 }
        }
        fn project(&self, _: &Incoming<'_>, _: &mut Writes) -> Result<(), CodecError> {
            Ok(())
        }
    }

    #[test]
    fn two_views_with_one_table_are_refused_by_name() {
        let views = |tables| -> [Arc<dyn Projection>; 2] {
            [Arc::new(View("people", &["names", "faces"])), Arc::new(View("rooms", tables))]
        };
        assert!(refuse_shared_tables(&views(&["walls"])).is_ok());
        let refused = refuse_shared_tables(&views(&["walls", "faces"])).expect_err("both have faces");
        assert!(
            refused.to_string().contains("the views people and rooms both have a table faces"),
            "{refused}"
        );
    }

    #[test]
    fn only_names_of_tables_get_the_schema() {
        assert_eq!(
            in_schema("SELECT g.x, mg2_y FROM g12_rows r JOIN g3_more ON views = 'é'", "chat"),
            "SELECT g.x, mg2_y FROM \"chat\".g12_rows r JOIN \"chat\".g3_more ON views = 'é'"
        );
    }
}
