//! Events as a feed shows them.

use cqrs_core::{Aggregate as _, CodecError, Keys, Personal, RecordedEvent, decode};
use jiff::Timestamp;
use parlor_contracts::notification::NotificationEvent;
use parlor_contracts::user::UserEvent;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::told::{
    ContactChanged, ConversationCreated, ConversationRenamed, MessageTold, MessagesRead, Nothing,
    NotificationCreated, NotificationRead, ParticipantAdded, ParticipantRemoved, ParticipantRoleChanged,
    ProfileUpdated, StatusChanged, Tells, Told, Tombstone,
};
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
    /// What is told, written once for everybody who hears of it.
    pub(super) fn of(told: &impl Tells, at: Timestamp) -> Result<Self, CodecError> {
        let kind = told.kind();
        let data = told.data().map_err(|error| CodecError::Undecodable {
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

fn optional(personal: Option<&Personal<String>>) -> Option<String> {
    personal.and_then(|personal| personal.get().cloned())
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
    let (conversation, effect, told) = match &*event.category {
        Conversation::CATEGORY => settings(event, decode(event, keys)?, by),
        Membership::CATEGORY => membership(event, decode(event, keys)?, by),
        ReadMark::CATEGORY => {
            let ReadMarkEvent::Read { conversation, user, up_to, position } = decode(event, keys)?;
            let position = position.to_string();
            let read = MessagesRead { conversation_id: conversation, user_id: user, up_to, position };
            (conversation, Effect::None, Told::MessagesRead(read))
        }
        Message::CATEGORY => message(event, &decode(event, keys)?, deleted_at),
        _ => return Ok(None),
    };
    Ok(Some(ChatEvent { conversation, effect, live: LiveEvent::of(&told, event.at)? }))
}

type InConversation = (Uuid, Effect, Told);

fn settings(event: &RecordedEvent, change: ConversationEvent, by: Uuid) -> InConversation {
    let conversation_id = event.stream;
    let told = match change {
        ConversationEvent::Created { kind, title, history, creator } => {
            let (title, created_by) = (optional(title.as_ref()), creator);
            let created = ConversationCreated { conversation_id, kind, title, history, created_by };
            Told::ConversationCreated(created)
        }
        ConversationEvent::Renamed { title } => {
            let title = optional(title.as_ref());
            Told::ConversationRenamed(ConversationRenamed { conversation_id, title, renamed_by: by })
        }
    };
    (conversation_id, Effect::None, told)
}

fn membership(event: &RecordedEvent, change: MembershipEvent, by: Uuid) -> InConversation {
    match change {
        MembershipEvent::Added {
            conversation: conversation_id,
            user: user_id,
            role,
            kind,
            title,
            history,
        } => {
            let (title, added_by) = (optional(title.as_ref()), by);
            let added = ParticipantAdded { conversation_id, user_id, role, added_by, kind, title, history };
            let effect = Effect::Joined(user_id, sees_since(event, history));
            (conversation_id, effect, Told::ParticipantAdded(added))
        }
        MembershipEvent::RoleChanged { conversation: conversation_id, user: user_id, role } => {
            let changed = ParticipantRoleChanged { conversation_id, user_id, role, changed_by: by };
            (conversation_id, Effect::None, Told::ParticipantRoleChanged(changed))
        }
        MembershipEvent::Removed { conversation: conversation_id, user: user_id } => {
            let removed = ParticipantRemoved { conversation_id, user_id, removed_by: by };
            (conversation_id, Effect::Left(user_id), Told::ParticipantRemoved(removed))
        }
    }
}

fn message(event: &RecordedEvent, change: &MessageEvent, deleted_at: Option<Timestamp>) -> InConversation {
    let id = event.stream;
    let (conversation_id, sender_id, effect) = match change {
        MessageEvent::Sent { conversation, sender, .. } => (*conversation, *sender, Effect::None),
        MessageEvent::Edited { conversation, sender, position, .. }
        | MessageEvent::Deleted { conversation, sender, position } => {
            (*conversation, *sender, Effect::About(*position))
        }
    };
    let position = if let Effect::About(position) = effect { position } else { event.position.0 };
    let position = position.to_string();
    let left =
        |deleted_at| Tombstone { id, conversation_id, position: position.clone(), sender_id, deleted_at };
    let said = |message_type, content: &Personal<String>, reply_to, created_at, edited_at| match deleted_at {
        Some(deleted_at) => MessageTold::Deleted(left(deleted_at)),
        None => MessageTold::Said(MessageAnswer {
            id,
            conversation_id,
            sender_id,
            r#type: message_type,
            content: text(content).to_owned(),
            reply_to,
            position: position.clone(),
            created_at,
            edited_at,
        }),
    };
    let told = match change {
        MessageEvent::Sent { message_type, content, reply_to, .. } => {
            Told::MessageSent(said(*message_type, content, *reply_to, event.at, None))
        }
        MessageEvent::Edited { message_type, content, reply_to, sent_at, .. } => {
            Told::MessageEdited(said(*message_type, content, *reply_to, *sent_at, Some(event.at)))
        }
        MessageEvent::Deleted { .. } => Told::MessageDeleted(left(deleted_at.unwrap_or(event.at))),
    };
    (conversation_id, effect, told)
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
    let (person, audience, told) = match event {
        UserEvent::UserProfileUpdated { user_id, display_name, bio, avatar_url } => {
            let profile = ProfileUpdated {
                user_id: *user_id,
                display_name: text(display_name).to_owned(),
                bio: optional(bio.as_ref()),
                avatar_url: optional(avatar_url.as_ref()),
            };
            (*user_id, Audience::WhoKnowsThem, Told::ProfileUpdated(profile))
        }
        UserEvent::UserStatusChanged { user_id, status, text } => {
            let (user_id, status, text) = (*user_id, *status, optional(text.as_ref()));
            let changed = StatusChanged { user_id, status, text };
            (user_id, Audience::WhoKnowsThem, Told::StatusChanged(changed))
        }
        UserEvent::UserContactAdded { user_id, contact_id } => {
            let changed = ContactChanged { user_id: *user_id, contact_id: *contact_id };
            (*user_id, Audience::Themselves, Told::ContactAdded(changed))
        }
        UserEvent::UserContactRemoved { user_id, contact_id } => {
            let changed = ContactChanged { user_id: *user_id, contact_id: *contact_id };
            (*user_id, Audience::Themselves, Told::ContactRemoved(changed))
        }
        UserEvent::UserCreated { .. }
        | UserEvent::ProfileRefused { .. }
        | UserEvent::UserDisabled { .. }
        | UserEvent::UserEnabled { .. }
        | UserEvent::UserDeleted { .. } => return Ok(None),
    };
    Ok(Some(UserChange { person, audience, live: LiveEvent::of(&told, at)? }))
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
    let own = |user_id: &Uuid, told: Told| -> Result<Notice, CodecError> {
        let live = LiveEvent::of(&told, at)?;
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
            let created = NotificationCreated {
                id: *notification_id,
                kind: kind.0.clone(),
                title: text(title).to_owned(),
                body: text(body).to_owned(),
                link: optional(link.as_ref()),
                actor_id: *actor_id,
                conversation_id: *conversation_id,
                message_id: *message_id,
            };
            let (conversation, message) = (*conversation_id, *message_id);
            let position = position.unwrap_or(0);
            Ok(Notice {
                conversation,
                message,
                position,
                ..own(user_id, Told::NotificationCreated(created))?
            })
        }
        NotificationEvent::NotificationRead { notification_id, user_id } => {
            own(user_id, Told::NotificationRead(NotificationRead { id: *notification_id }))
        }
        NotificationEvent::NotificationsRead { user_id } => {
            own(user_id, Told::AllNotificationsRead(Nothing {}))
        }
        NotificationEvent::NotificationPreferencesUpdated { user_id } => {
            own(user_id, Told::PreferencesUpdated(Nothing {}))
        }
    }
}
