//! A service's store for tests: on SQLite in a temporary folder, on PostgreSQL in schemas of its own.

use std::path::Path;
use std::sync::Arc;

use cqrs_core::testing::{instance_key, keyring};
use cqrs_core::{
    Clock as _, EventHandler as _, EventSource, ExecutorOptions, Keyring, Projection, StoreError, SystemClock,
};

use crate::log::{Location, LogOptions};
use crate::postgres::{BACKGROUND, Pool};
use crate::projecting::Projecting;
use crate::store::{OpenService, ServiceStore};
use crate::views::ViewsAt;

/// Names the PostgreSQL server of the tests; its user may create schemas.
pub const POSTGRES_URL: &str = "PARLOR_TEST_POSTGRES_URL";

/// Names a PgBouncer in transaction mode in front of that server.
pub const PGBOUNCER_URL: &str = "PARLOR_TEST_PGBOUNCER_URL";

/// A schema of its own on the tests' PostgreSQL, dropped with it.
pub struct TestSchema {
    /// Where it is.
    pub location: Location,
    url: String,
    name: String,
}

impl TestSchema {
    /// An unused name of a schema, made when a store is opened there; `None`, with a message, if the environment names no
    /// server. At most `connections` are open at once, besides a committer's own.
    pub fn new(connections: usize) -> Result<Option<Self>, StoreError> {
        Self::at(POSTGRES_URL, connections)
    }

    /// The same behind the tests' pooler ([`PGBOUNCER_URL`]).
    pub fn pooled(connections: usize) -> Result<Option<Self>, StoreError> {
        Self::at(PGBOUNCER_URL, connections)
    }

    fn at(variable: &str, connections: usize) -> Result<Option<Self>, StoreError> {
        let url = std::env::var(variable).unwrap_or_default();
        if url.is_empty() {
            eprintln!("skipped on PostgreSQL: {variable} names no server");
            return Ok(None);
        }
        let name = format!("test_{}", SystemClock.fresh_id().simple());
        let location = Location::Postgres { pool: Pool::new(&url, connections)?, schema: name.clone() };
        Ok(Some(Self { location, url, name }))
    }

    /// The same schema over connections of its own, as another process has them.
    pub fn from_another_process(&self, connections: usize) -> Result<Location, StoreError> {
        Ok(Location::Postgres { pool: Pool::new(&self.url, connections)?, schema: self.name.clone() })
    }
}

impl Drop for TestSchema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // The test's own runtime may be going down; what can't be dropped is left to whoever removes the server.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                if let Ok(client) =
                    Pool::new(&url, 1).map(|pool| async move { pool.get_for(BACKGROUND).await })
                    && let Ok(client) = client.await
                {
                    let _ = client.batch(&format!("DROP SCHEMA IF EXISTS {name} CASCADE")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

/// A store that goes when it is dropped.
pub struct TestStore {
    /// The store.
    pub store: ServiceStore,
    dir: Option<tempfile::TempDir>,
    schemas: Vec<TestSchema>,
}

impl TestStore {
    /// An empty store on SQLite.
    pub async fn new(
        name: &'static str,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Self, StoreError> {
        let dir = tempfile::tempdir().map_err(|error| StoreError::Other(error.to_string()))?;
        let log = Location::Sqlite(dir.path().join("log.db"));
        let views = Location::Sqlite(dir.path().join("views.db"));
        let store = open(name, log, views.into(), projections, write_schema, keyring()).await?;
        Ok(Self { store, dir: Some(dir), schemas: Vec::new() })
    }

    /// A store at these locations.
    pub async fn at(
        name: &'static str,
        log: Location,
        views: impl Into<ViewsAt>,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Self, StoreError> {
        let store = open(name, log, views.into(), projections, write_schema, keyring()).await?;
        Ok(Self { store, dir: None, schemas: Vec::new() })
    }

    /// An empty store on PostgreSQL; `None`, with a message, if the environment names no server ([`POSTGRES_URL`]).
    pub async fn on_postgres(
        name: &'static str,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(log), Some(views)) = (TestSchema::new(4)?, TestSchema::new(4)?) else { return Ok(None) };
        Self::in_schemas(name, log, views, projections, write_schema).await.map(Some)
    }

    /// The same behind the tests' pooler ([`PGBOUNCER_URL`]).
    pub async fn pooled(
        name: &'static str,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(log), Some(views)) = (TestSchema::pooled(4)?, TestSchema::pooled(4)?) else {
            return Ok(None);
        };
        Self::in_schemas(name, log, views, projections, write_schema).await.map(Some)
    }

    async fn in_schemas(
        name: &'static str,
        log: TestSchema,
        views: TestSchema,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Self, StoreError> {
        let (at_log, at_views) = (log.location.clone(), views.location.clone().into());
        let store = open(name, at_log, at_views, projections, write_schema, keyring()).await?;
        Ok(Self { store, dir: None, schemas: vec![log, views] })
    }

    /// The schemas that hold the log and the views, if the store is on PostgreSQL in schemas of its own.
    pub fn schemas(&self) -> &[TestSchema] {
        &self.schemas
    }

    /// The folder that holds the store, if it is on SQLite in a folder of its own.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(tempfile::TempDir::path)
    }

    /// Lets every projection take in everything there is in the service's log and `others`, and then returns.
    pub async fn project(&self, others: &[Arc<dyn EventSource>]) -> Result<(), cqrs_core::HandlerError> {
        let mut sources = others.to_vec();
        sources.push(self.store.source());
        for projection in self.store.views.projections() {
            let keyring = self.store.executor.keyring().clone();
            let handler = Projecting::new(projection.clone(), self.store.views.clone(), keyring, &sources);
            for source in sources.iter().filter(|source| handler.sources().contains(&source.name())) {
                loop {
                    let failed = |error| cqrs_core::HandlerError::store(cqrs_core::Position(0), &error);
                    let place = handler.place(source.name()).await.map_err(failed)?;
                    let batch = source.read(place, 500).await.map_err(failed)?;
                    if batch.upto <= place {
                        break;
                    }
                    handler.handle(source.name(), &batch, None).await?;
                }
            }
        }
        Ok(())
    }
}

async fn open(
    name: &'static str,
    log: Location,
    views: ViewsAt,
    projections: Vec<Arc<dyn Projection>>,
    write_schema: Option<(&'static str, &'static str)>,
    keyring: Keyring,
) -> Result<ServiceStore, StoreError> {
    ServiceStore::open(OpenService {
        name,
        log,
        views,
        write_schema,
        projections,
        keyring,
        instance: instance_key(),
        clock: Arc::new(SystemClock),
        log_options: LogOptions::default(),
        executor_options: ExecutorOptions::default(),
        view_readers: 4,
    })
    .await
}
