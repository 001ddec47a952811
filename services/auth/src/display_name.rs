//! What somebody is called, parsed on arrival.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// The most characters of a name, as Unicode scalar values.
pub const MAX_CHARACTERS: usize = 100;

/// A name to show: 1 to 100 characters, NFC, no blanks around it, no line breaks, other controls, or marks of writing
/// direction (with which a name could pass for another).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DisplayName(String);

/// Why a text can't be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDisplayName {
    /// Nothing in it.
    #[error("a name has at least 1 character")]
    Empty,
    /// Too much in it.
    #[error("a name has at most {MAX_CHARACTERS} characters")]
    TooLong,
    /// Something that can't be shown on one line.
    #[error("a name holds no line breaks, control characters or marks of writing direction")]
    Control,
}

impl DisplayName {
    /// Takes a name as a person types it.
    pub fn parse(text: &str) -> Result<Self, InvalidDisplayName> {
        // Four bytes for each character, four times over for decomposed text: nothing longer is even looked at.
        if text.len() > MAX_CHARACTERS * 16 {
            return Err(InvalidDisplayName::TooLong);
        }
        let name: String = text.trim().nfc().collect();
        if name.is_empty() {
            return Err(InvalidDisplayName::Empty);
        }
        if name.chars().any(|c| c.is_control() || turns_direction(c)) {
            return Err(InvalidDisplayName::Control);
        }
        if name.chars().count() > MAX_CHARACTERS {
            return Err(InvalidDisplayName::TooLong);
        }
        Ok(Self(name))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Unicode Bidirectional Algorithm (UAX #9), table 1: explicit embeddings, overrides and isolates, and the line and
/// paragraph separators.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

impl TryFrom<String> for DisplayName {
    type Error = InvalidDisplayName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DisplayName> for String {
    fn from(name: DisplayName) -> Self {
        name.0
    }
}

/// Says nothing of the person.
impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisplayName(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken_and_trimmed() {
        for name in ["Ann", "李小龍", "Ольга", "ﷺ", "अनीता", "O'Hara 🦀"] {
            assert_eq!(DisplayName::parse(&format!(" {name} ")).unwrap().as_str(), name);
        }
    }

    #[test]
    fn the_bounds_are_1_and_100_characters() {
        assert!(DisplayName::parse(&"é".repeat(100)).is_ok());
        assert_eq!(DisplayName::parse(&"é".repeat(101)), Err(InvalidDisplayName::TooLong));
        assert_eq!(DisplayName::parse(&"x".repeat(1 << 20)), Err(InvalidDisplayName::TooLong));
        assert_eq!(DisplayName::parse(" \u{3000} "), Err(InvalidDisplayName::Empty));
        assert_eq!(DisplayName::parse("a\nb"), Err(InvalidDisplayName::Control));
        assert_eq!(DisplayName::parse("a\u{202e}b"), Err(InvalidDisplayName::Control));
        assert_eq!(DisplayName::parse("a\0b"), Err(InvalidDisplayName::Control));
    }
}
