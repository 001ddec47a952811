//! What one is told, and wants to be told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Call, List, Parlor};

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// What it is about: `message`, `mention`, `added-to-group`, `new-sign-in`, or what an application calls it.
    pub kind: String,
    /// In a few words.
    pub title: String,
    /// In more words.
    pub body: String,
    /// Where it leads.
    pub link: Option<String>,
    /// Whose doing it is.
    pub actor_id: Option<Uuid>,
    /// The conversation that it comes from.
    pub conversation_id: Option<Uuid>,
    /// The message that it comes from.
    pub message_id: Option<Uuid>,
    /// Whether it was read.
    pub read: bool,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// When they were told.
    pub created_at: Timestamp,
}

/// A notification to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewNotification {
    user_id: Uuid,
    kind: String,
    title: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl NewNotification {
    /// Tells this user: what it is about, in a word; in a few words; in more words.
    pub fn new(
        user: Uuid,
        kind: impl Into<String>,
        title: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        Self { user_id: user, kind: kind.into(), title: title.into(), body: body.into(), link: None }
    }

    /// Where it leads.
    #[must_use]
    pub fn link(self, link: impl Into<String>) -> Self {
        Self { link: Some(link.into()), ..self }
    }
}

/// Names the notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NotificationMade {
    /// Its id.
    pub id: Uuid,
}

/// How much of something somebody wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// All of it.
    All,
    /// What names them.
    Mentions,
    /// Nothing.
    None,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// What somebody wants to be told of, and when not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    /// The levels for each kind of thing.
    pub kinds: KindLevels,
    /// Levels of single conversations, where they differ.
    pub conversations: BTreeMap<Uuid, Level>,
    /// Until when they aren't told of anything in conversations.
    pub mute_until: Option<Timestamp>,
    /// The time of every day during which they aren't.
    pub quiet_hours: Option<QuietHours>,
}

/// The levels for each kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KindLevels {
    /// Messages in direct conversations.
    pub direct: Level,
    /// Messages in groups.
    pub group: Level,
    /// Being added to a group.
    pub added_to_group: Level,
    /// Signing in with a new device.
    pub new_sign_in: Level,
}

/// The server's: all of everything, but of groups what names them.
impl Default for KindLevels {
    fn default() -> Self {
        Self {
            direct: Level::All,
            group: Level::Mentions,
            added_to_group: Level::All,
            new_sign_in: Level::All,
        }
    }
}

/// A time of every day during which somebody isn't told of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuietHours {
    /// When it begins, by the clock of `time_zone`: `22:00`.
    pub from: String,
    /// When it ends; earlier than `from` if midnight lies between.
    pub to: String,
    /// The name of a zone in the IANA time zone database: `Europe/Berlin`.
    pub time_zone: String,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnreadCount {
    /// How many haven't been read.
    pub count: u64,
}

impl Parlor {
    /// What one was told, newest first.
    pub fn notifications(&self) -> List<Notification> {
        List::new(self.call(Method::GET, "/v1/notifications"))
    }

    /// What one was told and hasn't read, newest first.
    pub fn unread_notifications(&self) -> List<Notification> {
        self.notifications().query("unread", true)
    }

    /// How many notifications one hasn't read.
    pub fn unread_notifications_count(&self) -> Call<UnreadCount> {
        self.call(Method::GET, "/v1/notifications/unread-count")
    }

    /// Marks one of one's notifications as read.
    pub fn mark_notification_as_read(&self, notification: Uuid) -> Call<()> {
        self.call(Method::PUT, format!("/v1/notifications/{notification}/read"))
    }

    /// Marks all of one's notifications as read.
    pub fn mark_all_notifications_as_read(&self) -> Call<()> {
        self.call(Method::POST, "/v1/notifications/read-all")
    }

    /// Tells somebody something, for another application or by hand.
    pub fn create_notification(&self, notification: &NewNotification) -> Call<NotificationMade> {
        self.call(Method::POST, "/v1/notifications").body(notification)
    }

    /// What one wants to be told of, and when not.
    pub fn notification_preferences(&self) -> Call<Preferences> {
        self.call(Method::GET, "/v1/notifications/preferences")
    }

    /// Says what one wants to be told of, and when not: all of it, not only what is different.
    pub fn update_notification_preferences(&self, preferences: &Preferences) -> Call<Preferences> {
        self.call(Method::PUT, "/v1/notifications/preferences").body(preferences)
    }
}
