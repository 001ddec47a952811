//! What is sent of an event: a `CloudEvent` in JSON (CloudEvents 1.0.2, JSON event format), its attributes called and filled as
//! in the record that Kafka carries. What is sealed there is open here: a receiver has no keys.

use std::fmt;

use bytes::Bytes;
use cqrs_core::{Actor, CodecError, Keyring, Personal, RecordedEvent, decode_parts, derived_id};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// An event on its way to a receiver.
#[derive(Serialize)]
struct Message<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(with = "cqrs_http::time")]
    time: jiff::Timestamp,
    subject: Uuid,
    datacontenttype: &'static str,
    epoch: Uuid,
    position: String,
    actor: ActorText,
    correlation: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<Uuid>,
    data: &'a Value,
}

/// `kind` or `kind:id`, as in Kafka's records.
struct ActorText(Actor);

impl fmt::Display for ActorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Actor::Anonymous => f.write_str("anonymous"),
            Actor::System => f.write_str("system"),
            Actor::User(id) => write!(f, "user:{id}"),
            Actor::Service(id) => write!(f, "service:{id}"),
        }
    }
}

impl Serialize for ActorText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The body of the message that tells of `event` of `service`'s log, which has this epoch.
pub async fn body(
    service: &str,
    epoch: Uuid,
    event: &RecordedEvent,
    keyring: &Keyring,
) -> Result<Bytes, CodecError> {
    let opened =
        keyring.with_keys(|keys| decode_parts::<Opened>(&event.name, &event.data, event.id, keys)).await?;
    let message = Message {
        specversion: "1.0",
        id: event.id,
        source: format!("/parlor/{service}"),
        kind: format!("parlor.{service}.{}", event.name),
        time: event.at,
        subject: event.stream,
        datacontenttype: "application/json",
        epoch,
        position: event.position.to_string(),
        actor: ActorText(event.actor),
        correlation: event.correlation,
        causation: event.causation,
        data: &opened.data.0,
    };
    let json = serde_json::to_vec(&message).map_err(|error| CodecError::Undecodable {
        name: event.name.to_string(),
        schema: event.schema,
        detail: error.to_string(),
    })?;
    Ok(json.into())
}

/// The id of the message that tells `webhook` of `event`: the same however often it is sent.
pub fn message_id(webhook: Uuid, event: Uuid) -> String {
    format!(
        "msg_{}",
        derived_id("parlor webhook message v1", &[webhook.as_bytes(), event.as_bytes()]).simple()
    )
}

/// An event of any contract, of this version's or a later one's.
#[derive(Deserialize)]
struct Opened {
    data: Plain,
}

/// JSON in which every personal field is its bare value; null where its person was erased.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        open(&mut value).map_err(D::Error::custom)?;
        Ok(Self(value))
    }
}

/// Whether this is what [`Personal`] is written as.
fn is_personal(fields: &Map<String, Value>) -> bool {
    fields.len() == 2
        && fields.contains_key("of")
        && (fields.contains_key("sealed") || fields.contains_key("value"))
}

fn open(value: &mut Value) -> Result<(), serde_json::Error> {
    match value {
        Value::Object(fields) if is_personal(fields) => {
            let personal = Personal::<Value>::deserialize(value.take())?;
            *value = personal.into_inner().unwrap_or(Value::Null);
        }
        Value::Object(fields) => fields.values_mut().try_for_each(open)?,
        Value::Array(items) => items.iter_mut().try_for_each(open)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{Told, keyring};

    use super::*;
    use crate::testing::{ANN, ROOM, group};

    #[tokio::test]
    async fn a_message_is_a_cloud_event_whose_sealed_fields_are_open() {
        let keyring = keyring();
        let chat = Told::by("chat.public", keyring.clone());
        let told = chat.tell(&group(7, ANN, "hello")).await.expect("told");
        assert!(!String::from_utf8_lossy(&told.data).contains("hello"), "it is sealed on its way");
        let epoch = Uuid::from_u128(9);
        let body = body("chat", epoch, &told, &keyring).await.expect("a body");
        let message: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(message["specversion"], "1.0");
        assert_eq!(message["type"], "parlor.chat.message-sent.v1");
        assert_eq!(message["source"], "/parlor/chat");
        assert_eq!(message["id"], told.id.to_string());
        assert_eq!(message["position"], told.position.to_string());
        assert_eq!(message["data"]["content"], "hello");
        assert_eq!(message["data"]["title"], "Team");
        assert_eq!(message["data"]["conversationId"], ROOM.to_string());
        let mut described = message.as_object().expect("an object").clone();
        for named in ["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"] {
            described.remove(named).expect(named);
        }
        // CloudEvents: names of extensions are lower case letters and digits.
        assert!(described.keys().all(|name| name.chars().all(|c| c.is_ascii_lowercase())), "{described:?}");
    }

    #[test]
    fn a_message_has_one_id_for_each_webhook() {
        let (one, two, event) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        assert_eq!(message_id(one, event), message_id(one, event));
        assert_ne!(message_id(one, event), message_id(two, event));
        // The signed content is divided by full stops.
        assert!(!message_id(one, event).contains('.'));
    }
}
