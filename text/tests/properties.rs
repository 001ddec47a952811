//! What holds of any text.

use parlor_text::{
    MAX_TERMS, MAX_TERMS_CHARS, TOKEN_BITS, contains_all, find, fold, index_tokens, query_tokens, terms,
};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

/// Separators, and halves of compositions.
const OFTEN: &[char] = &[
    ' ', '-', '\'', 'i', 'I', 'ß', 'か', '\u{3099}', '\u{FF9E}', '\u{200D}', '\u{1161}', '\u{11A8}',
    '\u{94D}',
];

/// Any characters, but more of those on which folding has work to do than chance would give.
fn text() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        4 => any::<char>(),
        3 => prop::char::range('\u{20}', '\u{24F}'),
        2 => prop::char::range('\u{300}', '\u{36F}'),
        2 => prop::char::range('\u{370}', '\u{1CFF}'),
        2 => prop::char::range('\u{1E00}', '\u{218F}'),
        2 => prop::char::range('\u{3040}', '\u{318F}'),
        1 => prop::char::range('\u{AC00}', '\u{D7A3}'),
        1 => prop::char::range('\u{F900}', '\u{FFFD}'),
        2 => prop::sample::select(OFTEN),
    ];
    prop::collection::vec(c, 0..40).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing(text in text()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn canonically_equal_texts_fold_alike(text in text()) {
        let folded = fold(&text);
        prop_assert_eq!(fold(&text.nfd().collect::<String>()), &folded[..]);
        prop_assert_eq!(fold(&text.nfc().collect::<String>()), folded);
    }

    #[test]
    fn a_folded_text_has_single_spaces_inside_and_no_control(text in text()) {
        let folded = fold(&text);
        prop_assert_eq!(folded.trim_matches(' '), &folded);
        prop_assert!(!folded.contains("  ") && !folded.contains(char::is_control));
    }

    #[test]
    fn the_index_proposes_every_text_that_has_the_term(text in text(), from in 0_usize..40, length in 1_usize..8) {
        let folded = fold(&text);
        let tokens = index_tokens(&folded);
        prop_assert!(tokens.iter().all(|token| token >> TOKEN_BITS == 0));
        let part: String = folded.chars().skip(from).take(length).collect();
        let words: Vec<&str> = part.split(' ').filter(|word| !word.is_empty()).collect();
        prop_assert!(contains_all(&folded, &words));
        prop_assert!(query_tokens(&words).is_subset(&tokens));
    }

    #[test]
    fn a_text_is_found_by_its_own_words(text in text()) {
        let terms = terms(&text);
        prop_assert!(contains_all(&fold(&text), &terms));
        prop_assert_eq!(find(&text, &text).is_empty(), terms.is_empty());
    }

    #[test]
    fn hits_are_ascending_and_sliceable(text in text(), query in text()) {
        let mut end = None;
        for hit in find(&text, &query) {
            prop_assert!(!text[hit.clone()].is_empty());
            prop_assert!(end.is_none_or(|end| end < hit.start));
            end = Some(hit.end);
        }
    }

    #[test]
    fn terms_stay_within_their_bounds(query in "\\PC{0,1500}") {
        let terms = terms(&query);
        prop_assert!(terms.len() <= MAX_TERMS);
        prop_assert!(terms.iter().map(|term| term.chars().count()).sum::<usize>() <= MAX_TERMS_CHARS);
        prop_assert!(terms.iter().all(|term| !term.is_empty() && !term.contains(' ')));
    }
}
