//! Brings a topic's partitions back into the log's one order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use cqrs_core::{Position, RecordedEvent};

use crate::mark::Cut;

/// Events in the log's order, and the position up to which there are no others.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    pub(crate) events: Vec<Arc<RecordedEvent>>,
    pub(crate) upto: Position,
}

/// Takes in partitions each in its own order, and hands events out once a watermark says that none is missing.
///
/// It relies on no order among partitions, nor even within one: only on what watermarks say. Events that come again are
/// dropped.
#[derive(Debug)]
pub(crate) struct Merge {
    /// By partition, the offset to be read next.
    next: Vec<i64>,
    waiting: BTreeMap<Position, Arc<RecordedEvent>>,
    cuts: VecDeque<Cut>,
    upto: Position,
}

impl Merge {
    /// Begins at a watermark; the partitions are read from its offsets on.
    pub(crate) fn at(cut: &Cut) -> Self {
        let next = cut.ends.to_vec();
        Self { next, waiting: BTreeMap::new(), cuts: VecDeque::new(), upto: cut.position }
    }

    /// By partition, the offset to be read next. There are as many as watermarks have named.
    pub(crate) fn next(&self) -> &[i64] {
        &self.next
    }

    /// The record at `offset` was read; `event` is what it holds, if it is one of the log's. Gives the event back if it is
    /// another than the one already read for its position.
    pub(crate) fn record(
        &mut self,
        partition: usize,
        offset: i64,
        event: Option<Arc<RecordedEvent>>,
    ) -> Result<(), Arc<RecordedEvent>> {
        if let Some(next) = self.next.get_mut(partition) {
            *next = (*next).max(offset + 1);
        }
        let Some(event) = event.filter(|event| event.position > self.upto) else { return Ok(()) };
        match self.waiting.get(&event.position) {
            Some(known) if known.id != event.id => Err(event),
            Some(_) => {
                metrics::counter!("cqrs_kafka_repeated_events_total").increment(1);
                Ok(())
            }
            None => {
                self.waiting.insert(event.position, event);
                Ok(())
            }
        }
    }

    /// A watermark was read.
    pub(crate) fn cut(&mut self, cut: Cut) {
        if self.next.len() < cut.ends.len() {
            self.next.resize(cut.ends.len(), 0);
        }
        self.cuts.push_back(cut);
    }

    /// What can be handed out now, if that is more than before.
    pub(crate) fn advance(&mut self) -> Option<Merged> {
        let mut upto = self.upto;
        while let Some(cut) = self.cuts.front() {
            if !self.next.iter().zip(cut.ends.iter()).all(|(next, end)| next >= end) {
                break;
            }
            upto = upto.max(cut.position);
            self.cuts.pop_front();
        }
        if upto == self.upto {
            return None;
        }
        self.upto = upto;
        let later = self.waiting.split_off(&Position(upto.0 + 1));
        let events = std::mem::replace(&mut self.waiting, later).into_values().collect();
        Some(Merged { events, upto })
    }
}
