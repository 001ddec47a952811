//! What isn't in segments yet, in memory: each process that searches reads it once.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use parlor_text::Token;
use uuid::Uuid;

use super::postings::{Hit, SMALL};
use super::{bucket, tokens};

/// What an event said of a message.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// The event's position.
    pub(super) event: u64,
    /// The message's.
    pub(super) message: u64,
    /// Where.
    pub(super) conversation: Uuid,
    /// By whom.
    pub(super) sender: Uuid,
    /// The words.
    pub(super) content: String,
}

impl Said {
    /// Under which tokens the message is found.
    pub(super) fn indexed(&self) -> Indexed {
        let hit = Hit { position: self.message, bucket: bucket(self.conversation) };
        let tokens = tokens::of_message(self.conversation, self.sender, &self.content);
        Indexed { event: self.event, hit, tokens: tokens.into_iter().collect() }
    }
}

/// Under which tokens a message is found, as an event said it.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    /// The event's position.
    pub(super) event: u64,
    /// The message.
    pub(super) hit: Hit,
    /// Each once.
    pub(super) tokens: Vec<Token>,
}

/// The tokens of each event, by the segment in which the event is.
#[derive(Debug, Default)]
struct Kept {
    /// What is before this position is left out, for it is in segments.
    closed: u64,
    /// The last event that was read.
    upto: u64,
    /// How far the view was, at least, when it was read.
    read_at: u64,
    segments: BTreeMap<u64, HashMap<Token, Vec<Hit>>>,
}

/// What isn't in segments yet, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Kept>);

/// What was read is of another time than what others read: to be read anew.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfStep;

impl Open {
    /// The last event that was read, those after it are to be; and where the view was when there were none.
    pub(super) fn known(&self) -> (u64, u64) {
        let kept = self.0.lock();
        (kept.upto, kept.read_at)
    }

    /// All was read that the view had when it was at `place`.
    pub(super) fn read_at(&self, place: u64) {
        let mut kept = self.0.lock();
        kept.read_at = kept.read_at.max(place);
    }

    /// Takes in what was read after `since`, when what is before `closed` was in segments; then gives the messages, newest first,
    /// that have all of `wanted`, at positions before `before`.
    pub(super) fn find(
        &self,
        since: u64,
        closed: u64,
        read: &[Indexed],
        wanted: &[Token],
        before: u64,
    ) -> Result<Vec<Hit>, OutOfStep> {
        let mut kept = self.0.lock();
        if kept.upto < since || closed < kept.closed {
            return Err(OutOfStep);
        }
        kept.closed = closed;
        kept.segments.retain(|segment, _| segment << SMALL.bits >= closed);
        let known = kept.upto;
        for one in read.iter().filter(|one| one.event > known) {
            kept.add(one);
        }
        let mut found: Vec<_> = kept
            .segments
            .values()
            .flat_map(|hits| common(hits, wanted))
            .filter(|hit| hit.position < before)
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        Ok(found)
    }

    /// Forgets all: a view that was filled in other steps, and has other rows loose, may have been put in the place of the one that
    /// was read.
    pub(super) fn forget(&self) {
        *self.0.lock() = Kept::default();
    }

    /// The tokens, those that are in the fewest messages first.
    pub(super) fn rarest_first(&self, wanted: &mut [Token]) {
        let kept = self.0.lock();
        let messages = |token: &Token| {
            kept.segments.values().filter_map(|hits| hits.get(token)).map(Vec::len).sum::<usize>()
        };
        wanted.sort_by_cached_key(messages);
    }
}

impl Kept {
    fn add(&mut self, Indexed { event, hit, tokens }: &Indexed) {
        self.upto = self.upto.max(*event);
        let segment = self.segments.entry(event >> SMALL.bits).or_default();
        for token in tokens {
            let hits = segment.entry(*token).or_default();
            // Those of edits are older.
            if let Err(place) = hits.binary_search(hit) {
                hits.insert(place, *hit);
            }
        }
    }
}

/// The messages that have all of the tokens.
fn common(of: &HashMap<Token, Vec<Hit>>, wanted: &[Token]) -> Vec<Hit> {
    let lists: Option<Vec<&[Hit]>> = wanted.iter().map(|token| of.get(token).map(Vec::as_slice)).collect();
    lists.map(|lists| in_all(&lists)).unwrap_or_default()
}

/// What is in each of the lists, which are in order.
pub(super) fn in_all(lists: &[&[Hit]]) -> Vec<Hit> {
    let Some((shortest, _)) = lists.iter().enumerate().min_by_key(|(_, list)| list.len()) else {
        return Vec::new();
    };
    let mut found = lists[shortest].to_vec();
    for (n, list) in lists.iter().enumerate() {
        if n != shortest {
            let mut rest = *list;
            found.retain(|hit| {
                rest = &rest[rest.partition_point(|other| other < hit)..];
                rest.first() == Some(hit)
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(position: u64) -> Hit {
        Hit { position, bucket: (position % 7) as u16 }
    }

    fn said(event: u64, message: u64, tokens: &[Token]) -> Indexed {
        Indexed { event, hit: hit(message), tokens: tokens.to_vec() }
    }

    fn positions(found: Result<Vec<Hit>, OutOfStep>) -> Vec<u64> {
        found.unwrap().into_iter().map(|hit| hit.position).collect()
    }

    const END: u64 = u64::MAX;

    #[test]
    fn what_was_read_is_found_newest_first_and_read_once() {
        let open = Open::default();
        let rows = [said(9, 9, &[1, 2, 4]), said(3, 3, &[1, 2]), said(5, 5, &[2])];
        assert_eq!(positions(open.find(0, 0, &rows, &[1, 2], END)), [9, 3]);
        assert_eq!(open.known().0, 9);
        assert_eq!(positions(open.find(0, 0, &rows, &[2], END)), [9, 5, 3], "what is known changes nothing");
        assert_eq!(
            positions(open.find(9, 0, &[said(11, 5, &[1, 7])], &[1], 9)),
            [5, 3],
            "an edit's is older"
        );
        let mut tokens = [2, 7, 4, 99];
        open.rarest_first(&mut tokens);
        assert_eq!(tokens, [99, 7, 4, 2]);
    }

    #[test]
    fn what_is_in_segments_by_now_is_left_out() {
        let open = Open::default();
        let second = 1 << SMALL.bits;
        let rows = [said(3, 3, &[1]), said(second + 1, second + 1, &[1]), said(second + 2, 4, &[1])];
        assert_eq!(positions(open.find(0, 0, &rows, &[1], END)), [second + 1, 4, 3]);
        assert_eq!(positions(open.find(second + 2, second, &[], &[1], END)), [second + 1, 4]);
        // Somebody who read before that misses what was in segments only for the others.
        assert_eq!(open.find(3, 0, &rows[1..], &[1], END), Err(OutOfStep));
    }

    #[test]
    fn a_gap_is_an_error_and_so_is_a_view_that_has_more_loose_until_all_is_forgotten() {
        let open = Open::default();
        assert_eq!(open.find(7, 0, &[said(8, 8, &[1])], &[1], END), Err(OutOfStep));
        let second = 1 << SMALL.bits;
        let newer = said(second + 1, second + 1, &[1]);
        assert_eq!(positions(open.find(0, second, std::slice::from_ref(&newer), &[1], END)), [second + 1]);
        assert_eq!(open.find(second + 1, 0, &[], &[1], END), Err(OutOfStep));
        open.forget();
        assert_eq!(open.known().0, 0);
        assert_eq!(positions(open.find(0, 0, &[said(3, 3, &[1]), newer], &[1], END)), [second + 1, 3]);
    }
}
