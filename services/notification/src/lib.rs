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
pub mod preferences;
pub mod publish;
pub mod read_with_messages;
pub mod rooms;
#[cfg(test)]
mod testing;
pub mod update_preferences;
pub mod values;

use std::sync::Arc;

use cqrs_core::{
    CommandBus, CommandBusBuilder, Log as _, Position, Projection, Publisher, QueryBus, QueryBusBuilder,
    TokenCodec,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::{ServiceStore, SqlWriteRepository};
use parlor_contracts::notification::NotificationEvent;
use tokio::sync::watch;
use utoipa_axum::routes;

use create_notification::{CreateNotification, CreateNotificationHandler, CreateNotifications};
use get_preferences::{GetNotificationPreferencesHandler, PreferencesShown};
use inbox::Inboxes;
use notification::Notifications;
use notify_of_chat::NotifyOfChat;
use notify_of_sign_ins::NotifyOfSignIns;
use rooms::Rooms;

/// The name of the service's log; its public events are `notification.public`.
pub const NAME: &str = "notification";

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
}

impl Deps {
    fn cursors(&self) -> Cursors {
        Cursors::new(self.tokens.clone(), self.store.executor.log().epoch())
    }
}

/// Every command with its handler.
pub fn commands(deps: &Deps) -> CommandBusBuilder {
    let ServiceStore { log, executor, .. } = &deps.store;
    let notifications = Notifications::new(log);
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
}

/// Every query with its handler.
pub fn queries(deps: &Deps) -> QueryBusBuilder {
    let views = &deps.store.views;
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
}
