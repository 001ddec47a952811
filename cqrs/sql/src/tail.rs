//! The log's newest events in memory, so that its followers needn't read back what was just written.

use std::collections::VecDeque;
use std::sync::Arc;

use cqrs_core::{Position, RecordedEvent};
use parking_lot::RwLock;

/// A run of events without gaps, ending with the newest one known.
pub(crate) struct Tail {
    inner: RwLock<Inner>,
    bytes: usize,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Arc<RecordedEvent>>,
    weight: usize,
}

impl Tail {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { inner: RwLock::default(), bytes }
    }

    /// Adds events just committed. If others' events lie in between, the run starts anew.
    pub(crate) fn push(&self, events: &[Arc<RecordedEvent>]) {
        let mut inner = self.inner.write();
        for event in events {
            if inner.events.back().is_some_and(|last| last.position.0 + 1 != event.position.0) {
                *inner = Inner::default();
            }
            inner.weight += event.weight();
            inner.events.push_back(event.clone());
        }
        while inner.weight > self.bytes {
            match inner.events.pop_front() {
                Some(oldest) => inner.weight -= oldest.weight(),
                None => break,
            }
        }
    }

    /// Up to `limit` events after `after`, if all of them are at hand.
    pub(crate) fn read(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let inner = self.inner.read();
        let first = inner.events.front()?.position.0;
        let skip = (after.0 + 1).checked_sub(first)? as usize;
        if skip >= inner.events.len() {
            return None;
        }
        Some(inner.events.range(skip..).take(limit).cloned().collect())
    }
}
