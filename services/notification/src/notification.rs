//! A notification: stored as a row with a version, its events recorded beside it.
//!
//! The row holds what decisions need: whose it is, where it comes from, whether it was read. What it says about people
//! lies in the event, sealed, and in the view.

use std::ops::Deref;
use std::sync::Arc;

use cqrs_core::{
    Comparison, Event, Order, Personal, Plain, QueryOptions, Record, Row, RowError, RowExt as _, StoreError,
    Value, params,
};
use cqrs_sql::{SqlLog, SqlWriteRepository};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The category of notifications' streams.
pub const CATEGORY: &str = "notification";
/// The category of inboxes' streams; their ids are users'.
pub const INBOX: &str = "inbox";

/// What happens to a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
pub enum NotificationEvent {
    /// Somebody is told something.
    #[serde(rename = "notification.created")]
    Created {
        /// Who is told.
        user: Uuid,
        /// What it is about.
        kind: Plain<String>,
        /// In a few words.
        title: Personal<String>,
        /// In more words.
        body: Personal<String>,
        /// Where it leads.
        link: Option<Personal<String>>,
        /// Where it comes from.
        origin: Origin,
    },
    /// They have read it.
    #[serde(rename = "notification.read")]
    Read {
        /// Who.
        user: Uuid,
    },
}

impl Event for NotificationEvent {}

/// Where a notification comes from, as far as it comes from somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Origin {
    /// Whose doing it is.
    pub actor: Option<Uuid>,
    /// The conversation.
    pub conversation: Option<Uuid>,
    /// The message.
    pub message: Option<Uuid>,
    /// The place in chat's log.
    pub position: Option<u64>,
}

/// What happens to all of somebody's notifications at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum InboxEvent {
    /// Everything that was there before this event has been read.
    #[serde(rename = "inbox.read")]
    AllRead {},
}

impl Event for InboxEvent {}

/// A notification as decisions see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: Uuid,
    /// The conversation that it comes from.
    pub conversation: Option<Uuid>,
    /// The place in chat's log that it comes from.
    pub position: Option<u64>,
    /// Whether it was read, other than with all the others.
    pub read: bool,
}

impl Record for Notification {
    const TABLE: &'static str = "notifications";
    const COLUMNS: &'static [&'static str] = &["id", "user_id", "conversation_id", "position", "read"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.user, self.conversation, self.position, self.read]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            user: row.get(1)?,
            conversation: row.get(2)?,
            position: row.get(3)?,
            read: row.get(4)?,
        })
    }
}

/// Somebody's notifications as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbox {
    /// Whose.
    pub user: Uuid,
    /// When they last read all there was.
    pub read_before: Timestamp,
}

impl Record for Inbox {
    const TABLE: &'static str = "inboxes";
    const COLUMNS: &'static [&'static str] = &["user_id", "read_before"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.user, self.read_before]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { user: row.get(0)?, read_before: row.get(1)? })
    }
}

/// The repository of notifications.
#[derive(Clone)]
pub struct Notifications(SqlWriteRepository<Notification>);

impl Deref for Notifications {
    type Target = SqlWriteRepository<Notification>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Notifications {
    /// Beside the service's log.
    pub fn new(log: &Arc<SqlLog>) -> Self {
        Self(SqlWriteRepository::new(log.clone()))
    }

    /// Up to `limit` of `user`'s that come from `conversation` up to `position` and aren't marked as read.
    pub async fn unread_of_conversation(
        &self,
        user: Uuid,
        conversation: Uuid,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Notification>, StoreError> {
        let options = QueryOptions::all()
            .filter("user_id", user)
            .filter("conversation_id", conversation)
            .filter("read", false)
            .compare("position", Comparison::Below, position.saturating_add(1))
            .sort("position", Order::Ascending)
            .limit(limit);
        self.find_all(&options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<NotificationEvent>(), Vec::<String>::new());
        assert_eq!(cqrs_core::undeclared_text::<InboxEvent>(), Vec::<String>::new());
    }
}
