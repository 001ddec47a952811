//! The view `search`: what was said, by the few neighbouring characters in it, and who may find it.
//!
//! `parlor_text` folds texts and numbers what is in them, so that both stores index the same and know nothing of scripts. The index
//! is the view's own, and the same on both (`postings`): once a segment of the log is full, the tokens of what was said in it are
//! put together (`upkeep`). Until then each process that searches has them in memory (`open`).
//!
//! The index proposes messages that have all tokens of a query, or the rarest six; what a caller may see of each decides
//! ([`Search::find`]). Two more tokens of a message name its conversation and its sender.
//!
//! Stays lie in this view, under its own checkpoint: it can't find a message without knowing who had left before it.

pub mod find;
mod open;
mod postings;
pub mod search_messages;
mod sql;
mod tokens;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{
    Aggregate as _, CodecError, Gather, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema,
    StoreError, Value, ViewRows, Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use uuid::Uuid;

use self::open::Open;
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::touched;
use crate::values::{History, MessageType};

/// The view's name.
pub const VIEW: &str = "search";

/// A message's row, as it is for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedMessage {
    /// Its position.
    pub position: u64,
    /// Where it was said.
    pub conversation: Uuid,
    /// The message.
    pub id: Uuid,
    /// By whom.
    pub sender: Uuid,
    /// What the content is.
    pub message_type: MessageType,
    /// What it says by now.
    pub content: String,
    /// What it replies to.
    pub reply_to: Option<Uuid>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The position of its last edit; 0 without one.
    pub edited_position: u64,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
}

impl Record for IndexedMessage {
    const TABLE: &'static str = "{p}search_messages";
    const COLUMNS: &'static [&'static str] = &[
        "position",
        "conversation",
        "id",
        "sender",
        "type",
        "content",
        "reply_to",
        "sent_at",
        "edited_position",
        "edited_at",
        "bucket",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.position,
            self.conversation,
            self.id,
            self.sender,
            self.message_type.as_str(),
            self.content.as_str(),
            self.reply_to,
            self.sent_at,
            self.edited_position,
            self.edited_at,
            u64::from(bucket(self.conversation)),
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            position: row.get(0)?,
            conversation: row.get(1)?,
            id: row.get(2)?,
            sender: row.get(3)?,
            message_type: row.get(4)?,
            content: row.get(5)?,
            reply_to: row.get(6)?,
            sent_at: row.get(7)?,
            edited_position: row.get(8)?,
            edited_at: row.get(9)?,
        })
    }
}

/// Keeps the view.
pub struct SearchProjection;

#[async_trait]
impl Projection for SearchProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &[crate::NAME]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 8,
            sqlite: include_str!("../../migrations/sqlite/search.sql"),
            postgres: include_str!("../../migrations/postgres/search.sql"),
            tables: &[
                "search_stays",
                "search_messages",
                "search_wordings",
                "search_edits",
                "search_blocks",
                "search_progress",
                // Of versions before 7: to be dropped with what else they had.
                "search_rewordings",
                "search_tokens",
            ],
        }
    }

    /// Rows are taken in together with less work, and whoever searches right after sending waits for theirs.
    fn gathers(&self) -> Gather {
        Gather { time: Duration::from_millis(250), events: 4_096 }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.category() {
            Message::CATEGORY => message(event, event.decode()?, out),
            Membership::CATEGORY => stay(event, &event.decode()?, out),
            _ => {}
        }
        Ok(())
    }

    async fn upkeep(&self, view: &dyn ViewRows, noted: &[Value]) -> Result<Writes, StoreError> {
        upkeep::of_step(view, noted).await
    }
}

fn message(event: &Incoming<'_>, change: MessageEvent, out: &mut Writes) {
    let meta = event.meta;
    match change {
        MessageEvent::Sent { conversation, sender, message_type, content, reply_to, .. } => {
            let content = content.into_inner().unwrap_or_default();
            let message = IndexedMessage {
                position: meta.position.0,
                conversation,
                id: meta.stream,
                sender,
                message_type,
                content,
                reply_to,
                sent_at: meta.at,
                edited_position: 0,
                edited_at: None,
            };
            out.row(&sql::SENT, message.to_persistence());
        }
        MessageEvent::Edited { position, content, .. } => {
            let content = content.into_inner().unwrap_or_default();
            let sql = "INSERT INTO {p}search_wordings (message, position, content, edited_at)
                SELECT position, CASE WHEN edited_position = 0 THEN position ELSE edited_position END, content, edited_at
                FROM {p}search_messages WHERE position = ?1";
            out.run(sql, params![position]);
            let sql = "UPDATE {p}search_messages SET content = ?2, edited_position = ?3, edited_at = ?4
                WHERE position = ?1";
            out.run(sql, params![position, content.as_str(), meta.position, meta.at]);
            let sql = "INSERT INTO {p}search_edits (event, message, content) VALUES (?1, ?2, ?3)";
            out.run(sql, params![meta.position, position, content]);
        }
        MessageEvent::Deleted { position, .. } => {
            out.note(position);
            // Apart from each other: PostgreSQL would read the whole table for one or the other.
            for edits in [
                "DELETE FROM {p}search_edits
                   WHERE event IN (SELECT edited_position FROM {p}search_messages WHERE position = ?1)",
                "DELETE FROM {p}search_edits
                   WHERE event IN (SELECT position FROM {p}search_wordings WHERE message = ?1)",
            ] {
                out.run(edits, params![position]);
            }
            out.run("DELETE FROM {p}search_messages WHERE position = ?1", params![position]);
            out.run("DELETE FROM {p}search_wordings WHERE message = ?1", params![position]);
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
            let sql = "INSERT INTO {p}search_stays (conversation, person, since, until)
                VALUES (?1, ?2, ?3, 9223372036854775807)";
            out.run(sql, params![*conversation, *user, since]);
        }
        MembershipEvent::Removed { conversation, user } => {
            let sql = "UPDATE {p}search_stays SET until = ?3
                WHERE conversation = ?1 AND person = ?2 AND until = 9223372036854775807";
            out.run(sql, params![*conversation, *user, position]);
        }
        MembershipEvent::RoleChanged { .. } => {}
    }
}

/// How many buckets conversations are spread over.
const BUCKETS: usize = 4096;

/// A conversation's bucket: most conversations of others are in others than one's own.
fn bucket(conversation: Uuid) -> u16 {
    (conversation.as_u128() % BUCKETS as u128) as u16
}

/// What was said, by what is in it.
#[derive(Clone)]
pub struct Search(SqlReadRepository<IndexedMessage>, Arc<Open>);

impl Search {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW), Arc::default())
    }
}
