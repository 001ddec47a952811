//! `POST /v1/webhooks`: an administrator has public events sent to an address.
//! Records `webhook.created`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{
    BaseRepository as _, Command, CommandHandler, Context, Failure, QueryOptions, Refusal, RefusalKind, Reply,
};
use cqrs_http::{Answer, Edge, Input};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::administration::Administration;
use super::secret::SealedSecrets;
use super::webhook::{MAX_WEBHOOKS, Webhook};
use super::{EventName, sorted};
use crate::outbound::Target;
use crate::values::Description;

/// Has events sent to an address from now on.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateWebhook {
    /// Where to: an https address.
    pub url: Target,
    /// Which events, as `chat.message-sent`; all of them if none is named.
    #[serde(default)]
    pub events: Vec<EventName>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<Description>,
}

/// A webhook that was made, with its secret, which isn't shown again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookMade {
    /// Its id.
    pub id: Uuid,
    /// What signatures are made with: `whsec_` and base64.
    pub secret: String,
}

impl Command for CreateWebhook {
    const NAME: &'static str = "notification.create-webhook";
}

/// There are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there may be {MAX_WEBHOOKS} webhooks; delete one that isn't needed")]
pub struct TooManyWebhooks;

impl Refusal for TooManyWebhooks {
    fn code(&self) -> &'static str {
        "too-many-webhooks"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }
}

#[async_trait]
impl CommandHandler<CreateWebhook> for Administration {
    async fn handle(&self, cx: &Context, command: CreateWebhook) -> Result<Reply, Failure> {
        Self::admit(cx)?;
        self.check(&command.url)?;
        if self.webhooks.count(&QueryOptions::all().filter("deleted", false)).await? >= MAX_WEBHOOKS {
            // A repeat of the command that made the last one isn't refused.
            return self.executor.refused(cx, TooManyWebhooks.into()).await;
        }
        let (id, secret) = (cx.fresh_id(1), self.fresh_secret());
        let webhook = Webhook {
            id,
            target: command.url,
            events: sorted(command.events),
            description: command.description.map(String::from).unwrap_or_default(),
            enabled: true,
            secrets: SealedSecrets::new(id, &secret, &self.key),
            starts: self.starts(false)?,
            replays: 0,
            retries: 0,
            created_at: cx.now,
            deleted: false,
        };
        self.add(cx, &webhook, WebhookMade { id, secret: secret.text() }).await
    }
}

/// Has public events sent to an address.
///
/// From now on, one after the other, signed as Standard Webhooks says. The secret is shown this once.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks",
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "Events are sent.", body = WebhookMade),
        (status = 403, description = "The caller is no administrator."),
        (status = 409, description = "`too-many-webhooks`: there may be 100."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn create_webhook(Routed(edge): Routed<Edge>, input: Input<CreateWebhook>) -> Answer {
    edge.command(input.cx, input.body).await
}
