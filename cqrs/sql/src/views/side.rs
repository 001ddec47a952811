//! A database that holds the views: the one where they are kept, or a copy of it that is read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs_core::{Position, Projection, Row, RowError, StoreError, Value};
use parking_lot::{Mutex, RwLock};
use rusqlite::params_from_iter;
use uuid::Uuid;

use super::read::in_schema;
use crate::dialect::{Dialect, sqlite_error};
use crate::log::corrupt;
use crate::postgres::Pool;
use crate::postgres::log::quoted;
use crate::sqlite::Readers;
use crate::sqlite::checkpoint::Writer;
use crate::value::{PostgresRow, SqliteRow, ToPostgres, ToSqlite, postgres_params};

pub(super) struct Side {
    pub(super) backend: Backend,
    /// The generation of each view that is live there.
    live: RwLock<HashMap<&'static str, u64>>,
    /// How many times one of them changed.
    changed: AtomicU64,
}

pub(super) enum Backend {
    /// The writer goes last: only it can put the write-ahead log away.
    Sqlite {
        readers: Readers,
        writer: Arc<Mutex<Writer>>,
    },
    Postgres {
        pool: Pool,
        schema: String,
    },
}

impl Side {
    pub(super) fn new(backend: Backend) -> Self {
        Self { backend, live: RwLock::default(), changed: AtomicU64::new(0) }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite { .. } => Dialect::Sqlite,
            Backend::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// A statement about the registry's own tables, which `{s}` stands before.
    pub(super) fn own(&self, sql: &str) -> String {
        let prefix = match &self.backend {
            Backend::Sqlite { .. } => String::new(),
            Backend::Postgres { schema, .. } => format!("{}.", quoted(schema)),
        };
        sql.replace("{s}", &prefix)
    }

    /// The live generation of a view, as known here.
    pub(super) fn generation(&self, name: &str) -> u64 {
        self.live.read().get(name).copied().unwrap_or(1)
    }

    pub(super) fn set_generation(&self, name: &'static str, generation: u64) {
        if self.live.write().insert(name, generation) != Some(generation) {
            self.changed.fetch_add(1, Ordering::Release);
        }
    }

    /// A number that is another one after the live generation of any view has changed.
    pub(super) fn generations(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }

    /// The live generation of a view and the version of its tables, as registered.
    pub(super) async fn registered(&self, name: &'static str) -> Result<Option<(u64, u64)>, StoreError> {
        let found = self
            .select(
                self.own("SELECT generation, version FROM {s}views WHERE name = ?1"),
                vec![name.into()],
                |row| Ok((row.int(0)?.unwrap_or(0) as u64, row.int(1)?.unwrap_or(0) as u64)),
            )
            .await?;
        Ok(found.into_iter().next())
    }

    /// Looks up which generations are live; those of `projections` that aren't registered are given back.
    pub(super) async fn reload(
        &self,
        projections: &[Arc<dyn Projection>],
    ) -> Result<Vec<&'static str>, StoreError> {
        let mut missing = Vec::new();
        for projection in projections {
            let (name, known) = (projection.name(), projection.schema().version);
            match self.registered(name).await? {
                Some((generation, version)) if version == u64::from(known) => {
                    self.set_generation(name, generation);
                }
                Some((_, version)) => {
                    return Err(StoreError::Corrupt(format!(
                        "another process brought the view {name} to version {version}; this one knows {known}"
                    )));
                }
                None => missing.push(name),
            }
        }
        Ok(missing)
    }

    /// How far a view's generation has come in a source, with the source's epoch then; nothing if it never started.
    pub(super) async fn place(
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

    /// A query about tables of views, whose names are resolved, as this database takes it.
    pub(super) fn text(&self, sql: &str) -> String {
        match &self.backend {
            Backend::Sqlite { .. } => sql.to_owned(),
            Backend::Postgres { schema, .. } => in_schema(&Dialect::Postgres.parameters(sql), schema),
        }
    }

    pub(super) async fn select<T: Send + 'static>(
        &self,
        sql: String,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        self.select_text(self.text(&sql).into(), params, map).await
    }

    /// The rows of a query that is as [`Side::text`] gives it.
    pub(super) async fn select_text<T: Send + 'static>(
        &self,
        text: Arc<str>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<T, RowError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        match &self.backend {
            Backend::Sqlite { readers, .. } => {
                readers
                    .run(move |connection| {
                        let failed = |error: rusqlite::Error| sqlite_error(&error);
                        let mut statement = connection.prepare_cached(&text).map_err(failed)?;
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
            Backend::Postgres { pool, .. } => {
                let client = pool.get().await?;
                let values: Vec<_> = params.iter().map(ToPostgres).collect();
                let rows = client.query(&text, &postgres_params(&values)).await?;
                rows.iter().map(|row| map(&PostgresRow(row))).collect::<Result<_, _>>().map_err(corrupt)
            }
        }
    }
}
