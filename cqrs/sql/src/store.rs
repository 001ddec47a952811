//! What one service is built on, opened together.

use std::sync::Arc;

use cqrs_core::{
    Clock, EventBusBuilder, EventSource, Executor, ExecutorOptions, InstanceKey, Keyring, LogSource,
    Projection, StoreError,
};

use crate::log::{Location, LogOptions, SqlLog};
use crate::projecting::Projecting;
use crate::views::{Views, ViewsAt};

/// What it takes to open a [`ServiceStore`].
pub struct OpenService {
    /// The service's name, which is its log's.
    pub name: &'static str,
    /// Where its log lies.
    pub log: Location,
    /// Where its views lie, and whether this process keeps them.
    pub views: ViewsAt,
    /// The tables of its state-stored aggregates (for SQLite, for PostgreSQL), if it has any.
    pub write_schema: Option<(&'static str, &'static str)>,
    /// What keeps its views.
    pub projections: Vec<Arc<dyn Projection>>,
    /// What seals and opens personal fields.
    pub keyring: Keyring,
    /// What seals stored answers and hashes claims.
    pub instance: InstanceKey,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// How the log works.
    pub log_options: LogOptions,
    /// How decisions are carried out.
    pub executor_options: ExecutorOptions,
    /// Connections that read the views.
    pub view_readers: usize,
}

/// One service's log, views and executor. Cheap to clone.
#[derive(Clone)]
pub struct ServiceStore {
    /// The log, with everything that commits beside it.
    pub log: Arc<SqlLog>,
    /// The views.
    pub views: Views,
    /// Carries out decisions.
    pub executor: Executor,
}

impl ServiceStore {
    /// Opens log and views, making what isn't there.
    pub async fn open(open: OpenService) -> Result<Self, StoreError> {
        let epoch = open.clock.fresh_id();
        let log = SqlLog::open(open.name, &open.log, epoch, open.write_schema, open.log_options).await?;
        let views = Views::open(&open.views, open.projections, open.view_readers).await?;
        let executor =
            Executor::new(log.clone(), open.keyring, open.instance, open.clock, &open.executor_options);
        Ok(Self { log, views, executor })
    }

    /// The log as a source of the service's private events.
    pub fn source(&self) -> Arc<dyn EventSource> {
        Arc::new(LogSource(self.log.clone()))
    }

    /// Subscribes the service's projections to its log and `others`, the sources of other services' public events.
    pub fn subscribe_projections(&self, others: &[Arc<dyn EventSource>]) -> EventBusBuilder {
        let mut sources = others.to_vec();
        sources.push(self.source());
        let mut bus = EventBusBuilder::default().holder(self.executor.clock().fresh_id());
        for projection in self.views.projections() {
            let keyring = self.executor.keyring().clone();
            let handler = Projecting::new(projection.clone(), self.views.clone(), keyring, &sources);
            bus = bus.subscribe(Arc::new(handler));
        }
        for source in sources {
            bus = bus.source(source);
        }
        bus
    }
}
