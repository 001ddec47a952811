//! Keeps the view `rooms`, from three logs: chat says who is where, user what they are called, and the service's own log
//! what they want. Whatever comes first, each row ends up with what was said last of it.

use cqrs_core::{CodecError, Incoming, Projection, Schema, Writes, params};
use parlor_contracts::chat::{ChatEvent, ConversationKind};
use parlor_contracts::user::UserEvent;
use parlor_text::fold;
use uuid::Uuid;

use crate::preferences::{self, Level, PreferencesEvent};

/// The projection of the view `rooms`.
#[derive(Debug, Clone, Copy)]
pub struct RoomsProjection;

impl Projection for RoomsProjection {
    fn name(&self) -> &'static str {
        "rooms"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["chat.public", "user.public", "notification"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 2,
            sqlite: include_str!("../../migrations/sqlite/rooms.sql"),
            postgres: include_str!("../../migrations/postgres/rooms.sql"),
            tables: &["members", "people", "group_levels", "conversation_levels"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.source {
            // What is said in conversations is most of what happens, and none of it is kept here.
            "chat.public" if event.meta.name.starts_with("message") => {}
            "chat.public" => chat_said(event, &event.decode()?, out),
            "user.public" => user_said(&event.decode()?, out),
            _ if event.category() == preferences::CATEGORY => {
                let PreferencesEvent::Updated { preferences } = event.decode()?;
                chose(event.meta.stream, &preferences.into_inner().unwrap_or_default(), out);
            }
            _ => {}
        }
        Ok(())
    }
}

fn chat_said(event: &Incoming<'_>, said: &ChatEvent, out: &mut Writes) {
    if let ChatEvent::ParticipantAdded { conversation_id, .. }
    | ChatEvent::ParticipantRemoved { conversation_id, .. } = said
    {
        out.touch(*conversation_id);
    }
    match said {
        ChatEvent::ParticipantAdded { conversation_id, user_id, kind, .. } => out.run(
            "INSERT INTO {p}members (conversation_id, user_id, joined, is_group, folded_name, wants_all)
             VALUES (?1, ?2, ?3, ?4,
               coalesce((SELECT folded_name FROM {p}people WHERE user_id = ?2), ''),
               coalesce((SELECT wants_all FROM {p}conversation_levels WHERE user_id = ?2 AND conversation_id = ?1),
                        (SELECT wants_all FROM {p}group_levels WHERE user_id = ?2), ?5))
             ON CONFLICT (conversation_id, user_id) DO UPDATE SET joined = excluded.joined,
               is_group = excluded.is_group, folded_name = excluded.folded_name, wants_all = excluded.wants_all",
            params![*conversation_id, *user_id, event.meta.position, *kind == ConversationKind::Group, false],
        ),
        ChatEvent::ParticipantRemoved { conversation_id, user_id, .. } => out.run(
            "DELETE FROM {p}members WHERE conversation_id = ?1 AND user_id = ?2",
            params![*conversation_id, *user_id],
        ),
        ChatEvent::ConversationCreated { .. }
        | ChatEvent::ConversationRenamed { .. }
        | ChatEvent::ParticipantRoleChanged { .. }
        | ChatEvent::MessagesRead { .. }
        | ChatEvent::MessageSent { .. }
        | ChatEvent::MessageEdited { .. }
        | ChatEvent::MessageDeleted { .. } => {}
    }
}

fn user_said(said: &UserEvent, out: &mut Writes) {
    match said {
        UserEvent::UserCreated { user_id, display_name, .. }
        | UserEvent::UserProfileUpdated { user_id, display_name, .. } => {
            called(*user_id, display_name.text(), out);
        }
        UserEvent::ProfileRefused { .. }
        | UserEvent::UserStatusChanged { .. }
        | UserEvent::UserContactAdded { .. }
        | UserEvent::UserContactRemoved { .. }
        | UserEvent::UserDisabled { .. }
        | UserEvent::UserEnabled { .. }
        | UserEvent::UserDeleted { .. } => {}
    }
}

fn called(user: Uuid, name: &str, out: &mut Writes) {
    let folded = fold(name);
    out.run(
        "INSERT INTO {p}people (user_id, display_name, folded_name) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id) DO UPDATE SET display_name = excluded.display_name, folded_name = excluded.folded_name",
        params![user, name, folded.clone()],
    );
    out.run("UPDATE {p}members SET folded_name = ?2 WHERE user_id = ?1", params![user, folded]);
}

fn chose(user: Uuid, chosen: &preferences::Preferences, out: &mut Writes) {
    out.touch(super::repository::WISHES);
    let wants_all = chosen.kinds.group == Level::All;
    out.run(
        "INSERT INTO {p}group_levels (user_id, wants_all) VALUES (?1, ?2)
         ON CONFLICT (user_id) DO UPDATE SET wants_all = excluded.wants_all",
        params![user, wants_all],
    );
    out.run("DELETE FROM {p}conversation_levels WHERE user_id = ?1", params![user]);
    for (conversation, level) in &chosen.conversations {
        out.run(
            "INSERT INTO {p}conversation_levels (user_id, conversation_id, wants_all) VALUES (?1, ?2, ?3)",
            params![user, *conversation, *level == Level::All],
        );
    }
    out.run(
        "UPDATE {p}members SET wants_all = coalesce((SELECT l.wants_all FROM {p}conversation_levels l
           WHERE l.user_id = ?1 AND l.conversation_id = {p}members.conversation_id), ?2)
         WHERE user_id = ?1",
        params![user, wants_all],
    );
}
