//! The values that chat is about, parsed where they arrive: whoever holds one holds a valid one.

use parlor_contracts::chat as public;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use cqrs_core::Context;

/// What a message says: 1 to 4,000 characters (Unicode scalar values), no NUL, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(as = MessageContent, value_type = String, min_length = 1, max_length = 4000, example = "See you at noon?")]
pub struct Content(String);

impl Content {
    /// The longest content, in characters.
    pub const MAX_CHARS: usize = 4000;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// There is nothing to be read in it.
    #[error("must not be empty or only white space")]
    Blank,
    /// Too long, in characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// Holds what no store and no screen can show.
    #[error("must not contain NUL or other forbidden control characters")]
    Forbidden,
}

fn bounded(text: &str, most: usize) -> Result<(), TextError> {
    // Counting stops at the bound: a text may be as large as a request.
    if text.chars().nth(most).is_some() {
        return Err(TextError::TooLong(most));
    }
    if text.chars().all(char::is_whitespace) {
        return Err(TextError::Blank);
    }
    Ok(())
}

impl TryFrom<String> for Content {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        bounded(&text, Self::MAX_CHARS)?;
        if text.contains('\0') {
            return Err(TextError::Forbidden);
        }
        Ok(Self(text))
    }
}

impl From<Content> for String {
    fn from(content: Content) -> Self {
        content.0
    }
}

/// What a group is called: 1 to 200 characters on one line, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(as = ConversationTitle, value_type = String, min_length = 1, max_length = 200, example = "Harbour crew")]
pub struct Title(String);

impl Title {
    /// The longest title, in characters.
    pub const MAX_CHARS: usize = 200;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        bounded(&text, Self::MAX_CHARS)?;
        if text.chars().any(char::is_control) {
            return Err(TextError::Forbidden);
        }
        Ok(Self(text))
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

/// An enum whose variants have a stored, sent and public name.
macro_rules! named {
    ($(#[$about:meta])* $name:ident = $public:ident { $($(#[$doc:meta])* $variant:ident = $text:tt,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
        // All services share one description: the names in it are the contracts'.
        #[schema(as = $public)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Its name, as stored and sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The one of this name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl From<$name> for public::$public {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => Self::$variant,)+
                }
            }
        }

        impl cqrs_core::FromRow for $name {
            fn from_row(row: &dyn cqrs_core::Row, column: usize) -> Result<Self, cqrs_core::RowError> {
                let name = String::from_row(row, column)?;
                let unknown = || cqrs_core::RowError { column, detail: format!("{name} is no {}", stringify!($name)) };
                Self::named(&name).ok_or_else(unknown)
            }
        }
    };
}

named! {
    /// What kind of conversation it is.
    Kind = ConversationKind {
        /// Between two, for good.
        #[default]
        Direct = "direct",
        /// Among any number, who come and go.
        Group = "group",
    }
}

named! {
    /// What somebody may do in a conversation.
    Role = ParticipantRole {
        /// Read, write, leave.
        #[default]
        Member = "member",
        /// Also rename, add and remove others, and delete anybody's messages.
        Admin = "admin",
    }
}

named! {
    /// What a newcomer sees of what was said before.
    History = ConversationHistory {
        /// Nothing.
        #[default]
        SinceJoining = "since-joining",
        /// All of it, at their first joining.
        All = "all",
    }
}

named! {
    /// What a message's content is.
    MessageType = MessageType {
        /// Text as people type it.
        #[default]
        Text = "text",
    }
}

/// The user who asks. Other actors are nil, who is in no conversation and therefore sees none.
pub fn caller(cx: &Context) -> Uuid {
    cx.actor.user().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: impl Into<String>) -> Result<Content, TextError> {
        Content::try_from(text.into())
    }

    #[test]
    fn content_has_one_to_four_thousand_characters_whatever_their_bytes() {
        assert_eq!(content(""), Err(TextError::Blank));
        assert_eq!(content(" \n\u{3000}"), Err(TextError::Blank));
        assert!(content("好").is_ok());
        assert!(content("好".repeat(4000)).is_ok());
        assert_eq!(content("好".repeat(4001)), Err(TextError::TooLong(4000)));
    }

    #[test]
    fn content_keeps_lines_and_bidirectional_marks_and_refuses_nul() {
        assert!(content("one\ntwo\t\u{202e}three\u{200d}").is_ok());
        assert_eq!(content("a\0b"), Err(TextError::Forbidden));
    }

    #[test]
    fn a_title_is_one_line_of_at_most_two_hundred_characters() {
        assert!(Title::try_from("Küche & Bad".to_owned()).is_ok());
        assert_eq!(Title::try_from("a\nb".to_owned()), Err(TextError::Forbidden));
        assert_eq!(Title::try_from("x".repeat(201)), Err(TextError::TooLong(200)));
    }

    #[test]
    fn content_that_arrives_is_checked_while_it_is_parsed() {
        let error = serde_json::from_str::<Content>("\"\"").unwrap_err();
        assert!(error.to_string().contains("empty"), "{error}");
    }
}
