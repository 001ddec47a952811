//! Events that were decoded lately. A dozen views and reactors take each event in: who comes first decodes it for the others.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use uuid::Uuid;

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
        Self(Cache::with_weighter((BYTES / EACH) as usize, BYTES, ByBytes))
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
