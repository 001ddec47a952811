//! Carries out operators' tasks on an instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_core::{
    Actor, Aggregate as _, Clock, Context, EventBus, EventHandler as _, Incoming, Keyring, Log as _,
    ParkStore, PlaceStore as _, Position,
};
use cqrs_sql::{Projecting, ServiceStore};
use parlor_auth::Auth;
use parlor_auth::display_name::DisplayName;
use parlor_auth::email::Email;
use parlor_auth::service_key::{ServiceKey, ServiceKeyEvent};
use uuid::Uuid;

use super::rebuilds::{Begun, Rebuilds};
use super::seen::CommandsSeen;
use super::{Answer, HandlerLine, ParkedLine, Progress, ServiceKeyLine, Task, TaskError};
use crate::http::health::Health;
use crate::instance::{Instance, Sources};
use crate::roles::{Roles, ServiceName};

/// An instance's parts that operators' tasks need.
pub struct Operator {
    auth: Option<Auth>,
    pub(super) roles: Roles,
    services: Vec<Kept>,
    sources: Sources,
    keyring: Keyring,
    pub(super) clock: Arc<dyn Clock>,
    health: Arc<Health>,
    pub(super) rebuilds: Rebuilds,
    pub(super) commands: CommandsSeen,
    /// What leaves for others' addresses, where notification runs in this process.
    pub(super) leaving: Option<parlor_notification::Deps>,
}

/// A service of the process, as far as operators look at it.
pub(super) struct Kept {
    pub(super) service: ServiceName,
    pub(super) store: ServiceStore,
    pub(super) events: EventBus,
    pub(super) reactors: Vec<&'static str>,
}

impl Kept {
    /// Whether it keeps a view of this name.
    pub(super) fn has_view(&self, name: &str) -> bool {
        self.store.views.projections().iter().any(|view| view.name() == name)
    }

    /// What a handler of this name is.
    pub(super) fn kind_of(&self, handler: &str) -> &'static str {
        if self.has_view(handler) {
            "view"
        } else if self.reactors.contains(&handler) {
            "reactor"
        } else if handler == cqrs_kafka::RELAY {
            "relay"
        } else {
            "follower"
        }
    }
}

/// How many events are looked at in one go.
const STEP: usize = 1000;

impl Operator {
    /// Of an instance.
    pub fn of(instance: &Instance, health: Arc<Health>) -> Self {
        let services = instance.services.iter().map(|service| Kept {
            service: service.service,
            store: service.store.clone(),
            events: service.events.clone(),
            reactors: service.reactors.clone(),
        });
        Self {
            auth: instance.auth.clone(),
            roles: instance.roles.clone(),
            services: services.collect(),
            sources: instance.sources.clone(),
            keyring: instance.ground.keyring.clone(),
            clock: instance.ground.clock.clone(),
            health,
            rebuilds: Rebuilds::default(),
            commands: instance.commands.clone(),
            leaving: instance.leaving.clone(),
        }
    }

    /// A service of this process.
    pub(super) fn kept(&self, service: ServiceName) -> Option<&Kept> {
        self.services.iter().find(|kept| kept.service == service)
    }

    /// Carries out a task; `report` hears how far it has come.
    pub async fn run(&self, task: Task, report: impl FnMut(Progress) + Send) -> Result<Answer, TaskError> {
        match task {
            Task::Promote { email } => self.change_role(&email, true).await,
            Task::Demote { email } => self.change_role(&email, false).await,
            Task::CreateServiceKey { name } => {
                let name =
                    DisplayName::parse(&name).map_err(|error| TaskError(format!("{name:?}: {error}")))?;
                let (id, key) = self.auth()?.create_service_key(&self.cx(), name).await?;
                Ok(Answer::Key { id, key })
            }
            Task::ListServiceKeys => self.service_keys().await.map(Answer::Keys),
            Task::RevokeServiceKey { id } => {
                self.auth()?.revoke_service_key(&self.cx(), id).await?;
                Ok(Answer::Done)
            }
            Task::Views => self.handlers().await.map(Answer::Handlers),
            Task::RebuildView { name } => self.rebuild(&name, report).await,
            Task::Parked => self.parked().await.map(Answer::Parked),
            Task::RetryParked { id } => {
                let (log, number) = self.parked_as(&id)?;
                if log.retry(number).await? { Ok(Answer::Done) } else { Err(no_such_event(&id)) }
            }
            Task::DropParked { id } => {
                let (log, number) = self.parked_as(&id)?;
                if log.give_up(number).await? { Ok(Answer::Done) } else { Err(no_such_event(&id)) }
            }
            Task::Health => Ok(Answer::Health(self.health.check().await)),
        }
    }

    fn cx(&self) -> Context {
        self.clock.context(Actor::System)
    }

    /// The auth service, if it runs in this process.
    fn auth(&self) -> Result<&Auth, TaskError> {
        self.auth.as_ref().ok_or_else(|| self.elsewhere(ServiceName::Auth))
    }

    fn elsewhere(&self, service: ServiceName) -> TaskError {
        TaskError(format!(
            "the {service} service doesn't run in this process, which runs {}; name the data folder of one that runs \
             it, with --data-dir",
            self.roles
        ))
    }

    async fn change_role(&self, email: &str, admin: bool) -> Result<Answer, TaskError> {
        let about = |error: &dyn std::fmt::Display| TaskError(format!("{email}: {error}"));
        let address = Email::parse(email).map_err(|error| about(&error))?;
        let changed = if admin {
            self.auth()?.promote(&self.cx(), &address).await
        } else {
            self.auth()?.demote(&self.cx(), &address).await
        };
        changed.map(Answer::User).map_err(|failure| about(&TaskError::from(failure)))
    }

    /// Read from the log: keys are few and rarely listed, so that no view is kept for it.
    async fn service_keys(&self) -> Result<Vec<ServiceKeyLine>, TaskError> {
        self.auth()?;
        let Some(auth) = self.services.iter().find(|kept| kept.service == ServiceName::Auth) else {
            return Ok(Vec::new());
        };
        let mut keys: BTreeMap<Uuid, ServiceKeyLine> = BTreeMap::new();
        let mut place = Position(0);
        loop {
            let events = auth.store.log.read(place, STEP).await?;
            let Some(last) = events.last() else { break };
            place = last.position;
            for event in events.iter().filter(|event| event.category == ServiceKey::CATEGORY) {
                let incoming = Incoming { source: parlor_auth::NAME, meta: event, keys: self.keyring.keys() };
                match incoming.decode::<ServiceKeyEvent>().map_err(TaskError::new)? {
                    ServiceKeyEvent::Created { name, .. } => {
                        let (id, created_at) = (event.stream, event.at.to_string());
                        keys.insert(id, ServiceKeyLine { id, name: name.0, created_at, revoked: false });
                    }
                    ServiceKeyEvent::Revoked {} => {
                        if let Some(key) = keys.get_mut(&event.stream) {
                            key.revoked = true;
                        }
                    }
                }
            }
        }
        Ok(keys.into_values().collect())
    }

    async fn parked(&self) -> Result<Vec<ParkedLine>, TaskError> {
        let mut lines = Vec::new();
        for kept in &self.services {
            let service = kept.service.name();
            lines.extend(kept.store.log.parked().await?.into_iter().map(|parked| ParkedLine {
                id: format!("{service}-{}", parked.id),
                reactor: parked.consumer,
                source: parked.source,
                position: parked.position.0,
                name: parked.name,
                reason: parked.reason,
                retry: parked.retry,
            }));
        }
        Ok(lines)
    }

    /// Where `SERVICE-NUMBER` is kept, and its number there.
    fn parked_as(&self, id: &str) -> Result<(&dyn ParkStore, i64), TaskError> {
        let unknown =
            || TaskError(format!("{id:?} is no id of something parked; `parlor parked list` shows them"));
        let (service, number) = id.rsplit_once('-').ok_or_else(unknown)?;
        let number = number.parse().map_err(|_| unknown())?;
        let named = |known: &&ServiceName| known.name() == service;
        let service = ServiceName::ALL.iter().find(named).ok_or_else(unknown)?;
        let keeper = self.services.iter().find(|kept| kept.service == *service);
        let keeper = keeper.ok_or_else(|| self.elsewhere(*service))?;
        Ok((&*keeper.store.log, number))
    }

    async fn handlers(&self) -> Result<Vec<HandlerLine>, TaskError> {
        let mut lines = Vec::new();
        for kept in &self.services {
            let Kept { service, store, events, .. } = kept;
            for handler in events.progress() {
                let projection = store.views.projections().iter().find(|view| view.name() == handler.handler);
                let position = match projection {
                    // As stored: that is right while nobody runs, too.
                    Some(projection) => {
                        let view = Projecting::new(
                            projection.clone(),
                            store.views.clone(),
                            self.keyring.clone(),
                            &self.sources.of(service.name()),
                        );
                        Some(view.place(handler.source).await?)
                    }
                    None => Some(handler.position).filter(|position| position.0 > 0),
                };
                lines.push(HandlerLine {
                    service: service.name().to_owned(),
                    name: handler.handler.to_owned(),
                    kind: kept.kind_of(handler.handler).to_owned(),
                    source: handler.source.to_owned(),
                    position: position.map(|position| position.0),
                    head: handler.head.0,
                    error: handler.error,
                });
            }
        }
        Ok(lines)
    }

    async fn rebuild(&self, name: &str, report: impl FnMut(Progress) + Send) -> Result<Answer, TaskError> {
        let views = |service: &Kept| -> Vec<&'static str> {
            service.store.views.projections().iter().map(|view| view.name()).collect()
        };
        if let Some(kept) = self.services.iter().find(|service| service.reactors.contains(&name)) {
            // What it did before it won't do twice: the ids of what its commands make are derived from the events'.
            kept.store.log.forget(name).await?;
            tracing::info!(reactor = name, "a reactor begins anew");
            return Ok(Answer::BeginsAnew);
        }
        let Some(keeper) = self.services.iter().find(|service| service.has_view(name)) else {
            let kept_by =
                |service: &&ServiceName| service.projections().iter().any(|view| view.name() == name);
            if let Some(service) = ServiceName::ALL.iter().find(kept_by) {
                return Err(self.elsewhere(*service));
            }
            let known: Vec<_> = self.services.iter().flat_map(views).collect();
            return Err(TaskError(format!("there is no view called {name}; there are {}", known.join(", "))));
        };
        let Some(begun) = self.rebuilds.begin(keeper.service, name, self.clock.now()) else {
            return Err(TaskError(format!("the view {name} is being rebuilt already")));
        };
        self.fill(keeper, begun, report).await?;
        Ok(Answer::Done)
    }

    /// Carries a rebuild out that was begun; `report` hears how far it has come.
    pub(super) async fn fill(
        &self,
        keeper: &Kept,
        begun: Begun,
        mut report: impl FnMut(Progress) + Send,
    ) -> Result<(), TaskError> {
        let sources = self.sources.of(keeper.service.name());
        let name = begun.view().to_owned();
        tracing::info!(view = name, "rebuilding a view");
        let views = &keeper.store.views;
        let filled = views.rebuild(&name, &sources, &self.keyring, |progress| {
            let progress = Progress { done: progress.done, total: progress.total };
            begun.report(progress);
            report(progress);
        });
        let filled = filled.await.map_err(TaskError::new);
        begun.ended(filled.as_ref().err().map(ToString::to_string), self.clock.now());
        if filled.is_ok() {
            tracing::info!(view = name, "a rebuilt view is live");
        }
        filled
    }
}

fn no_such_event(id: &str) -> TaskError {
    TaskError(format!("{id} isn't parked (any more), or is no event; `parlor parked list` shows what is"))
}
