//! The view `feed`: what a stream resumes from.
//!
//! Chat's own events stay in the log; the view holds where each happened and who was in when, so that resuming costs what
//! is delivered, not what was logged meanwhile. A message is one row however many are in. The other services' events are
//! kept here as they are shown, for their logs are out of reach.

use cqrs_core::{
    Aggregate as _, CodecError, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, Sql,
    StoreError, Value, Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use parlor_contracts::user::Availability;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::event::{self, Audience, LiveEvent};
use super::last_seen::listed;
use super::source::{Places, Source};
use super::sql;
use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::read_mark::{ReadMark, ReadMarkEvent};

/// The view's name.
pub const VIEW: &str = "feed";

/// What happened to a user, as feeds show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    position: u64,
    person: Uuid,
    known_to_others: bool,
    kind: String,
    at: Timestamp,
    data: String,
}

impl Record for UserRow {
    const TABLE: &'static str = "{p}feed_users";
    const COLUMNS: &'static [&'static str] = &["position", "person", "known_to_others", "type", "at", "data"];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.position,
            self.person,
            self.known_to_others,
            self.kind.as_str(),
            self.at,
            self.data.as_str()
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            position: row.get(0)?,
            person: row.get(1)?,
            known_to_others: row.get(2)?,
            kind: row.get(3)?,
            at: row.get(4)?,
            data: row.get(5)?,
        })
    }
}

/// Keeps the view.
pub struct FeedProjection;

impl Projection for FeedProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &Source::NAMES
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 3,
            sqlite: include_str!("../../migrations/sqlite/feed.sql"),
            postgres: include_str!("../../migrations/postgres/feed.sql"),
            tables: &[
                "feed_stays",
                "feed_openings",
                "feed_events",
                "feed_deletions",
                "feed_contacts",
                "feed_users",
                "feed_notifications",
            ],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match Source::named(event.source) {
            Some(Source::Chat) => chat(event, out),
            Some(Source::User) => user(event, out),
            Some(Source::Notification) => notification(event, out),
            None => Ok(()),
        }
    }
}

fn chat(event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
    let position = event.meta.position;
    let mut happened = |conversation: Uuid, about: u64| {
        out.row(&sql::HAPPENED, params![conversation, position, about]);
    };
    match event.category() {
        Conversation::CATEGORY => {
            happened(event.meta.stream, 0);
            if let ConversationEvent::Created { .. } = event.decode()? {
                let sql = "INSERT INTO {p}feed_openings (conversation, created, correlation, opened)
                    VALUES (?1, ?2, ?3, ?2)";
                out.run(sql, params![event.meta.stream, position, event.meta.correlation]);
            }
        }
        Membership::CATEGORY => {
            let change: MembershipEvent = event.decode()?;
            let (MembershipEvent::Added { conversation, .. }
            | MembershipEvent::RoleChanged { conversation, .. }
            | MembershipEvent::Removed { conversation, .. }) = &change;
            happened(*conversation, 0);
            stay(event, &change, out);
        }
        ReadMark::CATEGORY => {
            let ReadMarkEvent::Read { conversation, .. } = event.decode()?;
            happened(conversation, 0);
        }
        Message::CATEGORY => match event.decode()? {
            MessageEvent::Sent { conversation, .. } => happened(conversation, 0),
            MessageEvent::Edited { conversation, position: message, .. } => happened(conversation, message),
            MessageEvent::Deleted { conversation, position: message, .. } => {
                happened(conversation, message);
                let sql = "INSERT INTO {p}feed_deletions (position, message, deleted_at) VALUES (?1, ?2, ?3)";
                out.run(sql, params![message, event.meta.stream, event.meta.at]);
            }
        },
        _ => {}
    }
    Ok(())
}

fn stay(event: &Incoming<'_>, change: &MembershipEvent, out: &mut Writes) {
    let position = event.meta.position;
    match change {
        MembershipEvent::Added { conversation, user, history, .. } => {
            let sql = "UPDATE {p}feed_openings SET opened = ?2
                WHERE conversation = ?1 AND opened = ?3 AND correlation = ?4";
            out.run(sql, params![*conversation, position, position.0 - 1, event.meta.correlation]);
            let since = event::sees_since(event.meta, *history);
            let sql = "INSERT INTO {p}feed_stays (conversation, person, added, joined, since, until)
                SELECT o.conversation, ?2, ?3, CASE WHEN o.opened = ?3 THEN o.created ELSE ?3 END, ?4, 9223372036854775807
                FROM {p}feed_openings o WHERE o.conversation = ?1";
            out.run(sql, params![*conversation, *user, position, since]);
        }
        MembershipEvent::Removed { conversation, user } => {
            let sql = "UPDATE {p}feed_stays SET until = ?3
                WHERE conversation = ?1 AND person = ?2 AND until = 9223372036854775807";
            out.run(sql, params![*conversation, *user, position]);
        }
        MembershipEvent::RoleChanged { .. } => {}
    }
}

fn user(incoming: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
    use parlor_contracts::user::UserEvent;
    let happened: UserEvent = incoming.decode()?;
    match &happened {
        UserEvent::UserContactAdded { user_id, contact_id } => {
            let sql = "INSERT INTO {p}feed_contacts (owner, contact) VALUES (?1, ?2)
                ON CONFLICT (owner, contact) DO NOTHING";
            out.run(sql, params![*user_id, *contact_id]);
        }
        UserEvent::UserContactRemoved { user_id, contact_id } => {
            let sql = "DELETE FROM {p}feed_contacts WHERE owner = ?1 AND contact = ?2";
            out.run(sql, params![*user_id, *contact_id]);
        }
        _ => {}
    }
    if let Some(change) = event::of_user(&happened, incoming.meta.at)? {
        out.save(&UserRow {
            position: incoming.meta.position.0,
            person: change.person,
            known_to_others: change.audience == Audience::WhoKnowsThem,
            kind: change.live.kind,
            at: change.live.at,
            data: change.live.data.get().to_owned(),
        });
    }
    Ok(())
}

fn notification(incoming: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
    let notice = event::of_notification(&incoming.decode()?, incoming.meta.at)?;
    let sql = "INSERT INTO {p}feed_notifications (person, position, conversation, message, type, at, data)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        notice.person,
        incoming.meta.position,
        notice.conversation,
        notice.message,
        notice.live.kind,
        notice.live.at,
        notice.live.data.get(),
    ];
    out.run(sql, values);
    Ok(())
}

/// An event of chat's that somebody missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) position: u64,
    /// When the message that it tells of was deleted, if it was.
    pub(super) deleted_at: Option<Timestamp>,
}

/// When somebody was in a conversation: what happened between `since` and `until` is theirs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    /// The position of the event that they were added by.
    pub(super) added: u64,
    pub(super) since: u64,
    pub(super) until: u64,
}

impl Stay {
    /// Where a stay ends that hasn't ended.
    pub(super) const OPEN: u64 = i64::MAX as u64;
}

/// All stays of somebody, oldest first, as of some position in chat's log between two that are known.
#[derive(Debug, Clone)]
pub(super) struct Stays {
    pub(super) not_before: u64,
    pub(super) all: Vec<(Uuid, Stay)>,
    pub(super) not_after: u64,
}

/// Which part of what was missed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) after: u64,
    pub(super) upto: u64,
    pub(super) limit: usize,
}

/// How many events of users are looked at one by one; of more, each acquaintance is asked for theirs.
const LATELY: u64 = 100;

/// What streams resume from.
#[derive(Clone)]
pub struct Feed(SqlReadRepository<UserRow>);

impl Feed {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW))
    }

    /// How far the view has come.
    pub(super) async fn places(&self) -> Result<Places, StoreError> {
        let mut places = Places::default();
        for source in Source::ALL {
            places.advance(source, self.place(source).await?);
        }
        Ok(places)
    }

    /// How far the view has come in a source.
    pub(super) async fn place(&self, source: Source) -> Result<u64, StoreError> {
        Ok(self.0.views().place_of(VIEW, source.name()).await?.0)
    }

    /// All stays of somebody.
    pub(super) async fn stays(&self, viewer: Uuid) -> Result<Stays, StoreError> {
        let not_before = self.place(Source::Chat).await?;
        let map = |row: &dyn Row| {
            let stay = Stay { added: row.get(1)?, since: row.get(2)?, until: row.get(3)? };
            Ok((row.get::<Uuid>(0)?, stay))
        };
        let all = self.0.rows(sql::STAYS, params![viewer], map).await?;
        Ok(Stays { not_before, all, not_after: self.place(Source::Chat).await? })
    }

    /// What somebody missed of chat.
    pub(super) async fn chat(&self, viewer: Uuid, span: Span) -> Result<Vec<Missed>, StoreError> {
        let params = params![viewer, span.after, span.upto, span.limit];
        let map = |row: &dyn Row| Ok(Missed { position: row.get(0)?, deleted_at: row.get(1)? });
        self.0.rows(sql::CHAT, params, map).await
    }

    /// What somebody missed of another source.
    pub(super) async fn others(
        &self,
        source: Source,
        viewer: Uuid,
        span: Span,
    ) -> Result<Vec<(u64, LiveEvent)>, StoreError> {
        let sql: Sql = match source {
            Source::Chat => return Ok(Vec::new()),
            Source::User => {
                let upto = span.upto.min(self.place(source).await?);
                match upto.saturating_sub(span.after) {
                    0 => return Ok(Vec::new()),
                    1..=LATELY => sql::USERS_LATELY.into(),
                    _ => sql::USERS,
                }
            }
            Source::Notification => sql::NOTIFICATIONS.into(),
        };
        let map = |row: &dyn Row| {
            let data = RawValue::from_string(row.get(3)?)
                .map_err(|error| RowError { column: 3, detail: error.to_string() })?;
            Ok((row.get(0)?, LiveEvent { kind: row.get(1)?, at: row.get(2)?, data }))
        };
        self.0.rows(sql, params![viewer, span.after, span.upto, span.limit], map).await
    }

    /// The conversations that somebody is in.
    pub(super) async fn conversations_of(&self, person: Uuid) -> Result<Vec<Uuid>, StoreError> {
        self.0.rows(sql::CONVERSATIONS_OF, params![person], |row| row.get(0)).await
    }

    /// What somebody last said of their availability; nothing if they never did.
    pub(super) async fn availability(&self, person: Uuid) -> Result<Option<Availability>, StoreError> {
        #[derive(serde::Deserialize)]
        struct Said {
            status: Availability,
        }
        let said = self.0.rows(sql::SAID, params![person], |row| {
            serde_json::from_str::<Said>(&row.get::<String>(0)?)
                .map(|said| said.status)
                .map_err(|error| RowError { column: 0, detail: error.to_string() })
        });
        Ok(said.await?.into_iter().next())
    }

    /// Those whom somebody has among their contacts.
    pub(super) async fn contacts_of(&self, owner: Uuid) -> Result<Vec<Uuid>, StoreError> {
        self.0.rows(sql::CONTACTS_OF, params![owner], |row| row.get(0)).await
    }

    /// Those who let somebody know how they are, some of them at most.
    pub(super) async fn acquainted(&self, viewer: Uuid, most: usize) -> Result<Vec<Uuid>, StoreError> {
        self.0.rows(sql::ACQUAINTED, params![viewer, most], |row| row.get(0)).await
    }

    /// Those among `users` who let somebody know how they are.
    pub(super) async fn shown_to(&self, viewer: Uuid, users: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        self.0.rows(sql::ACQUAINTED_AMONG, params![viewer, listed(users)], |row| row.get(0)).await
    }

    /// Those who have somebody among their contacts.
    pub(super) async fn owners_of(&self, contact: Uuid) -> Result<Vec<Uuid>, StoreError> {
        self.0.rows(sql::OWNERS_OF, params![contact], |row| row.get(0)).await
    }
}
