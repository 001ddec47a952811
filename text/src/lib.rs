//! Search in any script, alike on every store.
//!
//! A database's own collations and text search differ between engines, versions and locales, and know some languages
//! only. So the text is normalised here, and the store sees nothing but ASCII tokens:
//!
//! ```
//! use parlor_text::{contains_all, find, fold, index_tokens, query_tokens, terms};
//!
//! // When a message is indexed:
//! let folded = fold("Grüße aus Kyōto: 你好!");
//! assert_eq!(folded, "grusse aus kyoto 你好");
//! let indexed = index_tokens(&folded);
//!
//! // When somebody searches: the index proposes, `contains_all` decides.
//! let terms = terms("KYOTO 你好");
//! assert!(query_tokens(&terms).is_subset(&indexed));
//! assert!(contains_all(&folded, &terms));
//!
//! // To highlight, in bytes of the original text:
//! assert_eq!(find("Grüße", "gruss"), [0..6]);
//! ```
//!
//! The index proposes candidates: a text whose tokens include all of the query's. It may propose too many (`天气今天` has
//! both pairs of `今天气`), never too few, so a candidate is verified with [`contains_all`] on its folded text.
//!
//! # What [`fold()`] makes alike
//! - **Forms of a character**: Unicode compatibility decomposition (NFKD), so full and half width, ligatures,
//!   superscripts, presentation forms; composed again (NFC) at the end, so a Hangul syllable and a `が` are one character
//!   however they were typed. Korean letters standing alone (`ㅋㅋ`, `ㅠㅠ`) stay alone. Decimal digits become `0` to `9`.
//! - **Case**: full folding (`ß` is `ss`, `ς` is `σ`); the Turkish `İ`, `I`, `ı`, `i` are one letter.
//! - **Accents**: the marks of Latin, Greek and Cyrillic, Hebrew points, Arabic harakat and tatweel, Syriac points,
//!   Devanagari's nukta. `æ œ ø đ ð ł ħ ŧ þ`, which do not decompose, become `ae oe o d d l h t th`. Marks that spell stay:
//!   the vowel signs and viramas of India, the vowels and tones of Thai and Lao, the Japanese voicing marks.
//! - **Arabic letters**: `ي ی ى`, `ك ک`, the alefs, `ه ہ ھ ة` and the like, which keyboards for Arabic, Persian and Urdu
//!   give different code points (Lucene's Arabic and Persian normalisation filters join the same ones).
//!   Hebrew final letters are the plain ones; Hindi `ँ` is `ं`.
//! - **What is not seen**: joiners, soft hyphens, bidi controls, variation selectors, skin tones.
//! - **Apostrophes and hyphens vanish**: `can't` is `cant`, `п'ять` is `пять`, `e-mail` is `email`. Search finds parts
//!   of words, so `mail` still finds `e-mail`.
//! - **Other punctuation, white space, controls** are one space, none at the ends. Symbols and `# % &` stay: emoji,
//!   `c++`, `c#`, `€` can be searched.
//!
//! Distinct stay: hiragana and katakana, simplified and traditional Han, `ü` and `ue`.
//!
//! Folding is linear in the text. A folded text has no NUL (which PostgreSQL's `text` refuses) and at most eleven times
//! the bytes of the original (the worst is `ﷺ`, one character of three bytes that stands for a sentence).

mod fold;
mod letter;
mod query;
mod tokens;

pub use fold::fold;
pub use query::{MAX_QUERY_CHARS, MAX_TERMS, MAX_TERMS_CHARS, contains_all, find, find_terms, terms};
pub use tokens::{TOKEN_BITS, Token, index_tokens, query_tokens, token};
