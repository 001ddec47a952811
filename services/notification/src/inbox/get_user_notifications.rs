//! `GET /v1/notifications`: what one was told.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Inboxes, Told};

/// Asks what the caller was told, newest first.
#[derive(Debug, Clone)]
pub struct GetUserNotifications {
    /// Only what they haven't read.
    pub unread: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: Limit,
}

impl Query for GetUserNotifications {
    const NAME: &'static str = "notification.get-user-notifications";
    const VIEWS: &'static [&'static str] = &["inbox"];
    type Answer = Page<ShownNotification>;
}

/// A notification as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownNotification {
    /// Its id.
    pub id: Uuid,
    /// What it is about: `message`, `mention`, `added-to-group`, `new-sign-in`, or what an application calls it.
    pub kind: String,
    /// In a few words.
    pub title: String,
    /// In more words.
    pub body: String,
    /// Where it leads.
    pub link: Option<String>,
    /// Whose doing it is.
    pub actor_id: Option<Uuid>,
    /// The conversation that it comes from.
    pub conversation_id: Option<Uuid>,
    /// The message that it comes from.
    pub message_id: Option<Uuid>,
    /// Whether it was read.
    pub read: bool,
    /// When it was read.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
    /// When they were told.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<Told> for ShownNotification {
    fn from(told: Told) -> Self {
        Self {
            id: told.id,
            kind: told.kind,
            title: told.title,
            body: told.body,
            link: told.link,
            actor_id: told.actor,
            conversation_id: told.conversation,
            message_id: told.message,
            read: told.read_at.is_some(),
            read_at: told.read_at,
            created_at: told.created_at,
        }
    }
}

/// Answers [`GetUserNotifications`].
pub struct GetUserNotificationsHandler {
    /// Where it looks.
    pub inboxes: Inboxes,
    /// Makes and reads its cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<GetUserNotifications> for GetUserNotificationsHandler {
    async fn handle(
        &self,
        cx: &Context,
        query: GetUserNotifications,
    ) -> Result<Page<ShownNotification>, Failure> {
        let me = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        let scope = format!("notifications:{me}");
        let before: Option<u64> =
            query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let found = self.inboxes.page(me, query.unread, before, query.limit.and_one()).await?;
        let next = match found.get(query.limit.get().saturating_sub(1)) {
            Some(last) if found.len() > query.limit.get() => Some(self.cursors.encode(&scope, &last.place)?),
            _ => None,
        };
        let items = found.into_iter().take(query.limit.get()).map(ShownNotification::from).collect();
        Ok(Page { items, next_cursor: next })
    }
}

/// What one's notifications can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NotificationsParams {
    /// `true` for what hasn't been read only.
    #[serde(default)]
    unread: bool,
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// What one was told, newest first.
#[utoipa::path(
    get, path = "/v1/notifications", tag = "notifications",
    params(NotificationsParams),
    responses(
        (status = 200, description = "The notifications.", body = Page<ShownNotification>),
        (status = 403, description = "The caller is no user."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_user_notifications(
    State(edge): State<Edge>,
    ask: Asking<NotificationsParams>,
) -> Answer {
    let NotificationsParams { unread, limit, cursor } = ask.params;
    edge.query(ask.cx, GetUserNotifications { unread, cursor, limit }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_contracts::chat::ConversationKind::Direct;

    use crate::testing::{ANN, BOB, World, direct};

    #[tokio::test]
    async fn pages_go_from_the_newest_to_the_oldest() {
        let world = World::with_three_in(Direct).await;
        for id in 1..=7_u128 {
            world.chat_says(&direct(id, ANN, &id.to_string())).await;
        }
        let limit = Limit::new(3).expect("allowed");
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let page =
                world.ask(BOB, GetUserNotifications { unread: false, cursor, limit }).await.expect("a page");
            seen.extend(page.items.into_iter().map(|told| told.body));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["7", "6", "5", "4", "3", "2", "1"]);
    }

    #[tokio::test]
    async fn a_cursor_belongs_to_its_reader() {
        let world = World::with_three_in(Direct).await;
        for id in 1..=2 {
            world.chat_says(&direct(id, ANN, "hello")).await;
        }
        let page = world.page(BOB, false, 1).await;
        let stolen =
            GetUserNotifications { unread: false, cursor: page.next_cursor, limit: Limit::default() };
        assert!(world.ask(ANN, stolen).await.is_err());
    }
}
