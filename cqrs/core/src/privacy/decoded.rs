//! Events that were decoded lately. A dozen views and reactors take each event in: who comes first decodes it for the others.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

use super::lately::of_lately;
use crate::event::{Event, RecordedEvent};

/// How many bytes of events stay at hand, about.
const BYTES: u64 = 8 << 20;
/// About how many bytes an event has.
const EACH: u64 = 1024;

/// An event as it is stored, and what that was decoded into.
#[derive(Clone)]
struct Decoded {
    data: Bytes,
    schema: u16,
    event: Arc<dyn Any + Send + Sync>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Uuid, Decoded> for ByBytes {
    fn weight(&self, _: &Uuid, decoded: &Decoded) -> u64 {
        // What is decoded holds about what is stored; the map's entry and the allocator's come on top.
        (2 * decoded.data.len() + 256) as u64
    }
}

/// Decoded events, by their ids.
pub(super) struct DecodedEvents(Cache<Uuid, Decoded, ByBytes>);

impl DecodedEvents {
    pub(super) fn new() -> Self {
        Self(of_lately(BYTES, EACH, ByBytes))
    }

    /// What an event was decoded into, if it is at hand: to the letter the same one, as the same type.
    pub(super) fn get<E: Event>(&self, recorded: &RecordedEvent) -> Option<E> {
        let found = self.0.get(&recorded.id)?;
        let same = found.schema == recorded.schema && found.data == recorded.data;
        found.event.downcast_ref::<E>().filter(|_| same).cloned()
    }

    /// Keeps what an event was decoded into.
    pub(super) fn keep<E: Event>(&self, recorded: &RecordedEvent, event: &E) {
        let (data, schema) = (recorded.data.clone(), recorded.schema);
        self.0.insert(recorded.id, Decoded { data, schema, event: Arc::new(event.clone()) });
    }

    /// Forgets all of them: somebody's key is gone, and what is sealed with it must not be read any more.
    pub(super) fn forget(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::context::Actor;
    use crate::event::Position;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct Lit {
        times: u32,
    }
    impl Event for Lit {}

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
    struct PutOut {}
    impl Event for PutOut {}

    fn recorded(id: u128, schema: u16, data: &'static str) -> RecordedEvent {
        RecordedEvent {
            position: Position(1),
            id: Uuid::from_u128(id),
            category: "lamp".into(),
            stream: Uuid::nil(),
            version: 1,
            name: "lamp.lit".into(),
            schema,
            at: jiff::Timestamp::UNIX_EPOCH,
            actor: Actor::System,
            correlation: Uuid::nil(),
            causation: None,
            data: data.into(),
        }
    }

    #[test]
    fn only_the_same_event_is_at_hand_and_as_the_same_type() {
        let events = DecodedEvents::new();
        let lit = Lit { times: 3 };
        events.keep(&recorded(1, 1, "3"), &lit);
        assert_eq!(events.get::<Lit>(&recorded(1, 1, "3")), Some(lit));
        for (what, other) in [
            ("another event", recorded(2, 1, "3")),
            ("what another store has under its id", recorded(1, 1, "4")),
            ("another version of its data", recorded(1, 2, "3")),
        ] {
            assert_eq!(events.get::<Lit>(&other), None, "{what}");
        }
        assert_eq!(events.get::<PutOut>(&recorded(1, 1, "3")), None, "another type");
        events.forget();
        assert_eq!(events.get::<Lit>(&recorded(1, 1, "3")), None);
    }
}
