//! `GET /v1/notifications/push/key`: what a browser binds its subscription to.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::vapid::Vapid;

/// Asks for the public key.
#[derive(Debug, Clone, Copy)]
pub struct GetPushKey;

/// The key by which push services know this instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushKey {
    /// For `applicationServerKey`: a public key on P-256, uncompressed, in base64url.
    pub public_key: String,
}

impl Query for GetPushKey {
    const NAME: &'static str = "notification.get-push-key";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = PushKey;
}

/// Answers [`GetPushKey`].
pub struct GetPushKeyHandler(pub Arc<Vapid>);

#[async_trait]
impl QueryHandler<GetPushKey> for GetPushKeyHandler {
    async fn handle(&self, cx: &Context, _: GetPushKey) -> Result<PushKey, Failure> {
        cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        Ok(PushKey { public_key: self.0.public_key().to_owned() })
    }
}

/// The key for `PushManager.subscribe`.
#[utoipa::path(
    get, path = "/v1/notifications/push/key", tag = "notifications",
    responses(
        (status = 200, description = "The key.", body = PushKey),
        (status = 403, description = "The caller is no user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_push_key(Routed(edge): Routed<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query(ask.cx, GetPushKey).await
}
