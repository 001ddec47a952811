//! Parlor's notification service: who is told of what, and whether they have read it.
//!
//! What it handles is listed here, a line each; every use case is a file with its route and its handler. Notifications
//! and preferences are stored as rows with a version, the event that tells of a change committed with the row.

pub mod create_notification;
pub mod get_preferences;
#[cfg(test)]
mod http_tests;
pub mod inbox;
pub mod mark_all_as_read;
pub mod mark_as_read;
pub mod mentions;
pub mod notification;
pub mod notify_of_chat;
pub mod notify_of_sign_ins;
pub mod outbound;
pub mod outgoing;
pub mod preferences;
pub mod problems;
pub mod publish;
pub mod push;
pub mod read_with_messages;
#[cfg(test)]
mod receiver;
pub mod rooms;
#[cfg(test)]
mod testing;
pub mod update_preferences;
pub mod values;
pub mod webhooks;

use std::sync::Arc;

use cqrs_core::{
    CommandBus, CommandBusBuilder, EventSource, InstanceKey, Log as _, Position, Projection, Publisher,
    QueryBus, QueryBusBuilder, TokenCodec, while_leased,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::{ServiceStore, SqlWriteRepository};
use parlor_contracts::notification::NotificationEvent;
use tokio::sync::{Notify, watch};
use utoipa_axum::routes;
use uuid::Uuid;

use create_notification::{CreateNotification, CreateNotificationHandler, CreateNotifications};
use get_preferences::{GetNotificationPreferencesHandler, PreferencesShown};
use inbox::Inboxes;
use notification::Notifications;
use notify_of_chat::NotifyOfChat;
use notify_of_sign_ins::NotifyOfSignIns;
use outbound::{Outbound, OutboundError, OutboundSettings};
use push::deliver::Pushes;
use push::forget_push::{ForgetPush, ForgetPushHandler, ForgetPushReactor};
use push::get_push_key::{GetPushKey, GetPushKeyHandler};
use push::get_push_subscriptions::{GetPushSubscriptions, GetPushSubscriptionsHandler};
use push::subscribe_to_push::{SubscribeToPush, SubscribeToPushHandler};
use push::subscription::PushSubscriptions;
use push::unsubscribe_from_push::{UnsubscribeFromPush, UnsubscribeFromPushHandler};
use push::vapid::{NoKey, Vapid};
use rooms::Rooms;
use webhooks::administration::Administration;
use webhooks::create_webhook::CreateWebhook;
use webhooks::delete_webhook::DeleteWebhook;
use webhooks::deliver::{Deliveries, Pace};
use webhooks::get_webhooks::{GetWebhook, GetWebhooks, GetWebhooksHandler};
use webhooks::replay_webhook::ReplayWebhook;
use webhooks::retry_webhook::RetryWebhook;
use webhooks::rotate_webhook_secret::RotateWebhookSecret;
use webhooks::update_webhook::UpdateWebhook;
use webhooks::webhook::{Standings, Webhooks};

/// The name of the service's log; its public events are `notification.public`.
pub const NAME: &str = "notification";
/// The name of the source of its public events.
const PUBLIC: &str = "notification.public";

/// Tables of state-stored aggregates beside the log, for SQLite and for PostgreSQL.
pub const WRITE_SCHEMA: Option<(&str, &str)> =
    Some((include_str!("../migrations/sqlite/write.sql"), include_str!("../migrations/postgres/write.sql")));

/// What the service is built on.
#[derive(Clone)]
pub struct Deps {
    /// Its log, views and executor.
    pub store: ServiceStore,
    /// Makes and reads cursors.
    pub tokens: TokenCodec,
    /// What leaves for addresses that others name.
    pub leaving: Leaving,
}

impl Deps {
    fn cursors(&self) -> Cursors {
        Cursors::new(self.tokens.clone(), self.store.executor.log().epoch())
    }
}

/// What an operator can set about webhooks and Web Push.
#[derive(Debug, Clone, Default)]
pub struct LeavingSettings {
    /// How requests leave.
    pub outbound: OutboundSettings,
    /// How often and how long webhooks are tried.
    pub pace: Pace,
    /// Whom push services may write to: a `mailto:` or `https:` address.
    pub contact: String,
}

/// Why nothing can leave.
#[derive(Debug, thiserror::Error)]
pub enum LeavingError {
    /// The settings.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The key for Web Push.
    #[error(transparent)]
    Key(#[from] NoKey),
}

/// What leaves for addresses that others name: webhooks' messages and pushed notifications. Cheap to clone.
#[derive(Clone)]
pub struct Leaving {
    sources: Vec<Arc<dyn EventSource>>,
    key: InstanceKey,
    enabled: bool,
    outbound: Outbound,
    vapid: Arc<Vapid>,
    pace: Pace,
    changed: Arc<Notify>,
}

impl Leaving {
    /// For an instance with this secret, which hears of these public events.
    pub fn new(
        secret: &[u8; 32],
        sources: Vec<Arc<dyn EventSource>>,
        settings: LeavingSettings,
    ) -> Result<Self, LeavingError> {
        Ok(Self {
            sources,
            key: InstanceKey::new(secret),
            enabled: settings.outbound.enabled,
            outbound: Outbound::new(&settings.outbound)?,
            vapid: Arc::new(Vapid::of_instance(secret, settings.contact)?),
            pace: settings.pace,
            changed: Arc::default(),
        })
    }

    fn administration(&self, deps: &Deps) -> Administration {
        let Deps { store, tokens, .. } = deps;
        let Self { sources, key, outbound, changed, .. } = self;
        Administration::new(store, sources, tokens, key, outbound, rand::random, changed)
    }
}

/// The lease of whoever sends what leaves.
const DELIVERIES: &str = "deliveries";

/// Sends what leaves, in whichever process holds the lease for it, until `stop` turns true; nothing where that is switched
/// off, and places stay where they are.
pub async fn deliver(deps: Deps, holder: Uuid, stop: watch::Receiver<bool>) {
    let Deps { store, tokens, leaving } = deps;
    if !leaving.enabled {
        tracing::warn!("outbound.enabled is false: no message of a webhook and no notification is sent out");
        return;
    }
    let deliveries = Arc::new(Deliveries {
        webhooks: Webhooks::new(&store.log),
        standings: Standings::new(&store.log),
        places: store.log.clone(),
        sources: leaving.sources.clone(),
        keyring: store.executor.keyring().clone(),
        key: leaving.key.clone(),
        tokens,
        outbound: leaving.outbound.clone(),
        clock: store.executor.clock().clone(),
        pace: leaving.pace,
        changed: leaving.changed,
    });
    let own = leaving.sources.into_iter().find(|source| source.name() == PUBLIC);
    let pushes = own.map(|source| {
        Arc::new(Pushes {
            subscriptions: PushSubscriptions::new(&store.log),
            preferences: SqlWriteRepository::new(store.log.clone()),
            notifications: Notifications::new(&store.log),
            places: store.log.clone(),
            source,
            keyring: store.executor.keyring().clone(),
            key: leaving.key,
            outbound: leaving.outbound,
            vapid: leaving.vapid,
            clock: store.executor.clock().clone(),
            random: rand::random,
        })
    });
    let work = || {
        let (deliveries, pushes) = (deliveries.clone(), pushes.clone());
        async move {
            match pushes {
                Some(pushes) => drop(tokio::join!(deliveries.run(), pushes.run())),
                None => deliveries.run().await,
            }
        }
    };
    Box::pin(while_leased(&*store.log, DELIVERIES, holder, stop, work)).await;
}

/// Every command with its handler.
pub fn commands(deps: &Deps) -> CommandBusBuilder {
    let ServiceStore { log, executor, .. } = &deps.store;
    let notifications = Notifications::new(log);
    let subscriptions = PushSubscriptions::new(log);
    let webhooks = deps.leaving.administration(deps);
    CommandBus::builder()
        .handle::<CreateNotification, _>(CreateNotificationHandler::new(executor, &notifications))
        .handle::<CreateNotifications, _>(CreateNotificationHandler::new(executor, &notifications))
        .handle::<mark_as_read::MarkNotificationAsRead, _>(mark_as_read::MarkAsReadHandler::new(
            executor,
            &notifications,
        ))
        .handle::<mark_all_as_read::MarkAllNotificationsAsRead, _>(mark_all_as_read::MarkAllAsReadHandler {
            executor: executor.clone(),
            inboxes: SqlWriteRepository::new(log.clone()),
        })
        .handle::<read_with_messages::ReadWithMessages, _>(read_with_messages::ReadWithMessagesHandler {
            executor: executor.clone(),
            notifications,
        })
        .handle::<update_preferences::UpdateNotificationPreferences, _>(
            update_preferences::UpdatePreferencesHandler {
                executor: executor.clone(),
                preferences: SqlWriteRepository::new(log.clone()),
            },
        )
        .handle::<SubscribeToPush, _>(SubscribeToPushHandler {
            executor: executor.clone(),
            subscriptions: subscriptions.clone(),
            key: deps.leaving.key.clone(),
            outbound: deps.leaving.outbound.clone(),
        })
        .handle::<UnsubscribeFromPush, _>(UnsubscribeFromPushHandler {
            executor: executor.clone(),
            subscriptions: subscriptions.clone(),
        })
        .handle::<ForgetPush, _>(ForgetPushHandler { executor: executor.clone(), subscriptions })
        .handle::<CreateWebhook, _>(webhooks.clone())
        .handle::<UpdateWebhook, _>(webhooks.clone())
        .handle::<DeleteWebhook, _>(webhooks.clone())
        .handle::<RetryWebhook, _>(webhooks.clone())
        .handle::<ReplayWebhook, _>(webhooks.clone())
        .handle::<RotateWebhookSecret, _>(webhooks)
}

/// Every query with its handler.
pub fn queries(deps: &Deps) -> QueryBusBuilder {
    let views = &deps.store.views;
    let webhooks =
        GetWebhooksHandler { administration: deps.leaving.administration(deps), cursors: deps.cursors() };
    QueryBus::builder()
        .answer::<inbox::GetUserNotifications, _>(inbox::GetUserNotificationsHandler {
            inboxes: Inboxes::new(views),
            cursors: deps.cursors(),
        })
        .answer::<inbox::GetUnreadNotificationsCount, _>(inbox::GetUnreadNotificationsCountHandler(
            Inboxes::new(views),
        ))
        .answer::<get_preferences::GetNotificationPreferences, _>(GetNotificationPreferencesHandler(
            PreferencesShown::new(views),
        ))
        .answer::<GetPushKey, _>(GetPushKeyHandler(deps.leaving.vapid.clone()))
        .answer::<GetPushSubscriptions, _>(GetPushSubscriptionsHandler {
            subscriptions: PushSubscriptions::new(&deps.store.log),
            key: deps.leaving.key.clone(),
        })
        .answer::<GetWebhooks, _>(webhooks.clone())
        .answer::<GetWebhook, _>(webhooks)
}

/// Every view.
pub fn projections() -> Vec<Arc<dyn Projection>> {
    vec![
        Arc::new(inbox::InboxProjection),
        Arc::new(get_preferences::PreferencesProjection),
        Arc::new(rooms::RoomsProjection),
    ]
}

/// The reactor that tells of what happens in conversations; `users` says how far the user service's events go.
pub fn notify_of_chat(deps: &Deps, commands: &CommandBus, users: watch::Receiver<Position>) -> NotifyOfChat {
    let ServiceStore { log, views, executor } = &deps.store;
    let preferences = SqlWriteRepository::new(log.clone());
    let clock = executor.clock().clone();
    NotifyOfChat::new(Rooms::new(views), preferences, commands.clone(), clock, [log.head(), users])
}

/// The reactor that tells of new sign-ins.
pub fn notify_of_sign_ins(deps: &Deps, commands: &CommandBus) -> NotifyOfSignIns {
    let ServiceStore { log, executor, .. } = &deps.store;
    let preferences = SqlWriteRepository::new(log.clone());
    NotifyOfSignIns::new(preferences, commands.clone(), executor.clock().clone())
}

/// The reactor that forgets browsers when their sessions end.
pub fn forget_push(deps: &Deps, commands: &CommandBus) -> ForgetPushReactor {
    ForgetPushReactor::new(commands.clone(), deps.store.executor.clock().clone())
}

/// What becomes public.
pub fn publisher() -> impl Publisher<Public = NotificationEvent> {
    publish::NotificationPublisher
}

/// Every route.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(
            create_notification::create_notification,
            inbox::get_user_notifications::get_user_notifications
        ))
        .routes(routes!(mark_as_read::mark_notification_as_read))
        .routes(routes!(mark_all_as_read::mark_all_notifications_as_read))
        .routes(routes!(inbox::get_unread_notifications_count::get_unread_notifications_count))
        .routes(routes!(
            get_preferences::get_notification_preferences,
            update_preferences::update_notification_preferences
        ))
        .routes(routes!(push::get_push_key::get_push_key))
        .routes(routes!(
            push::subscribe_to_push::subscribe_to_push,
            push::get_push_subscriptions::get_push_subscriptions
        ))
        .routes(routes!(push::unsubscribe_from_push::unsubscribe_from_push))
        .routes(routes!(webhooks::create_webhook::create_webhook, webhooks::get_webhooks::get_webhooks))
        .routes(routes!(
            webhooks::get_webhooks::get_webhook,
            webhooks::update_webhook::update_webhook,
            webhooks::delete_webhook::delete_webhook
        ))
        .routes(routes!(webhooks::replay_webhook::replay_webhook))
        .routes(routes!(webhooks::retry_webhook::retry_webhook))
        .routes(routes!(webhooks::rotate_webhook_secret::rotate_webhook_secret))
}
