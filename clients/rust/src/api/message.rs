//! Messages.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Call, List, Parlor, new_id};

/// What a message's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MessageType {
    /// Words.
    #[default]
    Text,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Message {
    /// Its id.
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
    pub reply_to: Option<Uuid>,
    /// Orders messages: a decimal number.
    pub position: String,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was last put in other words, if it was.
    pub edited_at: Option<Timestamp>,
}

/// What is left of a deleted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeletedMessage {
    /// The message.
    pub id: Uuid,
    /// Where it was said; feeds say it, pages are of one conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<Uuid>,
    /// Who had said it.
    pub sender_id: Uuid,
    /// Orders messages: a decimal number.
    pub position: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// A message, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MessageItem {
    /// One that wasn't deleted.
    Message(Message),
    /// One that was.
    Deleted(DeletedMessage),
}

impl MessageItem {
    /// The message, if it wasn't deleted.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Deleted(_) => None,
        }
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FoundMessage {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Where in its content the words are: ascending, apart from each other.
    pub highlights: Vec<Highlight>,
}

/// A part of a text, counted in UTF-16 code units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Highlight {
    /// Where it begins.
    pub start: u32,
    /// Where it ends; the unit there is no longer part of it.
    pub end: u32,
}

/// A message to be sent; a text makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMessage {
    id: Uuid,
    r#type: MessageType,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Uuid>,
}

impl NewMessage {
    /// Says this: 1 to 4,000 characters, not only white space.
    pub fn new(content: impl Into<String>) -> Self {
        Self { id: new_id(), r#type: MessageType::Text, content: content.into(), reply_to: None }
    }

    /// With this id (UUID version 7) instead of a new one: sent again, be it by another process, it is the same message.
    #[must_use]
    pub fn id(self, id: Uuid) -> Self {
        Self { id, ..self }
    }

    /// In reply to this message of the same conversation.
    #[must_use]
    pub fn reply_to(self, message: Uuid) -> Self {
        Self { reply_to: Some(message), ..self }
    }
}

impl From<&str> for NewMessage {
    fn from(content: &str) -> Self {
        Self::new(content)
    }
}

impl From<String> for NewMessage {
    fn from(content: String) -> Self {
        Self::new(content)
    }
}

impl Parlor {
    /// What was said in a conversation, newest first.
    pub fn messages(&self, conversation: Uuid) -> List<MessageItem> {
        List::new(self.call(Method::GET, format!("/v1/conversations/{conversation}/messages")))
    }

    /// The same, without this many of the newest.
    pub fn messages_from(&self, conversation: Uuid, offset: u32) -> List<MessageItem> {
        self.messages(conversation).query("offset", offset)
    }

    /// What was said before a message, newest first.
    pub fn messages_before(&self, conversation: Uuid, message: Uuid) -> List<MessageItem> {
        self.messages(conversation).query("before", message)
    }

    /// What was said after a message: a page holds the first of it, newest first.
    pub fn messages_after(&self, conversation: Uuid, message: Uuid) -> List<MessageItem> {
        self.messages(conversation).query("after", message)
    }

    /// A message and those next to it on both sides, newest first.
    pub fn messages_around(&self, conversation: Uuid, message: Uuid) -> List<MessageItem> {
        self.messages(conversation).query("around", message)
    }

    /// Says something.
    pub fn send(&self, conversation: Uuid, message: impl Into<NewMessage>) -> Call<Message> {
        let message = message.into();
        let path = format!("/v1/conversations/{conversation}/messages");
        // Whoever sends the message again, in whatever way, repeats this very command.
        self.call(Method::POST, path).body(&message).idempotency_key(message.id)
    }

    /// Puts a message in other words.
    pub fn edit_message(&self, conversation: Uuid, message: Uuid, content: &str) -> Call<Message> {
        let path = format!("/v1/conversations/{conversation}/messages/{message}");
        self.call(Method::PATCH, path).body(&json!({"content": content}))
    }

    /// Deletes a message.
    pub fn delete_message(&self, conversation: Uuid, message: Uuid) -> Call<()> {
        self.call(Method::DELETE, format!("/v1/conversations/{conversation}/messages/{message}"))
    }

    /// Messages that have all of these words, or parts of words, in any conversation that one may read.
    pub fn search_messages(&self, words: &str) -> List<FoundMessage> {
        List::new(self.call(Method::GET, "/v1/messages/search")).query("q", words)
    }
}

impl List<FoundMessage> {
    /// Only in this conversation.
    pub fn conversation(self, conversation: Uuid) -> Self {
        self.query("conversationId", conversation)
    }

    /// Only by this sender.
    pub fn sender(self, sender: Uuid) -> Self {
        self.query("senderId", sender)
    }
}
