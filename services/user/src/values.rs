//! What a profile is made of, parsed on arrival: whatever holds one of these holds an acceptable one.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Why a text isn't acceptable; said to the client beside the field's pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing that can be seen.
    #[error("must not be empty")]
    Empty,
    /// Too many characters (Unicode scalar values).
    #[error("has at most {0} characters")]
    TooLong(usize),
    /// Characters that can't be shown where the text is shown.
    #[error("holds control characters, line breaks or marks of writing direction")]
    Control,
    /// Something else than an address on the web.
    #[error("must be an http or https address")]
    NotAWebAddress,
    /// Something else than an e-mail address.
    #[error("must be an e-mail address")]
    NotAnEmailAddress,
}

/// Declares a text that is parsed when it arrives.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .into()
            }
        }

        impl ToSchema for $name {}

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

text_value! {
    /// What somebody is called: 1 to 100 characters on one line, NFC, without blanks around it.
    DisplayName, 1, MAX_NAME
}
text_value! {
    /// What somebody says of themselves: at most 500 characters, line breaks among them.
    Bio, 0, MAX_BIO
}
text_value! {
    /// Where somebody's picture is: an http or https address of at most 2,048 characters.
    AvatarUrl, 1, MAX_URL
}
text_value! {
    /// What somebody is doing, in their words: at most 140 characters on one line.
    StatusText, 0, MAX_STATUS
}
text_value! {
    /// What another application calls somebody: 1 to 255 characters, compared exactly.
    ExternalId, 1, MAX_EXTERNAL_ID
}
text_value! {
    /// Where somebody's mail goes: at most 254 bytes (RFC 5321 §4.5.3.1.3, less the brackets).
    ///
    /// Narrower than the standard and wider than what auth registers: it signs nobody in and no mail is sent to it.
    EmailAddress, 3, MAX_EMAIL_BYTES
}

/// The most characters of a [`DisplayName`].
pub const MAX_NAME: usize = 100;
/// The most characters of a [`Bio`].
pub const MAX_BIO: usize = 500;
/// The most characters of an [`AvatarUrl`]; what browsers and proxies take without trouble.
pub const MAX_URL: usize = 2_048;
/// The most characters of a [`StatusText`].
pub const MAX_STATUS: usize = 140;
/// The most characters of an [`ExternalId`].
pub const MAX_EXTERNAL_ID: usize = 255;
const MAX_EMAIL_BYTES: usize = 254;

/// Explicit marks of writing direction: in a name they would turn round the line that the name is shown in.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn fits_one_line(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}') && !turns_direction(c)
}

fn is_visible(c: char) -> bool {
    !c.is_whitespace()
        && !matches!(c.general_category(), GeneralCategory::Format | GeneralCategory::Control)
        // Hangul fillers and the braille blank are letters and symbols without ink.
        && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
}

/// Trimmed and composed, at most `max` characters, all of which `allowed` allows. Empty texts pass.
fn clean(text: &str, max: usize, allowed: fn(char) -> bool) -> Result<String, InvalidText> {
    // Composing never makes a text longer in characters than it can shrink: 16 bytes a character is more than any
    // composed text needs, so nothing longer is even looked at.
    if text.len() > max * 16 {
        return Err(InvalidText::TooLong(max));
    }
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > max {
        return Err(InvalidText::TooLong(max));
    }
    if !text.chars().all(allowed) {
        return Err(InvalidText::Control);
    }
    Ok(text)
}

impl DisplayName {
    /// Takes a name as it is typed.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let name = clean(text, MAX_NAME, fits_one_line)?;
        if name.chars().any(is_visible) { Ok(Self(name)) } else { Err(InvalidText::Empty) }
    }

    /// The nearest acceptable name to one that another service accepted: what can't be shown is left out, what is too
    /// much is cut off.
    pub fn nearest(text: &str) -> Self {
        let kept: String = text.nfc().filter(|c| fits_one_line(*c)).take(MAX_NAME).collect();
        Self::parse(&kept).unwrap_or_else(|_| Self("?".to_owned()))
    }
}

impl Bio {
    /// Takes a text as it is typed.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        clean(text, MAX_BIO, |c| c == '\n' || (!c.is_control() && !turns_direction(c))).map(Self)
    }
}

impl StatusText {
    /// Takes a text as it is typed.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        clean(text, MAX_STATUS, fits_one_line).map(Self)
    }
}

impl AvatarUrl {
    /// Takes an absolute address. It is handed to clients and never fetched here.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        if text.len() > MAX_URL {
            return Err(InvalidText::TooLong(MAX_URL));
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidText::NotAWebAddress)?;
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A name before an `@` passes one host off as another (RFC 3986 §7.6); the rest are the characters that
        // RFC 3986 has no place for and that break out of an attribute or a style.
        let sound = !authority.is_empty()
            && !authority.starts_with(':')
            && !authority.contains('@')
            && rest.chars().all(|c| is_visible(c) && !"\"'<>\\^`{|}".contains(c));
        if is_web && sound { Ok(Self(text.to_owned())) } else { Err(InvalidText::NotAWebAddress) }
    }
}

impl ExternalId {
    /// Takes an id as the application sends it.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.chars().nth(MAX_EXTERNAL_ID).is_some() {
            return Err(InvalidText::TooLong(MAX_EXTERNAL_ID));
        }
        if text.is_empty() || text.trim() != text {
            return Err(InvalidText::Empty);
        }
        if !text.chars().all(fits_one_line) {
            return Err(InvalidText::Control);
        }
        Ok(Self(text.to_owned()))
    }
}

impl EmailAddress {
    /// Takes an address as it is typed.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim_matches(' ');
        let (local, domain) = text.split_once('@').ok_or(InvalidText::NotAnEmailAddress)?;
        let sound = text.len() <= MAX_EMAIL_BYTES
            && !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && text.chars().all(|c| is_visible(c) && !"<>(),;:\"\\[]".contains(c));
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidText::NotAnEmailAddress) }
    }

    /// The form that addresses are compared in: NFKC, lower case.
    pub fn normalised(&self) -> String {
        normalise_email(&self.0)
    }
}

/// The form that e-mail addresses are compared in; see [`EmailAddress::normalised`].
pub fn normalise_email(address: &str) -> String {
    address.trim_matches(' ').nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_script_are_taken_composed_and_trimmed() {
        for name in ["Ann", "李小龍", "Ольга", "अनीता", "O'Hara 🦀", "ㅋ", "👩‍🚀", "..."]
        {
            assert_eq!(DisplayName::parse(&format!(" {name}\n")).expect(name).as_str(), name);
        }
        assert_eq!(DisplayName::parse("Zoe\u{308}").expect("composes").as_str(), "Zoë");
    }

    #[test]
    fn a_name_has_1_to_100_characters_that_can_be_seen() {
        assert!(DisplayName::parse(&"é".repeat(100)).is_ok());
        assert!(DisplayName::parse(&"e\u{301}".repeat(100)).is_ok());
        assert_eq!(DisplayName::parse(&"é".repeat(101)), Err(InvalidText::TooLong(100)));
        assert_eq!(DisplayName::parse(&"x".repeat(1 << 20)), Err(InvalidText::TooLong(100)));
        for nothing in ["", "  \u{3000}", "\u{200b}\u{200d}", "\u{3164}"] {
            assert_eq!(DisplayName::parse(nothing), Err(InvalidText::Empty), "{nothing:?}");
        }
    }

    #[test]
    fn what_would_break_or_turn_round_a_line_is_refused_in_a_name_and_left_out_by_nearest() {
        for bad in ["a\nb", "a\0b", "a\u{202e}b", "a\u{2066}b", "a\u{2028}b", "a\u{85}b"] {
            assert_eq!(DisplayName::parse(bad), Err(InvalidText::Control), "{bad:?}");
            assert_eq!(DisplayName::nearest(bad).as_str(), "ab");
        }
        assert_eq!(DisplayName::nearest("\u{202e}").as_str(), "?");
        assert_eq!(DisplayName::nearest(&"y".repeat(300)).as_str().len(), 100);
    }

    #[test]
    fn a_bio_has_lines_and_a_status_has_none() {
        assert_eq!(Bio::parse(" one\ntwo ").expect("lines are fine").as_str(), "one\ntwo");
        assert_eq!(StatusText::parse("one\ntwo"), Err(InvalidText::Control));
        assert_eq!(Bio::parse(&"x".repeat(501)), Err(InvalidText::TooLong(500)));
        assert_eq!(StatusText::parse(&"x".repeat(141)), Err(InvalidText::TooLong(140)));
        assert!(StatusText::parse(&"x".repeat(140)).is_ok());
    }

    #[test]
    fn pictures_are_on_the_web() {
        for good in ["https://example.org/a.png?x=1#y", "HTTP://localhost:8080/a", "https://例子.广告/é"]
        {
            assert!(AvatarUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "ftp://example.org/a",
            "//example.org/a",
            "https://",
            "https:///a",
            "https://:80/",
            "https://good.example@evil.example/",
            "https://example.org/a b",
            "https://example.org/\"onload=",
            "https://example.org/\u{202e}",
        ] {
            assert_eq!(AvatarUrl::parse(bad), Err(InvalidText::NotAWebAddress), "{bad}");
        }
        let long = format!("https://example.org/{}", "x".repeat(2_048));
        assert_eq!(AvatarUrl::parse(&long), Err(InvalidText::TooLong(2_048)));
    }

    #[test]
    fn addresses_are_compared_without_case_and_width() {
        let one = EmailAddress::parse(" Ann@Example.ORG ").expect("an address");
        assert_eq!(one.normalised(), "ann@example.org");
        for bad in ["", "ann", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc:x", "<a@b>"] {
            assert_eq!(EmailAddress::parse(bad), Err(InvalidText::NotAnEmailAddress), "{bad:?}");
        }
    }

    #[test]
    fn an_external_id_is_taken_as_it_is() {
        assert_eq!(ExternalId::parse("crm|42 a").expect("an id").as_str(), "crm|42 a");
        for bad in ["", " a", "a\n", "a\0b"] {
            assert!(ExternalId::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ExternalId::parse(&"x".repeat(256)), Err(InvalidText::TooLong(255)));
    }
}
