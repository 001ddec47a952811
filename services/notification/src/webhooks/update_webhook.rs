//! `PATCH /v1/webhooks/{id}`: an administrator changes a webhook.
//! Records `webhook.updated`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Failure, Plain, Reply};
use cqrs_http::{Answer, Edge, Input, PathId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::administration::{Administration, Change};
use super::get_webhooks::ShownWebhook;
use super::webhook::{Webhook, WebhookEvent};
use super::{EventName, sorted};
use crate::outbound::Target;
use crate::values::Description;

/// What is to change; what is left out stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateWebhookBody {
    /// Where to.
    #[serde(default)]
    pub url: Option<Target>,
    /// Which events; all of them if the list is empty.
    #[serde(default)]
    pub events: Option<Vec<EventName>>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<Description>,
    /// Whether events are sent. What happens while they aren't is sent afterwards.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Changes a webhook.
#[derive(Debug, Clone)]
pub struct UpdateWebhook {
    /// Which.
    pub webhook: Uuid,
    /// What is to change.
    pub body: UpdateWebhookBody,
}

impl Command for UpdateWebhook {
    const NAME: &'static str = "notification.update-webhook";
}

fn updated(old: &Webhook, body: &UpdateWebhookBody) -> Change {
    let mut new = old.clone();
    if let Some(url) = &body.url {
        new.target = url.clone();
    }
    if let Some(events) = &body.events {
        new.events = sorted(events.clone());
    }
    if let Some(description) = &body.description {
        new.description = description.clone().into();
    }
    if let Some(enabled) = body.enabled {
        new.enabled = enabled;
    }
    if new == *old {
        return Change(None);
    }
    if new.target != old.target {
        // What went wrong with the old address says nothing about the new one.
        new.retries += 1;
    }
    let event = WebhookEvent::Updated {
        url: Plain(new.target.clone().into()),
        events: new.events.iter().cloned().map(Plain).collect(),
        enabled: new.enabled,
    };
    Change(Some((new, event)))
}

#[async_trait]
impl CommandHandler<UpdateWebhook> for Administration {
    async fn handle(&self, cx: &Context, command: UpdateWebhook) -> Result<Reply, Failure> {
        Self::admit(cx)?;
        if let Some(url) = &command.body.url {
            self.check(url)?;
        }
        self.change(cx, command.webhook, |old| updated(old, &command.body), |shown| shown).await
    }
}

/// Changes a webhook.
///
/// What is left out stays as it is. A new address has one that was parked go on.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    request_body = UpdateWebhookBody,
    responses(
        (status = 200, description = "As it is now.", body = ShownWebhook,
         headers(("ETag" = String, description = "Its new version, for `If-Match`."))),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
        (status = 412, description = "`If-Match` named another version."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn update_webhook(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    input: Input<UpdateWebhookBody>,
) -> Answer {
    edge.command(input.cx, UpdateWebhook { webhook, body: input.body }).await
}
