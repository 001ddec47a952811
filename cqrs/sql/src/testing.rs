//! A service's store in a temporary folder, for tests.

use std::path::Path;
use std::sync::Arc;

use cqrs_core::testing::{instance_key, keyring};
use cqrs_core::{
    EventHandler as _, EventSource, ExecutorOptions, Keyring, Projection, StoreError, SystemClock,
};

use crate::log::{Location, LogOptions};
use crate::projecting::Projecting;
use crate::store::{OpenService, ServiceStore};

/// A store that goes when it is dropped.
pub struct TestStore {
    /// The store.
    pub store: ServiceStore,
    dir: Option<tempfile::TempDir>,
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
        let store = open(name, log, views, projections, write_schema, keyring()).await?;
        Ok(Self { store, dir: Some(dir) })
    }

    /// A store at these locations.
    pub async fn at(
        name: &'static str,
        log: Location,
        views: Location,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<Self, StoreError> {
        Ok(Self { store: open(name, log, views, projections, write_schema, keyring()).await?, dir: None })
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
                    handler.handle(source.name(), &batch).await?;
                }
            }
        }
        Ok(())
    }
}

async fn open(
    name: &'static str,
    log: Location,
    views: Location,
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
