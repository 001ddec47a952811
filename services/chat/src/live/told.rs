//! What feeds tell.
//!
//! A new event is a line in [`Told`], with what it tells: its frame is in the API's description by that, and in the TypeScript
//! client once that is generated anew. The Rust client's events are its own (`clients/rust/src/feed.rs`).

use jiff::Timestamp;
use parlor_contracts::user::Availability;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::described::FrameSchema;
use super::presence::PresenceItem;
use crate::message::MessageAnswer;
use crate::values::{History, Kind, Role};

/// What can be told by a frame.
pub(super) trait Tells {
    /// Its type, as `chat.message-sent`.
    fn kind(&self) -> &'static str;

    /// What it tells, as JSON.
    fn data(&self) -> serde_json::Result<Box<RawValue>>;

    /// The schemas of all frames that tell such.
    fn described() -> Vec<FrameSchema>;
}

/// Events with the types that they are told by. A frame's schema is called as the event, and described by its comment.
macro_rules! told {
    ($(#[$about:meta])* $name:ident {
        $($(#[doc = $doc:literal])+ $event:ident($data:ty) = $kind:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug)]
        pub(super) enum $name {
            $($(#[doc = $doc])+ $event($data),)+
        }

        impl Tells for $name {
            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$event(_) => $kind,)+
                }
            }

            fn data(&self) -> serde_json::Result<Box<RawValue>> {
                match self {
                    $(Self::$event(data) => to_raw_value(data),)+
                }
            }

            fn described() -> Vec<FrameSchema> {
                vec![$(
                    FrameSchema::new(concat!(stringify!($event), "Frame"), $kind, concat!($($doc),+))
                        .telling::<$data>(),
                )+]
            }
        }
    };
}

told! {
    /// What happened, by its type.
    Told {
        /// Somebody said something; in a resumed feed, what is left of it if it was deleted since.
        MessageSent(MessageTold) = "chat.message-sent",
        /// A message was put in other words; what is left of it if it was deleted since.
        MessageEdited(MessageTold) = "chat.message-edited",
        /// A message was deleted.
        MessageDeleted(Tombstone) = "chat.message-deleted",
        /// Somebody has read a conversation up to this message.
        MessagesRead(MessagesRead) = "chat.messages-read",
        /// A conversation began.
        ConversationCreated(ConversationCreated) = "chat.conversation-created",
        /// A group was renamed.
        ConversationRenamed(ConversationRenamed) = "chat.conversation-renamed",
        /// Somebody is in a conversation from now on.
        ParticipantAdded(ParticipantAdded) = "chat.participant-added",
        /// Somebody may do more, or less, in a conversation.
        ParticipantRoleChanged(ParticipantRoleChanged) = "chat.participant-role-changed",
        /// Somebody is in a conversation no more. If it is oneself, it is the last that one hears of it.
        ParticipantRemoved(ParticipantRemoved) = "chat.participant-removed",
        /// Somebody's profile changed.
        ProfileUpdated(ProfileUpdated) = "user.profile-updated",
        /// Somebody said something of their availability.
        StatusChanged(StatusChanged) = "user.status-changed",
        /// One's own list of contacts has somebody more.
        ContactAdded(ContactChanged) = "user.contact-added",
        /// One's own list of contacts has somebody less.
        ContactRemoved(ContactChanged) = "user.contact-removed",
        /// One is told something.
        NotificationCreated(NotificationCreated) = "notification.created",
        /// One has read a notification.
        NotificationRead(NotificationRead) = "notification.read",
        /// One has read all notifications.
        AllNotificationsRead(Nothing) = "notification.all-read",
        /// One wants to be told of other things than before.
        PreferencesUpdated(Nothing) = "notification.preferences-updated",
    }
}

told! {
    /// What passes, and isn't told again.
    Passing {
        /// Somebody is typing; it isn't so any more when it isn't said again for some seconds.
        Typing(SomebodyTyping) = "typing",
        /// How somebody is.
        Presence(PresenceItem) = "presence",
    }
}

/// A message, or what is left of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum MessageTold {
    /// It is there.
    Said(MessageAnswer),
    /// It was deleted.
    Deleted(Tombstone),
}

/// What is left of a deleted message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tombstone {
    /// The message.
    pub(super) id: Uuid,
    /// Where it was said.
    pub(super) conversation_id: Uuid,
    /// Orders messages: a decimal number as a string.
    pub(super) position: String,
    /// Who had said it.
    pub(super) sender_id: Uuid,
    /// When it was deleted.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub(super) deleted_at: Timestamp,
}

/// How far somebody has read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagesRead {
    /// Where.
    pub(super) conversation_id: Uuid,
    /// Who.
    pub(super) user_id: Uuid,
    /// The last message that they read.
    pub(super) up_to: Uuid,
    /// Its position.
    pub(super) position: String,
}

/// A conversation that began.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationCreated {
    /// Which.
    pub(super) conversation_id: Uuid,
    /// Whether it is for two.
    pub(super) kind: Kind,
    /// Its title, if it has one.
    pub(super) title: Option<String>,
    /// What who joins later sees.
    pub(super) history: History,
    /// Who began it.
    pub(super) created_by: Uuid,
}

/// A conversation's new title.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConversationRenamed {
    /// Which.
    pub(super) conversation_id: Uuid,
    /// Its title; none if it was taken away.
    pub(super) title: Option<String>,
    /// Who renamed it.
    pub(super) renamed_by: Uuid,
}

/// Somebody who joined, with what they need to show the conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantAdded {
    /// Where.
    pub(super) conversation_id: Uuid,
    /// Who.
    pub(super) user_id: Uuid,
    /// What they may do.
    pub(super) role: Role,
    /// Who added them.
    pub(super) added_by: Uuid,
    /// Whether the conversation is for two.
    pub(super) kind: Kind,
    /// The conversation's title, if it has one.
    pub(super) title: Option<String>,
    /// What they see of what was said before.
    pub(super) history: History,
}

/// What somebody may do from now on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantRoleChanged {
    /// Where.
    pub(super) conversation_id: Uuid,
    /// Who.
    pub(super) user_id: Uuid,
    /// What they may do.
    pub(super) role: Role,
    /// Who says so.
    pub(super) changed_by: Uuid,
}

/// Somebody who left, or was removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParticipantRemoved {
    /// Where.
    pub(super) conversation_id: Uuid,
    /// Who.
    pub(super) user_id: Uuid,
    /// By whom; themselves, if they left.
    pub(super) removed_by: Uuid,
}

/// A profile as it is from now on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileUpdated {
    /// Whose.
    pub(super) user_id: Uuid,
    /// What they are called.
    pub(super) display_name: String,
    /// What they say of themselves, if anything.
    pub(super) bio: Option<String>,
    /// Where their picture is, if they have one.
    pub(super) avatar_url: Option<String>,
}

/// What somebody says of their availability.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusChanged {
    /// Who.
    pub(super) user_id: Uuid,
    /// How they are.
    pub(super) status: Availability,
    /// In their own words, if they said more.
    pub(super) text: Option<String>,
}

/// A change of one's list of contacts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactChanged {
    /// Whose list.
    pub(super) user_id: Uuid,
    /// Who is on it, or isn't any more.
    pub(super) contact_id: Uuid,
}

/// A notification.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationCreated {
    /// Its id.
    pub(super) id: Uuid,
    /// What it is about, such as `mention`.
    pub(super) kind: String,
    /// Its first line.
    pub(super) title: String,
    /// The rest.
    pub(super) body: String,
    /// Where it leads to, if anywhere.
    pub(super) link: Option<String>,
    /// Who caused it, if somebody did.
    pub(super) actor_id: Option<Uuid>,
    /// The conversation that it comes from, if it does.
    pub(super) conversation_id: Option<Uuid>,
    /// The message that it tells of, if it does.
    pub(super) message_id: Option<Uuid>,
}

/// A notification that was read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotificationRead {
    /// Which.
    pub(super) id: Uuid,
}

/// There is no more to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Nothing {}

/// Somebody who types.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SomebodyTyping {
    /// Where.
    pub(super) conversation_id: Uuid,
    /// Who.
    pub(super) user_id: Uuid,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use serde_json::{Map, Value, json};
    use utoipa::PartialSchema as _;

    use super::super::{Close, Frame, LiveEvent};
    use super::*;
    use crate::values::MessageType;

    const ID: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);
    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn said(edited: bool) -> MessageTold {
        let (id, conversation_id, sender_id, r#type) = (ID, ID, ID, MessageType::Text);
        let (content, position) = ("words".to_owned(), "7".to_owned());
        let (reply_to, edited_at) = (edited.then_some(ID), edited.then_some(AT));
        MessageTold::Said(MessageAnswer {
            id,
            conversation_id,
            sender_id,
            r#type,
            content,
            reply_to,
            position,
            created_at: AT,
            edited_at,
        })
    }

    fn left() -> Tombstone {
        let position = "7".to_owned();
        Tombstone { id: ID, conversation_id: ID, position, sender_id: ID, deleted_at: AT }
    }

    /// Everything that can be told; what may be missing is there if `all`.
    fn told(all: bool) -> Vec<Told> {
        let (conversation_id, user_id, contact_id, by) = (ID, ID, ID, ID);
        let (kind, role, history) = (Kind::Group, Role::Member, History::All);
        let text = || "words".to_owned();
        let perhaps = || all.then(text);
        let (actor_id, message_id) = (all.then_some(ID), all.then_some(ID));
        vec![
            Told::MessageSent(said(false)),
            Told::MessageSent(MessageTold::Deleted(left())),
            Told::MessageEdited(said(true)),
            Told::MessageDeleted(left()),
            Told::MessagesRead(MessagesRead { conversation_id, user_id, up_to: ID, position: text() }),
            Told::ConversationCreated(ConversationCreated {
                conversation_id,
                kind,
                title: perhaps(),
                history,
                created_by: by,
            }),
            Told::ConversationRenamed(ConversationRenamed {
                conversation_id,
                title: perhaps(),
                renamed_by: by,
            }),
            Told::ParticipantAdded(ParticipantAdded {
                conversation_id,
                user_id,
                role,
                added_by: by,
                kind,
                title: perhaps(),
                history,
            }),
            Told::ParticipantRoleChanged(ParticipantRoleChanged {
                conversation_id,
                user_id,
                role,
                changed_by: by,
            }),
            Told::ParticipantRemoved(ParticipantRemoved { conversation_id, user_id, removed_by: by }),
            Told::ProfileUpdated(ProfileUpdated {
                user_id,
                display_name: text(),
                bio: perhaps(),
                avatar_url: perhaps(),
            }),
            Told::StatusChanged(StatusChanged { user_id, status: Availability::Away, text: perhaps() }),
            Told::ContactAdded(ContactChanged { user_id, contact_id }),
            Told::ContactRemoved(ContactChanged { user_id, contact_id }),
            Told::NotificationCreated(NotificationCreated {
                id: ID,
                kind: text(),
                title: text(),
                body: text(),
                link: perhaps(),
                actor_id,
                conversation_id: actor_id,
                message_id,
            }),
            Told::NotificationRead(NotificationRead { id: ID }),
            Told::AllNotificationsRead(Nothing {}),
            Told::PreferencesUpdated(Nothing {}),
        ]
    }

    fn passing(all: bool) -> [Passing; 2] {
        let (status, last_seen_at) = (Availability::Offline, all.then_some(AT));
        [
            Passing::Typing(SomebodyTyping { conversation_id: ID, user_id: ID }),
            Passing::Presence(PresenceItem { user_id: ID, status, last_seen_at }),
        ]
    }

    /// Every frame that there can be.
    fn frames(all: bool) -> Vec<Frame> {
        let (cursor, position) = ("c".to_owned(), "p".to_owned());
        let event = |told: &Told| {
            let event = Arc::new(LiveEvent::of(told, AT).unwrap());
            Frame::Event { cursor: cursor.clone(), event }
        };
        let mut frames: Vec<Frame> = told(all).iter().map(event).collect();
        let passing =
            passing(all).map(|told| Frame::Passing { event: Arc::new(LiveEvent::of(&told, AT).unwrap()) });
        frames.extend(passing);
        frames.push(Frame::CaughtUp { cursor, position });
        frames.push(if all { Close::TooSlow } else { Close::SignedOut }.into());
        frames
    }

    /// Whether a value has all that a schema asks for, and nothing that it doesn't know.
    fn fits(value: &Value, schema: &Value, schemas: &Value) -> bool {
        if let Some(path) = schema["$ref"].as_str() {
            return fits(value, &schemas[path.strip_prefix("#/components/schemas/").unwrap()], schemas);
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.contains(value);
        }
        if let Some(some) = schema["oneOf"].as_array() {
            return some.iter().filter(|one| fits(value, one, schemas)).count() == 1;
        }
        let types = schema["type"].as_array().map_or(std::slice::from_ref(&schema["type"]), Vec::as_slice);
        let named = |kind: &str| types.iter().any(|one| one == kind);
        match value {
            Value::Null => named("null"),
            Value::Number(_) => named("integer"),
            Value::String(text) => match schema["format"].as_str() {
                Some("uuid") => named("string") && Uuid::try_parse(text).is_ok(),
                Some("date-time") => named("string") && text == "1970-01-01T00:00:00.000Z",
                _ => named("string"),
            },
            Value::Object(fields) => {
                let mut required = schema["required"].as_array().into_iter().flatten();
                named("object")
                    && required.all(|name| fields.contains_key(name.as_str().unwrap()))
                    && fields.iter().all(|(name, field)| fits(field, &schema["properties"][name], schemas))
            }
            Value::Bool(_) | Value::Array(_) => false,
        }
    }

    #[test]
    fn every_frame_is_written_as_it_is_described() {
        let mut schemas = Vec::new();
        Frame::schemas(&mut schemas);
        let schemas = schemas.into_iter().map(|(name, schema)| (name, json!(schema)));
        let schemas = Value::Object(schemas.collect::<Map<_, _>>());
        let schema = json!(Frame::schema());
        let described = schema["discriminator"]["mapping"].as_object().unwrap();
        let mut written = BTreeSet::new();
        for frame in frames(true).into_iter().chain(frames(false)) {
            let frame: Value = serde_json::from_str(&frame.to_json()).unwrap();
            let kind = frame["type"].as_str().unwrap().to_owned();
            assert!(fits(&frame, &json!({"$ref": described[&kind]}), &schemas), "{frame}");
            assert!(fits(&frame, &schema, &schemas), "as one thing alone: {frame}");
            written.insert(kind);
        }
        assert_eq!(written, described.keys().cloned().collect());
    }
}
