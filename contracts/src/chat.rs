//! What the chat service makes public. Ordering key: the conversation, for every event.
//!
//! Each event says enough to act on without asking anybody: whoever keeps a view of memberships needs only
//! `participant-added.v1` and `participant-removed.v1`, and a `message-sent.v1` names the conversation's kind and title.
//! Recipients are never listed: a message to ten thousand is as small as one to two.

use cqrs_core::{Event, Personal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of conversation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConversationKind {
    /// Between two, for good.
    Direct,
    /// Among any number, who come and go.
    Group,
}

/// What somebody may do in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ParticipantRole {
    /// Read, write, leave.
    Member,
    /// Also rename, add and remove others, and delete anybody's messages.
    Admin,
}

/// What a newcomer sees of what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConversationHistory {
    /// Nothing.
    SinceJoining,
    /// All of it, at their first joining.
    All,
}

/// What a message's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageType {
    /// Text as people type it.
    Text,
}

/// The public events of the chat service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum ChatEvent {
    /// A conversation began; a `participant-added.v1` for each of its first members follows.
    #[serde(rename = "conversation-created.v1", rename_all = "camelCase")]
    ConversationCreated {
        /// Which.
        conversation_id: Uuid,
        /// Of what kind.
        kind: ConversationKind,
        /// What it is called; direct ones have no title.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// What newcomers see of what was said before.
        history: ConversationHistory,
        /// Who began it.
        created_by: Uuid,
    },
    /// A group is called something else, or nothing any more.
    #[serde(rename = "conversation-renamed.v1", rename_all = "camelCase")]
    ConversationRenamed {
        /// Which.
        conversation_id: Uuid,
        /// The new title.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// Who renamed it.
        renamed_by: Uuid,
    },
    /// Somebody is in a conversation from now on.
    #[serde(rename = "participant-added.v1", rename_all = "camelCase")]
    ParticipantAdded {
        /// Which conversation.
        conversation_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// What they may do.
        role: ParticipantRole,
        /// Who added them; themselves, if they began it.
        added_by: Uuid,
        /// Of what kind the conversation is.
        kind: ConversationKind,
        /// What it is called at this time.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// What they see of what was said before, if this is their first joining.
        history: ConversationHistory,
    },
    /// Somebody may do more, or less, from now on.
    #[serde(rename = "participant-role-changed.v1", rename_all = "camelCase")]
    ParticipantRoleChanged {
        /// In which conversation.
        conversation_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// What they may do now.
        role: ParticipantRole,
        /// Who decided it.
        changed_by: Uuid,
    },
    /// Somebody left or was removed: from here on they see nothing of it.
    #[serde(rename = "participant-removed.v1", rename_all = "camelCase")]
    ParticipantRemoved {
        /// Which conversation.
        conversation_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// Who removed them; themselves, if they left.
        removed_by: Uuid,
    },
    /// Somebody has read everything up to a message.
    #[serde(rename = "messages-read.v1", rename_all = "camelCase")]
    MessagesRead {
        /// In which conversation.
        conversation_id: Uuid,
        /// Who.
        user_id: Uuid,
        /// Up to which message.
        up_to: Uuid,
        /// That message's position in chat's log: that of its `message-sent.v1`.
        position: u64,
    },
    /// Somebody said something. Its position is the event's own.
    #[serde(rename = "message-sent.v1", rename_all = "camelCase")]
    MessageSent {
        /// In which conversation.
        conversation_id: Uuid,
        /// Of what kind it is.
        kind: ConversationKind,
        /// What it is called at this time.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// The message.
        message_id: Uuid,
        /// Who said it.
        sender_id: Uuid,
        /// What its content is.
        message_type: MessageType,
        /// What was said.
        content: Personal<String>,
        /// What it replies to.
        #[serde(default)]
        reply_to: Option<Uuid>,
    },
    /// Somebody put what they said in other words.
    #[serde(rename = "message-edited.v1", rename_all = "camelCase")]
    MessageEdited {
        /// In which conversation.
        conversation_id: Uuid,
        /// The message.
        message_id: Uuid,
        /// Who said it.
        sender_id: Uuid,
        /// The message's position: that of its `message-sent.v1`.
        position: u64,
        /// The new words.
        content: Personal<String>,
    },
    /// A message is gone; that there was one remains.
    #[serde(rename = "message-deleted.v1", rename_all = "camelCase")]
    MessageDeleted {
        /// In which conversation.
        conversation_id: Uuid,
        /// The message.
        message_id: Uuid,
        /// Who said it.
        sender_id: Uuid,
        /// The message's position: that of its `message-sent.v1`.
        position: u64,
        /// Who deleted it.
        deleted_by: Uuid,
    },
}

impl Event for ChatEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<ChatEvent>(), Vec::<String>::new());
    }
}
