//! Passwords: what is taken as one ([`Password`]), which are too easily guessed ([`policy`]), and how they are kept
//! ([`Hasher`]).

mod hasher;
pub mod policy;

use std::fmt;

use serde::{Deserialize, Deserializer};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use hasher::{
    HashError, Hasher, HasherSettings, MIN_MEMORY_KIB, MIN_PASSES, PasswordHash, Verdict, WeakSettings,
};

/// The fewest characters of a new password (OWASP ASVS 5.0, 6.2.1).
pub const MIN_CHARACTERS: usize = 8;
/// The most characters of a password (OWASP ASVS 5.0, 6.2.9 asks for at least 64).
pub const MAX_CHARACTERS: usize = 128;
/// The most bytes that are even looked at: [`MAX_CHARACTERS`] of four bytes, four times over for decomposed text.
const MAX_INPUT_BYTES: usize = 2048;

/// A password that somebody chooses: 8 to 128 characters, counted as Unicode scalar values after NFKC, nothing cut off,
/// no rule about its composition.
///
/// NIST SP 800-63B-4 §3.1.1.2 asks for normalisation (NFKC or NFKD) before hashing, so that the same password typed on
/// another keyboard is the same, and counts each code point as one. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// A password that somebody claims is theirs, at sign-in: normalised alike, bounded alike above, not below, since an
/// account may be older than the rules.
#[derive(Clone)]
pub struct PasswordAttempt(Zeroizing<String>);

/// Why a text can't be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Fewer than [`MIN_CHARACTERS`].
    #[error("a password has at least {MIN_CHARACTERS} characters")]
    TooShort,
    /// More than [`MAX_CHARACTERS`].
    #[error("a password has at most {MAX_CHARACTERS} characters")]
    TooLong,
}

impl Password {
    /// Takes a new password.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        let text = normalise(text)?;
        if text.chars().count() < MIN_CHARACTERS {
            return Err(InvalidPassword::TooShort);
        }
        Ok(Self(text))
    }

    /// A password that was found to be somebody's, to be hashed anew, whatever the rules for new ones are by now.
    pub(crate) fn from_match(attempt: PasswordAttempt) -> Self {
        Self(attempt.0)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl PasswordAttempt {
    /// Takes a password to compare. [`InvalidPassword::TooLong`] is the only way to fail, before anything is hashed.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        normalise(text).map(Self)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn normalise(text: &str) -> Result<Zeroizing<String>, InvalidPassword> {
    if text.len() > MAX_INPUT_BYTES {
        return Err(InvalidPassword::TooLong);
    }
    // Reserved in full, so that growing leaves no copies behind: NFKC makes at most 18 characters of one.
    let mut normalised = Zeroizing::new(String::with_capacity(MAX_CHARACTERS * 4 + 4));
    for (count, c) in text.nfkc().enumerate() {
        if count == MAX_CHARACTERS {
            return Err(InvalidPassword::TooLong);
        }
        normalised.push(c);
    }
    Ok(normalised)
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PasswordAttempt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl fmt::Debug for PasswordAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordAttempt(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_2_passwords_of_8_to_128_characters_of_any_kind_are_taken() {
        for text in ["12345678", "aaaaaaaa", "密码密码密码密码", "        ", "🦀🦀🦀🦀🦀🦀🦀🦀"]
        {
            assert!(Password::parse(text).is_ok(), "{text}");
        }
        assert_eq!(Password::parse("1234567").unwrap_err(), InvalidPassword::TooShort);
        assert_eq!(Password::parse("").unwrap_err(), InvalidPassword::TooShort);
        for c in ["x", "é", "密", "🦀"] {
            assert!(Password::parse(&c.repeat(128)).is_ok(), "{c}");
            assert_eq!(Password::parse(&c.repeat(129)).unwrap_err(), InvalidPassword::TooLong, "{c}");
        }
    }

    #[test]
    fn security_2_nothing_is_cut_off() {
        let one = Password::parse(&format!("{}a", "x".repeat(127))).unwrap();
        let other = Password::parse(&format!("{}b", "x".repeat(127))).unwrap();
        assert_ne!(one.as_bytes(), other.as_bytes());
        assert_eq!(one.as_bytes().len(), 128);
    }

    #[test]
    fn a_decomposed_password_is_the_composed_one() {
        let hangul = "각".repeat(128);
        let decomposed: String = hangul.chars().flat_map(|c| c.nfd().collect::<Vec<_>>()).collect();
        assert_eq!(decomposed.chars().count(), 384);
        assert_eq!(
            Password::parse(&hangul).unwrap().as_str(),
            Password::parse(&decomposed).unwrap().as_str()
        );
    }

    #[test]
    fn characters_that_expand_are_counted_expanded() {
        // U+FDFA becomes 18 characters under NFKC.
        assert!(Password::parse(&"\u{fdfa}".repeat(7)).is_ok());
        assert_eq!(Password::parse(&"\u{fdfa}".repeat(8)).unwrap_err(), InvalidPassword::TooLong);
    }

    #[test]
    fn security_4_a_huge_password_is_refused_before_any_work() {
        let huge = "x".repeat(1 << 20);
        assert_eq!(Password::parse(&huge).unwrap_err(), InvalidPassword::TooLong);
        assert_eq!(PasswordAttempt::parse(&huge).unwrap_err(), InvalidPassword::TooLong);
    }

    #[test]
    fn an_attempt_may_be_short() {
        assert!(PasswordAttempt::parse("").is_ok());
        assert!(PasswordAttempt::parse("x").is_ok());
    }

    #[test]
    fn security_35_neither_shows_itself() {
        assert_eq!(format!("{:?}", Password::parse("correct horse").unwrap()), "Password(…)");
        assert_eq!(format!("{:?}", PasswordAttempt::parse("correct horse").unwrap()), "PasswordAttempt(…)");
    }
}
