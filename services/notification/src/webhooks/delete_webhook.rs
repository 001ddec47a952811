//! `DELETE /v1/webhooks/{id}`: an administrator has nothing more sent to an address.
//! Records `webhook.deleted`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use super::administration::{Administration, Change};
use super::webhook::{Webhook, WebhookEvent};

/// Deletes a webhook.
#[derive(Debug, Clone, Copy)]
pub struct DeleteWebhook(pub Uuid);

impl Command for DeleteWebhook {
    const NAME: &'static str = "notification.delete-webhook";
}

#[async_trait]
impl CommandHandler<DeleteWebhook> for Administration {
    async fn handle(&self, cx: &Context, DeleteWebhook(id): DeleteWebhook) -> Result<Reply, Failure> {
        let deleted = |old: &Webhook| {
            let new = Webhook { deleted: true, enabled: false, ..old.clone() };
            Change(Some((new, WebhookEvent::Deleted {})))
        };
        self.change(cx, id, deleted, |_| ()).await
    }
}

/// Deletes a webhook: nothing is sent to it any more.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
        (status = 412, description = "`If-Match` named another version."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn delete_webhook(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, DeleteWebhook(webhook)).await
}
