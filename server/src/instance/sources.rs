//! Where a process hears of events: from the logs of its own services, and of the other services' public events from
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cqrs_core::{Batch, EventSource, LogSource, Position, PublicSource, Publisher, StoreError};
use cqrs_sql::ServiceStore;
use tokio::sync::watch;

use super::{Elsewhere, Ground, OpenError};
use crate::config::Config;
use crate::roles::{Roles, ServiceName};

/// How a process hears of the services that it doesn't run.
pub enum Others {
    /// Not at all: it runs all of them.
    None,
    /// Not yet.
    Unheard,
}

impl Others {
    /// What the configuration says.
    pub fn of(_: &Config, roles: &Roles) -> Result<Self, OpenError> {
        Ok(if roles.are_all() { Self::None } else { Self::Unheard })
    }

    /// Adds the sources that the process's services follow, and that it has to hear of from elsewhere.
    pub(super) fn add_to(&self, sources: &mut Sources, roles: &Roles) {
        let followed = roles.services.iter().flat_map(|service| service.follows()).copied();
        // What lets requests in is followed by every process.
        let followed: BTreeSet<_> = followed.chain([ServiceName::Auth]).collect();
        for service in followed.difference(&roles.services) {
            match self {
                Self::None => {}
                Self::Unheard => sources.add_elsewhere(*service, Arc::new(Unheard(service.public()))),
            }
        }
    }
}

struct Unheard(&'static str);

#[async_trait::async_trait]
impl EventSource for Unheard {
    fn name(&self) -> &'static str {
        self.0
    }
    fn epoch(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
    async fn read(&self, after: Position, _: usize) -> Result<Batch, StoreError> {
        Ok(Batch { events: Vec::new(), upto: after })
    }
    fn head(&self) -> watch::Receiver<Position> {
        watch::channel(Position(0)).1
    }
}

/// The sources of a process.
#[derive(Clone, Default)]
pub struct Sources {
    own: Vec<Arc<dyn EventSource>>,
    public: BTreeMap<&'static str, Arc<dyn EventSource>>,
    elsewhere: Elsewhere,
}

impl Sources {
    /// Adds a service of this process: its log, and what it makes public.
    pub(super) fn add(&mut self, ground: &Ground, service: ServiceName, store: &ServiceStore) {
        self.own.push(Arc::new(LogSource(store.log.clone())));
        let source = match service {
            ServiceName::Auth => publish(ground, service, store, parlor_auth::AuthPublisher),
            ServiceName::User => publish(ground, service, store, parlor_user::publisher()),
            ServiceName::Chat => publish(ground, service, store, parlor_chat::publisher()),
            ServiceName::Notification => publish(ground, service, store, parlor_notification::publisher()),
        };
        self.public.insert(service.name(), source);
    }

    /// Adds the public events of a service that runs elsewhere.
    pub(super) fn add_elsewhere(&mut self, service: ServiceName, source: Arc<dyn EventSource>) {
        self.elsewhere.insert(service.name(), source);
    }

    /// The public events of the services that run elsewhere.
    pub fn elsewhere(&self) -> Elsewhere {
        self.elsewhere.clone()
    }

    /// The public events of a service, wherever it runs; none if nothing in this process follows them.
    pub fn public_of(&self, service: ServiceName) -> Option<&Arc<dyn EventSource>> {
        self.public.get(service.name()).or_else(|| self.elsewhere.get(service.name()))
    }

    /// All public events that are heard of.
    pub fn public(&self) -> Vec<Arc<dyn EventSource>> {
        self.public.values().chain(self.elsewhere.values()).cloned().collect()
    }

    /// What a service's handlers can follow: its own log, and all public events.
    pub fn of(&self, service: &str) -> Vec<Arc<dyn EventSource>> {
        let own = self.own.iter().filter(|source| source.name() == service).cloned();
        own.chain(self.public()).collect()
    }
}

fn publish(
    ground: &Ground,
    service: ServiceName,
    store: &ServiceStore,
    publisher: impl Publisher,
) -> Arc<dyn EventSource> {
    Arc::new(PublicSource::new(service.public(), store.log.clone(), ground.keyring.clone(), publisher))
}
