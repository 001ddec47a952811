//! How far back one look goes on PostgreSQL, and what earlier searches for the same taught about that.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use parking_lot::Mutex;
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
    /// How much further one look reaches than all before it.
    const MOST_GROWTH: u64 = 64;
    /// How many ranges one look names.
    const RANGES: u64 = 64;

    /// The ranges that it is measured in without a text: the fine ones as long as these are few, for of the last range all that
    /// matches is read.
    pub(super) fn ranges(self) -> sql::Range {
        if self.0 <= Self::RANGES << sql::FINE.bits { sql::FINE } else { sql::COARSE }
    }

    /// Whether it is no longer than a span.
    pub(super) fn is_short(self) -> bool {
        self.0 <= 1 << sql::SPAN_BITS
    }

    /// How many rows it is with so many tokens of a text, each of which is asked for in each span: GIN goes through all of what may
    /// be instead of each other, for each token and each row that has any of them.
    pub(super) fn in_spans(self, tokens: usize) -> u64 {
        let tokens = tokens.max(1) as u64;
        let spans = (Self::RANGES / (tokens * tokens)).max(8);
        self.0.min(spans << sql::SPAN_BITS)
    }
}

/// What one look, or several, brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Yield {
    /// How many rows back they went.
    pub(super) rows: u64,
    /// How many of these matched.
    pub(super) matched: u64,
    /// How many of those may be the viewer's, by their buckets.
    pub(super) candidates: u64,
    /// How many of these are.
    pub(super) visible: u64,
}

impl Yield {
    /// How far the next look goes, while `missing` aren't found. Of what matches, `share` is likely to be the viewer's; what
    /// these looks brought counts the more, the more matched.
    pub(super) fn next(self, missing: usize, share: f64) -> Reach {
        let share = (self.visible as f64 + share * ASSUMED) / (self.matched as f64 + ASSUMED);
        // A quarter more: a second look costs more than that.
        let matches = (missing as f64 * 1.25 / share).min(Reach::MATCHES as f64);
        let rows = (self.rows as f64 * matches / self.matched.max(1) as f64) as u64;
        let fine = 1 << sql::FINE.bits;
        let most = self.rows.saturating_mul(Reach::MOST_GROWTH).min(Reach::RANGES << sql::COARSE.bits);
        Reach(rows.clamp(fine, most.max(fine)))
    }

    fn half(self) -> Self {
        Self {
            rows: self.rows / 2,
            matched: self.matched / 2,
            candidates: self.candidates / 2,
            visible: self.visible / 2,
        }
    }

    /// Of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            matched: self.matched + other.matched,
            candidates: self.candidates + other.candidates,
            visible: self.visible + other.visible,
        }
    }
}

/// As many matches as what is known of other searches counts for.
const ASSUMED: f64 = 16.0;

/// Somebody who asks for these tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    tokens_and_class: u64,
    /// By the power of two below the number of their conversations.
    class: usize,
}

impl Question {
    /// Asked by somebody who is in so many conversations.
    pub(super) fn new(tokens: &[Token], conversations: usize) -> Self {
        let class = conversations.max(1).ilog2() as usize;
        let mut hasher = DefaultHasher::new();
        (tokens, class).hash(&mut hasher);
        Self { tokens_and_class: hasher.finish(), class: class.min(CLASSES - 1) }
    }
}

/// How many questions are remembered: some hundred kilobytes.
const REMEMBERED: usize = 4_096;

/// Classes of people: conversations are counted up to 20,001 ([`super::find`]).
const CLASSES: usize = 15;

/// How many candidates one look takes at most: each is a few look-ups.
const MOST_TAKEN: usize = 1_000;

/// How many matches of late say which share the viewers saw.
const LATELY: u64 = 10_000;

/// What the last search brought, question by question. Words come again, and whoever is in about as many
/// conversations as the last who asked sees about as large a part of what matches: the first look needn't find that out anew,
/// and the second of a new question need only find out how frequent it is.
pub(super) struct Yields {
    known: Cache<u64, Yield>,
    classes: [Mutex<Yield>; CLASSES],
}

impl Default for Yields {
    fn default() -> Self {
        Self { known: Cache::new(REMEMBERED), classes: Default::default() }
    }
}

impl Yields {
    /// How far the first look goes that is to find `missing`.
    pub(super) fn first(&self, question: Question, missing: usize) -> Reach {
        let known = self.known.get(&question.tokens_and_class);
        known.map_or_else(Reach::default, |known| self.next(question, known, missing))
    }

    /// How far the next look goes after what looks have brought, while `missing` aren't found.
    pub(super) fn next(&self, question: Question, brought: Yield, missing: usize) -> Reach {
        let class = *self.classes[question.class].lock();
        // Unless anything is known, a fifth.
        let share = (class.visible as f64 + 1.0) / (class.matched as f64 + 5.0);
        brought.next(missing, share)
    }

    /// How many candidates hold what is missing, as far as one can tell: others' conversations may be in the same buckets, and a
    /// message that was edited may have two.
    pub(super) fn candidates(&self, question: Question, missing: usize) -> usize {
        let class = *self.classes[question.class].lock();
        // Unless anything is known, a fourth more.
        let each = (class.candidates as f64 + 5.0) / (class.visible as f64 + 4.0);
        let expected = (missing as f64 * each) as usize;
        (expected + expected / 8 + 4).min(MOST_TAKEN)
    }

    /// Remembers nothing of a question.
    pub(super) fn forget(&self, question: Question) {
        self.known.remove(&question.tokens_and_class);
    }

    /// Remembers what one more look brought, and what all looks for the question have.
    pub(super) fn learn(&self, question: Question, look: Yield, brought: Yield) {
        self.known.insert(question.tokens_and_class, brought);
        let mut class = self.classes[question.class].lock();
        *class = class.and(look);
        if class.matched > LATELY {
            *class = class.half();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: u64 = 1 << sql::FINE.bits;

    /// What a look brought where nobody else's are in the viewer's buckets.
    fn brought(ranges: u64, matched: u64, visible: u64) -> Yield {
        Yield { rows: ranges * FINE, matched, candidates: visible, visible }
    }

    fn after(matched: u64, visible: u64, missing: usize, share: f64) -> u64 {
        brought(1, matched, visible).next(missing, share).0
    }

    #[test]
    fn the_next_look_reaches_as_far_as_the_page_needs_and_no_further_than_it_may() {
        assert_eq!(after(0, 0, 51, 0.1), FINE * 64, "what is rare is looked for in all at once");
        assert_eq!(after(100, 20, 40, 0.2), FINE * 5 / 2, "as much as is missing, and a quarter more");
        assert_eq!(after(10, 0, 16, 0.2), FINE * 65 / 4, "few matches tell less than what others saw");
        assert_eq!(after(500, 1, 50, 0.1), FINE * 2, "others' messages are few at a time");
        assert_eq!(after(50_000, 0, 50, 0.1), FINE, "but never less than a range");
        assert_eq!(Reach(FINE * 64).ranges(), sql::FINE);
        assert_eq!(Reach(FINE * 64 + 1).ranges(), sql::COARSE);
        assert!(Reach::default().is_short() && !Reach(FINE * 3).is_short());
        assert_eq!((Reach(FINE).in_spans(1), Reach(FINE * 200).in_spans(1)), (FINE, FINE * 128));
        assert_eq!((Reach(FINE * 200).in_spans(2), Reach(FINE * 200).in_spans(6)), (FINE * 32, FINE * 16));
    }

    #[test]
    fn the_first_look_reaches_as_far_as_the_last_search_for_the_same_needed() {
        let (yields, asked) = (Yields::default(), Question::new(&[1, 2], 100));
        assert_eq!(yields.first(asked, 24), Reach::default());
        let brought = brought(30, 300, 30);
        yields.learn(asked, brought, brought);
        let reach = yields.first(asked, 24).0;
        assert!((FINE * 28..FINE * 32).contains(&reach), "about thirty in thirty ranges: {reach}");
        assert_eq!(yields.first(Question::new(&[1, 2], 120), 24).0, reach, "in about as many");
        for other in [Question::new(&[1, 3], 100), Question::new(&[1, 2], 10)] {
            assert_eq!(yields.first(other, 24), Reach::default());
        }
        yields.forget(asked);
        assert_eq!(yields.first(asked, 24), Reach::default());
    }

    #[test]
    fn what_others_in_as_many_conversations_saw_tells_how_much_must_match() {
        let (yields, asked) = (Yields::default(), Question::new(&[1], 100));
        let look = brought(1, 8, 1);
        let unknown = yields.next(asked, look, 20).0;
        let seen = brought(1, 9_000, 450);
        yields.learn(Question::new(&[2], 90), seen, seen);
        let known = yields.next(asked, look, 20).0;
        assert!(known > unknown * 2, "{known} instead of {unknown}");
        let half = yields.classes[asked.class].lock().matched;
        yields.learn(asked, seen, seen);
        assert!(yields.classes[asked.class].lock().matched < half + 9_000, "what was long ago counts less");
    }

    #[test]
    fn the_more_of_others_are_in_the_same_buckets_the_more_are_taken_at_once() {
        let (yields, asked) = (Yields::default(), Question::new(&[1], 100));
        assert_eq!(yields.candidates(asked, 40), 40 * 5 / 4 + 6 + 4);
        let look = Yield { candidates: 400, ..brought(1, 4_000, 100) };
        yields.learn(asked, look, look);
        let taken = yields.candidates(asked, 40);
        assert!((170..190).contains(&taken), "three of four are others': {taken}");
        assert_eq!(yields.candidates(asked, 4_000), MOST_TAKEN);
    }
}
