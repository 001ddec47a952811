//! The folded form of a text, and where in the text each of its characters came from.

use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, compose};

use crate::letter::{Folded, ascii, fold_char};

/// A character of a folded text and the bytes of the original text that it stands for.
#[derive(Clone, Debug)]
pub struct Piece {
    pub c: char,
    pub source: Range<usize>,
}

/// The form of `text` in which search compares: what counts as the same (see the crate's documentation) is the same
/// string. Words are separated by single spaces, with none at the ends; a text of nothing but punctuation folds to "".
/// Folding a folded text changes nothing.
pub fn fold(text: &str) -> String {
    fold_simple(text).unwrap_or_else(|| pieces(text).into_iter().map(|piece| piece.c).collect())
}

/// [`fold`] of a text in which each character becomes one or goes, as in most messages; `None` of any other.
pub fn fold_simple(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        let letter = match c {
            '\0'..='\x7f' => match ascii(c) {
                Folded::Letter(letter) => letter,
                Folded::Gap => {
                    gap = true;
                    continue;
                }
                Folded::Mark | Folded::Nothing => continue,
            },
            // Han and Hangul, of which nothing combines with what comes after it here.
            '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => c,
            _ => return None,
        };
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        out.push(letter);
    }
    Some(out)
}

/// The characters of `fold(text)` with their sources.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(text.len());
    let mut gap: Option<Range<usize>> = None;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        fold_char(c, |part| match part {
            Folded::Letter(c) => {
                if let Some(source) = gap.take() {
                    out.push(Piece { c: ' ', source });
                }
                out.push(Piece { c, source: start..end });
            }
            // A gap is written when a word follows one.
            Folded::Gap if out.is_empty() => {}
            Folded::Gap => gap = Some(gap.as_ref().map_or(start, |gap| gap.start)..end),
            Folded::Mark => {
                if let (None, Some(last)) = (&gap, out.last_mut()) {
                    last.source.end = end;
                }
            }
            Folded::Nothing => {}
        });
    }
    if out.iter().any(|piece| piece.c >= FIRST_COMBINING) {
        order_marks(&mut out);
        compose_pieces(out)
    } else {
        out
    }
}

/// U+0300. Nothing below it combines or is the second half of a composition.
const FIRST_COMBINING: char = '\u{300}';

fn class(c: char) -> u8 {
    if c < FIRST_COMBINING { 0 } else { canonical_combining_class(c) }
}

/// Puts the marks that stayed into canonical order (Unicode Standard, definition D109): those on one letter can be typed
/// in any.
fn order_marks(pieces: &mut [Piece]) {
    for run in pieces.chunk_by_mut(|a, b| class(a.c) != 0 && class(b.c) != 0) {
        if run.len() > 1 {
            run.sort_by_key(|piece| class(piece.c));
        }
    }
}

/// Canonical composition (Unicode Standard, definition D117) that keeps the sources.
fn compose_pieces(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut starter: Option<usize> = None;
    for piece in pieces {
        let class_here = class(piece.c);
        if let Some(starter) = starter
            && piece.c >= FIRST_COMBINING
            && (out.len() == starter + 1 || out.last().is_some_and(|last| class(last.c) < class_here))
            && let Some(composed) = compose(out[starter].c, piece.c)
        {
            let whole = &mut out[starter];
            whole.c = composed;
            whole.source = whole.source.start.min(piece.source.start)..whole.source.end.max(piece.source.end);
            continue;
        }
        if class_here == 0 {
            starter = Some(out.len());
        }
        out.push(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_cover_what_a_character_came_from() {
        let sources = |text| pieces(text).into_iter().map(|p| (p.c, p.source)).collect::<Vec<_>>();
        assert_eq!(sources("e\u{301}x"), [('e', 0..3), ('x', 3..4)]);
        assert_eq!(sources("ﬁ"), [('f', 0..3), ('i', 0..3)]);
        assert_eq!(sources("か\u{3099}"), [('が', 0..6)]);
        assert_eq!(sources(" a, b!"), [('a', 1..2), (' ', 2..4), ('b', 4..5)]);
    }

    #[test]
    fn simple_texts_fold_as_all_do() {
        for text in ["", " Can't, stop!  e-mail:me ", "你好，今天", "手机iPhone 안녕", "...", "a.b c#"]
        {
            let folded: String = pieces(text).into_iter().map(|piece| piece.c).collect();
            assert_eq!(fold(text), folded, "{text}");
        }
        assert_eq!(fold_simple("stop e-mail 你好").as_deref(), Some("stop email 你好"));
        assert_eq!(fold_simple("Zoë"), None);
    }

    #[test]
    fn a_mark_after_a_gap_belongs_to_no_letter() {
        assert_eq!(pieces("a \u{301}b")[0].source, 0..1);
    }

    #[test]
    fn marks_typed_in_either_order_fold_alike() {
        // Tibetan: vowel sign u has class 132, vowel sign i 130.
        assert_eq!(fold("ཀ\u{0F74}\u{0F72}"), fold("ཀ\u{0F72}\u{0F74}"));
    }

    #[test]
    fn ten_thousand_marks_on_a_letter_cost_their_length() {
        assert_eq!(fold(&format!("a{}b", "\u{301}".repeat(10_000))), "ab");
        let kept = fold(&format!("か{}", "\u{3099}\u{0E48}".repeat(10_000)));
        assert_eq!(kept.chars().count(), 20_000);
    }

    #[test]
    fn a_character_grows_to_at_most_eleven_times_its_bytes() {
        for c in '\0'..=char::MAX {
            let folded = fold(c.encode_utf8(&mut [0; 4]));
            assert!(folded.len() <= 11 * c.len_utf8(), "{c:?} folds to {} bytes", folded.len());
            assert_eq!(fold(&folded), folded, "{c:?}");
        }
    }
}
