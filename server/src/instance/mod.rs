//! One Parlor, or a process of one: its services on their stores, wired to each other.

mod kafka;
mod mesh;
mod services;
mod sources;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;

use cqrs_core::{
    CommandBus, EventBus, EventBusError, EventSource, Failure, QueryBus, RegistrationError, RunMode,
    StoreError,
};
use cqrs_http::{Authenticator, Edge, EdgeParts, HttpOptions, Routes};
use cqrs_kafka::OtherHistory;
use cqrs_sql::ServiceStore;
use cqrs_sql::transfer::OlderLog;
use parlor_auth::mail::OutboxWorker;
use parlor_auth::{Admission, Auth};
use parlor_chat::live::Live;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use kafka::Kafka;
pub use mesh::{Mesh, Node};
pub use services::descriptions;
pub use sources::Sources;
pub(crate) use stores::Pools;
pub use stores::{Base, Ground};

use crate::admin::CommandsSeen;
use crate::config::Config;
use crate::data_dir::DataDirError;
use crate::roles::{Roles, ServiceName};

/// Why an instance can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A store.
    #[error("{store} can't be opened: {error}")]
    Store {
        /// Which one.
        store: String,
        /// Why.
        error: StoreError,
    },
    /// Databases that may answer later.
    #[error("{}", .0.join("; "))]
    Unreachable(Vec<String>),
    /// The stores are another instance's.
    #[error(
        "the stores belong to another instance: their secret isn't the one in {}; take the data folder that they were \
         made with, or other stores", .0.display()
    )]
    OtherInstance(PathBuf),
    /// The auth service.
    #[error(transparent)]
    Auth(#[from] parlor_auth::StartError),
    /// The signing keys.
    #[error("the signing keys can't be told of: {0}")]
    SigningKeys(Failure),
    /// The brokers' settings.
    #[error("kafka: {0}")]
    Kafka(String),
    /// Webhooks' and pushes' settings.
    #[error(transparent)]
    Leaving(#[from] parlor_notification::LeavingError),
    /// The mail server's settings.
    #[error("mail: {0}")]
    Mail(String),
    /// A defect: a handler is missing or there twice.
    #[error(transparent)]
    Handlers(#[from] RegistrationError),
    /// A log that was put back by hand.
    #[error(
        "{0}: an older copy of the log was put in its place, and what follows it would go wrong. Put the newer one back, or \
         make an instance of a whole backup with parlor restore"
    )]
    OlderLog(OlderLog),
    /// A log that isn't the one that was published.
    #[error(
        "{0}: an older copy of the log was put in its place, and other services have heard what isn't in it. Put the newer one \
         back, or make an instance of a whole backup with parlor restore"
    )]
    OtherHistory(OtherHistory),
    /// A defect: an event handler without its source.
    #[error(transparent)]
    EventHandlers(#[from] EventBusError),
}

impl OpenError {
    fn store(store: impl Into<String>, error: StoreError) -> Self {
        Self::Store { store: store.into(), error }
    }

    /// What doesn't answer, if that is all that is wrong.
    pub fn unreachable(&self) -> Option<Vec<String>> {
        match self {
            Self::Unreachable(missing) => Some(missing.clone()),
            Self::Store { store, error: StoreError::Unavailable(detail) } => {
                Some(vec![format!("the database of {store} doesn't answer: {detail}")])
            }
            Self::SigningKeys(Failure::Unavailable(detail)) => {
                Some(vec![format!("the database of auth doesn't answer: {detail}")])
            }
            _ => None,
        }
    }
}

/// One service of an instance.
pub struct Service {
    /// Which.
    pub service: ServiceName,
    /// Its log and views.
    pub store: ServiceStore,
    /// What carries out its commands.
    pub commands: CommandBus,
    /// What answers its queries.
    pub queries: QueryBus,
    /// What follows events for it.
    pub events: EventBus,
    /// Those of its event handlers that turn events into commands.
    pub reactors: Vec<&'static str>,
    /// Its routes.
    pub routes: Routes,
}

impl Service {
    /// Its name, which is its log's.
    pub fn name(&self) -> &'static str {
        self.service.name()
    }
}

/// The services of a process on their stores. Nothing runs yet: operators' commands need no more.
pub struct Instance {
    /// What the process does of the whole.
    pub roles: Roles,
    /// What all services share.
    pub ground: Ground,
    /// The services, in the order of their routes.
    pub services: Vec<Service>,
    /// The auth service, where it runs in this process.
    pub auth: Option<Auth>,
    /// What lets requests in.
    pub admission: Admission,
    /// Live delivery, where chat runs in this process.
    pub live: Option<Live>,
    /// Every source of events.
    pub sources: Sources,
    /// Kafka, where it is configured.
    pub kafka: Option<Kafka>,
    /// What commands come to.
    pub commands: CommandsSeen,
    outbox: Option<OutboxWorker>,
    pub(crate) leaving: Option<parlor_notification::Deps>,
}

impl Instance {
    /// Opens the stores of the process's services, making what isn't there, and puts the services on them. Of the
    /// services that it doesn't run it hears by `kafka`.
    pub async fn open(
        config: &Config,
        roles: &Roles,
        base: &Arc<Base>,
        kafka: Option<&Kafka>,
    ) -> Result<Self, OpenError> {
        let ground = Ground::open(config, base.clone()).await?;
        services::assemble(config, roles, ground, kafka.cloned()).await
    }

    /// Makes and upgrades the tables of these services' stores, and nothing else.
    pub async fn migrate(config: &Config, roles: &Roles, base: &Arc<Base>) -> Result<(), OpenError> {
        let config = &Config { migrate_on_start: true, ..config.clone() };
        let ground = Ground::open(config, base.clone()).await?;
        // Views are made by whoever keeps them, so that they are theirs to make anew.
        for service in &roles.services {
            ground.migrate(config, *service).await?;
        }
        Ok(())
    }

    /// Every service's edge.
    pub fn edges(&self, options: &HttpOptions) -> Vec<(ServiceName, Edge)> {
        let nodes = self.services.iter().map(Node::of).collect();
        let mesh = Arc::new(Mesh::new(nodes, self.sources.elsewhere()));
        let edge = |service: &Service| {
            let authenticator: Arc<dyn Authenticator> = match &self.auth {
                // Asks the log itself for service keys.
                Some(auth) => Arc::new(auth.clone()),
                None => Arc::new(self.admission.clone()),
            };
            let parts = EdgeParts {
                commands: service.commands.clone(),
                queries: service.queries.clone(),
                log: service.name(),
                epoch: cqrs_core::Log::epoch(&*service.store.log),
                tokens: self.ground.tokens.clone(),
                waiter: mesh.waiter(service.name()),
                authenticator,
                options: options.clone(),
            };
            (service.service, Edge::new(parts))
        };
        self.services.iter().map(edge).collect()
    }

    /// Every service's routes, each on its own edge.
    pub fn router(&self, edges: &[(ServiceName, Edge)]) -> axum::Router {
        let mut router = axum::Router::new();
        for (service, (_, edge)) in self.services.iter().zip(edges) {
            let (served, _) = service.routes.clone().split_for_parts();
            router = router.merge(served.with_state(edge.clone()));
        }
        router
    }

    /// Starts what runs in the background: event handlers, deliveries, mails, the signing keys' rotation. Ends with `stop`.
    pub fn start(self, stop: &watch::Receiver<bool>) -> Running {
        let mut tasks = JoinSet::new();
        let mode = if self.roles.handle_events() { RunMode::Follow } else { RunMode::Observe };
        for service in &self.services {
            let (events, stop) = (service.events.clone(), stop.clone());
            tasks.spawn(async move { events.run(stop, mode).await });
        }
        if let Some(auth) = self.auth.clone() {
            let stopped = stop.clone();
            tasks.spawn(async move { tend_keys(&auth, stopped).await });
        }
        if let Some(leaving) = self.leaving.filter(|_| mode == RunMode::Follow) {
            // The holder that the service's handlers have, too: operators see where it runs.
            let mut services = self.services.iter();
            let own = services.find(|service| service.service == ServiceName::Notification);
            let holder = own.map_or_else(|| self.ground.clock.fresh_id(), |own| own.events.holder());
            tasks.spawn(parlor_notification::deliver(leaving, holder, stop.clone()));
        }
        // Ends when the auth service is dropped; mails that are left are in nobody's way.
        let outbox = self.outbox.map(|outbox| tokio::spawn(outbox.run()));
        Running {
            services: self.services,
            auth: self.auth,
            ground: self.ground,
            live: self.live,
            sources: self.sources,
            tasks,
            outbox,
        }
    }
}

/// How often the signing keys are looked after.
const KEYS_TENDED_EVERY: std::time::Duration = std::time::Duration::from_mins(5);

async fn tend_keys(auth: &Auth, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(KEYS_TENDED_EVERY) => {}
        }
        if let Err(error) = auth.tend_keys().await {
            tracing::error!(%error, "the signing keys can't be looked after");
        }
    }
}

/// An instance at work.
pub struct Running {
    /// The services.
    pub services: Vec<Service>,
    /// The auth service, where it runs in this process.
    pub auth: Option<Auth>,
    /// What all services share.
    pub ground: Ground,
    /// Live delivery, where chat runs in this process.
    pub live: Option<Live>,
    /// Every source of events.
    pub sources: Sources,
    tasks: JoinSet<()>,
    outbox: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Waits for what runs in the background to come to its end, once it was told to stop.
    pub async fn finish(mut self) {
        if let Some(auth) = &self.auth {
            auth.finish().await;
        }
        while self.tasks.join_next().await.is_some() {}
        if let Some(outbox) = &self.outbox {
            outbox.abort();
        }
    }
}

/// The sources of other services' public events, by the services' names.
pub type Elsewhere = std::collections::BTreeMap<&'static str, Arc<dyn EventSource>>;
