//! What the notification service makes public. Ordering key: the user who is notified.

use cqrs_core::{Event, Personal, Plain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The public events of the notification service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
pub enum NotificationEvent {
    /// Somebody is told something.
    #[serde(rename = "notification-created.v1", rename_all = "camelCase")]
    NotificationCreated {
        /// Which.
        notification_id: Uuid,
        /// Who is told.
        user_id: Uuid,
        /// What it is about: `message`, `mention`, `added-to-group`, `new-sign-in`, or what an application calls it.
        kind: Plain<String>,
        /// In a few words.
        title: Personal<String>,
        /// In more words.
        body: Personal<String>,
        /// Where it leads.
        #[serde(default)]
        link: Option<Personal<String>>,
        /// Whose doing it is, if it is somebody's.
        #[serde(default)]
        actor_id: Option<Uuid>,
        /// The conversation that it comes from; hidden from who has left it since.
        #[serde(default)]
        conversation_id: Option<Uuid>,
        /// The message that it comes from; hidden once that is deleted.
        #[serde(default)]
        message_id: Option<Uuid>,
        /// The place in chat's log of what it comes from.
        #[serde(default)]
        position: Option<u64>,
    },
    /// One notification has been read.
    #[serde(rename = "notification-read.v1", rename_all = "camelCase")]
    NotificationRead {
        /// Which.
        notification_id: Uuid,
        /// Whose.
        user_id: Uuid,
    },
    /// All notifications that somebody had before this event have been read.
    #[serde(rename = "notifications-read.v1", rename_all = "camelCase")]
    NotificationsRead {
        /// Whose.
        user_id: Uuid,
    },
    /// Somebody wants to be told of other things, or at other times.
    #[serde(rename = "notification-preferences-updated.v1", rename_all = "camelCase")]
    NotificationPreferencesUpdated {
        /// Whose preferences.
        user_id: Uuid,
    },
}

impl Event for NotificationEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<NotificationEvent>(), Vec::<String>::new());
    }
}
