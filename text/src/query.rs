//! What somebody searches for, whether a text has it, and where.

use std::ops::Range;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::fold::{fold, fold_simple, pieces};

/// How many terms of a query count.
pub const MAX_TERMS: usize = 16;

/// How many characters the terms of a query have together at most.
pub const MAX_TERMS_CHARS: usize = 200;

/// How many characters of a query are read.
pub const MAX_QUERY_CHARS: usize = 1_000;

/// The words to look for: the folded query split at spaces, each once, in the order given. At most [`MAX_TERMS`] with
/// [`MAX_TERMS_CHARS`] together: what is beyond is cut off, which finds more, not less. Empty when the query has nothing
/// but punctuation and white space.
pub fn terms(query: &str) -> Vec<String> {
    let read = query.char_indices().nth(MAX_QUERY_CHARS).map_or(query, |(end, _)| &query[..end]);
    let mut room = MAX_TERMS_CHARS;
    let mut terms: Vec<String> = Vec::new();
    for word in fold(read).split(' ').filter(|word| !word.is_empty()) {
        let term: String = word.chars().take(room).collect();
        if term.is_empty() || terms.len() == MAX_TERMS {
            break;
        }
        if !terms.contains(&term) {
            room -= term.chars().count();
            terms.push(term);
        }
    }
    terms
}

/// Whether every term occurs in a text that [`fold`] has folded, as a word or inside one. True when there are no terms.
pub fn contains_all<T: AsRef<str>>(folded_text: &str, terms: &[T]) -> bool {
    terms.iter().all(|term| folded_text.contains(term.as_ref()))
}

/// Where `query`'s terms occur in `text`, to highlight them: see [`find_terms`].
pub fn find(text: &str, query: &str) -> Vec<Range<usize>> {
    find_terms(text, &terms(query))
}

/// Where the terms occur in `text`: byte ranges of the original text, at character boundaries, ascending, apart from each
/// other. A range takes in the accents and vowel signs of its last letter, so that what is marked is whole to the eye.
pub fn find_terms<T: AsRef<str>>(text: &str, terms: &[T]) -> Vec<Range<usize>> {
    // Where each character becomes one of as many bytes, all is where it was.
    if let Some(folded) = fold_simple(text)
        && folded.len() == text.len()
    {
        let terms = terms.iter().map(AsRef::as_ref).filter(|term| !term.is_empty());
        let hits = terms
            .flat_map(|term| folded.match_indices(term).map(move |(start, _)| start..start + term.len()));
        return merge(hits.collect());
    }
    let pieces = pieces(text);
    let folded: String = pieces.iter().map(|piece| piece.c).collect();
    // The index of the piece that begins at a byte of `folded`.
    let mut piece_at = vec![0; folded.len() + 1];
    for (index, (byte, _)) in folded.char_indices().enumerate() {
        piece_at[byte] = index;
    }
    piece_at[folded.len()] = pieces.len();

    let mut hits: Vec<Range<usize>> = Vec::new();
    for term in terms.iter().map(AsRef::as_ref).filter(|term| !term.is_empty()) {
        for (byte, _) in folded.match_indices(term) {
            let (first, mut end) = (piece_at[byte], piece_at[byte + term.len()]);
            while pieces
                .get(end)
                .is_some_and(|next| next.c.general_category_group() == GeneralCategoryGroup::Mark)
            {
                end += 1;
            }
            let hit = &pieces[first..end];
            let start = hit.iter().map(|piece| piece.source.start).min();
            let end = hit.iter().map(|piece| piece.source.end).max();
            hits.extend(start.zip(end).map(|(start, end)| start..end));
        }
    }
    merge(hits)
}

/// Joins ranges that overlap or touch.
fn merge(mut hits: Vec<Range<usize>>) -> Vec<Range<usize>> {
    hits.sort_unstable_by_key(|hit| hit.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.start <= last.end => last.end = last.end.max(hit.end),
            _ => merged.push(hit),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_folded_split_and_each_once() {
        assert_eq!(terms("  Über ALLES, über-alles "), ["uber", "alles", "uberalles"]);
        assert_eq!(terms("…!?"), Vec::<String>::new());
        assert_eq!(terms("a\0b"), ["a", "b"]);
    }

    #[test]
    fn a_query_beyond_the_bounds_is_cut_off() {
        let many = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(terms(&many).len(), MAX_TERMS);
        let long = terms(&format!("你好 {} late", "x".repeat(5_000)));
        assert_eq!(long, ["你好".to_owned(), "x".repeat(MAX_TERMS_CHARS - 2)]);
    }

    #[test]
    fn every_term_must_occur() {
        let folded = fold("Hello, Wörld");
        assert!(contains_all(&folded, &terms("world ell")));
        assert!(!contains_all(&folded, &terms("world elf")));
        assert!(!contains_all(&folded, &["lo wx"]));
    }

    #[test]
    fn hits_are_ranges_of_the_original() {
        let hit = |text: &'static str, query| {
            find(text, query).into_iter().map(|hit| &text[hit]).collect::<Vec<_>>()
        };
        assert_eq!(hit("Straße, STRASSE", "strasse"), ["Straße", "STRASSE"]);
        assert_eq!(hit("cafe\u{301}s", "CAFÉ"), ["cafe\u{301}"]);
        assert_eq!(hit("I can't, cant I", "cant"), ["can't", "cant"]);
        assert_eq!(hit("हिन्दी", "ह"), ["हि"]);
        assert_eq!(hit("abcd", "abc bcd"), ["abcd"]);
        assert_eq!(hit("ab ab", "ab"), ["ab", "ab"]);
        assert_eq!(hit("ﷺ", "الله"), ["ﷺ"]);
        assert_eq!(hit("nothing", "here"), Vec::<&str>::new());
    }
}
