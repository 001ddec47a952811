//! `POST /v1/webhooks/{id}/replay`: an administrator has events sent again.
//! Records `webhook.replayed`; not public.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Failure, Plain, Reply};
use cqrs_http::{Answer, Edge, Input, PathId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::administration::{Administration, Change};
use super::catalogue::SOURCES;
use super::webhook::{Start, Starts, Webhook, WebhookEvent};

/// The word for the beginning of every log.
const EARLIEST: &str = "earliest";

/// Where a webhook is to begin.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplayWebhookBody {
    /// `earliest`, or a cursor: that of the webhook, or the `Parlor-Position` of a delivery or of any answer of the API.
    /// What it names is behind it; in a log that it doesn't name, nothing is sent again.
    #[schema(example = "earliest", max_length = 1024)]
    pub from: String,
}

/// Has a webhook begin at another place.
#[derive(Debug, Clone)]
pub struct ReplayWebhook {
    /// Which.
    pub webhook: Uuid,
    /// From where.
    pub body: ReplayWebhookBody,
}

impl Command for ReplayWebhook {
    const NAME: &'static str = "notification.replay-webhook";
}

impl Administration {
    /// The places that a cursor names; the logs' present ends and beginnings are `now` and `earliest`.
    fn named(&self, from: &str) -> Result<Starts, Failure> {
        if from == EARLIEST {
            return self.starts(true);
        }
        let bad = |_| Failure::invalid("/from", "must be \"earliest\" or a cursor that Parlor gave out");
        let cursor = self.tokens.decode_positions(from).map_err(bad)?;
        let now = self.starts(false)?;
        let mut named = Starts::new();
        for (log, epoch, position) in cursor.iter() {
            let Some(head) = now.get(log) else { continue };
            if head.epoch != epoch {
                return Err(Failure::EpochChanged);
            }
            // Nobody is sent to the future, where events would be passed over.
            named.insert(log.to_owned(), Start { epoch, position: position.0.min(head.position) });
        }
        if named.is_empty() {
            return Err(Failure::invalid("/from", "names no log that webhooks follow"));
        }
        Ok(named)
    }

    /// Where a webhook has come to.
    async fn present(&self, webhook: &Webhook) -> Result<Starts, Failure> {
        let mut places = webhook.starts.clone();
        for (source, log) in SOURCES {
            if let Some(place) = self.places.load(&webhook.consumer(), source).await? {
                places.insert(log.to_owned(), Start { epoch: place.epoch, position: place.position.0 });
            }
        }
        Ok(places)
    }
}

#[async_trait]
impl CommandHandler<ReplayWebhook> for Administration {
    async fn handle(&self, cx: &Context, command: ReplayWebhook) -> Result<Reply, Failure> {
        Self::admit(cx)?;
        let named = self.named(&command.body.from)?;
        let Some((_, webhook)) = self.webhooks.existing(command.webhook).await? else {
            return Err(Failure::not_found("there is no such webhook"));
        };
        let present = self.present(&webhook).await?;
        let replayed = |old: &Webhook| {
            let mut starts = present.clone();
            starts.extend(named.clone());
            let from = named.iter().map(|(log, start)| (Plain(log.clone()), start.position)).collect();
            let (replays, retries) = (old.replays + 1, old.retries + 1);
            let new = Webhook { starts, replays, retries, ..old.clone() };
            Change(Some((new, WebhookEvent::Replayed { from })))
        };
        self.change(cx, command.webhook, replayed, |_| ()).await
    }
}

/// Has a webhook begin at another place: everything behind it is sent, again or for the first time.
///
/// Messages keep their ids, so that a receiver can tell what it had before. One that is parked goes on.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/replay", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    request_body = ReplayWebhookBody,
    responses(
        (status = 204, description = "It begins there."),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
        (status = 410, description = "`epoch-changed`: the cursor is of a log that was restored since."),
        (status = 412, description = "`If-Match` named another version."),
        (status = 422, description = "The cursor isn't one."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn replay_webhook(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    input: Input<ReplayWebhookBody>,
) -> Answer {
    edge.command(input.cx, ReplayWebhook { webhook, body: input.body }).await
}
