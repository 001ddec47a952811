//! Webhooks: public events, sent to the addresses that administrators name.
//!
//! What is registered is a row beside the service's log ([`webhook`]), each use case a file; [`deliver`] sends. Why it is done
//! here and so: `docs/adr/0019-webhooks-and-web-push.md`.

pub mod administration;
pub mod catalogue;
pub mod create_webhook;
pub mod delete_webhook;
pub mod deliver;
pub mod get_webhooks;
pub mod message;
pub mod replay_webhook;
pub mod retry_webhook;
pub mod rotate_webhook_secret;
pub mod secret;
#[cfg(test)]
mod tests;
pub mod update_webhook;
pub mod webhook;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The name of an event that can be sent: `chat.message-sent`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventName(String);

/// Something that isn't among [`catalogue::EVENTS`].
#[derive(Debug, thiserror::Error)]
#[error("is no public event, as chat.message-sent is; docs/webhooks.md lists them")]
pub struct UnknownEvent;

impl TryFrom<String> for EventName {
    type Error = UnknownEvent;
    fn try_from(name: String) -> Result<Self, UnknownEvent> {
        if catalogue::EVENTS.contains(&name) { Ok(Self(name)) } else { Err(UnknownEvent) }
    }
}

impl From<EventName> for String {
    fn from(name: EventName) -> String {
        name.0
    }
}

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(catalogue::EVENTS.iter().cloned()))
            .into()
    }
}

impl ToSchema for EventName {}

/// The names, each once, in order.
fn sorted(names: Vec<EventName>) -> Vec<String> {
    let names: BTreeSet<EventName> = names.into_iter().collect();
    names.into_iter().map(String::from).collect()
}
