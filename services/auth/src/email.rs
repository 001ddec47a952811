//! An e-mail address, parsed on arrival.
//!
//! What is shown and written to is what the person typed; what must be unique is [`Email::normalised`]. The grammar is
//! narrower than RFC 5321: no quoted local parts, no comments, no address literals. It knows Unicode letters (RFC 6531),
//! and it doesn't ask for a dot in the domain, since self-hosted instances mail to `localhost` and to intranets.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The longest address that can be written to, in bytes: RFC 5321 §4.5.3.1.3 allows a path of 256 with its brackets.
pub const MAX_BYTES: usize = 254;
/// The longest part before the `@`, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The longest label of a domain, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// An address that can be written to: one `@`, no blanks, no controls, at most [`MAX_BYTES`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than [`MAX_BYTES`] bytes.
    #[error("an e-mail address has at most {MAX_BYTES} bytes")]
    TooLong,
    /// Not `something@somewhere`, or a character that has no place in it.
    #[error("this is not an e-mail address")]
    Malformed,
}

impl Email {
    /// Takes an address as a person types it. Spaces around it (U+0020 only, as phones add them) are dropped; any other
    /// blank, line break or control refuses it, so that none reaches a mail header.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim_matches(' ');
        if text.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        if !is_address(text) {
            return Err(InvalidEmail::Malformed);
        }
        let email = Self(text.to_owned());
        // A full-width `＠` or dot becomes a plain one under NFKC: what the address is compared as must be sound too.
        let normalised = email.normalised();
        if normalised.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        if is_address(&normalised) { Ok(email) } else { Err(InvalidEmail::Malformed) }
    }

    /// As the person wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique among accounts: NFKC and lower case, the local part too, since providers that tell
    /// `Ann@` from `ann@` are unheard of and people aren't consistent.
    pub fn normalised(&self) -> String {
        self.0.nfkc().flat_map(char::to_lowercase).nfkc().collect()
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    is_local_part(local) && is_domain(domain)
}

fn is_local_part(text: &str) -> bool {
    text.len() <= MAX_LOCAL_BYTES
        && text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || is_word(c))
    })
}

/// The characters of an atom in RFC 5322 §3.2.3, and letters, marks and digits of any script.
fn is_atext(c: char) -> bool {
    is_word(c) || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_word(c: char) -> bool {
    matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number
    )
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// Says nothing of the person, so that an address doesn't get into a log by `{:?}`.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> InvalidEmail {
        Email::parse(text).expect_err(text)
    }

    #[test]
    fn addresses_as_people_have_them_are_taken() {
        for text in [
            "ann@example.org",
            "a.b+news@mail.example.co.uk",
            "o'hara_1@localhost",
            "用户@例子.广告",
            "दीपक@उदाहरण.भारत",
        ] {
            assert_eq!(Email::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn spaces_around_it_are_dropped_and_line_breaks_refuse_it() {
        assert_eq!(Email::parse(" ann@example.org ").unwrap().as_str(), "ann@example.org");
        for text in [
            "ann@example.org\r\nBcc: all@example.org",
            "ann@example.org\n",
            "\tann@example.org",
            "a nn@example.org",
            "ann@exa\u{0}mple.org",
            "ann\u{202e}@example.org",
            "ann\u{200b}@example.org",
        ] {
            assert_eq!(refused(text), InvalidEmail::Malformed);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.org",
            "ann@@example.org",
            "a@b@c",
            ".ann@example.org",
            "ann.@example.org",
            "a..b@example.org",
            "ann@-example.org",
            "ann@example..org",
            "ann@example.org.",
            "\"a b\"@example.org",
            "ann@[127.0.0.1]",
            "<ann@example.org>",
            "ann＠example.org",
            "a＠b@example.org",
        ] {
            assert_eq!(refused(text), InvalidEmail::Malformed, "{text}");
        }
    }

    #[test]
    fn the_longest_address_is_taken_and_one_byte_more_is_not() {
        let label = "d".repeat(63);
        let domain = format!("{label}.{label}.{}", "e".repeat(61));
        let longest = format!("{}@{domain}", "l".repeat(64));
        assert_eq!(longest.len(), MAX_BYTES);
        assert!(Email::parse(&longest).is_ok());
        assert_eq!(refused(&format!("{longest}e")), InvalidEmail::TooLong);
        assert_eq!(refused(&format!("{}@example.org", "l".repeat(65))), InvalidEmail::Malformed);
    }

    #[test]
    fn the_same_address_in_other_letters_is_the_same_account() {
        let one = Email::parse("Zoe\u{308}@Example.ORG").unwrap();
        let other = Email::parse("zo\u{eb}@example.org").unwrap();
        assert_ne!(one, other);
        assert_eq!(one.normalised(), other.normalised());
    }

    #[test]
    fn debug_output_does_not_name_the_person() {
        assert_eq!(format!("{:?}", Email::parse("ann@example.org").unwrap()), "Email(…)");
    }
}
