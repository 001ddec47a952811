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

/// The tokens of what the events of a segment said.
type Segment = HashMap<Token, Vec<Hit>>;

/// The tokens of each event, by the segment in which the event is.
#[derive(Debug, Default)]
struct Kept {
    /// How often all was forgotten.
    times: u64,
    /// What is before this position is left out, for it is in segments.
    closed: u64,
    /// The last event that was read.
    upto: u64,
    /// How far the view was, at least, when all that it had was read.
    read_at: u64,
    segments: BTreeMap<u64, Segment>,
}

/// What isn't in segments yet, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Open {
    kept: Mutex<Kept>,
    /// One reads what others wait for.
    pub(super) reading: tokio::sync::Mutex<()>,
}

/// How much was known at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    times: u64,
    /// The last event that was read: those after it are to be.
    pub(super) upto: u64,
    /// How far the view was, at least, when all that it had was read.
    pub(super) read_at: u64,
}

/// The newest messages that have something, as far as that isn't in segments.
#[derive(Debug)]
pub(super) struct Newest {
    /// In no order.
    pub(super) hits: Vec<Hit>,
    /// These are all from this position on.
    pub(super) from: u64,
    /// How far the view was, at least, when they were.
    pub(super) read_at: u64,
}

/// What somebody read of the view.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Before which position all is in segments.
    pub(super) closed: u64,
    /// How far the view was at least, before it was read; 0 if that isn't known.
    pub(super) place: u64,
    /// What was said after what was known, and isn't in segments.
    pub(super) said: Vec<Indexed>,
}

/// What was read is of another time than what others read: to be read anew.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfStep;

impl Open {
    /// How much is known: to be asked before one reads.
    pub(super) fn known(&self) -> Known {
        let kept = self.kept.lock();
        Known { times: kept.times, upto: kept.upto, read_at: kept.read_at }
    }

    /// Takes in what was read by somebody who knew that much.
    pub(super) fn take_in(&self, known: Known, read: &Reading) -> Result<(), OutOfStep> {
        let mut kept = self.kept.lock();
        if kept.times != known.times || read.closed < kept.closed {
            return Err(OutOfStep);
        }
        kept.closed = read.closed;
        let open = kept.segments.split_off(&(read.closed >> SMALL.bits));
        let closed = std::mem::replace(&mut kept.segments, open);
        let upto = kept.upto;
        for one in read.said.iter().filter(|one| one.event > upto) {
            kept.add(one);
        }
        kept.read_at = kept.read_at.max(read.place);
        drop(kept);
        // It is much to give back.
        drop(closed);
        Ok(())
    }

    /// The messages that have all of `wanted`, at positions before `before`, in no order; for somebody who has read the view when all
    /// before `closed` was in segments.
    pub(super) fn find(
        &self,
        known: Known,
        closed: u64,
        wanted: &[Token],
        before: u64,
    ) -> Result<Vec<Hit>, OutOfStep> {
        let kept = self.kept.lock();
        // Others may have read a segment's end meanwhile: what is in it isn't among the blocks that were read.
        if kept.times != known.times || kept.closed > closed {
            return Err(OutOfStep);
        }
        let hits = kept.segments.values().flat_map(|hits| common(hits, wanted));
        Ok(hits.filter(|hit| hit.position < before).collect())
    }

    /// The messages before `before`, and not in segments, that have all of `wanted`, as far as was read.
    pub(super) fn newest(&self, wanted: &[Token], before: u64) -> Newest {
        let kept = self.kept.lock();
        let hits = kept.segments.values().flat_map(|hits| common(hits, wanted));
        let hits = hits.filter(|hit| (kept.closed..before).contains(&hit.position)).collect();
        Newest { hits, from: kept.closed, read_at: kept.read_at }
    }

    /// Forgets all: a view that was filled in other steps, and has less in segments, may have been put in the place of the one that
    /// was read.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock();
        *kept = Kept { times: kept.times + 1, ..Kept::default() };
    }

    /// The tokens, those that are in the fewest messages first.
    pub(super) fn rarest_first(&self, wanted: &mut [Token]) {
        let kept = self.kept.lock();
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
                rest = from_on(rest, hit);
                rest.first() == Some(hit)
            });
        }
    }
    found
}

/// What of a list, which is in order, isn't before `hit`. That is mostly near its beginning: it is looked for there first.
fn from_on<'a>(list: &'a [Hit], hit: &Hit) -> &'a [Hit] {
    let mut end = 1;
    while list.get(end - 1).is_some_and(|other| other < hit) {
        end *= 2;
    }
    let (begin, end) = (end / 2, end.min(list.len()));
    &list[begin + list[begin..end].partition_point(|other| other < hit)..]
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

    fn reading(closed: u64, said: &[Indexed]) -> Reading {
        Reading { closed, place: 0, said: said.to_vec() }
    }

    fn found(open: &Open, closed: u64, wanted: &[Token], before: u64) -> Vec<u64> {
        let found = open.find(open.known(), closed, wanted, before).unwrap();
        let mut positions: Vec<_> = found.into_iter().map(|hit| hit.position).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    const END: u64 = u64::MAX;

    #[test]
    fn what_was_read_is_found_and_read_once() {
        let open = Open::default();
        let first = [said(9, 9, &[1, 2, 4]), said(3, 3, &[1, 2]), said(5, 5, &[2])];
        open.take_in(open.known(), &Reading { place: 12, ..reading(0, &first) }).unwrap();
        assert_eq!(found(&open, 0, &[1, 2], END), [3, 9]);
        assert_eq!((open.known().upto, open.known().read_at), (9, 12));
        open.take_in(open.known(), &reading(0, &first)).unwrap();
        assert_eq!(found(&open, 0, &[2], END), [3, 5, 9], "what is known changes nothing");
        open.take_in(open.known(), &reading(0, &[said(11, 5, &[1, 7])])).unwrap();
        assert_eq!(found(&open, 0, &[1], 9), [3, 5], "an edit's message is older");
        let mut tokens = [2, 7, 4, 99];
        open.rarest_first(&mut tokens);
        assert_eq!(tokens, [99, 7, 4, 2]);
    }

    #[test]
    fn what_is_in_segments_by_now_is_left_out() {
        let open = Open::default();
        let second = 1 << SMALL.bits;
        let all = [said(3, 3, &[1]), said(second + 1, second + 1, &[1]), said(second + 2, 4, &[1])];
        let before = open.known();
        open.take_in(before, &reading(0, &all)).unwrap();
        assert_eq!(found(&open, 0, &[1], END), [3, 4, second + 1]);
        open.take_in(open.known(), &reading(second, &[])).unwrap();
        assert_eq!(found(&open, second, &[1], END), [4, second + 1]);
        // Somebody who read before that hasn't the first segment's blocks, and would miss what was in it.
        assert_eq!(open.take_in(before, &reading(0, &all)), Err(OutOfStep));
        assert_eq!(open.find(before, 0, &[1], END), Err(OutOfStep));
    }

    #[test]
    fn who_has_read_before_all_was_forgotten_reads_anew() {
        let open = Open::default();
        let second = 1 << SMALL.bits;
        let newer = said(second + 1, second + 1, &[1]);
        let before = open.known();
        open.take_in(before, &reading(second, std::slice::from_ref(&newer))).unwrap();
        // A view that has less in segments.
        assert_eq!(open.take_in(open.known(), &reading(0, &[])), Err(OutOfStep));
        open.forget();
        assert_eq!(open.take_in(before, &Reading { place: 9, ..reading(0, &[]) }), Err(OutOfStep));
        assert_eq!(open.find(before, 0, &[1], END), Err(OutOfStep));
        assert_eq!((open.known().upto, open.known().read_at), (0, 0));
        open.take_in(open.known(), &reading(0, &[said(3, 3, &[1]), newer])).unwrap();
        assert_eq!(found(&open, 0, &[1], END), [3, second + 1]);
    }
}
