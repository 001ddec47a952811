//! Watermarks: what a relay says of how far it has come, and where in the partitions that is.
//!
//! They go to a topic of their own with one partition, compacted, beside that of the events. The first record of a relay
//! opens its session, whose number is that record's offset: greater than that of every session before it, whoever else writes
//! at the same time. The others each say: every event of the log up to `position` stands in front of `ends`, and every event
//! after it (once more, if it did before) behind. The first half lets consumers go on; the second lets them begin there.
//! A record of a session that isn't the newest says nothing: it is of a relay that was held up and doesn't know that another
//! has taken its place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cqrs_core::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many positions one watermark is kept for in the long run. What a reader starts at is at most so far away.
pub(crate) const SPACING: u64 = 1024;

/// What is known of another log: its events up to `position` have been turned into events of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upstream {
    pub(crate) log: String,
    pub(crate) epoch: Uuid,
    pub(crate) position: Position,
}

/// How far a relay has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The log's epoch.
    pub(crate) epoch: Uuid,
    /// The offset of the record that opened the relay's session.
    pub(crate) session: i64,
    /// All events of the log up to this have been published.
    pub(crate) position: Position,
    /// The id of the log's event at that position, by which a log that went on from an older copy of itself is told; older
    /// relays didn't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Uuid>,
    /// By partition, the offset behind the last of them.
    pub(crate) ends: Vec<i64>,
    /// What that covers of other logs.
    #[serde(default)]
    pub(crate) upstream: Vec<Upstream>,
}

impl Mark {
    /// Compaction keeps one watermark per session and [`SPACING`].
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.session, self.position.0 / SPACING)
    }
}

/// What opens a relay's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// The log's epoch.
    pub(crate) epoch: Uuid,
}

impl Opening {
    /// Compaction keeps the newest.
    pub(crate) fn key(&self) -> String {
        format!("relay/{}", self.epoch)
    }
}

/// A record of the watermarks' topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MarkRecord {
    Opening(Opening),
    Mark(Mark),
}

impl MarkRecord {
    pub(crate) fn epoch(&self) -> Uuid {
        match self {
            Self::Opening(opening) => opening.epoch,
            Self::Mark(mark) => mark.epoch,
        }
    }
}

/// A place in the events' topic: everything up to `position` stands in front of `ends`, everything else behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) position: Position,
    pub(crate) ends: Arc<[i64]>,
}

impl Cut {
    /// Before everything.
    pub(crate) fn start() -> Self {
        Self { position: Position(0), ends: Arc::default() }
    }

    /// The offset in a partition; 0 in one that came later.
    pub(crate) fn end(&self, partition: usize) -> i64 {
        self.ends.get(partition).copied().unwrap_or(0)
    }
}

/// What a record of the watermarks' topic meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The relay has come further.
    Further(Mark),
    /// Nothing new.
    Nothing,
    /// It is of a session that is over, or behind what was said before: of a relay that doesn't know it was relieved, or the
    /// topics were made anew.
    Past(i64),
    /// It is of another log, or of this one before it was restored or after.
    OtherEpoch(Uuid),
}

/// The watermarks read so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Marks {
    /// That of the first watermark.
    epoch: Option<Uuid>,
    /// By epoch, the newest session.
    sessions: HashMap<Uuid, i64>,
    newest: Option<Mark>,
    /// The newest of each [`SPACING`].
    cuts: BTreeMap<u64, Cut>,
}

impl Marks {
    /// Takes in the record at `offset`; they come in order.
    pub(crate) fn take(&mut self, offset: i64, record: MarkRecord) -> Taken {
        let (epoch, session) = match &record {
            MarkRecord::Opening(opening) => (opening.epoch, offset),
            MarkRecord::Mark(mark) => (mark.epoch, mark.session),
        };
        if self.epoch.is_some_and(|known| known != epoch) {
            return Taken::OtherEpoch(epoch);
        }
        let newest = self.sessions.entry(epoch).or_insert(session);
        if session < *newest {
            return Taken::Past(session);
        }
        *newest = session;
        let MarkRecord::Mark(mark) = record else { return Taken::Nothing };
        self.epoch = Some(epoch);
        if self.newest.as_ref().is_some_and(|newest| mark.position < newest.position) {
            return Taken::Past(session);
        }
        let cut = Cut { position: mark.position, ends: mark.ends.as_slice().into() };
        self.cuts.insert(mark.position.0 / SPACING, cut);
        self.newest = Some(mark.clone());
        Taken::Further(mark)
    }

    /// The log's epoch, once a watermark said it.
    pub(crate) fn epoch(&self) -> Option<Uuid> {
        self.epoch
    }

    /// The newest watermark.
    pub(crate) fn newest(&self) -> Option<&Mark> {
        self.newest.as_ref()
    }

    /// The last known place that isn't behind `position`.
    pub(crate) fn before(&self, position: Position) -> Cut {
        let found = self.cuts.range(..=position.0 / SPACING).rev().map(|(_, cut)| cut);
        found.into_iter().find(|cut| cut.position <= position).cloned().unwrap_or_else(Cut::start)
    }

    /// A place behind `position`: the farthest that is at most `reach` from it, or the next there is.
    pub(crate) fn after(&self, position: Position, reach: u64) -> Option<Cut> {
        let limit = position.0.saturating_add(reach);
        let mut behind =
            self.cuts.range(position.0 / SPACING..).map(|(_, cut)| cut).filter(|cut| cut.position > position);
        let first = behind.next()?;
        let farthest = behind.take_while(|cut| cut.position.0 <= limit).last();
        Some(farthest.unwrap_or(first).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(1);

    fn mark(session: i64, position: u64) -> MarkRecord {
        let position = Position(position);
        let ends = vec![position.0 as i64, session];
        MarkRecord::Mark(Mark { epoch: EPOCH, session, position, last: None, ends, upstream: Vec::new() })
    }

    fn opening(epoch: Uuid) -> MarkRecord {
        MarkRecord::Opening(Opening { epoch })
    }

    #[test]
    fn a_relay_that_was_held_up_says_nothing_any_more_when_another_has_begun() {
        let mut marks = Marks::default();
        assert_eq!(marks.take(0, opening(EPOCH)), Taken::Nothing);
        assert!(matches!(marks.take(1, mark(0, 10)), Taken::Further(_)));
        marks.take(2, opening(EPOCH));
        assert_eq!(marks.take(3, mark(0, 20)), Taken::Past(0));
        assert!(matches!(marks.take(4, mark(2, 11)), Taken::Further(_)));
        assert_eq!(marks.take(5, mark(2, 10)), Taken::Past(2), "nor does one that is behind");
        assert_eq!(marks.newest().unwrap().position, Position(11));
    }

    #[test]
    fn a_watermark_of_an_older_relay_is_read_without_the_id_that_it_lacks() {
        let older = format!(r#"{{"epoch":"{EPOCH}","session":0,"position":7,"ends":[3]}}"#);
        let read: Mark = serde_json::from_str(&older).unwrap();
        assert_eq!((read.position, read.last), (Position(7), None));
        let newer = Mark { last: Some(Uuid::from_u128(9)), ..read };
        let written = serde_json::to_string(&newer).unwrap();
        assert_eq!(serde_json::from_str::<Mark>(&written).unwrap(), newer);
    }

    #[test]
    fn the_first_watermark_says_whose_topic_it_is_and_others_are_told_apart() {
        let other = Uuid::from_u128(2);
        let mut marks = Marks::default();
        marks.take(0, opening(EPOCH));
        marks.take(1, opening(other));
        assert!(
            matches!(marks.take(2, mark(0, 1)), Taken::Further(_)),
            "another epoch's opening is none of ours"
        );
        assert_eq!(marks.take(3, opening(other)), Taken::OtherEpoch(other));
        assert_eq!(marks.epoch(), Some(EPOCH));
    }

    #[test]
    fn a_reader_begins_at_the_last_place_before_and_reads_to_one_within_reach() {
        let mut marks = Marks::default();
        for position in [5, 1000, 1500, 5000, 5001, 6000] {
            marks.take(0, mark(0, position));
        }
        let before = |position| marks.before(Position(position)).position.0;
        assert_eq!([0, 999, 1000, 1499, 1500, 7000].map(before), [0, 0, 1000, 1000, 1500, 6000]);
        let after = |position, reach| marks.after(Position(position), reach).map(|cut| cut.position.0);
        assert_eq!(after(0, 2000), Some(1500));
        assert_eq!(after(1000, 1), Some(1500), "the next there is, however far");
        assert_eq!(after(1500, 3600), Some(5001), "within one spacing the newest is kept");
        assert_eq!(after(6000, 100), None);
    }
}
