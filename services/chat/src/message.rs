//! A message: sent once, edited and deleted perhaps, in a stream of its own.

use cqrs_core::{Aggregate, Event, Executor, Failure, Personal, Position};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::values::{Kind, MessageType};

/// What happens to a message. The content is about its sender, who can be erased from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum MessageEvent {
    /// It was said. Its position is this event's.
    #[serde(rename = "message.sent")]
    Sent {
        /// In which conversation.
        conversation: Uuid,
        /// By whom.
        sender: Uuid,
        /// The conversation's kind, for those who hear of the message alone.
        kind: Kind,
        /// Its title at this time, likewise.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// What the content is.
        message_type: MessageType,
        /// What was said.
        content: Personal<String>,
        /// What it replies to.
        #[serde(default)]
        reply_to: Option<Uuid>,
    },
    /// It was put in other words. Says all of the message, so that it can be shown by this event alone.
    #[serde(rename = "message.edited")]
    Edited {
        /// In which conversation.
        conversation: Uuid,
        /// Who said it.
        sender: Uuid,
        /// The message's position.
        position: u64,
        /// When it was sent.
        #[schemars(with = "String", extend("format" = "date-time"))]
        sent_at: Timestamp,
        /// What the content is.
        message_type: MessageType,
        /// The new words.
        content: Personal<String>,
        /// What it replies to.
        #[serde(default)]
        reply_to: Option<Uuid>,
    },
    /// It is gone; that there was one remains.
    #[serde(rename = "message.deleted")]
    Deleted {
        /// In which conversation.
        conversation: Uuid,
        /// Who said it.
        sender: Uuid,
        /// The message's position.
        position: u64,
    },
}

impl Event for MessageEvent {}

/// What decisions need to know of a message. Its content isn't kept: nothing is decided on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Message {
    /// Where it was said.
    pub conversation: Uuid,
    /// By whom.
    pub sender: Uuid,
    /// Whether it is gone.
    pub deleted: bool,
}

impl Aggregate for Message {
    const CATEGORY: &'static str = "message";
    type Event = MessageEvent;

    fn apply(&mut self, event: &MessageEvent) {
        match event {
            MessageEvent::Sent { conversation, sender, .. } => {
                *self = Self { conversation: *conversation, sender: *sender, deleted: false };
            }
            MessageEvent::Edited { .. } => {}
            MessageEvent::Deleted { .. } => self.deleted = true,
        }
    }
}

/// A message as it was first said, with its place and time, which no state holds: they are the log's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its position.
    pub position: Position,
    /// When it was sent.
    pub at: Timestamp,
    /// What the content is.
    pub message_type: MessageType,
    /// What was said; empty if its sender was erased.
    pub content: String,
    /// What it replies to.
    pub reply_to: Option<Uuid>,
}

impl SentMessage {
    /// Reads it from the log; `None` if there is no such message.
    pub async fn load(executor: &Executor, id: Uuid) -> Result<Option<Self>, Failure> {
        let events = executor.log().read_stream(Message::stream(id), 0).await?;
        let Some(first) = events.first() else { return Ok(None) };
        Ok(match executor.keyring().decode(first).await? {
            MessageEvent::Sent { message_type, content, reply_to, .. } => Some(Self {
                position: first.position,
                at: first.at,
                message_type,
                content: content.into_inner().unwrap_or_default(),
                reply_to,
            }),
            MessageEvent::Edited { .. } | MessageEvent::Deleted { .. } => None,
        })
    }
}

/// A message as commands answer with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageAnswer {
    /// The message.
    pub id: Uuid,
    /// Where it was said.
    pub conversation_id: Uuid,
    /// By whom.
    pub sender_id: Uuid,
    /// What the content is.
    pub r#type: MessageType,
    /// What is said.
    pub content: String,
    /// What it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Uuid>,
    /// Orders messages: a decimal number as a string.
    #[schema(example = "42")]
    pub position: String,
    /// When it was sent.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last put in other words, if it was.
    #[serde(default, with = "cqrs_http::time::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub edited_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<MessageEvent>(), Vec::<String>::new());
    }
}
