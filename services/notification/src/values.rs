//! What a notification is made of, parsed on arrival.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Why a text isn't acceptable; said to the client beside the field's pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing.
    #[error("must not be empty")]
    Empty,
    /// Too many characters (Unicode scalar values).
    #[error("has at most {0} characters")]
    TooLong(usize),
    /// Characters that can't be shown.
    #[error("holds control characters")]
    Control,
    /// No word for a kind.
    #[error("is a word of ASCII letters, digits and -_.:")]
    NotAKind,
    /// Leads nowhere that is safe to follow.
    #[error("must be an http or https address, or a path that begins with /")]
    NotALink,
}

/// Declares a text that is parsed when it arrives.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

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
    /// What a notification is about, in a word: 1 to 64 ASCII letters, digits and `-_.:`.
    Kind, 1, MAX_KIND
}
text_value! {
    /// What it says in a few words: 1 to 200 characters on one line.
    Title, 1, MAX_TITLE
}
text_value! {
    /// What it says in more words: at most 2,000 characters.
    Body, 0, MAX_BODY
}
text_value! {
    /// What a webhook is for, in an administrator's words: at most 500 characters on one line.
    Description, 0, MAX_DESCRIPTION
}
text_value! {
    /// Where it leads: an http or https address, or a path on this instance; at most 2,048 characters.
    Link, 1, MAX_LINK
}

/// The most characters of a [`Kind`].
pub const MAX_KIND: usize = 64;
/// The most characters of a [`Title`].
pub const MAX_TITLE: usize = 200;
/// The most characters of a [`Body`].
pub const MAX_BODY: usize = 2_000;
/// The most characters of a [`Description`].
pub const MAX_DESCRIPTION: usize = 500;
/// The most characters of a [`Link`].
pub const MAX_LINK: usize = 2_048;

fn bounded(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.chars().nth(max).is_some() { Err(InvalidText::TooLong(max)) } else { Ok(()) }
}

/// The first characters of `text` on one line, an ellipsis for what is left out.
pub fn excerpt(text: &str, max: usize) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.extend(word.chars().filter(|c| !c.is_control()));
    }
    match words.char_indices().nth(max) {
        None => words,
        Some(_) => words.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

impl Kind {
    /// Takes a word.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        bounded(text, MAX_KIND)?;
        let sound = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if text.is_empty() || !text.chars().all(sound) {
            Err(InvalidText::NotAKind)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl Title {
    /// Takes a text.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        bounded(text, MAX_TITLE)?;
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.chars().any(char::is_control) { Err(InvalidText::Control) } else { Ok(Self(text.to_owned())) }
    }

    /// A title cut to fit; `otherwise` if there is nothing to show.
    pub fn nearest(text: &str, otherwise: &str) -> Self {
        let text = excerpt(text, MAX_TITLE);
        Self(if text.is_empty() { otherwise.to_owned() } else { text })
    }
}

impl Body {
    /// Takes a text.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        bounded(text, MAX_BODY)?;
        let sound = |c: char| c == '\n' || c == '\t' || !c.is_control();
        if text.chars().all(sound) { Ok(Self(text.to_owned())) } else { Err(InvalidText::Control) }
    }

    /// The beginning of a longer text, on one line.
    pub fn excerpt(text: &str) -> Self {
        Self(excerpt(text, 200))
    }
}

impl Description {
    /// Takes a text.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        bounded(text, MAX_DESCRIPTION)?;
        if text.chars().any(char::is_control) { Err(InvalidText::Control) } else { Ok(Self(text.to_owned())) }
    }
}

impl Link {
    /// Takes an address or a path.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        bounded(text, MAX_LINK)?;
        // `//host` and `/\host` lead to another host in browsers (WHATWG URL, "relative slash state").
        let is_path = text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\");
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let is_web = ["https://", "http://"]
            .iter()
            .any(|scheme| lower.starts_with(scheme) && text.len() > scheme.len());
        let sound = |c: char| !c.is_whitespace() && !c.is_control() && !"\"'<>`".contains(c);
        if (is_path || is_web) && text.chars().all(sound) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidText::NotALink)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_word() {
        assert!(Kind::parse("order_shipped:v2").is_ok());
        for bad in ["", "two words", "é", "a\n"] {
            assert_eq!(Kind::parse(bad), Err(InvalidText::NotAKind), "{bad:?}");
        }
        assert_eq!(Kind::parse(&"k".repeat(65)), Err(InvalidText::TooLong(64)));
    }

    #[test]
    fn titles_and_bodies_have_bounds() {
        assert_eq!(Title::parse(" "), Err(InvalidText::Empty));
        assert_eq!(Title::parse("a\nb"), Err(InvalidText::Control));
        assert!(Title::parse(&"語".repeat(200)).is_ok());
        assert_eq!(Title::parse(&"語".repeat(201)), Err(InvalidText::TooLong(200)));
        assert!(Body::parse("one\n\ttwo").is_ok());
        assert_eq!(Body::parse("a\0b"), Err(InvalidText::Control));
        assert_eq!(Body::parse(&"x".repeat(2_001)), Err(InvalidText::TooLong(2_000)));
    }

    #[test]
    fn a_link_leads_to_the_web_or_stays_here() {
        for good in ["https://example.org/x?y#z", "HTTP://localhost:1", "/conversations/1"] {
            assert!(Link::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "//evil.example",
            "/\\evil.example",
            "https://",
            "x",
            "/a b",
            "/\u{0}",
        ] {
            assert_eq!(Link::parse(bad), Err(InvalidText::NotALink), "{bad:?}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(" one\n two\u{7}  three ", 100), "one two three");
        assert_eq!(excerpt("你好世界", 3), "你好…");
        assert_eq!(excerpt("你好世", 3), "你好世");
    }
}
