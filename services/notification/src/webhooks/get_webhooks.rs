//! `GET /v1/webhooks`, `GET /v1/webhooks/{id}`: what is sent where, and how that fares.
//!
//! Answered from the rows beside the log and from the places, and not from a view: how far a webhook has come is no event.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, NoParams, Page, PathId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::administration::Administration;
use super::webhook::{Standing, State, Webhook};

/// A webhook as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownWebhook {
    /// Its id.
    pub id: Uuid,
    /// Where to.
    pub url: String,
    /// Which events; all of them if none is named.
    pub events: Vec<String>,
    /// What it is for.
    pub description: String,
    /// Whether events are to be sent.
    pub enabled: bool,
    /// Whether they are.
    pub state: State,
    /// What is wrong, if something is.
    pub problem: Option<String>,
    /// How often the event that it stands at was tried without success.
    pub tries: u32,
    /// When that was tried first.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try_at: Option<Timestamp>,
    /// Where it has come to, for `replay`.
    pub cursor: String,
    /// How many events, wanted or not, it has before it.
    pub lag: u64,
    /// Since when it exists.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl ShownWebhook {
    pub(super) fn of(webhook: &Webhook, standing: &Standing, cursor: String, lag: u64) -> Self {
        let webhook = webhook.clone();
        Self {
            id: webhook.id,
            url: webhook.target.into(),
            events: webhook.events,
            description: webhook.description,
            enabled: webhook.enabled,
            state: if webhook.enabled { standing.state } else { State::Disabled },
            problem: standing.problem.clone(),
            tries: standing.tries,
            failing_since: standing.failing_since,
            next_try_at: standing.next_try,
            cursor,
            lag,
            created_at: webhook.created_at,
        }
    }
}

/// Asks for all webhooks, oldest first.
#[derive(Debug, Clone)]
pub struct GetWebhooks {
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: Limit,
}

impl Query for GetWebhooks {
    const NAME: &'static str = "notification.get-webhooks";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = Page<ShownWebhook>;
}

/// Asks for one of them.
#[derive(Debug, Clone, Copy)]
pub struct GetWebhook(pub Uuid);

impl Query for GetWebhook {
    const NAME: &'static str = "notification.get-webhook";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = VersionedWebhook;
}

/// A webhook with the version that its `ETag` names.
#[derive(Debug, Clone, Serialize)]
pub struct VersionedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: ShownWebhook,
    /// Its version.
    #[serde(skip)]
    pub version: u64,
}

/// What lists are called in their cursors.
const SCOPE: &str = "webhooks";

/// Answers questions about webhooks.
#[derive(Clone)]
pub struct GetWebhooksHandler {
    /// Where it looks.
    pub administration: Administration,
    /// Makes and reads its cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<GetWebhooks> for GetWebhooksHandler {
    async fn handle(&self, cx: &Context, query: GetWebhooks) -> Result<Page<ShownWebhook>, Failure> {
        Administration::admit(cx)?;
        let after = query.cursor.map(|cursor| self.cursors.decode(SCOPE, &cursor)).transpose()?;
        let administration = &self.administration;
        let mut found = administration.webhooks.page(after, query.limit.and_one() as u32).await?;
        let next = match found.get(query.limit.get() - 1) {
            Some(last) if found.len() > query.limit.get() => Some(self.cursors.encode(SCOPE, &last.id)?),
            _ => None,
        };
        found.truncate(query.limit.get());
        let mut items = Vec::with_capacity(found.len());
        for webhook in &found {
            items.push(administration.show(webhook).await?);
        }
        Ok(Page { items, next_cursor: next })
    }
}

#[async_trait]
impl QueryHandler<GetWebhook> for GetWebhooksHandler {
    async fn handle(&self, cx: &Context, GetWebhook(id): GetWebhook) -> Result<VersionedWebhook, Failure> {
        Administration::admit(cx)?;
        let found = self.administration.webhooks.existing(id).await?;
        let (version, webhook) = found.ok_or_else(|| Failure::not_found("there is no such webhook"))?;
        Ok(VersionedWebhook { webhook: self.administration.show(&webhook).await?, version })
    }
}

/// What the list can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WebhooksParams {
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// What is sent where, oldest first.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks",
    params(WebhooksParams),
    responses(
        (status = 200, description = "The webhooks.", body = Page<ShownWebhook>),
        (status = 403, description = "The caller is no administrator."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_webhooks(Routed(edge): Routed<Edge>, ask: Asking<WebhooksParams>) -> Answer {
    let WebhooksParams { limit, cursor } = ask.params;
    edge.query(ask.cx, GetWebhooks { cursor, limit }).await
}

/// One webhook, and how it fares.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses(
        (status = 200, description = "The webhook.", body = ShownWebhook,
         headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such webhook."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_webhook(
    Routed(edge): Routed<Edge>,
    PathId(webhook): PathId,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query_versioned(ask.cx, GetWebhook(webhook), |found| Some(found.version)).await
}
