//! Where a process hears of events: from the logs of its own services, and of the other services' public events from
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cqrs_core::{EventSource, LogSource, PublicSource, Publisher};
use cqrs_sql::ServiceStore;

use super::{Elsewhere, Ground, Kafka};
use crate::roles::{Roles, ServiceName};

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

    /// Adds what the process's services follow and other processes make public.
    pub(super) fn add_elsewhere(&mut self, kafka: &mut Kafka, roles: &Roles) {
        let followed = roles.services.iter().flat_map(|service| service.follows()).copied();
        // What lets requests in is followed by every process.
        let followed: BTreeSet<_> = followed.chain([ServiceName::Auth]).collect();
        for service in followed.difference(&roles.services) {
            self.elsewhere.insert(service.name(), kafka.source(*service));
        }
    }

    /// The public events of the services that run elsewhere.
    pub fn elsewhere(&self) -> Elsewhere {
        self.elsewhere.clone()
    }

    /// The public events of a service, wherever it runs; none if nothing in this process follows them.
    pub fn public_of(&self, service: ServiceName) -> Option<&Arc<dyn EventSource>> {
        self.public.get(service.name()).or_else(|| self.elsewhere.get(service.name()))
    }

    /// What the process's own services make public.
    pub(super) fn own_public(&self) -> Vec<Arc<dyn EventSource>> {
        self.public.values().cloned().collect()
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
