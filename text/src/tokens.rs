//! The index: numbers of the few neighbouring characters of a text.
//!
//! Single characters and pairs: a word of Chinese or Japanese has often one or two. In alphabets runs of three and five
//! instead, for every second message has the pairs of a common word somewhere, and the triples of a rare one are common.
//! Where alphabets are written without spaces, as Thai's is, pairs beside them.

use std::collections::BTreeSet;

/// A number that stands for a run of characters, or for anything else that a text is indexed under, in [`TOKEN_BITS`].
///
/// Two things may have the same. That makes a candidate of a text that is none, and never hides one.
pub type Token = u32;

/// Bits of a token. Beyond is room for tokens of other kinds.
pub const TOKEN_BITS: u32 = 28;

/// Letters of the long runs under which words of alphabets are indexed.
const LONG: usize = 5;

/// Letters of their short runs.
const SHORT: usize = 3;

/// Characters of any script that are indexed together.
const PAIR: usize = 2;

/// The tokens under which a folded text is indexed.
pub fn index_tokens(folded: &str) -> BTreeSet<Token> {
    let mut tokens = Vec::with_capacity(folded.len());
    let mut word = Vec::new();
    for text in folded.split(' ') {
        word.clear();
        word.extend(text.chars());
        for letters in [1, PAIR, SHORT, LONG] {
            tokens.extend(word.windows(letters).filter(|run| is_indexed(run)).map(of_run));
        }
    }
    // A set that is made of all at once is sorted once.
    tokens.into_iter().collect()
}

/// Tokens that a text has if it has all of these terms in it ([`crate::terms`]). None where they tell too little to be indexed.
pub fn query_tokens<T: AsRef<str>>(terms: &[T]) -> BTreeSet<Token> {
    let mut tokens = BTreeSet::new();
    for term in terms {
        let word: Vec<char> = term.as_ref().chars().collect();
        let of_one_kind = |a: &char, b: &char| is_of_alphabet(*a) == is_of_alphabet(*b);
        for part in word.chunk_by(of_one_kind) {
            // The longest say all that shorter ones say.
            let letters = match part.len() {
                LONG.. if is_alphabetic(part) => LONG,
                SHORT.. if is_alphabetic(part) => SHORT,
                PAIR.. => PAIR,
                length => length,
            };
            tokens.extend(covering(part, letters).filter(|run| is_indexed(run)).map(of_run));
        }
        let meeting = word.windows(PAIR).filter(|pair| !of_one_kind(&pair[0], &pair[1]));
        tokens.extend(meeting.map(of_run));
    }
    tokens
}

/// The token of anything that has these bytes: FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), its halves joined and cut.
/// Stored indexes depend on it.
pub fn token(bytes: impl IntoIterator<Item = u8>) -> Token {
    let hash = bytes.into_iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 32) ^ hash) as u32 & ((1 << TOKEN_BITS) - 1)
}

fn of_run(run: &[char]) -> Token {
    token(run.iter().flat_map(|c| u32::from(*c).to_le_bytes()))
}

/// Runs of so many characters, next to each other, until too little of the word is left to tell more.
fn covering(word: &[char], letters: usize) -> impl Iterator<Item = &[char]> {
    let runs = word.chunks_exact(letters);
    let left = runs.remainder().len();
    let last = (left > 0 && left * 2 + 1 >= letters).then(|| &word[word.len() - letters..]);
    runs.chain(last)
}

/// Whether a run of one of the lengths that there are is indexed.
fn is_indexed(run: &[char]) -> bool {
    match run {
        [c] => tells_alone(*c),
        [_, _] => run.iter().copied().any(tells_in_pairs),
        _ => is_alphabetic(run),
    }
}

/// Whether a single character tells something. A letter doesn't: nearly every message has it.
fn tells_alone(c: char) -> bool {
    !(is_of_alphabet(c) && c.is_alphabetic())
}

/// Whether a pair with this character in it tells something.
fn tells_in_pairs(c: char) -> bool {
    tells_alone(c) || is_written_without_spaces(c)
}

/// Whether a letter is of an alphabet whose words aren't set apart: Thai, Lao, Tibetan, Myanmar, Khmer, and those of the Tai in
/// China and Laos (<https://www.unicode.org/reports/tr14/#SA> has most of them).
fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19ff}' | '\u{1a20}'..='\u{1aaf}')
}

/// Whether all are of alphabets. Pairs of Han or Hangul tell enough, and longer runs would nearly all be different.
fn is_alphabetic(run: &[char]) -> bool {
    run.iter().copied().all(is_of_alphabet)
}

/// Whether a character lies before the blocks of Chinese, Japanese and Korean, which begin with the radicals at U+2E80.
/// Of Korean, the letters that syllables are made of lie before, and don't occur in folded texts but alone.
fn is_of_alphabet(c: char) -> bool {
    c < '\u{2e80}'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_for(q: &str) -> BTreeSet<Token> {
        query_tokens(&crate::terms(q))
    }

    fn runs(of: &[&str]) -> BTreeSet<Token> {
        of.iter().map(|run| of_run(&run.chars().collect::<Vec<_>>())).collect()
    }

    #[test]
    fn a_text_is_indexed_under_all_that_its_parts_ask_for() {
        for (content, parts) in [
            ("Straße nach Kyōto", &["s", "as", "stra", "strasse", "yot", "kyoto nach"][..]),
            ("你好，今天天气很好", &["你", "天气", "今天天", "今天天气"]),
            ("iPhone手机 x2", &["phone手", "e手机", "one", "x2", "2"]),
            ("안녕하세요 여러분", &["녕", "하세요"]),
            ("नमस्ते दुनिया", &["नमस्ते", "दु"]),
            ("สวัสดีครับ", &["สวัส", "ดี"]),
        ] {
            let indexed = index_tokens(&crate::fold(content));
            for part in parts {
                assert!(looked_for(part).is_subset(&indexed), "{part} in {content}");
            }
        }
    }

    #[test]
    fn words_of_alphabets_are_looked_for_by_long_runs_and_others_by_pairs() {
        assert_eq!(looked_for("abcd ef"), runs(&["abc", "bcd"]), "two letters are in nearly every message");
        assert_eq!(looked_for("c# สวัสดีครับ ดี"), runs(&["c#", "สวัสด", "ีครับ", "ดี"]));
        assert_eq!(looked_for("iphone手机x"), runs(&["iphon", "e手", "手机", "机x"]));
        assert_eq!(looked_for("abcdef"), runs(&["abcde"]), "a letter more tells little");
        assert_eq!(looked_for("abcdefghij"), runs(&["abcde", "fghij"]));
        assert_eq!(looked_for("abcdefgh"), runs(&["abcde", "defgh"]));
        assert_eq!(looked_for("今天天"), runs(&["今天", "天天"]));
        assert_eq!(looked_for("今 a 7"), runs(&["今", "7"]), "a letter is in nearly every message");
    }

    #[test]
    fn tokens_stay_as_stored_indexes_have_them() {
        assert_eq!(of_run(&['a', 'b']), 213_749_309);
        assert_eq!(token([]), 265_338_817);
    }
}
