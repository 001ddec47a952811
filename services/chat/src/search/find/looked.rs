//! What a look makes of the blocks that it read: the newest messages that may be wanted, decoding no more than that takes.

use std::ops::Range;

use cqrs_core::StoreError;
use parlor_text::Token;

use super::super::open::in_all;
use super::super::postings::{Block, END, Hit, LARGE, SMALL, first_of, group_of};
use super::{Asked, Look, OF_BLOCK};

/// In how many blocks of a token it is looked first; there is enough in them, or then it is looked in twice as many.
const FIRST_DECODED: usize = 4;

/// The newest `enough`, or a few more, of what was read of the blocks, `limit` for each token of which there may be more, and is
/// `open`.
pub(super) fn looked(
    asked: &Asked,
    read: &[(u64, Vec<u8>)],
    open: &[Hit],
    before: u64,
    limit: usize,
    enough: usize,
) -> Result<Look, StoreError> {
    let lists: Vec<_> = asked.all.iter().chain(&asked.any).map(|token| Blocks::of(*token, read)).collect();
    let known_from = |blocks: &Blocks<'_>| if blocks.0.len() < limit { 0 } else { blocks.begin(limit - 1) };
    let known_from = lists.iter().map(known_from).max().unwrap_or(0);
    let longest = lists.iter().max_by_key(|blocks| blocks.0.len());
    let (mut found, mut until, mut many) = (Vec::new(), before, FIRST_DECODED);
    loop {
        let from = longest.filter(|longest| many <= longest.0.len());
        let from = from.map_or(known_from, |longest| longest.begin(many - 1)).max(known_from);
        let hits = |(token, blocks): (&Token, &Blocks<'_>)| {
            blocks.hits(*token, from..until, |hit| asked.within.may_have(hit))
        };
        if from < until {
            if asked.any.is_empty() {
                let lists = asked.all.iter().zip(&lists).map(hits).collect::<Result<Vec<_>, _>>()?;
                found.extend(in_all(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>()));
            } else {
                for list in asked.any.iter().zip(&lists).map(hits) {
                    found.extend(list?);
                }
            }
            until = from;
        }
        let open = open.iter().filter(|hit| hit.position >= from && asked.within.may_have(**hit));
        if from == known_from || found.len() + open.clone().count() >= enough {
            found.extend(open);
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.dedup();
            let positions = found.into_iter().map(|hit| hit.position).collect();
            return Ok(Look { positions, from, cost: read.len() * OF_BLOCK });
        }
        many *= 2;
    }
}

/// The blocks in which a token may be, the newest first.
struct Blocks<'a>(Vec<&'a (u64, Vec<u8>)>);

impl<'a> Blocks<'a> {
    fn of(token: Token, read: &'a [(u64, Vec<u8>)]) -> Self {
        let of_group = |group: u64| {
            let begin = read.partition_point(|(key, _)| group_of(*key) < group);
            let end = begin + read[begin..].partition_point(|(key, _)| group_of(*key) == group);
            read[begin..end].iter().rev()
        };
        // Small segments are the newer ones.
        Self(of_group(SMALL.group(token)).chain(of_group(LARGE.group(token))).collect())
    }

    /// Where a block begins.
    fn begin(&self, n: usize) -> u64 {
        first_of(self.0[n].0)
    }

    /// The messages within a range that have the token, in order.
    fn hits(
        &self,
        token: Token,
        range: Range<u64>,
        wanted: impl Fn(Hit) -> bool,
    ) -> Result<Vec<Hit>, StoreError> {
        let mut hits = Vec::new();
        for (n, (key, data)) in self.0.iter().enumerate().rev() {
            // Each goes on to where the next begins.
            let end = if n == 0 { END } else { self.begin(n - 1) };
            if end > range.start && self.begin(n) < range.end {
                Block::new(*key, data).hits(token, |hit| {
                    if range.contains(&hit.position) && wanted(hit) {
                        hits.push(hit);
                    }
                })?;
            }
        }
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::super::super::postings::{Posting, blocks};
    use super::super::{Stays, Within};
    use super::*;

    /// Tokens of which many messages have each; the last two share their groups in small segments.
    const TOKENS: [Token; 4] = [7, 90_000_000, 160_000_000, 160_020_000];

    /// Numbers that look like chance, the same each time.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    /// Blocks of a large segment and of three small ones, and what is open behind these.
    fn index(postings: &[Posting]) -> (Vec<(u64, Vec<u8>)>, Vec<Posting>) {
        let ends = [1 << 17, (1 << 17) + 8_192, (1 << 17) + 2 * 8_192, (1 << 17) + 3 * 8_192];
        let (mut all, mut first) = (Vec::new(), 0);
        for (end, size) in ends.into_iter().zip([LARGE, SMALL, SMALL, SMALL]) {
            let mut of_groups: BTreeMap<u64, Vec<Posting>> = BTreeMap::new();
            for posting in postings.iter().filter(|posting| (first..end).contains(&posting.hit.position)) {
                of_groups.entry(size.group(posting.token)).or_default().push(*posting);
            }
            for (group, mut postings) in of_groups {
                postings.sort_unstable();
                blocks(group, first, &postings, &mut all);
            }
            first = end;
        }
        all.sort_unstable();
        (all, postings.iter().copied().filter(|posting| posting.hit.position >= first).collect())
    }

    /// What the statement reads: the last `limit` of a token's blocks that begin before a position.
    fn read(index: &[(u64, Vec<u8>)], tokens: &[Token], before: u64, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let of = |token: &Token| {
            let of_group = |group: u64| {
                index.iter().rev().filter(move |(key, _)| group_of(*key) == group && first_of(*key) < before)
            };
            of_group(SMALL.group(*token)).chain(of_group(LARGE.group(*token))).take(limit)
        };
        tokens.iter().flat_map(of).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn looks_find_the_newest_that_there_are_and_say_where_to_go_on() {
        let mut number = numbers();
        let mut postings = BTreeSet::new();
        for position in (1..(1 << 17) + 3 * 8_192 + 900).step_by(3) {
            for token in TOKENS {
                if number(5) < 2 {
                    let bucket = (position % 7) as u16;
                    postings.insert(Posting { token, hit: Hit { position, bucket } });
                }
            }
        }
        let postings: Vec<_> = postings.into_iter().collect();
        let (index, open) = index(&postings);
        assert!(index.len() > 100, "{}", index.len());
        let mut stays = Stays::of(Vec::new());
        // Two of seven conversations.
        stays.buckets[1] = true;
        stays.buckets[4] = true;
        let within = Within { upto: 0, stays: Arc::new(stays) };
        let (mut looks, mut early) = (0, 0);
        for (all, any) in
            [(&TOKENS[..1], &[][..]), (&TOKENS[..2], &[]), (&TOKENS[1..], &[]), (&[], &TOKENS[2..])]
        {
            let asked = Asked { all: all.to_vec(), any: any.to_vec(), within: within.clone() };
            let has = |position: u64, token: Token| {
                let hit = Hit { position, bucket: (position % 7) as u16 };
                postings.binary_search(&Posting { token, hit }).is_ok()
            };
            let wanted = |position: &u64| {
                [1, 4].contains(&(position % 7))
                    && all.iter().all(|token| has(*position, *token))
                    && (any.is_empty() || any.iter().any(|token| has(*position, *token)))
            };
            for (limit, enough) in [(1, 5), (3, 40), (8, 100), (32, 60), (512, 3_000), (512, 1_000_000)] {
                let mut before = END;
                let mut found = Vec::new();
                while before > 1 {
                    let tokens = [all, any].concat();
                    let read = read(&index, &tokens, before, limit);
                    let open: BTreeSet<_> = open.iter().map(|posting| posting.hit).collect();
                    let open: Vec<_> = open
                        .into_iter()
                        .filter(|hit| hit.position < before && wanted(&hit.position))
                        .collect();
                    let look = looked(&asked, &read, &open, before, limit, enough).unwrap();
                    assert!(look.from < before, "it gets on");
                    assert!(look.positions.iter().all(|at| (look.from..before).contains(at)));
                    looks += 1;
                    early += usize::from(look.positions.len() >= enough && look.from > 0);
                    found.extend(look.positions);
                    before = look.from;
                }
                found.reverse();
                let expected: Vec<_> = (1..(1 << 17) + 3 * 8_192 + 900).step_by(3).filter(wanted).collect();
                assert!(found == expected, "{} and {} for {limit}, {enough}", found.len(), expected.len());
            }
        }
        assert!(early > 50 && looks > early + 50, "{early} of {looks} ended before all was decoded");
    }
}
