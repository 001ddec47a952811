//! `POST /v1/notifications/push/subscriptions`: somebody has their notifications pushed to a browser.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Decision, Executor, Failure, InstanceKey, Reply};
use cqrs_http::{Answer, Edge, Input};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::encryption::BrowserKeys;
use super::subscription::{Address, MAX_SUBSCRIPTIONS, PushSubscription, PushSubscriptions};
use crate::outbound::{Outbound, Target};

/// A browser, as its `PushSubscription.toJSON()` tells of it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeToPush {
    /// What its push service calls it.
    pub endpoint: Target,
    /// What messages are encrypted with.
    #[schema(value_type = PushKeys)]
    pub keys: BrowserKeys,
    /// Taken since browsers send it; when a subscription has ended, its push service says so.
    #[serde(default)]
    pub expiration_time: Option<f64>,
}

/// What messages are encrypted with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `BrowserKeys` reads")]
pub(crate) struct PushKeys {
    /// The browser's public key on P-256, uncompressed, in base64url.
    p256dh: String,
    /// Its authentication secret of 16 bytes, in base64url.
    auth: String,
}

/// Names a browser that is pushed to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PushSubscribed {
    /// The same each time for the same browser.
    pub id: Uuid,
}

impl Command for SubscribeToPush {
    const NAME: &'static str = "notification.subscribe-to-push";
}

/// Carries [`SubscribeToPush`] out.
pub struct SubscribeToPushHandler {
    /// Commits.
    pub executor: Executor,
    /// Who is pushed to.
    pub subscriptions: PushSubscriptions,
    /// Seals addresses.
    pub key: InstanceKey,
    /// Knows what may be reached.
    pub outbound: Outbound,
}

/// How often a race is looked at again.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<SubscribeToPush> for SubscribeToPushHandler {
    async fn handle(&self, cx: &Context, command: SubscribeToPush) -> Result<Reply, Failure> {
        let user = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        let SubscribeToPush { endpoint, keys, expiration_time: _ } = command;
        endpoint.check(self.outbound.networks()).map_err(|bad| Failure::invalid("/endpoint", bad))?;
        let address = Address { endpoint, keys };
        let since = (*self.executor.log().head().borrow(), cx.now);
        let mut new = PushSubscription::new(user, cx.session, &address, &self.key, since);
        let id = new.id;
        for _ in 0..TRIES {
            let found = self.subscriptions.load(id).await?;
            let version = found.as_ref().map_or(0, |(version, _)| *version);
            if let Some((_, old)) = found.filter(|(_, old)| old.user == user) {
                (new.since, new.created_at) = (old.since, old.created_at);
            }
            let mut decision = Decision::answering(move |_| PushSubscribed { id })
                .created()
                .row(self.subscriptions.write(&new, version));
            let mut others = self.subscriptions.of_user(user).await?;
            others.retain(|other| other.id != id);
            for oldest in others.iter().take((others.len() + 1).saturating_sub(MAX_SUBSCRIPTIONS)) {
                decision = decision.row(self.subscriptions.removal(oldest.id));
            }
            if let Some(reply) = self.executor.run_prepared(cx, decision).await? {
                return Ok(reply);
            }
        }
        Err(Failure::Contended)
    }
}

/// Has one's notifications pushed to a browser (Web Push).
///
/// The body is what `PushSubscription.toJSON()` gives in the browser. It ends with the session in which it was made.
#[utoipa::path(
    post, path = "/v1/notifications/push/subscriptions", tag = "notifications",
    request_body = SubscribeToPush,
    responses(
        (status = 201, description = "The browser is pushed to.", body = PushSubscribed),
        (status = 403, description = "The caller is no user."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn subscribe_to_push(Routed(edge): Routed<Edge>, input: Input<SubscribeToPush>) -> Answer {
    edge.command(input.cx, input.body).await
}
