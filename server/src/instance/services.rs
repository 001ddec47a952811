//! What a process runs: the services, each with what it handles, what it follows and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{
    CommandBus, CommandBusBuilder, Deadline, EventBusBuilder, EventSource, Idempotency, Log as _, Reactor,
    Tracing,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::ServiceStore;
use parlor_auth::mail::{FileMailer, Mailer, OutboxWorker, SmtpMailer};
use parlor_auth::tokens::InstanceSecret;
use parlor_auth::{Auth, AuthOptions, AuthPublisher, FollowsEndedSessions, FollowsUsers};
use parlor_chat::live::{Live, QueueLimits};

use super::{Ground, Instance, OpenError, Service};
use crate::config::Config;

/// Every service's routes, for the API's description.
pub fn descriptions() -> Vec<Routes> {
    let live = parlor_chat::live::sse::described();
    vec![
        parlor_auth::routes(),
        parlor_user::routes(),
        parlor_chat::routes().merge(live),
        parlor_notification::routes(),
    ]
}

/// Opens every service's stores and puts the services on them.
pub(super) async fn assemble(config: &Config, ground: Ground) -> Result<Instance, OpenError> {
    let (auth, user, chat, notification) = tokio::try_join!(
        ground.service(parlor_auth::NAME, parlor_auth::projections(), None),
        ground.service(parlor_user::NAME, parlor_user::projections(), parlor_user::WRITE_SCHEMA),
        ground.service(parlor_chat::NAME, parlor_chat::projections(), parlor_chat::WRITE_SCHEMA),
        ground.service(
            parlor_notification::NAME,
            parlor_notification::projections(),
            parlor_notification::WRITE_SCHEMA
        ),
    )?;
    let sources: Vec<Arc<dyn EventSource>> = [
        ground.sources(&auth, "auth.public", AuthPublisher),
        ground.sources(&user, "user.public", parlor_user::publisher()),
        ground.sources(&chat, "chat.public", parlor_chat::publisher()),
        ground.sources(&notification, "notification.public", parlor_notification::publisher()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let wiring = Wiring { ground: &ground, sources: &sources, deadline: config.deadline() };
    let (auth_service, auth, outbox) = wiring.auth(config, auth)?;
    let (chat_service, live) = wiring.chat(chat)?;
    let services = vec![auth_service, wiring.user(user)?, chat_service, wiring.notification(notification)?];
    Ok(Instance { ground, services, auth, live, sources, outbox })
}

/// What every service is given alike.
struct Wiring<'a> {
    ground: &'a Ground,
    sources: &'a [Arc<dyn EventSource>],
    deadline: Duration,
}

impl Wiring<'_> {
    fn auth(&self, config: &Config, store: ServiceStore) -> Result<(Service, Auth, OutboxWorker), OpenError> {
        let options = AuthOptions {
            settings: config.auth_settings(),
            public_url: &config.public_url(),
            keys: &self.ground.data.folder("keys")?.join("signing"),
            secret: &InstanceSecret::new(self.ground.secret),
            mailer: mailer(config, self.ground)?,
        };
        let (auth, outbox) = Auth::new(store.executor.clone(), options)?;
        let commands = self.commands(parlor_auth::commands(&auth))?;
        let sessions = auth.verifier.ended_sessions().clone();
        let ended = FollowsEndedSessions::new(store.source(), sessions, self.ground.clock.clone());
        let users = FollowsUsers::new(commands.clone(), store.executor.clone());
        let service = Service {
            name: parlor_auth::NAME,
            queries: parlor_auth::queries(&auth, &store.views).build()?,
            routes: parlor_auth::routes(),
            reactors: vec![users.name()],
            events: self.react(self.events(&store).subscribe(Arc::new(ended)), users, &store).build()?,
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
            name: parlor_user::NAME,
            queries: parlor_user::queries(&deps).build()?,
            routes: parlor_user::routes(),
            reactors: vec![profile.name()],
            events: self.react(self.events(&store), profile, &store).build()?,
            commands,
            store,
        })
    }

    fn chat(&self, store: ServiceStore) -> Result<(Service, Live), OpenError> {
        let cursors = Cursors::new(self.ground.tokens.clone(), store.log.epoch());
        let deps = parlor_chat::Deps { store: store.clone(), cursors };
        let tokens = self.ground.tokens.clone();
        let live = Live::new(&store, &self.public(), tokens, QueueLimits::default());
        let service = Service {
            name: parlor_chat::NAME,
            commands: self.commands(parlor_chat::commands(&deps))?,
            queries: parlor_chat::queries(&deps).build()?,
            routes: parlor_chat::routes().merge(parlor_chat::live::sse::routes(live.clone())),
            reactors: Vec::new(),
            events: self.events(&store).subscribe(Arc::new(live.clone())).build()?,
            store,
        };
        Ok((service, live))
    }

    fn notification(&self, store: ServiceStore) -> Result<Service, OpenError> {
        let deps = parlor_notification::Deps { store: store.clone(), tokens: self.ground.tokens.clone() };
        let commands = self.commands(parlor_notification::commands(&deps))?;
        let of_chat = parlor_notification::notify_of_chat(&deps, &commands);
        let of_sign_ins = parlor_notification::notify_of_sign_ins(&deps, &commands);
        let reactors = vec![of_chat.name(), of_sign_ins.name()];
        let events = self.react(self.events(&store), of_chat, &store);
        Ok(Service {
            name: parlor_notification::NAME,
            queries: parlor_notification::queries(&deps).build()?,
            routes: parlor_notification::routes(),
            reactors,
            events: self.react(events, of_sign_ins, &store).build()?,
            commands,
            store,
        })
    }

    /// The bus of a service's commands, with what every command passes through.
    fn commands(&self, list: CommandBusBuilder) -> Result<CommandBus, OpenError> {
        Ok(list.layer(Tracing).layer(Deadline(self.deadline)).layer(Idempotency::default()).build()?)
    }

    /// The public events of all services.
    fn public(&self) -> Vec<Arc<dyn EventSource>> {
        self.sources.iter().filter(|source| source.name().ends_with(".public")).cloned().collect()
    }

    /// The handlers of a service's projections, with every source of public events.
    fn events(&self, store: &ServiceStore) -> EventBusBuilder {
        store.subscribe_projections(&self.public())
    }

    /// A reactor keeps its place in its service's log store.
    fn react(&self, list: EventBusBuilder, reactor: impl Reactor, store: &ServiceStore) -> EventBusBuilder {
        list.react(reactor, store.log.clone(), self.ground.keyring.clone())
    }
}

fn mailer(config: &Config, ground: &Ground) -> Result<Arc<dyn Mailer>, OpenError> {
    let wrong = |problem: &dyn std::fmt::Display| OpenError::Mail(problem.to_string());
    if let Some(settings) = config.smtp().map_err(|bad| wrong(&bad.problem))? {
        return Ok(Arc::new(SmtpMailer::new(&settings).map_err(|error| wrong(&error))?));
    }
    let folder = ground.data.join("mail");
    let mailer = FileMailer::new(&folder, config.mail.from.clone());
    Ok(Arc::new(mailer.map_err(|error| wrong(&format_args!("{}: {error}", folder.display())))?))
}
