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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bytes::Bytes;
    use cqrs_core::{Actor, PUBLIC, derived_id};
    use jiff::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::partition::partition_of;

    fn event(position: u64) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
            position: Position(position),
            id: derived_id("test", &[&position.to_be_bytes()]),
            category: PUBLIC.into(),
            stream: Uuid::from_u128(u128::from(position * position % 13)),
            version: 1,
            name: "x".into(),
            schema: 1,
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::System,
            correlation: Uuid::nil(),
            causation: None,
            data: Bytes::new(),
        })
    }

    /// What a topic comes to hold.
    struct Topic {
        partitions: Vec<Vec<u64>>,
        cuts: Vec<Cut>,
    }

    /// Publishes positions up to `upto`, every third of which is of no public event, by relays that die now and then: what
    /// they hadn't said to be out comes again, and that in another order within a batch, as far as partitions go.
    fn publish(upto: u64, partitions: usize, batches: &[(u64, bool)]) -> Topic {
        let mut topic = Topic { partitions: vec![Vec::new(); partitions], cuts: Vec::new() };
        let (mut place, mut batches) = (0, batches.iter().cycle());
        while place < upto {
            let (size, dies) = *batches.next().expect("a cycle has no end");
            let last = (place + size).min(upto);
            for position in (place + 1..=last).filter(|position| !position.is_multiple_of(3)) {
                let key = event(position).stream.to_string();
                topic.partitions[partition_of(key.as_bytes(), partitions)].push(position);
            }
            if !dies {
                place = last;
                let ends = topic.partitions.iter().map(|partition| partition.len() as i64).collect();
                topic.cuts.push(Cut { position: Position(place), ends });
            }
        }
        topic
    }

    /// Reads a topic from a cut on, the partitions and the watermarks as fast as `pace` has it.
    fn read(topic: &Topic, from: &Cut, pace: &[usize]) -> Vec<u64> {
        let mut merge = Merge::at(from);
        let mut reading: Vec<usize> = from.ends.iter().map(|end| *end as usize).collect();
        let mut cuts = topic.cuts.iter().filter(|cut| cut.position > from.position);
        let (mut found, mut done, mut pace) = (Vec::new(), HashSet::new(), pace.iter().cycle());
        while done.len() <= topic.partitions.len() {
            let which = pace.next().expect("a cycle has no end") % (topic.partitions.len() + 1);
            match topic.partitions.get(which) {
                None => match cuts.next() {
                    Some(cut) => merge.cut(cut.clone()),
                    None => drop(done.insert(which)),
                },
                Some(partition) => match partition.get(reading[which]) {
                    Some(position) => {
                        let taken = merge.record(which, reading[which] as i64, Some(event(*position)));
                        assert!(taken.is_ok(), "an event contradicts itself");
                        reading[which] += 1;
                    }
                    None => drop(done.insert(which)),
                },
            }
            if let Some(merged) = merge.advance() {
                found.extend(merged.events.iter().map(|event| event.position.0));
                let beyond = found.last().is_some_and(|last| *last > merged.upto.0);
                assert!(!beyond, "an event behind the position said to be complete");
            }
        }
        found
    }

    proptest! {
        #[test]
        fn whatever_the_partitions_pace_and_the_relays_crashes_the_order_is_the_logs(
            upto in 1_u64..400,
            partitions in 1_usize..7,
            batches in proptest::collection::vec((1_u64..40, proptest::bool::weighted(0.3)), 1..12),
            pace in proptest::collection::vec(0_usize..7, 30..60),
            start in any::<proptest::sample::Index>(),
        ) {
            prop_assume!(batches.iter().any(|(_, dies)| !dies));
            prop_assume!((0..=partitions).all(|which| pace.iter().any(|n| n % (partitions + 1) == which)));
            let topic = publish(upto, partitions, &batches);
            let beginning = Cut { position: Position(0), ends: vec![0; partitions].into() };
            let begins = [vec![beginning], topic.cuts.clone()].concat();
            let from = start.get(&begins);
            let expected: Vec<u64> =
                (from.position.0 + 1..=upto).filter(|position| !position.is_multiple_of(3)).collect();
            prop_assert_eq!(read(&topic, from, &pace), expected);
        }
    }

    #[test]
    fn nothing_is_handed_out_before_every_partition_has_come_to_the_watermark() {
        let mut merge = Merge::at(&Cut { position: Position(0), ends: vec![0, 0].into() });
        merge.cut(Cut { position: Position(2), ends: vec![1, 1].into() });
        merge.record(0, 0, Some(event(2))).expect("it is the first");
        assert!(merge.advance().is_none());
        merge.record(1, 0, Some(event(1))).expect("it is the first");
        let merged = merge.advance().expect("both are there");
        assert_eq!(merged.events.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn another_event_at_a_known_position_is_given_back() {
        let mut merge = Merge::at(&Cut { position: Position(0), ends: vec![0].into() });
        merge.record(0, 0, Some(event(1))).expect("it is the first");
        let other = Arc::new(RecordedEvent { id: Uuid::from_u128(1), ..(*event(1)).clone() });
        assert!(merge.record(0, 1, Some(other)).is_err());
        assert!(merge.record(0, 2, Some(event(1))).is_ok(), "a repeat is no contradiction");
    }
}
