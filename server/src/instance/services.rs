//! What a process runs: the services, each with what it handles, what it follows and who hears of it.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{
    CommandBus, CommandBusBuilder, Deadline, EventBusBuilder, EventSource, Idempotency, Log as _, Tracing,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::ServiceStore;
use parlor_auth::mail::{FileMailer, Mailer, SmtpMailer};
use parlor_auth::tokens::InstanceSecret;
use parlor_auth::{Auth, AuthOptions, AuthPublisher, FollowsEndedSessions, FollowsUsers};

use super::{Ground, Instance, OpenError, Service};
use crate::config::Config;

/// Every service's routes, in the order of the API's description.
pub const ROUTES: &[(&str, fn() -> Routes)] = &[
    (parlor_auth::NAME, parlor_auth::routes),
    (parlor_user::NAME, parlor_user::routes),
    (parlor_chat::NAME, parlor_chat::routes),
    (parlor_notification::NAME, parlor_notification::routes),
];

/// Opens every service's stores and puts the services on them.
pub(super) async fn assemble(config: &Config, ground: Ground) -> Result<Instance, OpenError> {
    let (auth_store, user_store, chat_store, notification_store) = tokio::try_join!(
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
        ground.sources(&auth_store, "auth.public", AuthPublisher),
        ground.sources(&user_store, "user.public", parlor_user::publisher()),
        ground.sources(&chat_store, "chat.public", parlor_chat::publisher()),
        ground.sources(&notification_store, "notification.public", parlor_notification::publisher()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let wiring = Wiring { sources: &sources, deadline: config.deadline() };

    let (auth, outbox) = Auth::new(
        auth_store.executor.clone(),
        AuthOptions {
            settings: config.auth_settings(),
            public_url: &config.public_url(),
            keys: &ground.data.folder("keys")?.join("signing"),
            secret: &InstanceSecret::new(ground.secret),
            mailer: mailer(config, &ground)?,
        },
    )?;
    let commands = wiring.commands(parlor_auth::commands(&auth))?;
    let ended = FollowsEndedSessions::new(
        auth_store.source(),
        auth.verifier.ended_sessions().clone(),
        ground.clock.clone(),
    );
    let follows_users = FollowsUsers::new(commands.clone(), auth_store.executor.clone());
    let auth_service = Service {
        name: parlor_auth::NAME,
        queries: parlor_auth::queries(&auth, &auth_store.views).build()?,
        events: wiring
            .events(&auth_store)
            .subscribe(Arc::new(ended))
            .react(follows_users, auth_store.log.clone(), ground.keyring.clone())
            .build()?,
        commands,
        store: auth_store,
    };

    let user = parlor_user::Deps { store: user_store.clone(), tokens: ground.tokens.clone() };
    let commands = wiring.commands(parlor_user::commands(&user))?;
    let profile = parlor_user::profile_of_account(&user, &commands);
    let user_service = Service {
        name: parlor_user::NAME,
        queries: parlor_user::queries(&user).build()?,
        events: wiring
            .events(&user_store)
            .react(profile, user_store.log.clone(), ground.keyring.clone())
            .build()?,
        commands,
        store: user_store,
    };

    let chat = parlor_chat::Deps {
        store: chat_store.clone(),
        cursors: Cursors::new(ground.tokens.clone(), chat_store.log.epoch()),
    };
    let chat_service = Service {
        name: parlor_chat::NAME,
        commands: wiring.commands(parlor_chat::commands(&chat))?,
        queries: parlor_chat::queries(&chat).build()?,
        events: wiring.events(&chat_store).build()?,
        store: chat_store,
    };

    let notification =
        parlor_notification::Deps { store: notification_store.clone(), tokens: ground.tokens.clone() };
    let commands = wiring.commands(parlor_notification::commands(&notification))?;
    let of_chat = parlor_notification::notify_of_chat(&notification, &commands);
    let of_sign_ins = parlor_notification::notify_of_sign_ins(&notification, &commands);
    let notification_service = Service {
        name: parlor_notification::NAME,
        queries: parlor_notification::queries(&notification).build()?,
        events: wiring
            .events(&notification_store)
            .react(of_chat, notification_store.log.clone(), ground.keyring.clone())
            .react(of_sign_ins, notification_store.log.clone(), ground.keyring.clone())
            .build()?,
        commands,
        store: notification_store,
    };

    let services = vec![auth_service, user_service, chat_service, notification_service];
    Ok(Instance { ground, services, auth, sources, outbox })
}

/// What every service is given alike.
struct Wiring<'a> {
    sources: &'a [Arc<dyn EventSource>],
    deadline: Duration,
}

impl Wiring<'_> {
    /// The bus of a service's commands, with what every command passes through.
    fn commands(&self, list: CommandBusBuilder) -> Result<CommandBus, OpenError> {
        Ok(list.layer(Tracing).layer(Deadline(self.deadline)).layer(Idempotency::default()).build()?)
    }

    /// The handlers of a service's projections, with every source of others' public events.
    fn events(&self, store: &ServiceStore) -> EventBusBuilder {
        let own = store.log.name();
        let public = |source: &&Arc<dyn EventSource>| source.name().ends_with(".public");
        let others: Vec<_> = self.sources.iter().filter(public).cloned().collect();
        debug_assert!(others.iter().all(|source| source.name() != own));
        store.subscribe_projections(&others)
    }
}

fn mailer(config: &Config, ground: &Ground) -> Result<Arc<dyn Mailer>, OpenError> {
    match config.smtp().map_err(|problem| OpenError::Mail(problem.to_string()))? {
        Some(settings) => {
            let mailer = SmtpMailer::new(&settings).map_err(|error| OpenError::Mail(error.to_string()))?;
            Ok(Arc::new(mailer))
        }
        None => {
            let folder = ground.data.join("mail");
            let mailer = FileMailer::new(&folder, config.mail.from.clone())
                .map_err(|error| OpenError::Mail(format!("{}: {error}", folder.display())))?;
            Ok(Arc::new(mailer))
        }
    }
}
