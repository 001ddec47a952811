//! Events as Kafka's records: CloudEvents in binary mode.
//!
//! The value is the event's JSON as it is; what surrounds it stands in headers, by the Kafka protocol binding for CloudEvents
//! 1.0.2: `ce_` and the attribute's name. Attributes that the specification doesn't know are extensions, whose names are lower
//! case letters and digits.

use bytes::Bytes;
use cqrs_core::{Actor, PUBLIC, Position, RecordedEvent};
use jiff::Timestamp;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
use uuid::Uuid;

use crate::mark::{Mark, MarkRecord, Opening};

/// What a service's records are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// `NAMESPACE.SERVICE.`, before the name of each event.
    events: String,
    mark: String,
    opening: String,
    source: String,
}

/// Why a record isn't one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the header {0} is missing")]
    Missing(&'static str),
    #[error("the header {0} can't be read")]
    Unreadable(&'static str),
    #[error("the type {0:?} is none of ours")]
    Type(String),
    #[error("the value is no JSON: {0}")]
    Json(String),
    #[error("it is of the epoch {0}")]
    Epoch(Uuid),
    #[error("another event has its position {0}")]
    Contradicts(Position),
}

/// The parts of a record that matter here, wherever it comes from.
pub(crate) struct Raw<'a> {
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) value: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn of(message: &'a impl Message) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().filter_map(|header| Some((header.key, header.value?))).collect()
        });
        Self { headers, value: message.payload().unwrap_or_default() }
    }

    fn header(&self, name: &'static str) -> Result<&'a str, Malformed> {
        let found = self.headers.iter().find(|(key, _)| *key == name).ok_or(Malformed::Missing(name))?;
        std::str::from_utf8(found.1).map_err(|_| Malformed::Unreadable(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Malformed> {
        self.header(name)?.parse().map_err(|_| Malformed::Unreadable(name))
    }

    fn optional(&self, name: &'static str) -> Result<Option<Uuid>, Malformed> {
        match self.parsed(name) {
            Ok(id) => Ok(Some(id)),
            Err(Malformed::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Names {
    pub(crate) fn of(namespace: &str, service: &str) -> Self {
        Self {
            events: format!("{namespace}.{service}."),
            mark: format!("{namespace}.watermark.v1"),
            opening: format!("{namespace}.relay-opened.v1"),
            source: format!("/{namespace}/{service}"),
        }
    }

    /// The headers of an event of the log's `epoch`.
    pub(crate) fn headers(&self, event: &RecordedEvent, epoch: Uuid) -> OwnedHeaders {
        let mut headers = HeaderList::default();
        headers.add("ce_specversion", "1.0");
        headers.add("ce_id", event.id);
        headers.add("ce_source", &self.source);
        headers.add("ce_type", format_args!("{}{}", self.events, event.name));
        headers.add("ce_time", event.at);
        headers.add("ce_subject", event.stream);
        headers.add("ce_epoch", epoch);
        headers.add("ce_position", event.position);
        headers.add("ce_version", event.version);
        headers.add("ce_schema", event.schema);
        headers.add("ce_actor", ActorText(event.actor));
        headers.add("ce_correlation", event.correlation);
        if let Some(causation) = event.causation {
            headers.add("ce_causation", causation);
        }
        headers.add("content-type", "application/json");
        headers.build()
    }

    /// The event in a record of the log's `epoch`.
    pub(crate) fn event(&self, raw: &Raw<'_>, epoch: Uuid) -> Result<RecordedEvent, Malformed> {
        let of_type = raw.header("ce_type")?;
        let name = of_type
            .strip_prefix(&self.events)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Malformed::Type(of_type.to_owned()))?;
        if raw.header("ce_specversion")? != "1.0" {
            return Err(Malformed::Unreadable("ce_specversion"));
        }
        let said: Uuid = raw.parsed("ce_epoch")?;
        if said != epoch {
            return Err(Malformed::Epoch(said));
        }
        let position: u64 = raw.parsed("ce_position")?;
        if position == 0 || position > i64::MAX as u64 {
            return Err(Malformed::Unreadable("ce_position"));
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(raw.value)
            .map_err(|error| Malformed::Json(error.to_string()))?;
        Ok(RecordedEvent {
            position: Position(position),
            id: raw.parsed("ce_id")?,
            category: PUBLIC.into(),
            stream: raw.parsed("ce_subject")?,
            version: raw.parsed("ce_version")?,
            name: name.to_owned().into(),
            schema: raw.parsed("ce_schema")?,
            at: raw.parsed::<Timestamp>("ce_time")?,
            actor: actor(raw.header("ce_actor")?).ok_or(Malformed::Unreadable("ce_actor"))?,
            correlation: raw.parsed("ce_correlation")?,
            causation: raw.optional("ce_causation")?,
            data: Bytes::copy_from_slice(raw.value),
        })
    }

    /// The headers of a record of the watermarks' topic, numbered so that its id is unique.
    pub(crate) fn mark_headers(&self, record: &MarkRecord, id: Uuid, at: Timestamp) -> OwnedHeaders {
        let mut headers = HeaderList::default();
        headers.add("ce_specversion", "1.0");
        headers.add("ce_id", id);
        headers.add("ce_source", &self.source);
        headers
            .add("ce_type", if matches!(record, MarkRecord::Mark(_)) { &self.mark } else { &self.opening });
        headers.add("ce_time", at);
        headers.add("ce_epoch", record.epoch());
        headers.add("content-type", "application/json");
        headers.build()
    }

    /// What a record of the watermarks' topic says.
    pub(crate) fn mark(&self, raw: &Raw<'_>) -> Result<MarkRecord, Malformed> {
        let json = |error: serde_json::Error| Malformed::Json(error.to_string());
        let of_type = raw.header("ce_type")?;
        if of_type == self.mark {
            let mark: Mark = serde_json::from_slice(raw.value).map_err(json)?;
            Ok(MarkRecord::Mark(mark))
        } else if of_type == self.opening {
            let opening: Opening = serde_json::from_slice(raw.value).map_err(json)?;
            Ok(MarkRecord::Opening(opening))
        } else {
            Err(Malformed::Type(of_type.to_owned()))
        }
    }
}

/// The value of a record of the watermarks' topic, and its key.
pub(crate) fn mark_value(record: &MarkRecord) -> Result<(String, Vec<u8>), serde_json::Error> {
    Ok(match record {
        MarkRecord::Opening(opening) => (opening.key(), serde_json::to_vec(opening)?),
        MarkRecord::Mark(mark) => (mark.key(), serde_json::to_vec(mark)?),
    })
}

#[derive(Default)]
struct HeaderList(Vec<(&'static str, String)>);

impl HeaderList {
    fn add(&mut self, key: &'static str, value: impl std::fmt::Display) {
        self.0.push((key, value.to_string()));
    }

    fn build(&self) -> OwnedHeaders {
        let none = OwnedHeaders::new_with_capacity(self.0.len());
        self.0.iter().fold(none, |list, (key, value)| list.insert(Header { key, value: Some(value) }))
    }
}

/// An actor as `kind` or `kind:id`.
struct ActorText(Actor);

impl std::fmt::Display for ActorText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Actor::Anonymous => f.write_str("anonymous"),
            Actor::System => f.write_str("system"),
            Actor::User(id) => write!(f, "user:{id}"),
            Actor::Service(id) => write!(f, "service:{id}"),
        }
    }
}

fn actor(text: &str) -> Option<Actor> {
    Some(match text.split_once(':') {
        None if text == "anonymous" => Actor::Anonymous,
        None if text == "system" => Actor::System,
        Some(("user", id)) => Actor::User(id.parse().ok()?),
        Some(("service", id)) => Actor::Service(id.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use cqrs_core::derived_id;
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(3);

    fn names() -> Names {
        Names::of("parlor", "chat")
    }

    fn raw<'a>(headers: &'a [(String, Vec<u8>)], value: &'a [u8]) -> Raw<'a> {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        Raw { headers, value }
    }

    fn headers_of(event: &RecordedEvent) -> Vec<(String, Vec<u8>)> {
        let headers = names().headers(event, EPOCH);
        let owned = |header: Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default())
        };
        headers.as_borrowed().iter().map(owned).collect()
    }

    prop_compose! {
        fn events()(
            position in 1..=i64::MAX as u64,
            seed in any::<u64>(),
            version in any::<u64>(),
            schema in any::<u16>(),
            kind in 0_i16..4,
            millis in 0_i64..4_000_000_000_000,
            caused in any::<bool>(),
            text in ".*",
        ) -> RecordedEvent {
            let id = |name: &str| derived_id(name, &[&seed.to_be_bytes()]);
            RecordedEvent {
                position: Position(position),
                id: id("event"),
                category: PUBLIC.into(),
                stream: id("stream"),
                version,
                name: "message-sent.v1".into(),
                schema,
                at: Timestamp::from_millisecond(millis).unwrap(),
                actor: Actor::from_parts(kind, Some(id("actor"))),
                correlation: id("correlation"),
                causation: caused.then(|| id("causation")),
                data: serde_json::to_vec(&text).unwrap().into(),
            }
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_the_event_it_was_made_of(event in events()) {
            let headers = headers_of(&event);
            let read = names().event(&raw(&headers, &event.data), EPOCH);
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", Ok::<_, Malformed>(event)));
        }

        #[test]
        fn a_record_with_anything_changed_is_an_event_or_an_error(
            event in events(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<Vec<u8>>(), any::<bool>()), 1..4),
            value in any::<Vec<u8>>(),
        ) {
            let mut headers = headers_of(&event);
            for (which, bytes, remove) in changes {
                let which = which.index(headers.len());
                if remove { drop(headers.remove(which)) } else { headers[which].1 = bytes }
            }
            let _ = names().event(&raw(&headers, &value), EPOCH);
            let _ = names().mark(&raw(&headers, &value));
            let of_type = vec![("ce_type".to_owned(), b"parlor.watermark.v1".to_vec())];
            prop_assert!(names().mark(&raw(&of_type, &value)).is_err());
        }
    }

    #[test]
    fn a_record_is_a_cloud_event_in_binary_mode() {
        let event = RecordedEvent {
            position: Position(7),
            id: Uuid::from_u128(1),
            category: PUBLIC.into(),
            stream: Uuid::from_u128(2),
            version: 4,
            name: "message-sent.v1".into(),
            schema: 1,
            at: Timestamp::from_millisecond(1_767_268_800_123).unwrap(),
            actor: Actor::User(Uuid::from_u128(5)),
            correlation: Uuid::from_u128(6),
            causation: None,
            data: Bytes::from_static(b"{}"),
        };
        let said: Vec<String> = headers_of(&event)
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8(value).unwrap()))
            .collect();
        let id = |n: u32| format!("00000000-0000-0000-0000-{n:012}");
        let expected = [
            "ce_specversion: 1.0".to_owned(),
            format!("ce_id: {}", id(1)),
            "ce_source: /parlor/chat".to_owned(),
            "ce_type: parlor.chat.message-sent.v1".to_owned(),
            "ce_time: 2026-01-01T12:00:00.123Z".to_owned(),
            format!("ce_subject: {}", id(2)),
            format!("ce_epoch: {}", id(3)),
            "ce_position: 7".to_owned(),
            "ce_version: 4".to_owned(),
            "ce_schema: 1".to_owned(),
            format!("ce_actor: user:{}", id(5)),
            format!("ce_correlation: {}", id(6)),
            "content-type: application/json".to_owned(),
        ];
        assert_eq!(said, expected);
    }
}
