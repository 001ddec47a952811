//! `POST /v1/webhooks/{id}/secret`: an administrator gives a webhook a new secret.
//! Records `webhook.secret-rotated`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use super::administration::{Administration, Change};
use super::create_webhook::WebhookMade;
use super::webhook::{Webhook, WebhookEvent};

/// Gives a webhook a new secret; the old one signs beside it for a day.
#[derive(Debug, Clone, Copy)]
pub struct RotateWebhookSecret(pub Uuid);

impl Command for RotateWebhookSecret {
    const NAME: &'static str = "notification.rotate-webhook-secret";
}

#[async_trait]
impl CommandHandler<RotateWebhookSecret> for Administration {
    async fn handle(
        &self,
        cx: &Context,
        RotateWebhookSecret(id): RotateWebhookSecret,
    ) -> Result<Reply, Failure> {
        let secret = self.fresh_secret();
        let rotated = |old: &Webhook| {
            let secrets = old.secrets.clone().rotated(id, &secret, &self.key, cx.now);
            Change(Some((Webhook { secrets, ..old.clone() }, WebhookEvent::SecretRotated {})))
        };
        self.change(cx, id, rotated, |_| WebhookMade { id, secret: secret.text() }).await
    }
}

/// Gives a webhook a new secret.
///
/// For 24 hours messages carry two signatures, by the new secret and by the one before, so that a receiver can change over.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/secret", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses(
        (status = 200, description = "The new secret, which isn't shown again.", body = WebhookMade),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
        (status = 412, description = "`If-Match` named another version."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn rotate_webhook_secret(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, RotateWebhookSecret(webhook)).await
}
