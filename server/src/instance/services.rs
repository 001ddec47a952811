//! What a process runs: its services, each with what it handles, what it follows and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{
    CommandBus, CommandBusBuilder, Deadline, EventBusBuilder, Idempotency, Log as _, Position, Reactor,
    Tracing,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::ServiceStore;
use parlor_auth::mail::{FileMailer, Mailer, OutboxWorker, SmtpMailer};
use parlor_auth::tokens::InstanceSecret;
use parlor_auth::tokens::access::TokenSettings;
use parlor_auth::{Admission, AdmissionProjection, Auth, AuthOptions, FollowsAdmission, FollowsUsers};
use parlor_chat::live::{Live, LiveOptions, Origins};
use tokio::sync::watch;

use super::kafka::Reacts;
use super::{Ground, Instance, Kafka, OpenError, Service, Sources};
use crate::admin::CommandsSeen;
use crate::config::Config;
use crate::roles::{Roles, ServiceName};

/// Every service's routes, for the API's description.
pub fn descriptions() -> Vec<(ServiceName, Routes)> {
    let routes = |service| match service {
        ServiceName::Auth => parlor_auth::routes(),
        ServiceName::User => parlor_user::routes(),
        ServiceName::Chat => parlor_chat::routes().merge(parlor_chat::live::described()),
        ServiceName::Notification => parlor_notification::routes(),
    };
    ServiceName::ALL.into_iter().map(|service| (service, routes(service))).collect()
}

/// The service in whose store a process keeps what lets requests in: the first of its own.
fn keeper(roles: &Roles) -> Option<ServiceName> {
    roles.services.first().copied()
}

/// Opens the stores of the process's services; all that don't answer are named.
pub(super) async fn open_stores(
    config: &Config,
    roles: &Roles,
    ground: &Ground,
) -> Result<Vec<(ServiceName, ServiceStore)>, OpenError> {
    let opening = roles.services.iter().map(|service| {
        let mut projections = service.projections();
        if keeper(roles) == Some(*service) {
            projections.push(Arc::new(AdmissionProjection));
        }
        async move { (*service, ground.service(config, roles, *service, projections).await) }
    });
    let (mut stores, mut unreachable) = (Vec::new(), Vec::new());
    for (service, opened) in futures::future::join_all(opening).await {
        match opened {
            Ok(store) => stores.push((service, store)),
            Err(error) => match error.unreachable() {
                Some(missing) => unreachable.extend(missing),
                None => return Err(error),
            },
        }
    }
    if unreachable.is_empty() { Ok(stores) } else { Err(OpenError::Unreachable(unreachable)) }
}

/// Opens the stores of the process's services and puts the services on them.
pub(super) async fn assemble(
    config: &Config,
    roles: &Roles,
    ground: Ground,
    mut kafka: Option<Kafka>,
) -> Result<Instance, OpenError> {
    let stores = open_stores(config, roles, &ground).await?;
    // Before anything is recorded: that would make an older log longer.
    if let Some(older) = crate::transfer::older_log(config, roles).await? {
        return Err(OpenError::OlderLog(older));
    }
    let mut sources = Sources::default();
    for (service, store) in &stores {
        sources.add(&ground, *service, store);
    }
    if let Some(kafka) = &mut kafka {
        if roles.handle_events()
            && let Some(other) = kafka.other_history(&sources.own_public()).await
        {
            return Err(OpenError::OtherHistory(other));
        }
        sources.add_elsewhere(kafka, roles);
        // One of the process's services keeps what is no event, for `parlor parked`.
        if let Some((_, store)) = stores.first() {
            kafka.park_in(&store.log);
        }
    }
    let secret = InstanceSecret::new(ground.base.secret);
    let admission = Admission::new(TokenSettings::of_instance(&config.public_url()), &secret);
    let mut instance = Instance {
        roles: roles.clone(),
        services: Vec::with_capacity(stores.len()),
        auth: None,
        admission,
        live: None,
        sources,
        kafka,
        commands: CommandsSeen::default(),
        outbox: None,
        leaving: None,
        ground,
    };
    for (service, store) in stores {
        instance.add(config, service, store).await?;
    }
    Ok(instance)
}

impl Instance {
    async fn add(
        &mut self,
        config: &Config,
        service: ServiceName,
        store: ServiceStore,
    ) -> Result<(), OpenError> {
        let wiring = Wiring {
            ground: &self.ground,
            sources: &self.sources,
            kafka: self.kafka.as_ref(),
            admission: &self.admission,
            seen: &self.commands,
            keeps_admission: keeper(&self.roles) == Some(service),
            deadline: config.deadline(),
        };
        let service = match service {
            ServiceName::Auth => {
                let (service, auth, outbox) = wiring.auth(config, store)?;
                // Before anybody signs in: who signs with a key has told of it.
                auth.tend_keys().await.map_err(OpenError::SigningKeys)?;
                (self.auth, self.outbox) = (Some(auth), Some(outbox));
                service
            }
            ServiceName::User => wiring.user(store)?,
            ServiceName::Chat => {
                let (service, live) = wiring.chat(config, store)?;
                self.live = Some(live);
                service
            }
            ServiceName::Notification => {
                let (service, leaving) = wiring.notification(config, store)?;
                self.leaving = Some(leaving);
                service
            }
        };
        self.services.push(service);
        Ok(())
    }
}

/// What every service is given alike.
struct Wiring<'a> {
    ground: &'a Ground,
    sources: &'a Sources,
    kafka: Option<&'a Kafka>,
    admission: &'a Admission,
    seen: &'a CommandsSeen,
    /// Whether what lets requests in is kept in this service's store.
    keeps_admission: bool,
    deadline: Duration,
}

impl Wiring<'_> {
    fn auth(&self, config: &Config, store: ServiceStore) -> Result<(Service, Auth, OutboxWorker), OpenError> {
        let options = AuthOptions {
            settings: config.auth_settings(),
            public_url: &config.public_url(),
            keys: &self.ground.base.data.folder("keys")?.join("signing"),
            secret: &InstanceSecret::new(self.ground.base.secret),
            admission: self.admission.clone(),
            mailer: mailer(config, self.ground)?,
        };
        let (auth, outbox) = Auth::new(store.executor.clone(), options)?;
        let commands = self.commands(parlor_auth::commands(&auth))?;
        let users = FollowsUsers::new(commands.clone(), store.executor.clone());
        let service = Service {
            service: ServiceName::Auth,
            queries: parlor_auth::queries(&auth, &store.views).build()?,
            routes: parlor_auth::routes(),
            reactors: vec![users.name()],
            events: {
                let events = self.events(ServiceName::Auth, &store, &[(users.name(), users.sources())])?;
                self.react(events, users, &store).build()?
            },
            commands,
            store,
        };
        Ok((service, auth, outbox))
    }

    fn user(&self, store: ServiceStore) -> Result<Service, OpenError> {
        let deps = parlor_user::Deps { store: store.clone(), tokens: self.ground.tokens.clone() };
        let commands = self.commands(parlor_user::commands(&deps))?;
        let profile = parlor_user::profile_of_account(&deps, &commands);
        Ok(Service {
            service: ServiceName::User,
            queries: parlor_user::queries(&deps).build()?,
            routes: parlor_user::routes(),
            reactors: vec![profile.name()],
            events: {
                let events =
                    self.events(ServiceName::User, &store, &[(profile.name(), profile.sources())])?;
                self.react(events, profile, &store).build()?
            },
            commands,
            store,
        })
    }

    fn chat(&self, config: &Config, store: ServiceStore) -> Result<(Service, Live), OpenError> {
        let cursors = Cursors::new(self.ground.tokens.clone(), store.log.epoch());
        let deps = parlor_chat::Deps { store: store.clone(), cursors };
        let mut options = LiveOptions {
            connections_per_user: config.live.connections_per_user,
            origins: Origins { allowed: config.allowed_origins(), same_host: config.public_url.is_none() },
            ..LiveOptions::new(parlor_auth::tokens::random_bytes)
        };
        if let Some(kafka) = self.kafka {
            options.broadcast = kafka.notes(ServiceName::Chat)?;
        }
        let live = Live::new(&store, &self.sources.public(), self.ground.tokens.clone(), options);
        let service = Service {
            service: ServiceName::Chat,
            commands: self.commands(parlor_chat::commands(&deps))?,
            queries: parlor_chat::queries(&deps).build()?,
            routes: parlor_chat::routes().merge(parlor_chat::live::routes(live.clone())),
            reactors: Vec::new(),
            events: self.events(ServiceName::Chat, &store, &[])?.subscribe(Arc::new(live.clone())).build()?,
            store,
        };
        Ok((service, live))
    }

    fn notification(
        &self,
        config: &Config,
        store: ServiceStore,
    ) -> Result<(Service, parlor_notification::Deps), OpenError> {
        let (secret, sources) = (&self.ground.base.secret, self.sources.public());
        let leaving = parlor_notification::Leaving::new(secret, sources, config.leaving())?;
        let (tokens, deps_store) = (self.ground.tokens.clone(), store.clone());
        let deps = parlor_notification::Deps { store: deps_store, tokens, leaving };
        let commands = self.commands(parlor_notification::commands(&deps))?;
        let users = self.sources.public_of(ServiceName::User).map_or_else(nowhere, |source| source.head());
        let of_chat = parlor_notification::notify_of_chat(&deps, &commands, users);
        let of_sign_ins = parlor_notification::notify_of_sign_ins(&deps, &commands);
        let forget_push = parlor_notification::forget_push(&deps, &commands);
        let reacts = [
            (of_chat.name(), of_chat.sources()),
            (of_sign_ins.name(), of_sign_ins.sources()),
            (forget_push.name(), forget_push.sources()),
        ];
        let events = self.react(self.events(ServiceName::Notification, &store, &reacts)?, of_chat, &store);
        let events = self.react(events, of_sign_ins, &store);
        let service = Service {
            service: ServiceName::Notification,
            queries: parlor_notification::queries(&deps).build()?,
            routes: parlor_notification::routes(),
            reactors: reacts.iter().map(|(name, _)| *name).collect(),
            events: self.react(events, forget_push, &store).build()?,
            commands,
            store,
        };
        Ok((service, deps))
    }

    /// The bus of a service's commands, with what every command passes through.
    fn commands(&self, list: CommandBusBuilder) -> Result<CommandBus, OpenError> {
        let list = list.layer(Tracing).layer(self.seen.clone());
        Ok(list.layer(Deadline(self.deadline)).layer(Idempotency::default()).build()?)
    }

    /// The handlers of a service's projections, with every source of public events; what sends its own to Kafka, where
    /// that is configured; and what this process knows of who is let in, if that is kept here.
    fn events(
        &self,
        service: ServiceName,
        store: &ServiceStore,
        reactors: &[Reacts],
    ) -> Result<EventBusBuilder, OpenError> {
        let mut events = store.subscribe_projections(&self.sources.public());
        if let Some(kafka) = self.kafka {
            let relay = kafka.relay(self.ground, service, store, self.sources, reactors)?;
            events = events.subscribe(Arc::new(relay));
        }
        if !self.keeps_admission {
            return Ok(events);
        }
        tracing::debug!(%service, "what lets requests in is kept in its store");
        Ok(events.subscribe(Arc::new(FollowsAdmission::new(
            self.admission.clone(),
            store.views.clone(),
            self.ground.keyring.clone(),
            self.ground.clock.clone(),
        ))))
    }

    /// A reactor keeps its place in its service's log store.
    fn react(&self, list: EventBusBuilder, reactor: impl Reactor, store: &ServiceStore) -> EventBusBuilder {
        list.react(reactor, store.log.clone(), self.ground.keyring.clone())
    }
}

/// Where nothing is followed, nothing is waited for.
fn nowhere() -> watch::Receiver<Position> {
    watch::channel(Position(0)).1
}

fn mailer(config: &Config, ground: &Ground) -> Result<Arc<dyn Mailer>, OpenError> {
    let wrong = |problem: &dyn std::fmt::Display| OpenError::Mail(problem.to_string());
    if let Some(settings) = config.smtp().map_err(|bad| wrong(&bad.problem))? {
        return Ok(Arc::new(SmtpMailer::new(&settings).map_err(|error| wrong(&error))?));
    }
    let folder = ground.base.data.join("mail");
    let mailer = FileMailer::new(&folder, config.mail.from.clone());
    Ok(Arc::new(mailer.map_err(|error| wrong(&format_args!("{}: {error}", folder.display())))?))
}
