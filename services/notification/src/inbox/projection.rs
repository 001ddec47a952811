//! Keeps the view `inbox`.
//!
//! It follows chat's public events besides its own log: what comes from a conversation is hidden from who has left it
//! since, and what comes from a message once that is deleted. Departures and deletions are kept and applied when asked,
//! so that the order in which the two logs were taken in makes no difference.

use cqrs_core::{CodecError, Incoming, Personal, Projection, Schema, Writes, params};
use parlor_contracts::chat::ChatEvent;

use crate::notification::{self, InboxEvent, NotificationEvent};

/// The projection of the view `inbox`.
#[derive(Debug, Clone, Copy)]
pub struct InboxProjection;

impl Projection for InboxProjection {
    fn name(&self) -> &'static str {
        "inbox"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["notification", "chat.public"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: include_str!("../../migrations/sqlite/inbox.sql"),
            postgres: include_str!("../../migrations/postgres/inbox.sql"),
            tables: &["notifications", "departures", "deleted_messages"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.category() {
            notification::CATEGORY => notification_changed(event, event.decode()?, out),
            notification::INBOX => {
                let InboxEvent::AllRead {} = event.decode()?;
                out.run(
                    "UPDATE {p}notifications SET read_at = ?2 WHERE user_id = ?1 AND read_at IS NULL",
                    params![event.meta.stream, event.meta.at],
                );
            }
            cqrs_core::PUBLIC if event.source == "chat.public" => chat_said(event, &event.decode()?, out),
            _ => {}
        }
        Ok(())
    }
}

fn notification_changed(event: &Incoming<'_>, change: NotificationEvent, out: &mut Writes) {
    let id = event.meta.stream;
    match change {
        NotificationEvent::Created { user, kind, title, body, link, origin } => out.run(
            "INSERT INTO {p}notifications (id, user_id, place, kind, title, body, link, actor_id, conversation_id,
               message_id, position, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO NOTHING",
            params![
                id,
                user,
                event.meta.position,
                kind.0,
                title.text(),
                body.text(),
                link.and_then(Personal::into_inner),
                origin.actor,
                origin.conversation,
                origin.message,
                origin.position,
                event.meta.at
            ],
        ),
        NotificationEvent::Read { user: _ } => out.run(
            "UPDATE {p}notifications SET read_at = ?2 WHERE id = ?1 AND read_at IS NULL",
            params![id, event.meta.at],
        ),
    }
}

fn chat_said(event: &Incoming<'_>, said: &ChatEvent, out: &mut Writes) {
    match said {
        ChatEvent::ParticipantRemoved { conversation_id, user_id, .. } => out.run(
            "INSERT INTO {p}departures (user_id, conversation_id, position) VALUES (?1, ?2, ?3)
             ON CONFLICT (user_id, conversation_id) DO UPDATE SET position = excluded.position",
            params![*user_id, *conversation_id, event.meta.position],
        ),
        ChatEvent::MessageDeleted { message_id, .. } => out.run(
            "INSERT INTO {p}deleted_messages (message_id) VALUES (?1) ON CONFLICT (message_id) DO NOTHING",
            params![*message_id],
        ),
        ChatEvent::ConversationCreated { .. }
        | ChatEvent::ConversationRenamed { .. }
        | ChatEvent::ParticipantAdded { .. }
        | ChatEvent::ParticipantRoleChanged { .. }
        | ChatEvent::MessagesRead { .. }
        | ChatEvent::MessageSent { .. }
        | ChatEvent::MessageEdited { .. } => {}
    }
}
