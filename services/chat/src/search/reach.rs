//! How far back one look goes on PostgreSQL, and what earlier searches for the same taught about that.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use parlor_text::Token;
use quick_cache::sync::Cache;

use super::sql;

/// How many rows back one look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach(pub(super) u64);

impl Default for Reach {
    fn default() -> Self {
        Self(1 << sql::FINE.bits)
    }
}

impl Reach {
    /// How many rows that match one look is to find at most: each costs PostgreSQL a microsecond or less.
    const MATCHES: u64 = 1_000;
    /// How much further one look reaches than the one before.
    const MOST_GROWTH: u64 = 64;
    /// How many ranges one look names.
    const RANGES: u64 = 64;

    /// The ranges it is measured in.
    pub(super) fn ranges(self) -> sql::Range {
        if self.0 <= 1 << sql::COARSE.bits { sql::FINE } else { sql::COARSE }
    }
}

/// What one look, or several, brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Yield {
    /// How many rows back they went.
    pub(super) rows: u64,
    /// How many of these matched.
    pub(super) matched: u64,
    /// How many of those the viewer may see.
    pub(super) visible: u64,
}

impl Yield {
    /// How far the next look goes, while `missing` aren't found.
    pub(super) fn next(self, missing: usize) -> Reach {
        let missing = missing as u64 * 3 / 2;
        let for_matches = self.rows.saturating_mul(Reach::MATCHES) / self.matched.max(1);
        let for_page = match self.visible {
            0 => u64::MAX,
            visible => self.rows.saturating_mul(missing) / visible,
        };
        let fine = 1 << sql::FINE.bits;
        let most = self.rows.saturating_mul(Reach::MOST_GROWTH).min(Reach::RANGES << sql::COARSE.bits);
        Reach(for_matches.min(for_page).clamp(fine, most.max(fine)))
    }

    /// Of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            matched: self.matched + other.matched,
            visible: self.visible + other.visible,
        }
    }
}

/// How many questions are remembered: some hundred kilobytes.
const REMEMBERED: usize = 4_096;

/// What the last search brought, question by question. Words come again, and whoever is in about as many
/// conversations as the last who asked sees about as large a part of what matches: the first look needn't find that out anew.
pub(super) struct Yields(Cache<u64, Yield>);

impl Default for Yields {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Yields {
    /// A question: these tokens, asked by somebody who is in so many conversations.
    pub(super) fn question(tokens: &[Token], conversations: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        (tokens, conversations.checked_ilog2()).hash(&mut hasher);
        hasher.finish()
    }

    /// How far the first look goes that is to find `missing`.
    pub(super) fn first(&self, question: u64, missing: usize) -> Reach {
        self.0.get(&question).map_or_else(Reach::default, |known| known.next(missing))
    }

    /// Remembers nothing of a question.
    pub(super) fn forget(&self, question: u64) {
        self.0.remove(&question);
    }

    /// Remembers what was found.
    pub(super) fn learn(&self, question: u64, found: Yield) {
        self.0.insert(question, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: u64 = 1 << sql::FINE.bits;

    fn after(matched: u64, visible: u64, missing: usize) -> u64 {
        Yield { rows: FINE, matched, visible }.next(missing).0
    }

    #[test]
    fn the_next_look_reaches_as_far_as_the_page_needs_and_no_further_than_it_may() {
        assert_eq!(after(0, 0, 51), FINE * 64, "what is rare is looked for in all at once");
        assert_eq!(after(100, 20, 40), FINE * 3, "as much as is missing, and half as much again");
        assert_eq!(after(500, 1, 50), FINE * 2, "others' messages are few at a time");
        assert_eq!(after(50_000, 0, 50), FINE, "but never less than a range");
        assert_eq!((FINE * 16, sql::FINE), (1 << sql::COARSE.bits, Reach(FINE * 16).ranges()));
        assert_eq!(Reach(FINE * 17).ranges(), sql::COARSE);
    }

    #[test]
    fn the_first_look_reaches_as_far_as_the_last_search_for_the_same_needed() {
        let (yields, asked) = (Yields::default(), Yields::question(&[1, 2], 100));
        assert_eq!(yields.first(asked, 20), Reach::default());
        let first = Yield { rows: FINE, matched: 10, visible: 1 };
        yields.learn(asked, first.and(Yield { rows: FINE * 29, matched: 290, visible: 29 }));
        assert_eq!(yields.first(asked, 20), Reach(FINE * 30), "thirty in thirty ranges");
        assert_eq!(yields.first(Yields::question(&[1, 2], 120), 20), Reach(FINE * 30), "in about as many");
        for other in [Yields::question(&[1, 3], 100), Yields::question(&[1, 2], 10)] {
            assert_eq!(yields.first(other, 20), Reach::default());
        }
    }
}
