//! Reads the view `inbox`.

use std::ops::Deref;

use cqrs_core::{Record, Row, RowError, RowExt as _, StoreError, Value, params};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use uuid::Uuid;

/// A row of the view: something that somebody was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The notification.
    pub id: Uuid,
    /// Who was told.
    pub user: Uuid,
    /// Its place in the service's log.
    pub place: u64,
    /// What it is about.
    pub kind: String,
    /// In a few words.
    pub title: String,
    /// In more words.
    pub body: String,
    /// Where it leads.
    pub link: Option<String>,
    /// Whose doing it is.
    pub actor: Option<Uuid>,
    /// The conversation that it comes from.
    pub conversation: Option<Uuid>,
    /// The message that it comes from.
    pub message: Option<Uuid>,
    /// The place in chat's log that it comes from.
    pub position: Option<u64>,
    /// When they were told.
    pub created_at: Timestamp,
    /// When they read it.
    pub read_at: Option<Timestamp>,
}

impl Record for Told {
    const TABLE: &'static str = "{p}notifications";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "user_id",
        "place",
        "kind",
        "title",
        "body",
        "link",
        "actor_id",
        "conversation_id",
        "message_id",
        "position",
        "created_at",
        "read_at",
    ];
    const SEARCHED: &'static [&'static str] = &["title", "body"];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.id,
            self.user,
            self.place,
            self.kind.clone(),
            self.title.clone(),
            self.body.clone(),
            self.link.clone(),
            self.actor,
            self.conversation,
            self.message,
            self.position,
            self.created_at,
            self.read_at,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            user: row.get(1)?,
            place: row.get(2)?,
            kind: row.get(3)?,
            title: row.get(4)?,
            body: row.get(5)?,
            link: row.get(6)?,
            actor: row.get(7)?,
            conversation: row.get(8)?,
            message: row.get(9)?,
            position: row.get(10)?,
            created_at: row.get(11)?,
            read_at: row.get(12)?,
        })
    }
}

/// What is hidden: what comes from a conversation that its receiver left since, or from a message that is gone.
macro_rules! shown {
    () => {
        "NOT EXISTS (SELECT 1 FROM {p}departures d WHERE d.user_id = n.user_id
           AND d.conversation_id = n.conversation_id AND d.position > n.position)
         AND NOT EXISTS (SELECT 1 FROM {p}deleted_messages m WHERE m.message_id = n.message_id)"
    };
}

macro_rules! columns {
    () => {
        "SELECT n.id, n.user_id, n.place, n.kind, n.title, n.body, n.link, n.actor_id, n.conversation_id,
           n.message_id, n.position, n.created_at, n.read_at FROM {p}notifications n"
    };
}

/// The repository of what people were told.
#[derive(Clone)]
pub struct Inboxes(SqlReadRepository<Told>);

impl Deref for Inboxes {
    type Target = SqlReadRepository<Told>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Inboxes {
    /// Over the service's views.
    pub fn new(views: &Views) -> Self {
        Self(SqlReadRepository::new(views.clone(), "inbox"))
    }

    /// What `user` was told before `place`, newest first, at most `limit`; only what they haven't read, if `unread`.
    pub async fn page(
        &self,
        user: Uuid,
        unread: bool,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Told>, StoreError> {
        let all = concat!(
            columns!(),
            " WHERE n.user_id = ?1 AND n.place < ?2 AND ",
            shown!(),
            " ORDER BY n.place DESC LIMIT ?3"
        );
        let only_unread = concat!(
            columns!(),
            " WHERE n.user_id = ?1 AND n.place < ?2 AND n.read_at IS NULL AND ",
            shown!(),
            " ORDER BY n.place DESC LIMIT ?3"
        );
        let before = before.map_or(i64::MAX, |before| before as i64);
        self.query(if unread { only_unread } else { all }, params![user, before, limit]).await
    }

    /// How much of what `user` was told they haven't read.
    pub async fn unread_count(&self, user: Uuid) -> Result<u64, StoreError> {
        let sql = concat!(
            "SELECT count(*) FROM {p}notifications n WHERE n.user_id = ?1 AND n.read_at IS NULL AND ",
            shown!()
        );
        let counted = self.rows(sql, params![user], |row| row.get::<u64>(0)).await?;
        Ok(counted.into_iter().next().unwrap_or(0))
    }
}
