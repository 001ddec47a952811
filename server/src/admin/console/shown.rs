//! Events as administrators see them: all of what happened, and nothing of what is somebody's own.

use cqrs_core::{Actor, RecordedEvent, public_id};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Object, ObjectBuilder, Type};
use uuid::Uuid;

/// What stands in place of what is hidden.
pub(super) const HIDDEN: &str = "•••";

/// Fields that are keyed hashes of secrets. Nobody learns a secret by them, and nobody needs to see them.
const OF_SECRETS: [&str; 2] = ["hash", "token"];

/// An event of a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedEvent {
    /// Its place in the log, a decimal number.
    position: String,
    /// Unique.
    id: Uuid,
    /// The id of what other services hear of it, if they do: what it causes there names this one.
    public_id: Uuid,
    /// What happened.
    #[serde(rename = "type")]
    kind: String,
    /// The version of its data.
    schema: u16,
    /// The kind of thing that it happened to.
    category: String,
    /// Which one.
    stream: Uuid,
    /// How many events it had by then.
    version: u64,
    /// When it was committed.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who caused it.
    actor: EventActor,
    /// Shared by all that one request set off.
    correlation: Uuid,
    /// The event that caused it, if one did.
    causation: Option<Uuid>,
    /// What it says. Personal fields, which are sealed, and hashes of secrets read `•••`.
    #[schema(schema_with = whatever_it_says)]
    data: Value,
    /// How many fields are hidden.
    hidden: u32,
}

/// Each type of event says something else.
fn whatever_it_says() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "What it says. Personal fields, which are sealed, and hashes of secrets read `•••`.",
        ))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Who issued a command.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventActor {
    /// `anonymous`, `system`, `user` or `service`.
    kind: &'static str,
    /// The user's id, or that of the application's key.
    id: Option<Uuid>,
}

impl From<Actor> for EventActor {
    fn from(actor: Actor) -> Self {
        let (kind, id) = match actor {
            Actor::Anonymous => ("anonymous", None),
            Actor::System => ("system", None),
            Actor::User(id) => ("user", Some(id)),
            Actor::Service(id) => ("service", Some(id)),
        };
        Self { kind, id }
    }
}

impl From<&RecordedEvent> for LoggedEvent {
    fn from(event: &RecordedEvent) -> Self {
        let mut hidden = 0;
        // What can't be read is hidden as a whole.
        let mut data = serde_json::from_slice(&event.data).unwrap_or_else(|_| {
            hidden += 1;
            Value::from(HIDDEN)
        });
        hidden += hide(&mut data);
        Self {
            position: event.position.to_string(),
            id: event.id,
            public_id: public_id(event.id),
            kind: event.name.clone().into_owned(),
            schema: event.schema,
            category: event.category.clone().into_owned(),
            stream: event.stream,
            version: event.version,
            at: event.at,
            actor: event.actor.into(),
            correlation: event.correlation,
            causation: event.causation,
            data,
            hidden,
        }
    }
}

/// Hides what is personal and what is made of secrets; how many fields that were.
fn hide(value: &mut Value) -> u32 {
    match value {
        Value::Object(fields) if is_personal(fields) => {
            *value = HIDDEN.into();
            1
        }
        Value::Object(fields) => fields
            .iter_mut()
            .map(|(name, field)| match field {
                Value::String(_) if OF_SECRETS.contains(&name.as_str()) => {
                    *field = HIDDEN.into();
                    1
                }
                field => hide(field),
            })
            .sum(),
        Value::Array(items) => items.iter_mut().map(hide).sum(),
        _ => 0,
    }
}

/// Whether this is a field as `cqrs_core::Personal` stores it: whom it is about, and what is sealed.
fn is_personal(fields: &serde_json::Map<String, Value>) -> bool {
    fields.len() == 2
        && fields.contains_key("of")
        && (fields.contains_key("sealed") || fields.contains_key("value"))
}

#[cfg(test)]
mod tests {
    use cqrs_core::Personal;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_personal_or_made_of_a_secret_is_hidden_however_deep_it_lies() {
        let person = Uuid::from_u128(7);
        let unsealed = serde_json::to_value(Personal::new(person, "Ann".to_owned())).unwrap();
        let mut data = json!({
            "user": person, "name": unsealed, "token": "a1b2", "role": "admin",
            "lines": [{ "text": { "of": person, "sealed": "AAEC" } }, { "count": 3 }],
        });
        assert_eq!(hide(&mut data), 3);
        assert_eq!(
            data,
            json!({
                "user": person, "name": "•••", "token": "•••", "role": "admin",
                "lines": [{ "text": "•••" }, { "count": 3 }],
            })
        );
    }
}
