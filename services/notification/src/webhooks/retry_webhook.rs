//! `POST /v1/webhooks/{id}/retry`: an administrator has a parked webhook go on where it stood.
//! Records `webhook.retried`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use super::administration::{Administration, Change};
use super::webhook::{Webhook, WebhookEvent};

/// Has a webhook go on, at once, whatever it waits for.
#[derive(Debug, Clone, Copy)]
pub struct RetryWebhook(pub Uuid);

impl Command for RetryWebhook {
    const NAME: &'static str = "notification.retry-webhook";
}

#[async_trait]
impl CommandHandler<RetryWebhook> for Administration {
    async fn handle(&self, cx: &Context, RetryWebhook(id): RetryWebhook) -> Result<Reply, Failure> {
        let retried = |old: &Webhook| {
            let new = Webhook { retries: old.retries + 1, ..old.clone() };
            Change(Some((new, WebhookEvent::Retried {})))
        };
        self.change(cx, id, retried, |_| ()).await
    }
}

/// Has a webhook that is parked, or waits between two tries, go on at once.
///
/// It goes on with the event that couldn't be delivered: none is left out.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/retry", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses(
        (status = 204, description = "It goes on."),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
        (status = 412, description = "`If-Match` named another version."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn retry_webhook(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, RetryWebhook(webhook)).await
}
