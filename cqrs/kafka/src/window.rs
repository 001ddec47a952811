//! The newest events in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use cqrs_core::{Batch, Position, RecordedEvent};

use crate::merge::Merged;

/// All events after `floor` and up to `upto`.
#[derive(Debug)]
pub(crate) struct Window {
    events: VecDeque<Arc<RecordedEvent>>,
    weight: usize,
    limit: usize,
    floor: Position,
    upto: Position,
}

impl Window {
    /// Nothing, to hold about `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { events: VecDeque::new(), weight: 0, limit, floor: Position(0), upto: Position(0) }
    }

    /// Begins anew behind `position`.
    pub(crate) fn restart(&mut self, position: Position) {
        *self = Self { floor: position, upto: position, ..Self::new(self.limit) };
    }

    pub(crate) fn push(&mut self, merged: Merged) {
        for event in merged.events {
            self.weight += event.weight();
            self.events.push_back(event);
        }
        self.upto = merged.upto;
        while self.weight > self.limit
            && let Some(oldest) = self.events.pop_front()
        {
            self.weight -= oldest.weight();
            self.floor = oldest.position;
        }
    }

    /// Up to `limit` events after `after`, if none of them has been let go of.
    pub(crate) fn read(&self, after: Position, limit: usize) -> Option<Batch> {
        if after < self.floor {
            return None;
        }
        let skip = self.events.partition_point(|event| event.position <= after);
        Some(batch(self.events.range(skip..), after, limit, self.upto))
    }
}

/// The first `limit` of `events`, which are all there are after `after` and up to `upto`.
pub(crate) fn batch<'a>(
    events: impl Iterator<Item = &'a Arc<RecordedEvent>>,
    after: Position,
    limit: usize,
    upto: Position,
) -> Batch {
    let mut events = events.cloned();
    let taken: Vec<_> = events.by_ref().take(limit.max(1)).collect();
    let upto = match (taken.last(), events.next()) {
        (Some(last), Some(_)) => last.position,
        _ => upto.max(after),
    };
    Batch { events: taken, upto }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::Told;

    use super::*;

    #[test]
    fn what_was_let_go_of_is_not_passed_over() {
        let _ = Told::by("x.public", cqrs_core::testing::keyring());
        let mut window = Window::new(1);
        window.restart(Position(7));
        assert!(window.read(Position(6), 10).is_none());
        let batch = window.read(Position(9), 10).unwrap();
        assert_eq!((batch.events.len(), batch.upto), (0, Position(9)), "it never goes back");
    }
}
