//! `GET /v1/notifications/push/subscriptions`: the browsers that one's notifications are pushed to.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Context, Failure, InstanceKey, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams, Page};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::subscription::PushSubscriptions;

/// Asks for the caller's browsers, oldest first; there are few.
#[derive(Debug, Clone, Copy)]
pub struct GetPushSubscriptions;

/// A browser as it is shown to its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownPushSubscription {
    /// Its id.
    pub id: Uuid,
    /// Its push service.
    pub service: String,
    /// Whether it was subscribed in the session that asks.
    pub current: bool,
    /// Since when.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl Query for GetPushSubscriptions {
    const NAME: &'static str = "notification.get-push-subscriptions";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = Page<ShownPushSubscription>;
}

/// Answers [`GetPushSubscriptions`].
pub struct GetPushSubscriptionsHandler {
    /// Who is pushed to.
    pub subscriptions: PushSubscriptions,
    /// Opens addresses.
    pub key: InstanceKey,
}

#[async_trait]
impl QueryHandler<GetPushSubscriptions> for GetPushSubscriptionsHandler {
    async fn handle(
        &self,
        cx: &Context,
        _: GetPushSubscriptions,
    ) -> Result<Page<ShownPushSubscription>, Failure> {
        let me = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        let found = self.subscriptions.of_user(me).await?;
        let items = found.into_iter().map(|subscription| ShownPushSubscription {
            id: subscription.id,
            service: subscription.address(&self.key).map_or_else(String::new, |at| at.endpoint.origin()),
            current: subscription.session.is_some() && subscription.session == cx.session,
            created_at: subscription.created_at,
        });
        Ok(Page { items: items.collect(), next_cursor: None })
    }
}

/// The browsers that one's notifications are pushed to, oldest first.
#[utoipa::path(
    get, path = "/v1/notifications/push/subscriptions", tag = "notifications",
    responses(
        (status = 200, description = "The browsers; at most 20, on one page.", body = Page<ShownPushSubscription>),
        (status = 403, description = "The caller is no user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_push_subscriptions(Routed(edge): Routed<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query(ask.cx, GetPushSubscriptions).await
}
