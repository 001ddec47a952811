//! What becomes of one character. Knows nothing of its neighbours.

use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What folding makes of a character, or of one of the characters it decomposes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Stays, as this.
    Letter(char),
    /// Separates words.
    Gap,
    /// Goes; to the eye it was part of the character before it.
    Mark,
    /// Goes.
    Nothing,
}

/// Gives `emit` the parts of `c`, in order.
pub fn fold_char(c: char, mut emit: impl FnMut(Folded)) {
    match c {
        '\0'..='\x7f' => emit(ascii(c)),
        // Characters that decomposition and composition would give back as they were: most of a Chinese, Japanese
        // or Korean message. U+3131 to U+318E are Korean letters that stand alone; decomposed they would join into
        // syllables, and ㅋㅋ would no longer be found in ㅋㅋㅠㅠ.
        '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{3131}'..='\u{3163}'
        | '\u{3165}'..='\u{318E}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' => emit(Folded::Letter(c)),
        // Spacing forms of marks, which would decompose into a space and the mark.
        '\u{00B4}' | '\u{1FFD}' => emit(Folded::Nothing),
        '\u{309B}' => emit(Folded::Letter('\u{3099}')),
        '\u{309C}' => emit(Folded::Letter('\u{309A}')),
        '\u{FE70}'..='\u{FE7F}' => emit(Folded::Mark),
        _ => decompose_compatible(c, |part| fold_part(part, &mut emit)),
    }
}

/// What becomes of a character of ASCII.
pub fn ascii(c: char) -> Folded {
    match c {
        'a'..='z' | '0'..='9' | '#' | '%' | '&' | '$' | '+' | '<' | '=' | '>' | '|' | '~' => {
            Folded::Letter(c)
        }
        'A'..='Z' => Folded::Letter(c.to_ascii_lowercase()),
        '\'' | '`' | '-' => Folded::Nothing,
        _ => Folded::Gap,
    }
}

fn fold_part(c: char, emit: &mut impl FnMut(Folded)) {
    use GeneralCategory as G;
    if c.is_ascii() {
        return emit(ascii(c));
    }
    if is_accent(c) || is_attached(c) {
        return emit(Folded::Mark);
    }
    if is_silent(c) {
        return emit(Folded::Nothing);
    }
    match c.general_category() {
        G::Format => emit(Folded::Nothing),
        G::Control
        | G::SpaceSeparator
        | G::LineSeparator
        | G::ParagraphSeparator
        | G::ConnectorPunctuation
        | G::DashPunctuation
        | G::OpenPunctuation
        | G::ClosePunctuation
        | G::InitialPunctuation
        | G::FinalPunctuation
        | G::OtherPunctuation
        | G::ModifierSymbol => emit(Folded::Gap),
        _ if is_caseless(c) => emit(Folded::Letter(unify(c))),
        _ => fold_case(c, emit),
    }
}

/// Full case folding out of the standard library's tables: lower, upper, lower. The first step is for the capital ẞ, which
/// has no other upper case; the second joins what shares a capital (ς and σ, ſ and s, ı and i) and spells ß out.
fn fold_case(c: char, emit: &mut impl FnMut(Folded)) {
    for folded in c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
        match folded {
            'æ' => "ae".chars().for_each(|c| emit(Folded::Letter(c))),
            'œ' => "oe".chars().for_each(|c| emit(Folded::Letter(c))),
            'þ' => "th".chars().for_each(|c| emit(Folded::Letter(c))),
            'ø' => emit(Folded::Letter('o')),
            'đ' | 'ð' => emit(Folded::Letter('d')),
            'ł' => emit(Folded::Letter('l')),
            'ħ' => emit(Folded::Letter('h')),
            'ŧ' => emit(Folded::Letter('t')),
            _ => emit(Folded::Letter(folded)),
        }
    }
}

/// Letters without case that are written in more than one way.
fn unify(c: char) -> char {
    match c {
        // Yeh: Arabic, dotless (alef maksura), Persian, and the Uyghur and Kashmiri ones that look the same.
        '\u{064A}' | '\u{0649}' | '\u{06CC}' => '\u{06CC}',
        // Kaf: Arabic, Persian, swash.
        '\u{0643}' | '\u{06A9}' | '\u{06AA}' => '\u{06A9}',
        // Heh: Arabic, the two-eyed and the goal of Urdu, ae, and the teh marbutas, which end words as a heh does.
        '\u{0647}' | '\u{06BE}' | '\u{06C1}' | '\u{06D5}' | '\u{0629}' | '\u{06C3}' => '\u{0647}',
        // Alef wasla; the alefs with hamza and madda decompose.
        '\u{0671}' => '\u{0627}',
        // Hebrew final kaf, mem, nun, pe, tsadi precede their plain forms.
        '\u{05DA}' | '\u{05DD}' | '\u{05DF}' | '\u{05E3}' | '\u{05E5}' => following(c),
        // Hindi writes a nasal vowel with either sign.
        '\u{0901}' => '\u{0902}',
        _ => decimal_digit(c).unwrap_or(c),
    }
}

fn following(c: char) -> char {
    char::from_u32(u32::from(c) + 1).unwrap_or(c)
}

/// The zeros of the decimal digits in use with living scripts; nine follow each (Unicode, `DerivedNumericType.txt`).
const ZEROS: [u32; 25] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1B50, 0x1C50, 0xA9D0,
];

fn decimal_digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

/// Blocks in which no letter has a case, the bulk of the living scripts: looking for one there costs without gain.
fn is_caseless(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{109F}' | '\u{1100}'..='\u{139F}' | '\u{1400}'..='\u{1C7F}' | '\u{2E80}'..='\u{A63F}'
        | '\u{AC00}'..='\u{FAFF}')
}

/// Marks that search looks past.
fn is_accent(c: char) -> bool {
    matches!(c,
        // Combining diacritical marks, those extended, supplementary, for symbols, and half marks.
        '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}'
        // Cyrillic.
        | '\u{0483}'..='\u{0489}' | '\u{2DE0}'..='\u{2DFF}' | '\u{A66F}'..='\u{A672}' | '\u{A674}'..='\u{A67D}'
        | '\u{A69E}'..='\u{A69F}'
        // Hebrew accents and points; maqaf, paseq and sof pasuq between them are punctuation.
        | '\u{0591}'..='\u{05BD}' | '\u{05BF}' | '\u{05C1}'..='\u{05C2}' | '\u{05C4}'..='\u{05C5}' | '\u{05C7}'
        | '\u{FB1E}'
        // Arabic honorifics, harakat, Quranic marks, tatweel.
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{06D6}'..='\u{06DC}'
        | '\u{06DF}'..='\u{06E4}' | '\u{06E7}'..='\u{06E8}' | '\u{06EA}'..='\u{06ED}' | '\u{0897}'..='\u{089F}'
        | '\u{08CA}'..='\u{08E1}' | '\u{08E3}'..='\u{08FF}'
        // Syriac points.
        | '\u{0711}' | '\u{0730}'..='\u{074A}'
        // Devanagari nukta, often left out, and Vedic accents.
        | '\u{093C}' | '\u{0951}'..='\u{0954}'
        // Tone marks of East Asia.
        | '\u{302A}'..='\u{302F}')
}

/// What shapes or colours the character before it and has no sound: joiners, variation selectors, skin tones.
fn is_attached(c: char) -> bool {
    matches!(c, '\u{200C}'..='\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180D}'
        | '\u{180F}' | '\u{1F3FB}'..='\u{1F3FF}')
}

/// What goes without separating: apostrophes, hyphens, and letters that show nothing (Hangul fillers, Khmer inherent
/// vowels).
fn is_silent(c: char) -> bool {
    matches!(c,
        // Modifier letters used as apostrophes (Ukrainian, Hawaiian, Uzbek), quotes, prime, Hebrew geresh.
        '\u{02B9}' | '\u{02BB}'..='\u{02BD}' | '\u{02C8}' | '\u{02CA}'..='\u{02CB}' | '\u{2018}'..='\u{2019}' | '\u{201B}'
        | '\u{2032}' | '\u{2035}' | '\u{055A}' | '\u{05F3}' | '\u{A78B}'..='\u{A78C}'
        // Hyphens: the typographical one (U+2011 decomposes to it), Armenian, Hebrew maqaf, minus.
        | '\u{2010}' | '\u{058A}' | '\u{05BE}' | '\u{2212}'
        | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_char() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    fn parts(c: char) -> Vec<Folded> {
        let mut parts = Vec::new();
        fold_char(c, |part| parts.push(part));
        parts
    }

    #[test]
    fn blocks_called_caseless_have_no_case() {
        for c in every_char().filter(|c| is_caseless(*c)) {
            assert!(c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]), "{c:?}");
        }
    }

    #[test]
    fn every_zero_begins_ten_digits() {
        for zero in ZEROS {
            for (digit, code) in (zero..zero + 10).enumerate() {
                let c = char::from_u32(code).unwrap();
                assert_eq!(c.general_category(), GeneralCategory::DecimalNumber, "{c:?}");
                assert_eq!(
                    decimal_digit(c).and_then(|d| d.to_digit(10)),
                    Some(u32::try_from(digit).unwrap())
                );
            }
        }
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn what_a_character_folds_to_folds_to_itself() {
        for c in every_char() {
            for part in parts(c) {
                if let Folded::Letter(letter) = part {
                    assert_eq!(parts(letter), [part], "{c:?} has {letter:?}");
                }
            }
        }
    }

    #[test]
    fn both_cases_of_a_character_fold_alike() {
        let letters = |chars: &mut dyn Iterator<Item = char>| {
            chars.flat_map(parts).filter(|part| *part != Folded::Mark).collect::<Vec<_>>()
        };
        for c in every_char() {
            // The Greek iota subscript is a mark in lower case and a letter in upper case; it goes with the accents.
            let mut subscript = false;
            decompose_compatible(c, |part| subscript |= part == '\u{345}');
            if !subscript {
                let folded = letters(&mut std::iter::once(c));
                assert_eq!(letters(&mut c.to_uppercase()), folded, "{c:?} in upper case");
                assert_eq!(letters(&mut c.to_lowercase()), folded, "{c:?} in lower case");
            }
        }
    }
}
