//! The index as it is stored: which messages have a token, many in a row.
//!
//! The log's positions are cut into segments. A segment's postings (a token, a message's position, its conversation's bucket) are
//! put together by groups of tokens, and what a group has is a row, or several where that is much: a *block*, which begins at a
//! position and ends where the next of its group begins. Segments of 8,192 positions are merged into such of 131,072, with sixteen
//! times as many groups, so that a block keeps its size, and a token that is rare is found in few.

use std::ops::Range;

use cqrs_core::StoreError;
use parlor_text::{TOKEN_BITS, Token};

/// How long segments are, and into how many groups their tokens are put: powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Of positions.
    pub(super) bits: u32,
    group_bits: u32,
}

/// As segments are at first.
pub(super) const SMALL: Size = Size { bits: 13, group_bits: 10 };
/// As they are once they were merged.
pub(super) const LARGE: Size = Size { bits: 17, group_bits: 14 };

/// In how many parts a large segment is made.
pub(super) const PARTS: u64 = 128;
/// One part after the other is due, each so many events after the one before: all at once would keep both the store and the
/// process busy for seconds.
const PACE: u64 = 128;
/// How many parts a step makes at most.
const PARTS_AT_ONCE: u64 = 8;

/// Bits of a position in a block's key: logs are shorter.
const POSITION_BITS: u32 = 48;

impl Size {
    /// The group of a token. No two sizes have the same.
    pub(super) fn group(self, token: Token) -> u64 {
        let hash = u64::from(token) & ((1 << TOKEN_BITS) - 1);
        (1 << self.group_bits) | (hash >> (TOKEN_BITS - self.group_bits))
    }

    /// The groups that parts of a segment have.
    pub(super) fn groups(self, parts: Range<u64>) -> impl Iterator<Item = u64> {
        let many = 1 << self.group_bits;
        let groups = many / PARTS;
        (many + parts.start * groups)..(many + parts.end * groups)
    }

    /// Where the segment begins in which a position is.
    pub(super) fn segment(self, position: u64) -> u64 {
        position >> self.bits << self.bits
    }
}

/// The part of a large segment in which a token is.
fn part(token: Token) -> u64 {
    ((u64::from(token) & ((1 << TOKEN_BITS) - 1)) * PARTS) >> TOKEN_BITS
}

/// How far segments have been made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// What events before this position said is in segments.
    pub(super) closed: u64,
    /// How many parts of large segments there are.
    pub(super) merged: u64,
}

impl Progress {
    /// How many parts of the next large segment are to be made by a step, where the last event that said something was at `last`.
    pub(super) fn due(self, last: u64) -> u64 {
        let end = (self.merged / PARTS + 1) << LARGE.bits;
        if self.closed < end {
            return 0;
        }
        let due = (last.saturating_sub(end) / PACE + 1).min(PARTS);
        due.saturating_sub(self.merged % PARTS).min(PARTS_AT_ONCE)
    }

    /// In segments of what size a token is found at a position before [`Progress::closed`].
    pub(super) fn size(self, token: Token, position: u64) -> Size {
        let parts = (position >> LARGE.bits) * PARTS + part(token);
        if parts < self.merged { LARGE } else { SMALL }
    }
}

/// The key of the block of a group that begins at a position.
pub(super) fn key(group: u64, first: u64) -> u64 {
    group << POSITION_BITS | first
}

/// The group of the block that has this key.
pub(super) fn group_of(key: u64) -> u64 {
    key >> POSITION_BITS
}

/// Where the block begins that has this key.
pub(super) fn first_of(key: u64) -> u64 {
    key & ((1 << POSITION_BITS) - 1)
}

/// After every position there can be.
pub(super) const END: u64 = (1 << POSITION_BITS) - 1;

/// That a message has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    pub(super) token: Token,
    pub(super) hit: Hit,
}

/// A message that has a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// Its position.
    pub(super) position: u64,
    /// Its conversation's, of [`super::BUCKETS`].
    pub(super) bucket: u16,
}

/// How many bytes a block has at most, unless a single position has more: below what PostgreSQL would put elsewhere, and two to
/// a page of SQLite's.
const MOST_BYTES: usize = 1_900;

/// The blocks of one group that hold these postings, which are in order, each once: the first begins at `first`.
pub(super) fn blocks(group: u64, first: u64, postings: &[Posting], out: &mut Vec<(u64, Vec<u8>)>) {
    let data = encoded(first, postings);
    if data.len() > MOST_BYTES {
        let mut positions: Vec<_> = postings.iter().map(|posting| posting.hit.position).collect();
        let middle = positions.len() / 2;
        let (.., &mut middle, _) = positions.select_nth_unstable(middle);
        let lowest = positions.iter().copied().min().unwrap_or(middle);
        // What is at the lowest position goes together.
        let cut = if middle > lowest { middle } else { lowest + 1 };
        let (before, after): (Vec<_>, Vec<_>) =
            postings.iter().partition(|posting| posting.hit.position < cut);
        if !after.is_empty() {
            blocks(group, first, &before, out);
            return blocks(group, cut, &after, out);
        }
    }
    out.push((key(group, first), data));
}

/// Token by token: by how much it is larger than the one before, the length of what follows, and for each message by how much its
/// position is larger, above four bits of its bucket, whose other eight follow.
fn encoded(first: u64, postings: &[Posting]) -> Vec<u8> {
    let mut out = Vec::with_capacity(postings.len() * 4);
    let (mut last_token, mut hits) = (0, Vec::new());
    for of_token in postings.chunk_by(|a, b| a.token == b.token) {
        hits.clear();
        let mut last = first;
        for Posting { hit, .. } in of_token {
            put(&mut hits, (hit.position - last) << 4 | u64::from(hit.bucket >> 8));
            hits.push(hit.bucket as u8);
            last = hit.position;
        }
        let token = of_token[0].token;
        put(&mut out, u64::from(token - last_token));
        put(&mut out, hits.len() as u64);
        out.extend_from_slice(&hits);
        last_token = token;
    }
    out
}

/// Seven bits a byte, the lowest first; the eighth says that there are more.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at the beginning of `data`, which goes on behind it.
fn take(data: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte <= 0x7f {
            return Some(number);
        }
    }
    None
}

/// A block that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    key: u64,
    data: &'a [u8],
}

impl<'a> Block<'a> {
    /// What the store has under `key`.
    pub(super) fn new(key: u64, data: &'a [u8]) -> Self {
        Self { key, data }
    }

    /// All its postings, in order.
    pub(super) fn postings(self) -> Result<Vec<Posting>, StoreError> {
        let mut all = Vec::with_capacity(self.data.len() / 3);
        let each = |token, hits| {
            self.each(hits, |hit| all.push(Posting { token, hit }))?;
            Some(true)
        };
        self.tokens(each).ok_or_else(|| self.broken())?;
        Ok(all)
    }

    /// Gives `found` the messages that have a token, in order.
    pub(super) fn hits(self, wanted: Token, mut found: impl FnMut(Hit)) -> Result<(), StoreError> {
        let each = |token, hits| {
            if token == wanted {
                self.each(hits, &mut found)?;
            }
            Some(token < wanted)
        };
        self.tokens(each).ok_or_else(|| self.broken())
    }

    /// Goes through the tokens, and what is stored of each, while there are more and `each` wants them.
    fn tokens(self, mut each: impl FnMut(Token, &'a [u8]) -> Option<bool>) -> Option<()> {
        let (mut rest, mut token) = (self.data, 0_u64);
        while !rest.is_empty() {
            token = take(&mut rest)?.checked_add(token)?;
            let length = take(&mut rest)?;
            let (hits, others) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = others;
            if !each(Token::try_from(token).ok()?, hits)? {
                break;
            }
        }
        Some(())
    }

    fn each(self, mut hits: &[u8], mut found: impl FnMut(Hit)) -> Option<()> {
        let mut position = first_of(self.key);
        while !hits.is_empty() {
            let number = take(&mut hits)?;
            let (low, rest) = hits.split_first()?;
            hits = rest;
            position = position.checked_add(number >> 4)?;
            found(Hit { position, bucket: (number as u16 & 0xf) << 8 | u16::from(*low) });
        }
        Some(())
    }

    fn broken(self) -> StoreError {
        let detail = "the view search has a block that can't be read, under the key";
        StoreError::Corrupt(format!("{detail} {}: rebuild the view", self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(token: Token, position: u64, bucket: u16) -> Posting {
        Posting { token, hit: Hit { position, bucket } }
    }

    fn read(blocks: &[(u64, Vec<u8>)]) -> Vec<Posting> {
        blocks.iter().flat_map(|(key, data)| Block::new(*key, data).postings().unwrap()).collect()
    }

    #[test]
    fn blocks_give_what_was_put_into_them() {
        let first = 5 << SMALL.bits;
        let all = [
            posting(0, first, 0),
            posting(0, first + 1, 4_095),
            posting(0, first + 8_191, 255),
            posting(7, first + 300, 256),
            posting((1 << 29) - 1, first + 2, 1),
        ];
        let mut out = Vec::new();
        blocks(1_024, first, &all, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!((group_of(out[0].0), first_of(out[0].0)), (1_024, first));
        assert_eq!(read(&out), all);
        let mut found = Vec::new();
        let block = Block::new(out[0].0, &out[0].1);
        block.hits(7, |hit| found.push(hit)).unwrap();
        assert_eq!(found, [Hit { position: first + 300, bucket: 256 }]);
        block.hits(8, |hit| panic!("nothing has 8, least of all {hit:?}")).unwrap();
    }

    #[test]
    fn a_block_that_would_be_long_is_cut_at_a_position() {
        let mut all: Vec<_> = (0..3_000).map(|n| posting(9, 70 + n / 2 * 3, (n % 2) as u16)).collect();
        all.extend((0..100).map(|n| posting(10 + n, 77, 3)));
        all.sort_unstable();
        let mut out = Vec::new();
        blocks(2_000, 64, &all, &mut out);
        assert!(out.len() > 2 && out.iter().all(|(_, data)| data.len() <= MOST_BYTES), "{}", out.len());
        assert_eq!(first_of(out[0].0), 64, "the first begins where it was told to");
        assert!(out.is_sorted());
        let mut found = read(&out);
        for pair in out.windows(2) {
            let last = Block::new(pair[0].0, &pair[0].1).postings().unwrap();
            let last = last.iter().map(|posting| posting.hit.position).max().unwrap();
            assert!(last < first_of(pair[1].0), "a position is in one block only");
        }
        found.sort_unstable();
        assert_eq!(found, all);
    }

    #[test]
    fn what_is_at_one_position_stays_together_however_much_it_is() {
        let all: Vec<_> = (0..5_000).map(|n| posting(n, 70, 1)).collect();
        let mut out = Vec::new();
        blocks(2_000, 64, &all, &mut out);
        assert_eq!((out.len(), read(&out).len()), (1, 5_000));
    }

    #[test]
    fn a_block_that_was_cut_off_is_an_error_and_no_panic() {
        let mut out = Vec::new();
        blocks(1_024, 0, &[posting(1, 1_000, 700), posting(3, 90_000, 2)], &mut out);
        let (key, data) = &out[0];
        let whole = |length: usize| Block::new(*key, &data[..length]).postings().is_ok();
        let readable = (0..=data.len()).filter(|length| whole(*length)).count();
        assert_eq!(readable, 3, "nothing, one token, all");
        assert!(Block::new(*key, &[0xff; 30]).postings().is_err());
    }

    #[test]
    fn groups_of_parts_are_those_of_their_tokens_in_both_sizes() {
        for token in [0, 1, 77_777_777, (1 << 28) - 1, 1 << 28, (1 << 29) - 1] {
            for size in [SMALL, LARGE] {
                let part = part(token);
                assert!(
                    size.groups(part..part + 1).any(|group| group == size.group(token)),
                    "{token} {size:?}"
                );
            }
        }
        let all: Vec<_> = (0..PARTS).flat_map(|part| SMALL.groups(part..part + 1)).collect();
        assert_eq!(all, (1_024..2_048).collect::<Vec<_>>());
        assert_eq!(SMALL.groups(0..PARTS).collect::<Vec<_>>(), all);
    }

    #[test]
    fn parts_are_due_one_after_the_other_and_all_of_them_in_the_end() {
        let end = 1 << LARGE.bits;
        let due = |closed, merged, last| Progress { closed, merged }.due(last);
        assert_eq!(due(end - 1, 0, end * 9), 0, "the small segments aren't all there");
        assert_eq!(due(end, 0, end), 1);
        assert_eq!(due(end, 1, end + PACE - 1), 0);
        assert_eq!(due(end, 1, end + 3 * PACE), 3);
        assert_eq!(due(end, 1, end * 9), PARTS_AT_ONCE, "what is behind is caught up with in several steps");
        assert_eq!(due(end, PARTS - 2, end * 9), 2, "the next segment's come after it");
        assert_eq!(due(end, PARTS, end * 9), 0, "its small segments aren't there");
        assert_eq!(due(end * 2, PARTS, end * 2 + PACE), 2);
        // As in a rebuild, in steps of 2,000 events, one of which closes a small segment whenever it can.
        let (mut progress, mut last) = (Progress::default(), 0);
        while last < 20 * end {
            last += 2_000;
            if last >= progress.closed + (1 << SMALL.bits) {
                progress.closed += 1 << SMALL.bits;
            } else {
                progress.merged += progress.due(last);
            }
            assert!(progress.merged + 2 * PARTS >= (last >> LARGE.bits) * PARTS, "{progress:?} at {last}");
        }
    }

    #[test]
    fn a_token_is_in_large_segments_from_when_its_part_was_made() {
        let progress = Progress { closed: 3 << LARGE.bits, merged: PARTS + 1 };
        let second = 1 << LARGE.bits;
        assert_eq!(progress.size(0, second), LARGE);
        assert_eq!(progress.size(1 << 27, second), SMALL);
        assert_eq!(progress.size(1 << 27, second - 1), LARGE);
        assert_eq!(progress.size(0, second * 2), SMALL);
    }
}
