//! One Parlor: its services on their stores, wired to each other.

mod mesh;
mod services;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;

use cqrs_core::{
    CommandBus, EventBus, EventBusError, EventSource, QueryBus, RegistrationError, RunMode, StoreError,
};
use cqrs_http::{Edge, EdgeParts, HttpOptions, Routes};
use cqrs_sql::ServiceStore;
use parlor_auth::Auth;
use parlor_auth::mail::OutboxWorker;
use parlor_chat::live::Live;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use mesh::{Mesh, Node};
pub use services::descriptions;
pub use stores::Ground;

use crate::config::Config;
use crate::data_dir::DataDirError;

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
    /// The stores are another instance's.
    #[error(
        "the stores belong to another instance: their secret isn't the one in {}; take the data folder that they were \
         made with, or other stores", .0.display()
    )]
    OtherInstance(PathBuf),
    /// The auth service.
    #[error(transparent)]
    Auth(#[from] parlor_auth::StartError),
    /// The mail server's settings.
    #[error("mail: {0}")]
    Mail(String),
    /// A defect: a handler is missing or there twice.
    #[error(transparent)]
    Handlers(#[from] RegistrationError),
    /// A defect: an event handler without its source.
    #[error(transparent)]
    EventHandlers(#[from] EventBusError),
}

impl OpenError {
    fn store(store: impl Into<String>, error: StoreError) -> Self {
        Self::Store { store: store.into(), error }
    }
}

/// One service of an instance.
pub struct Service {
    /// Its name, which is its log's.
    pub name: &'static str,
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

/// All services on their stores. Nothing runs yet: operators' commands need no more.
pub struct Instance {
    /// What all services share.
    pub ground: Ground,
    /// The services, in the order of their routes.
    pub services: Vec<Service>,
    /// The auth service, which also knows who asks.
    pub auth: Auth,
    /// Live delivery.
    pub live: Live,
    /// Every source of events.
    pub sources: Vec<Arc<dyn EventSource>>,
    outbox: OutboxWorker,
}

impl Instance {
    /// Opens the stores, making what isn't there, and puts the services on them.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let ground = Ground::open(config).await?;
        services::assemble(config, ground).await
    }

    /// Every service's routes, each on its own edge.
    pub fn router(&self, options: &HttpOptions) -> axum::Router {
        let mesh = Arc::new(Mesh::new(self.services.iter().map(Node::of).collect()));
        let mut router = axum::Router::new();
        for service in &self.services {
            let edge = Edge::new(EdgeParts {
                commands: service.commands.clone(),
                queries: service.queries.clone(),
                log: service.name,
                epoch: cqrs_core::Log::epoch(&*service.store.log),
                tokens: self.ground.tokens.clone(),
                waiter: mesh.waiter(service.name),
                authenticator: Arc::new(self.auth.clone()),
                options: options.clone(),
            });
            let (served, _) = service.routes.clone().split_for_parts();
            router = router.merge(served.with_state(edge));
        }
        router
    }

    /// Starts what runs in the background: event handlers, mails, the signing keys' rotation. Ends with `stop`.
    pub fn start(self, stop: &watch::Receiver<bool>) -> Running {
        let mut tasks = JoinSet::new();
        for service in &self.services {
            let (events, stop) = (service.events.clone(), stop.clone());
            tasks.spawn(async move { events.run(stop, RunMode::Follow).await });
        }
        let (auth, stopped) = (self.auth.clone(), stop.clone());
        tasks.spawn(async move { tend_keys(&auth, stopped).await });
        // Ends when the auth service is dropped; mails that are left are in nobody's way.
        let outbox = tokio::spawn(self.outbox.run());
        Running {
            services: self.services,
            auth: self.auth,
            ground: self.ground,
            live: self.live,
            tasks,
            outbox,
        }
    }
}

/// How often the signing keys are looked after.
const KEYS_TENDED_EVERY: std::time::Duration = std::time::Duration::from_mins(5);

async fn tend_keys(auth: &Auth, mut stop: watch::Receiver<bool>) {
    loop {
        let tended = auth.clone();
        match tokio::task::spawn_blocking(move || tended.tend_keys()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the signing keys can't be looked after"),
            Err(error) => tracing::error!(%error, "looking after the signing keys failed"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(KEYS_TENDED_EVERY) => {}
        }
    }
}

/// An instance at work.
pub struct Running {
    /// The services.
    pub services: Vec<Service>,
    /// The auth service.
    pub auth: Auth,
    /// What all services share.
    pub ground: Ground,
    /// Live delivery.
    pub live: Live,
    tasks: JoinSet<()>,
    outbox: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Waits for what runs in the background to come to its end, once it was told to stop.
    pub async fn finish(mut self) {
        self.auth.finish().await;
        while self.tasks.join_next().await.is_some() {}
        self.outbox.abort();
    }
}
