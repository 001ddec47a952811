//! Conversations, and who is in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Call, List, MessageType, Parlor};

/// What kind of conversation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConversationKind {
    /// Between two.
    Direct,
    /// Between any number.
    Group,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// What a newcomer sees of what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConversationHistory {
    /// Nothing.
    SinceJoining,
    /// All of it.
    All,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// What somebody may do in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ParticipantRole {
    /// Read and write.
    Member,
    /// Rename it, and say who is in it, as well.
    Admin,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: ConversationKind,
    /// What it is called; direct ones have no title.
    pub title: Option<String>,
    /// What newcomers see of what was said before.
    pub history: ConversationHistory,
    /// Who began it.
    pub created_by: Uuid,
    /// The first 20 who are in it, by when they joined.
    pub participants: Vec<Uuid>,
    /// How many are in it.
    pub participant_count: u64,
    /// The newest message that the caller can see and that isn't deleted.
    pub last_message: Option<LastMessage>,
    /// How many messages of others the caller hasn't read.
    pub unread_count: u64,
    /// When something happened in it last.
    pub updated_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
}

/// A conversation's newest message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LastMessage {
    /// The message.
    pub id: Uuid,
    /// Who said it.
    pub sender_id: Uuid,
    /// What the content is.
    pub r#type: MessageType,
    /// What it says, as far as the caller has seen it edited.
    pub content: String,
    /// Orders messages: a decimal number.
    pub position: String,
    /// When it was sent.
    pub created_at: Timestamp,
}

/// A conversation's settings, as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConversationSettings {
    /// The conversation.
    pub id: Uuid,
    /// Its kind.
    pub kind: ConversationKind,
    /// What it is called.
    pub title: Option<String>,
    /// What newcomers see.
    pub history: ConversationHistory,
    /// When this was so.
    pub updated_at: Timestamp,
}

/// A conversation to be begun. The caller is in it without being named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewConversation {
    kind: ConversationKind,
    participants: Vec<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<ConversationHistory>,
}

impl NewConversation {
    /// With somebody; a second one with the same is the first.
    pub fn direct(other: Uuid) -> Self {
        Self { kind: ConversationKind::Direct, participants: vec![other], title: None, history: None }
    }

    /// With these, 500 at most.
    pub fn group(others: impl IntoIterator<Item = Uuid>) -> Self {
        let participants = others.into_iter().collect();
        Self { kind: ConversationKind::Group, participants, title: None, history: None }
    }

    /// What it is called: 1 to 200 characters on one line.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// What people who join later see of what was said before; nothing, unless said otherwise.
    #[must_use]
    pub fn history(self, history: ConversationHistory) -> Self {
        Self { history: Some(history), ..self }
    }
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Participant {
    /// Who.
    pub user_id: Uuid,
    /// What they are called; empty while chat hasn't heard of them.
    pub display_name: String,
    /// What they may do.
    pub role: ParticipantRole,
    /// The position of the newest message that they have read.
    pub read_position: Option<String>,
    /// When they joined.
    pub joined_at: Timestamp,
}

/// One conversation's unread messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnreadMessages {
    /// How many.
    pub count: u64,
}

/// All conversations' unread messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnreadMessagesByConversation {
    /// How many in all.
    pub total: u64,
    /// How many in each conversation that has any.
    pub conversations: BTreeMap<Uuid, u64>,
}

impl Parlor {
    /// One's conversations, newest activity first.
    pub fn conversations(&self) -> List<Conversation> {
        List::new(self.call(Method::GET, "/v1/conversations"))
    }

    /// One conversation.
    pub fn conversation(&self, conversation: Uuid) -> Call<Conversation> {
        self.call(Method::GET, format!("/v1/conversations/{conversation}"))
    }

    /// Begins a conversation.
    pub fn create_conversation(&self, conversation: &NewConversation) -> Call<Conversation> {
        self.call(Method::POST, "/v1/conversations").body(conversation)
    }

    /// Renames a group; `None` takes its name away.
    pub fn rename_conversation(&self, conversation: Uuid, title: Option<&str>) -> Call<ConversationSettings> {
        self.call(Method::PATCH, format!("/v1/conversations/{conversation}")).body(&json!({"title": title}))
    }

    /// Who is in a conversation.
    pub fn participants(&self, conversation: Uuid) -> List<Participant> {
        List::new(self.call(Method::GET, format!("/v1/conversations/{conversation}/participants")))
    }

    /// Adds a participant, or changes their role. Without one, newcomers are members, and the others stay what they are.
    pub fn add_participant(&self, conversation: Uuid, user: Uuid, role: Option<ParticipantRole>) -> Call<()> {
        let path = format!("/v1/conversations/{conversation}/participants/{user}");
        self.call(Method::PUT, path).body(&json!({"role": role}))
    }

    /// Removes a participant; oneself is leaving.
    pub fn remove_participant(&self, conversation: Uuid, user: Uuid) -> Call<()> {
        self.call(Method::DELETE, format!("/v1/conversations/{conversation}/participants/{user}"))
    }

    /// Says that one has read a conversation up to this message.
    pub fn mark_messages_as_read(&self, conversation: Uuid, up_to: Uuid) -> Call<()> {
        self.call(Method::PUT, format!("/v1/conversations/{conversation}/read")).body(&json!({"upTo": up_to}))
    }

    /// How many messages of a conversation one hasn't read.
    pub fn unread_messages_count(&self, conversation: Uuid) -> Call<UnreadMessages> {
        self.call(Method::GET, format!("/v1/conversations/{conversation}/unread-count"))
    }

    /// How many messages one hasn't read, by conversation.
    pub fn unread_messages_counts(&self) -> Call<UnreadMessagesByConversation> {
        self.call(Method::GET, "/v1/unread-count")
    }
}
