//! The view `timeline`: what was said, who may see it, and how much of it they haven't read.
//!
//! Stays (when somebody was in) lie in this view, under its own checkpoint: it can't show a message without knowing who
//! had left before it was sent. Sending writes three rows however many are in; unread messages are counted by
//! subtraction, from tallies kept at each joining and reading.

pub mod get_conversation_messages;
pub mod get_unread_counts;
mod newest;
pub(crate) mod sql;

use cqrs_core::{
    Aggregate as _, CodecError, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, StoreError,
    Value, Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::read_mark::{ReadMark, ReadMarkEvent};
use crate::touched;
use crate::values::{History, MessageType};

/// The view's name.
pub const VIEW: &str = "timeline";

/// A message's row, as it is for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// The message.
    pub id: Uuid,
    /// Where it was said.
    pub conversation: Uuid,
    /// Its position.
    pub position: u64,
    /// By whom.
    pub sender: Uuid,
    /// What the content is.
    pub message_type: MessageType,
    /// What it says by now; empty once it is deleted.
    pub content: String,
    /// What it replies to.
    pub reply_to: Option<Uuid>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl Record for MessageRow {
    const TABLE: &'static str = "{p}messages";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "conversation",
        "position",
        "sender",
        "type",
        "content",
        "reply_to",
        "sent_at",
        "edited_at",
        "deleted_at",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.id,
            self.conversation,
            self.position,
            self.sender,
            self.message_type.as_str(),
            self.content.as_str(),
            self.reply_to,
            self.sent_at,
            self.edited_at,
            self.deleted_at,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            conversation: row.get(1)?,
            position: row.get(2)?,
            sender: row.get(3)?,
            message_type: row.get(4)?,
            content: row.get(5)?,
            reply_to: row.get(6)?,
            sent_at: row.get(7)?,
            edited_at: row.get(8)?,
            deleted_at: row.get(9)?,
        })
    }
}

/// Keeps the view.
pub struct TimelineProjection;

impl Projection for TimelineProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &[crate::NAME]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 2,
            sqlite: include_str!("../../migrations/sqlite/timeline.sql"),
            postgres: include_str!("../../migrations/postgres/timeline.sql"),
            tables: &["rooms", "tallies", "stays", "messages", "deletions", "wordings"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.category() {
            Message::CATEGORY => message(event, event.decode()?, out),
            Membership::CATEGORY => stay(event, &event.decode()?, out),
            ReadMark::CATEGORY => read(&event.decode()?, out),
            Conversation::CATEGORY => match event.decode()? {
                ConversationEvent::Created { .. } => {
                    let sql = "INSERT INTO {p}rooms (conversation, messages, deletions, newest) VALUES (?1, 0, 0, 0)";
                    out.run(sql, params![event.meta.stream]);
                }
                ConversationEvent::Renamed { .. } => {}
            },
            _ => {}
        }
        Ok(())
    }
}

fn message(event: &Incoming<'_>, change: MessageEvent, out: &mut Writes) {
    let meta = event.meta;
    match change {
        MessageEvent::Sent { conversation, sender, message_type, content, reply_to, .. } => {
            out.touch(conversation);
            let content = content.into_inner().unwrap_or_default();
            let (position, at, kind) = (meta.position, meta.at, message_type.as_str());
            out.row(
                &sql::SENT,
                params![conversation, sender, position, meta.stream, kind, content, reply_to, at],
            );
        }
        MessageEvent::Edited { conversation, position, content, .. } => {
            out.touch(conversation);
            let sql = "INSERT INTO {p}wordings (message, position, content, edited_at)
                SELECT id, CASE WHEN edited_position = 0 THEN position ELSE edited_position END, content, edited_at
                FROM {p}messages WHERE conversation = ?1 AND position = ?2";
            out.run(sql, params![conversation, position]);
            let sql = "UPDATE {p}messages SET content = ?3, edited_position = ?4, edited_at = ?5
                WHERE conversation = ?1 AND position = ?2";
            let content = content.into_inner().unwrap_or_default();
            out.run(sql, params![conversation, position, content, meta.position, meta.at]);
        }
        MessageEvent::Deleted { conversation, sender, position } => {
            out.touch(conversation);
            let sql = "UPDATE {p}messages SET content = '', deleted_at = ?3
                WHERE conversation = ?1 AND position = ?2";
            out.run(sql, params![conversation, position, meta.at]);
            out.run("DELETE FROM {p}wordings WHERE message = ?1", params![meta.stream]);
            let sql = "INSERT INTO {p}deletions (conversation, position, sender) VALUES (?1, ?2, ?3)";
            out.run(sql, params![conversation, position, sender]);
            let sql = "UPDATE {p}rooms SET deletions = deletions + 1,
                  newest = CASE WHEN newest = ?2 THEN COALESCE((SELECT MAX(m.position) FROM {p}messages m
                      WHERE m.conversation = ?1 AND m.position < ?2 AND m.deleted_at IS NULL), 0)
                    ELSE newest END
                WHERE conversation = ?1";
            out.run(sql, params![conversation, position]);
        }
    }
}

fn stay(event: &Incoming<'_>, change: &MembershipEvent, out: &mut Writes) {
    let position = event.meta.position;
    touched::membership(change, out);
    match change {
        MembershipEvent::Added { conversation, user, history, .. } => {
            // A membership's first event is the first joining.
            let sees_all = *history == History::All && event.meta.version == 1;
            let since = if sees_all { 0 } else { position.0 };
            let sql = "INSERT INTO {p}stays (conversation, person, since, until)
                VALUES (?1, ?2, ?3, 9223372036854775807)";
            out.run(sql, params![*conversation, *user, since]);
            let sql = "INSERT INTO {p}tallies AS t
                  (conversation, person, present, sent, base_position, base_messages, base_sent, since)
                SELECT r.conversation, ?2, TRUE, 0, ?3, r.messages, 0, ?4 FROM {p}rooms r WHERE r.conversation = ?1
                ON CONFLICT (conversation, person) DO UPDATE SET present = TRUE, base_sent = t.sent,
                  base_position = excluded.base_position, base_messages = excluded.base_messages,
                  since = excluded.since";
            out.run(sql, params![*conversation, *user, position, since]);
        }
        MembershipEvent::Removed { conversation, user } => {
            let sql = "UPDATE {p}stays SET until = ?3
                WHERE conversation = ?1 AND person = ?2 AND until = 9223372036854775807";
            out.run(sql, params![*conversation, *user, position]);
            let sql = "UPDATE {p}tallies SET present = FALSE WHERE conversation = ?1 AND person = ?2";
            out.run(sql, params![*conversation, *user]);
        }
        MembershipEvent::RoleChanged { .. } => {}
    }
}

fn read(change: &ReadMarkEvent, out: &mut Writes) {
    let ReadMarkEvent::Read { conversation, user, position, .. } = change;
    out.touch(touched::reading(*user));
    let sql = "UPDATE {p}tallies SET base_position = ?3,
          base_messages = COALESCE((SELECT m.ordinal FROM {p}messages m
            WHERE m.conversation = ?1 AND m.position = ?3), base_messages),
          base_sent = COALESCE((SELECT m.sender_ordinal FROM {p}messages m
            WHERE m.conversation = ?1 AND m.sender = ?2 AND m.position <= ?3
            ORDER BY m.position DESC LIMIT 1), 0)
        WHERE conversation = ?1 AND person = ?2 AND base_position < ?3";
    out.run(sql, params![*conversation, *user, *position]);
}

/// What was said, as those who were there may see it.
#[derive(Clone)]
pub struct Timeline(SqlReadRepository<MessageRow>);

impl Timeline {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW))
    }

    /// Whether `viewer` is in the conversation.
    pub async fn includes(&self, viewer: Uuid, conversation: Uuid) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM {p}tallies WHERE conversation = ?2 AND person = ?1 AND present";
        Ok(!self.0.rows(sql, params![viewer, conversation], |_| Ok(())).await?.is_empty())
    }
}
