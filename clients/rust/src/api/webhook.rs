//! Events sent to an address of one's own, for administrators and applications.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Call, List, Parlor};

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Webhook {
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
    pub state: WebhookState,
    /// How often the event that it stands at was tried without success.
    pub tries: u32,
    /// When that was tried first.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_try_at: Option<Timestamp>,
    /// What is wrong, if something is.
    pub problem: Option<String>,
    /// Where it has come to, for [`Parlor::replay_webhook`].
    pub cursor: String,
    /// How many events, wanted or not, it has before it.
    pub lag: u64,
    /// Since when it exists.
    pub created_at: Timestamp,
}

/// Whether anything is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WebhookState {
    /// It is.
    Active,
    /// An event couldn't be delivered for too long; it waits to be told to go on.
    Parked,
    /// The address said that it wants no more.
    Gone,
    /// It is switched off.
    Disabled,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// A webhook's secret, which isn't shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct WebhookMade {
    /// Its id.
    pub id: Uuid,
    /// What signatures are made with (Standard Webhooks): `whsec_` and base64.
    pub secret: String,
}

impl std::fmt::Debug for WebhookMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookMade").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewWebhook {
    url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl NewWebhook {
    /// That sends all events to this https address.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), events: Vec::new(), description: None }
    }

    /// Only these events, as `chat.message-sent`.
    #[must_use]
    pub fn events<E: Into<String>>(self, events: impl IntoIterator<Item = E>) -> Self {
        Self { events: events.into_iter().map(Into::into).collect(), ..self }
    }

    /// What it is for.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..self }
    }
}

/// What is to change of a webhook: what isn't named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
}

impl WebhookChange {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to.
    #[must_use]
    pub fn url(self, url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..self }
    }

    /// Which events; all of them if there is none.
    #[must_use]
    pub fn events<E: Into<String>>(self, events: impl IntoIterator<Item = E>) -> Self {
        Self { events: Some(events.into_iter().map(Into::into).collect()), ..self }
    }

    /// What it is for.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..self }
    }

    /// Whether events are sent; what happens while they aren't is sent afterwards.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled: Some(enabled), ..self }
    }
}

impl Parlor {
    /// What is sent where, oldest first.
    pub fn webhooks(&self) -> List<Webhook> {
        List::new(self.call(Method::GET, "/v1/webhooks"))
    }

    /// One webhook.
    pub fn webhook(&self, webhook: Uuid) -> Call<Webhook> {
        self.call(Method::GET, format!("/v1/webhooks/{webhook}"))
    }

    /// Has public events sent to an address from now on, one after the other, signed.
    pub fn create_webhook(&self, webhook: &NewWebhook) -> Call<WebhookMade> {
        self.call(Method::POST, "/v1/webhooks").body(webhook)
    }

    /// Changes a webhook.
    pub fn update_webhook(&self, webhook: Uuid, change: &WebhookChange) -> Call<Webhook> {
        self.call(Method::PATCH, format!("/v1/webhooks/{webhook}")).body(change)
    }

    /// Takes a webhook away.
    pub fn delete_webhook(&self, webhook: Uuid) -> Call<()> {
        self.call(Method::DELETE, format!("/v1/webhooks/{webhook}"))
    }

    /// Has a webhook begin at another place: `earliest`, its cursor, or any position. Everything behind it is sent, again or for
    /// the first time.
    pub fn replay_webhook(&self, webhook: Uuid, from: &str) -> Call<()> {
        self.call(Method::POST, format!("/v1/webhooks/{webhook}/replay")).body(&json!({"from": from}))
    }

    /// Has a webhook that is parked, or waits between two tries, go on at once.
    pub fn retry_webhook(&self, webhook: Uuid) -> Call<()> {
        self.call(Method::POST, format!("/v1/webhooks/{webhook}/retry"))
    }

    /// Gives a webhook a new secret. For 24 hours messages carry a signature by the one before as well.
    pub fn rotate_webhook_secret(&self, webhook: Uuid) -> Call<WebhookMade> {
        self.call(Method::POST, format!("/v1/webhooks/{webhook}/secret"))
    }
}
