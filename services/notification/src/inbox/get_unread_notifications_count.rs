//! `GET /v1/notifications/unread-count`: how much one hasn't read.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams};
use serde::Serialize;
use utoipa::ToSchema;

use super::Inboxes;

/// Asks how many notifications the caller hasn't read.
#[derive(Debug, Clone, Copy)]
pub struct GetUnreadNotificationsCount;

impl Query for GetUnreadNotificationsCount {
    const NAME: &'static str = "notification.get-unread-notifications-count";
    const VIEWS: &'static [&'static str] = &["inbox"];
    type Answer = UnreadCount;
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnreadCount {
    /// How many haven't been read.
    pub count: u64,
}

/// Answers [`GetUnreadNotificationsCount`].
pub struct GetUnreadNotificationsCountHandler(pub Inboxes);

#[async_trait]
impl QueryHandler<GetUnreadNotificationsCount> for GetUnreadNotificationsCountHandler {
    async fn handle(&self, cx: &Context, _: GetUnreadNotificationsCount) -> Result<UnreadCount, Failure> {
        let me = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        Ok(UnreadCount { count: self.0.unread_count(me).await? })
    }
}

/// How many notifications one hasn't read.
#[utoipa::path(
    get, path = "/v1/notifications/unread-count", tag = "notifications",
    responses(
        (status = 200, description = "How many.", body = UnreadCount),
        (status = 403, description = "The caller is no user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_unread_notifications_count(
    State(edge): State<Edge>,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query(ask.cx, GetUnreadNotificationsCount).await
}
