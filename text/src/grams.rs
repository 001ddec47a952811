//! The index: a text's characters and pairs of neighbouring characters.
//!
//! Pairs, not triples: a word of Chinese or Japanese has often one or two characters. Single characters are there for
//! queries of one.

use std::collections::BTreeSet;

/// A character, or two that follow one another in a word.
type Gram = (char, Option<char>);

/// The grams of a folded text: its characters and its pairs of neighbouring characters, none with a space, each once,
/// sorted.
pub fn grams(folded: &str) -> Vec<String> {
    text_grams(folded).into_iter().map(spell).collect()
}

/// The grams that a folded text must have to have `term` (a folded word, see [`crate::terms`]) in it: its pairs of
/// characters, or, for a term of one character, that. Each once, sorted; of a term with spaces, those of its words.
pub fn query_grams(term: &str) -> Vec<String> {
    sorted(term.split(' ').flat_map(word_query_grams)).into_iter().map(spell).collect()
}

/// A gram, or any text, as ASCII lower-case letters and digits: one token to FTS5's `ascii` tokenizer, one lexeme or array
/// element to PostgreSQL, equal only when the grams are equal, whatever the collation.
///
/// `0` to `9` and `a` to `u` stand for themselves; any other character is four symbols that begin with `w` to `z`, and
/// above U+2D8FF five that begin with `v`. So a gram of Latin letters has mostly two bytes, one of Han eight.
pub fn token(gram: &str) -> String {
    let mut out = String::with_capacity(8);
    gram.chars().for_each(|c| encode(c, &mut out));
    out
}

/// The tokens under which a folded text is indexed: [`token`] of each of its [`grams`].
pub fn index_tokens(folded: &str) -> Vec<String> {
    text_grams(folded).into_iter().map(gram_token).collect()
}

/// The tokens that a text must have to match the terms: [`token`] of each term's [`query_grams`], each once.
pub fn query_tokens<T: AsRef<str>>(terms: &[T]) -> Vec<String> {
    let grams = sorted(terms.iter().flat_map(|term| term.as_ref().split(' ')).flat_map(word_query_grams));
    grams.into_iter().map(gram_token).collect()
}

fn text_grams(folded: &str) -> Vec<Gram> {
    let mut grams: Vec<Gram> = Vec::with_capacity(folded.len() * 2);
    let mut previous: Option<char> = None;
    for c in folded.chars() {
        if c == ' ' {
            previous = None;
            continue;
        }
        grams.push((c, None));
        grams.extend(previous.map(|previous| (previous, Some(c))));
        previous = Some(c);
    }
    grams.sort_unstable();
    grams.dedup();
    grams
}

fn word_query_grams(word: &str) -> Vec<Gram> {
    let pairs: Vec<Gram> = word.chars().zip(word.chars().skip(1)).map(|(a, b)| (a, Some(b))).collect();
    if pairs.is_empty() { word.chars().map(|c| (c, None)).collect() } else { pairs }
}

fn sorted(grams: impl Iterator<Item = Gram>) -> Vec<Gram> {
    grams.collect::<BTreeSet<Gram>>().into_iter().collect()
}

fn spell((first, second): Gram) -> String {
    [Some(first), second].into_iter().flatten().collect()
}

fn gram_token((first, second): Gram) -> String {
    let mut out = String::with_capacity(8);
    encode(first, &mut out);
    if let Some(second) = second {
        encode(second, &mut out);
    }
    out
}

/// Symbols of a digit in base 36.
const SYMBOLS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// How many characters one of the leading symbols `w`, `x`, `y`, `z` and three digits tell apart.
const PER_LEAD: u32 = 36 * 36 * 36;

/// No code is the beginning of another, so a sequence of codes can be read in one way only.
fn encode(c: char, out: &mut String) {
    if matches!(c, '0'..='9' | 'a'..='u') {
        return out.push(c);
    }
    let code = u32::from(c);
    let digits = if code < 4 * PER_LEAD {
        out.push(char::from(b"wxyz"[(code / PER_LEAD) as usize]));
        3
    } else {
        out.push('v');
        4
    };
    for place in (0..digits).rev() {
        out.push(char::from(SYMBOLS[(code / 36_u32.pow(place) % 36) as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn grams_are_characters_and_pairs_within_words() {
        assert_eq!(grams("aba c"), ["a", "ab", "b", "ba", "c"]);
        assert_eq!(grams("你好"), ["你", "你好", "好"]);
        assert_eq!(grams(""), Vec::<String>::new());
    }

    #[test]
    fn a_query_asks_for_pairs_or_for_its_only_character() {
        assert_eq!(query_grams("abcab"), ["ab", "bc", "ca"]);
        assert_eq!(query_grams("好"), ["好"]);
        assert_eq!(query_grams(""), Vec::<String>::new());
        assert_eq!(query_tokens(&["abc", "bc", "d"]), ["ab", "bc", "d"]);
    }

    #[test]
    fn tokens_are_short_ascii_words() {
        assert_eq!(token("ab"), "ab");
        assert_eq!(token("你好").len(), 8);
        assert_eq!(token("🙂").len(), 4);
        assert!(token("z").len() == 4 && token("\u{10FFFF}").len() == 5);
    }

    #[test]
    fn no_token_of_a_character_begins_another() {
        let codes: HashSet<String> = ('\0'..=char::MAX).map(|c| token(c.encode_utf8(&mut [0; 4]))).collect();
        assert_eq!(codes.len(), ('\0'..=char::MAX).count());
        for code in &codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
            assert!((1..code.len()).all(|end| !codes.contains(&code[..end])), "{code}");
        }
    }
}
