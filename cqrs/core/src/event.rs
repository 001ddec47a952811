//! Events: facts, named in the past tense, never changed once recorded.

use std::borrow::Cow;
use std::fmt::Debug;

use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::context::Actor;

/// A place in a log: 1 for its first event, without gaps, in commit order. 0 is before the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The events of one aggregate: an enum with serde's adjacent tagging, whose tags are the events' stored names.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// # use cqrs_core::{Event, Plain};
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
/// #[serde(tag = "type", content = "data")]
/// enum LampEvent {
///     #[serde(rename = "lamp.lit")]
///     Lit { by: Plain<String> },
///     #[serde(rename = "lamp.put-out")]
///     PutOut {},
/// }
/// impl Event for LampEvent {}
/// ```
///
/// Only the content of `data` is stored; the tag becomes the event's name. Text fields must say whether they are
/// [`Personal`](crate::Personal) or [`Plain`](crate::Plain); [`undeclared_text`](crate::undeclared_text) finds those
/// that don't.
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Clone + Debug + Send + Sync + 'static {
    /// The present version of the event called `name`. Raise it when the shape of its data changes, and teach
    /// [`Event::upcast`] the step from the version before.
    fn version(name: &str) -> u16 {
        let _ = name;
        1
    }

    /// Turns the data of an older version into that of the present one. What is stored is never rewritten.
    ///
    /// # Errors
    /// A sentence that says what can't be understood; the reader stops at that event.
    fn upcast(name: &str, version: u16, data: serde_json::Value) -> Result<serde_json::Value, String> {
        let _ = data;
        Err(format!("no way from version {version} of {name} to the present one"))
    }
}

/// What an aggregate's stream is called: its category and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The kind of aggregate.
    pub category: &'static str,
    /// Which one.
    pub id: Uuid,
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.category, self.id)
    }
}

/// An event encoded and sealed, on its way into a log.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Unique.
    pub id: Uuid,
    /// The stored name.
    pub name: Cow<'static, str>,
    /// The version of its data.
    pub schema: u16,
    /// JSON, with personal fields sealed.
    pub data: Bytes,
}

/// An event as a log gives it back.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Place in the log.
    pub position: Position,
    /// Unique.
    pub id: Uuid,
    /// Category of its stream.
    pub category: Cow<'static, str>,
    /// Id of its stream.
    pub stream: Uuid,
    /// Place in its stream, from 1.
    pub version: u64,
    /// The stored name.
    pub name: Cow<'static, str>,
    /// The version of its data.
    pub schema: u16,
    /// When it was committed; never goes back within a log. In milliseconds.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// Shared by all that one request set off.
    pub correlation: Uuid,
    /// The event that caused it, if one did.
    pub causation: Option<Uuid>,
    /// JSON, with personal fields sealed.
    pub data: Bytes,
}

impl RecordedEvent {
    /// About how many bytes it holds in memory.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.name.len() + self.category.len()
    }
}
