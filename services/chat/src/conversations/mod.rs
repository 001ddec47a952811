//! The view `conversations`: what a member's list shows, and who is in what. Newest activity first.

pub mod get_conversation;
pub mod get_conversations;
pub mod get_participants;
mod sql;

use std::sync::Arc;

use cqrs_core::{
    Aggregate as _, CodecError, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, StoreError,
    Value, Writes, params,
};
use cqrs_sql::{AnswerKey, SqlReadRepository, Views, Watch};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::read_mark::{ReadMark, ReadMarkEvent};
use crate::touched;
use crate::values::{History, Kind, MessageType};

/// The view's name.
pub const VIEW: &str = "conversations";

/// In how many conversations somebody may be whose list is remembered: it changes with each of them.
const MOST_WATCHED: usize = 20_000;

/// A conversation's row, as it is for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Which.
    pub id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// What it is called.
    pub title: Option<String>,
    /// What newcomers see.
    pub history: History,
    /// Who began it.
    pub created_by: Uuid,
    /// The version of its settings.
    pub version: u64,
    /// How many are in it.
    pub participant_count: u64,
    /// The position of what happened in it last.
    pub activity: u64,
    /// When that was.
    pub updated_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// The first who are in it, by when they joined.
    pub named: Vec<Uuid>,
}

impl Record for ConversationRow {
    const TABLE: &'static str = "{p}conversations";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "kind",
        "title",
        "history",
        "created_by",
        "version",
        "participant_count",
        "activity",
        "updated_at",
        "created_at",
        "named",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.id,
            self.kind.as_str(),
            self.title.clone(),
            self.history.as_str(),
            self.created_by,
            self.version,
            self.participant_count,
            self.activity,
            self.updated_at,
            self.created_at,
            self.named.iter().map(|person| person.simple().to_string()).collect::<String>(),
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            title: row.get(2)?,
            history: row.get(3)?,
            created_by: row.get(4)?,
            version: row.get(5)?,
            participant_count: row.get(6)?,
            activity: row.get(7)?,
            updated_at: row.get(8)?,
            created_at: row.get(9)?,
            named: named(&row.get::<String>(10)?)
                .map_err(|error| RowError { column: 10, detail: error.to_string() })?,
        })
    }
}

/// The ids in a text of 32 hexadecimal digits each.
fn named(text: &str) -> Result<Vec<Uuid>, uuid::Error> {
    text.as_bytes().chunks(32).map(Uuid::try_parse_ascii).collect()
}

/// Keeps the view.
pub struct ConversationsProjection;

impl Projection for ConversationsProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &[crate::NAME]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 2,
            sqlite: include_str!("../../migrations/sqlite/conversations.sql"),
            postgres: include_str!("../../migrations/postgres/conversations.sql"),
            tables: &["conversations", "participants"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        let happened = |conversation: Uuid, out: &mut Writes| {
            out.row(&sql::HAPPENED, params![conversation, event.meta.position, event.meta.at]);
            out.touch(conversation);
        };
        match event.category() {
            Conversation::CATEGORY => settings(event, &event.decode()?, out),
            Membership::CATEGORY => {
                let membership: MembershipEvent = event.decode()?;
                participant(event, &membership, out);
                // Somebody new is news; somebody's leaving isn't.
                if let MembershipEvent::Added { conversation, .. } = membership {
                    happened(conversation, out);
                }
            }
            ReadMark::CATEGORY => {
                let ReadMarkEvent::Read { conversation, user, position, .. } = event.decode()?;
                let sql = "UPDATE {p}participants SET read_position = ?3
                    WHERE conversation = ?1 AND person = ?2 AND read_position < ?3";
                out.run(sql, params![conversation, user, position]);
            }
            Message::CATEGORY => match event.decode()? {
                MessageEvent::Sent { conversation, .. } => happened(conversation, out),
                MessageEvent::Edited { .. } | MessageEvent::Deleted { .. } => {}
            },
            _ => {}
        }
        Ok(())
    }
}

fn settings(event: &Incoming<'_>, change: &ConversationEvent, out: &mut Writes) {
    let meta = event.meta;
    match change {
        ConversationEvent::Created { kind, title, history, creator } => out.save(&ConversationRow {
            id: meta.stream,
            kind: *kind,
            title: title.as_ref().map(|title| title.text().to_owned()),
            history: *history,
            created_by: *creator,
            version: meta.version,
            participant_count: 0,
            activity: meta.position.0,
            updated_at: meta.at,
            created_at: meta.at,
            named: Vec::new(),
        }),
        ConversationEvent::Renamed { title } => {
            let title = title.as_ref().map(|title| title.text().to_owned());
            let sql = "UPDATE {p}conversations SET title = ?2, version = ?3, activity = ?4, updated_at = ?5
                WHERE id = ?1";
            out.run(sql, params![meta.stream, title, meta.version, meta.position, meta.at]);
            out.touch(meta.stream);
        }
    }
}

fn participant(event: &Incoming<'_>, change: &MembershipEvent, out: &mut Writes) {
    let (position, at) = (event.meta.position, event.meta.at);
    touched::membership(change, out);
    match change {
        MembershipEvent::Added { conversation, user, role, .. } => {
            let sql = "INSERT INTO {p}participants
                  (conversation, person, present, role, joined_position, joined_at, read_position)
                VALUES (?1, ?2, TRUE, ?3, ?4, ?5, 0)
                ON CONFLICT (conversation, person) DO UPDATE SET present = TRUE, role = excluded.role,
                  joined_position = excluded.joined_position, joined_at = excluded.joined_at";
            out.run(sql, params![*conversation, *user, role.as_str(), position, at]);
            const { assert!(ConversationAnswer::MOST_NAMED == 20) };
            let sql = "UPDATE {p}conversations SET participant_count = participant_count + 1,
                  named = CASE WHEN participant_count < 20 THEN named || ?2 ELSE named END
                WHERE id = ?1";
            out.run(sql, params![*conversation, user.simple().to_string()]);
        }
        MembershipEvent::RoleChanged { conversation, user, role } => {
            let sql = "UPDATE {p}participants SET role = ?3 WHERE conversation = ?1 AND person = ?2";
            out.run(sql, params![*conversation, *user, role.as_str()]);
        }
        MembershipEvent::Removed { conversation, user } => {
            let sql = "UPDATE {p}participants SET present = FALSE WHERE conversation = ?1 AND person = ?2";
            out.run(sql, params![*conversation, *user]);
            out.run(sql::LEFT, params![*conversation]);
        }
    }
}

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationAnswer {
    /// Which.
    pub id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// What it is called; direct ones have no title.
    pub title: Option<String>,
    /// What newcomers see of what was said before.
    pub history: History,
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
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it began.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl ConversationAnswer {
    /// How many participants it names.
    pub const MOST_NAMED: usize = 20;
}

/// A conversation's newest message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMessage {
    /// The message.
    pub id: Uuid,
    /// What it says, as far as the caller has seen it edited.
    pub content: String,
    /// Who said it.
    pub sender_id: Uuid,
    /// What the content is.
    pub r#type: MessageType,
    /// Orders messages: a decimal number as a string.
    pub position: String,
    /// When it was sent.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A conversation with what only its list and its `ETag` need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenConversation {
    /// What the member sees.
    pub answer: ConversationAnswer,
    /// The version of its settings.
    pub version: u64,
    /// The position of what happened in it last: its place in the list.
    pub activity: u64,
}

impl SeenConversation {
    fn from_row(row: &dyn Row) -> Result<Self, RowError> {
        let ConversationRow {
            id,
            kind,
            title,
            history,
            created_by,
            version,
            participant_count,
            activity,
            updated_at,
            created_at,
            named,
        } = ConversationRow::to_domain(row)?;
        let last_message = match row.uuid(11)? {
            Some(id) => Some(LastMessage {
                id,
                content: row.get(12)?,
                sender_id: row.get(13)?,
                r#type: row.get(14)?,
                position: row.get::<u64>(15)?.to_string(),
                created_at: row.get(16)?,
            }),
            None => None,
        };
        let answer = ConversationAnswer {
            id,
            kind,
            title,
            history,
            created_by,
            participants: named,
            participant_count,
            last_message,
            unread_count: row.get(17)?,
            updated_at,
            created_at,
        };
        Ok(Self { answer, version, activity })
    }
}

/// Conversations as their members see them.
#[derive(Clone)]
pub struct Conversations(SqlReadRepository<ConversationRow>);

impl Conversations {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW))
    }

    /// The conversation, if `viewer` is in it.
    pub async fn seen_by(
        &self,
        viewer: Uuid,
        conversation: Uuid,
    ) -> Result<Option<SeenConversation>, StoreError> {
        let found = self.0.rows(sql::ONE, params![viewer, conversation], SeenConversation::from_row).await?;
        Ok(found.into_iter().next())
    }

    /// Where it is read.
    pub fn views(&self) -> &Views {
        self.0.views()
    }

    /// What the list of `viewer` depends on; nothing where it can't be remembered, or where that would cost more than it saves.
    async fn watch_list_of(&self, viewer: Uuid) -> Result<Option<Watch<'_>>, StoreError> {
        let Some(mut watch) = self.views().watch() else { return Ok(None) };
        watch.on([viewer, touched::reading(viewer)]);
        let rooms = self.rooms_of(viewer).await?;
        if rooms.len() > MOST_WATCHED {
            return Ok(None);
        }
        watch.on(rooms.iter().copied());
        Ok(Some(watch))
    }

    /// The conversations that `viewer` is in.
    async fn rooms_of(&self, viewer: Uuid) -> Result<Arc<Vec<Uuid>>, StoreError> {
        let views = self.views();
        let key = AnswerKey { question: "rooms", of: Uuid::nil(), by: viewer, limit: 0 };
        if let Some(rooms) = views.recall(&key) {
            return Ok(rooms);
        }
        let mut watch = views.watch();
        if let Some(watch) = &mut watch {
            watch.on([viewer]);
        }
        let sql = "SELECT conversation FROM {p}participants WHERE person = ?1 AND present";
        let rooms = Arc::new(self.0.rows(sql, params![viewer], |row| row.get::<Uuid>(0)).await?);
        if let Some(watch) = watch
            && let Some(settled) = views.settled(&[VIEW]).await
        {
            views.remember(&settled, key, watch, rooms.clone(), size_of::<Uuid>() * rooms.len());
        }
        Ok(rooms)
    }

    /// The conversations that `viewer` is in, newest activity first, from before the activity at `before`.
    pub async fn list_of(
        &self,
        viewer: Uuid,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SeenConversation>, StoreError> {
        let before = before.map_or(i64::MAX, |before| before as i64);
        self.0.rows(sql::LIST, params![viewer, before, limit], SeenConversation::from_row).await
    }
}
