//! Events as a feed shows them.

use cqrs_core::{Aggregate as _, CodecError, Keys, Personal, RecordedEvent, decode};
use jiff::Timestamp;
use parlor_contracts::notification::NotificationEvent;
use parlor_contracts::user::UserEvent;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageAnswer, MessageEvent};
use crate::read_mark::{ReadMark, ReadMarkEvent};
use crate::values::History;

/// An event as it is for everybody who hears of it.
#[derive(Debug)]
pub struct LiveEvent {
    /// Its type, as `chat.message-sent`.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as JSON.
    pub data: Box<RawValue>,
}

impl LiveEvent {
    pub(super) fn new(kind: &str, at: Timestamp, data: &impl Serialize) -> Result<Self, CodecError> {
        let data = to_raw_value(data).map_err(|error| CodecError::Undecodable {
            name: kind.to_owned(),
            schema: 0,
            detail: error.to_string(),
        })?;
        Ok(Self { kind: kind.to_owned(), at, data })
    }

    /// About how many bytes it holds.
    pub(super) fn weight(&self) -> usize {
        self.data.get().len() + 64
    }
}

/// What is left of a deleted message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tombstone {
    id: Uuid,
    conversation_id: Uuid,
    position: String,
    sender_id: Uuid,
    #[serde(with = "cqrs_http::time")]
    deleted_at: Timestamp,
}

/// What an event does to who hears of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// It changes the message at this position: only who may see that hears of it.
    About(u64),
    /// Somebody is in from now on, and may see what happened after this position.
    Joined(Uuid, u64),
    /// Somebody isn't in any more.
    Left(Uuid),
}

/// An event of chat's, on its way to who is in the conversation.
pub(super) struct ChatEvent {
    pub(super) conversation: Uuid,
    pub(super) effect: Effect,
    pub(super) live: LiveEvent,
}

fn text(personal: &Personal<String>) -> &str {
    personal.text()
}

fn optional(personal: Option<&Personal<String>>) -> Option<&str> {
    personal.and_then(|personal| personal.get().map(String::as_str))
}

/// The conversation that a private event of chat's happened in, without opening the rest of it.
pub(super) fn conversation_of(event: &RecordedEvent) -> Option<Uuid> {
    #[derive(serde::Deserialize)]
    struct InConversation {
        conversation: Uuid,
    }
    match &*event.category {
        Conversation::CATEGORY => Some(event.stream),
        Membership::CATEGORY | ReadMark::CATEGORY | Message::CATEGORY => {
            serde_json::from_slice::<InConversation>(&event.data).ok().map(|found| found.conversation)
        }
        _ => None,
    }
}

/// Since when somebody may see what is said in a conversation that they are added to by this event.
pub(super) fn sees_since(event: &RecordedEvent, history: History) -> u64 {
    // A membership's first event is the first joining.
    if history == History::All && event.version == 1 { 0 } else { event.position.0 }
}

/// A private event of chat's as a feed shows it. `deleted_at`: when the message that it tells of was deleted, if it was
/// since; nobody gets to read that any more.
pub(super) fn of_chat(
    event: &RecordedEvent,
    keys: &Keys,
    deleted_at: Option<Timestamp>,
) -> Result<Option<ChatEvent>, CodecError> {
    let by = event.actor.user().unwrap_or_default();
    let (conversation, effect, kind, data) = match &*event.category {
        Conversation::CATEGORY => settings(event, decode(event, keys)?, by),
        Membership::CATEGORY => membership(event, decode(event, keys)?, by),
        ReadMark::CATEGORY => {
            let ReadMarkEvent::Read { conversation, user, up_to, position } = decode(event, keys)?;
            let data = json!({"conversationId": conversation, "userId": user, "upTo": up_to,
                "position": position.to_string()});
            (conversation, Effect::None, "chat.messages-read", data)
        }
        Message::CATEGORY => return message(event, &decode(event, keys)?, deleted_at).map(Some),
        _ => return Ok(None),
    };
    let live = LiveEvent::new(kind, event.at, &data)?;
    Ok(Some(ChatEvent { conversation, effect, live }))
}

type Told = (Uuid, Effect, &'static str, Value);

fn settings(event: &RecordedEvent, change: ConversationEvent, by: Uuid) -> Told {
    let id = event.stream;
    let (kind, data) = match change {
        ConversationEvent::Created { kind, title, history, creator } => {
            let data = json!({"conversationId": id, "kind": kind, "title": optional(title.as_ref()),
                "history": history, "createdBy": creator});
            ("chat.conversation-created", data)
        }
        ConversationEvent::Renamed { title } => {
            let data = json!({"conversationId": id, "title": optional(title.as_ref()), "renamedBy": by});
            ("chat.conversation-renamed", data)
        }
    };
    (id, Effect::None, kind, data)
}

fn membership(event: &RecordedEvent, change: MembershipEvent, by: Uuid) -> Told {
    match change {
        MembershipEvent::Added { conversation, user, role, kind, title, history } => {
            let data = json!({"conversationId": conversation, "userId": user, "role": role, "addedBy": by,
                "kind": kind, "title": optional(title.as_ref()), "history": history});
            let effect = Effect::Joined(user, sees_since(event, history));
            (conversation, effect, "chat.participant-added", data)
        }
        MembershipEvent::RoleChanged { conversation, user, role } => {
            let data = json!({"conversationId": conversation, "userId": user, "role": role, "changedBy": by});
            (conversation, Effect::None, "chat.participant-role-changed", data)
        }
        MembershipEvent::Removed { conversation, user } => {
            let data = json!({"conversationId": conversation, "userId": user, "removedBy": by});
            (conversation, Effect::Left(user), "chat.participant-removed", data)
        }
    }
}

fn message(
    event: &RecordedEvent,
    change: &MessageEvent,
    deleted_at: Option<Timestamp>,
) -> Result<ChatEvent, CodecError> {
    let id = event.stream;
    let (conversation, sender, effect, kind) = match change {
        MessageEvent::Sent { conversation, sender, .. } => {
            (*conversation, *sender, Effect::None, "chat.message-sent")
        }
        MessageEvent::Edited { conversation, sender, position, .. } => {
            (*conversation, *sender, Effect::About(*position), "chat.message-edited")
        }
        MessageEvent::Deleted { conversation, sender, position } => {
            (*conversation, *sender, Effect::About(*position), "chat.message-deleted")
        }
    };
    let position = if let Effect::About(position) = effect { position } else { event.position.0 };
    let position = position.to_string();
    let said = |message_type, content: &Personal<String>, reply_to, created_at, edited_at| MessageAnswer {
        id,
        conversation_id: conversation,
        sender_id: sender,
        r#type: message_type,
        content: text(content).to_owned(),
        reply_to,
        position: position.clone(),
        created_at,
        edited_at,
    };
    let live = match change {
        MessageEvent::Sent { message_type, content, reply_to, .. } if deleted_at.is_none() => {
            LiveEvent::new(kind, event.at, &said(*message_type, content, *reply_to, event.at, None))
        }
        MessageEvent::Edited { message_type, content, reply_to, sent_at, .. } if deleted_at.is_none() => {
            let answer = said(*message_type, content, *reply_to, *sent_at, Some(event.at));
            LiveEvent::new(kind, event.at, &answer)
        }
        _ => {
            let deleted_at = deleted_at.unwrap_or(event.at);
            let (conversation_id, sender_id) = (conversation, sender);
            let left = Tombstone { id, conversation_id, position: position.clone(), sender_id, deleted_at };
            LiveEvent::new(kind, event.at, &left)
        }
    };
    Ok(ChatEvent { conversation, effect, live: live? })
}

/// Who hears of what happened to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// They alone.
    Themselves,
    /// They, those in a conversation with them, and those who have them among their contacts.
    WhoKnowsThem,
}

/// A public event of the user service's, about one person.
pub(super) struct UserChange {
    pub(super) person: Uuid,
    pub(super) audience: Audience,
    pub(super) live: LiveEvent,
}

/// As a feed shows it; accounts' comings and goings are nobody's feed.
pub(super) fn of_user(event: &UserEvent, at: Timestamp) -> Result<Option<UserChange>, CodecError> {
    let (person, audience, kind, data) = match event {
        UserEvent::UserProfileUpdated { user_id, display_name, bio, avatar_url } => {
            let data = json!({"userId": user_id, "displayName": text(display_name),
                "bio": optional(bio.as_ref()), "avatarUrl": optional(avatar_url.as_ref())});
            (user_id, Audience::WhoKnowsThem, "user.profile-updated", data)
        }
        UserEvent::UserStatusChanged { user_id, status, text } => {
            let data = json!({"userId": user_id, "status": status, "text": optional(text.as_ref())});
            (user_id, Audience::WhoKnowsThem, "user.status-changed", data)
        }
        UserEvent::UserContactAdded { user_id, contact_id } => {
            let data = json!({"userId": user_id, "contactId": contact_id});
            (user_id, Audience::Themselves, "user.contact-added", data)
        }
        UserEvent::UserContactRemoved { user_id, contact_id } => {
            let data = json!({"userId": user_id, "contactId": contact_id});
            (user_id, Audience::Themselves, "user.contact-removed", data)
        }
        UserEvent::UserCreated { .. }
        | UserEvent::ProfileRefused { .. }
        | UserEvent::UserDisabled { .. }
        | UserEvent::UserEnabled { .. }
        | UserEvent::UserDeleted { .. } => return Ok(None),
    };
    Ok(Some(UserChange { person: *person, audience, live: LiveEvent::new(kind, at, &data)? }))
}

/// A public event of the notification service's, to one person.
pub(super) struct Notice {
    pub(super) person: Uuid,
    /// Where it comes from: hidden from who isn't in there any more.
    pub(super) conversation: Option<Uuid>,
    /// Of what message it tells: hidden once that is deleted.
    pub(super) message: Option<Uuid>,
    /// The place in chat's log of what it comes from.
    pub(super) position: u64,
    pub(super) live: LiveEvent,
}

/// As a feed shows it.
pub(super) fn of_notification(event: &NotificationEvent, at: Timestamp) -> Result<Notice, CodecError> {
    let own = |user_id: &Uuid, kind, data: Value| -> Result<Notice, CodecError> {
        let live = LiveEvent::new(kind, at, &data)?;
        Ok(Notice { person: *user_id, conversation: None, message: None, position: 0, live })
    };
    match event {
        NotificationEvent::NotificationCreated {
            notification_id,
            user_id,
            kind,
            title,
            body,
            link,
            actor_id,
            conversation_id,
            message_id,
            position,
        } => {
            let data = json!({"id": notification_id, "kind": kind, "title": text(title), "body": text(body),
                "link": optional(link.as_ref()), "actorId": actor_id, "conversationId": conversation_id,
                "messageId": message_id});
            let (conversation, message) = (*conversation_id, *message_id);
            let position = position.unwrap_or(0);
            Ok(Notice { conversation, message, position, ..own(user_id, "notification.created", data)? })
        }
        NotificationEvent::NotificationRead { notification_id, user_id } => {
            own(user_id, "notification.read", json!({"id": notification_id}))
        }
        NotificationEvent::NotificationsRead { user_id } => own(user_id, "notification.all-read", json!({})),
        NotificationEvent::NotificationPreferencesUpdated { user_id } => {
            own(user_id, "notification.preferences-updated", json!({}))
        }
    }
}
