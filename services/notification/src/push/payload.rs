//! What is pushed: enough to show, and to find the place that it is about.

use parlor_contracts::notification::NotificationEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::encryption::MAX_PLAIN;
use crate::values::excerpt;

/// A notification as a service worker gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// Its id: shown again under the same one, it takes the place of the first.
    pub id: Uuid,
    /// What it is about.
    pub kind: String,
    /// In a few words.
    pub title: String,
    /// In more words, as far as there is room.
    pub body: String,
    /// Where it leads.
    pub link: Option<String>,
    /// The conversation that it comes from.
    pub conversation_id: Option<Uuid>,
    /// The message that it comes from.
    pub message_id: Option<Uuid>,
}

/// What a device is told of how soon to show it (RFC 8030 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// At once, though it costs battery.
    High,
    /// When the device is awake.
    Normal,
}

impl Urgency {
    /// As the header says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
        }
    }
}

impl Payload {
    /// Of an event, if it tells of a new notification; with whose it is.
    pub fn of(event: NotificationEvent) -> Option<(Uuid, Self)> {
        let NotificationEvent::NotificationCreated {
            notification_id,
            user_id,
            kind,
            title,
            body,
            link,
            conversation_id,
            message_id,
            ..
        } = event
        else {
            return None;
        };
        let payload = Self {
            id: notification_id,
            kind: kind.0,
            title: title.text().to_owned(),
            body: body.text().to_owned(),
            link: link.and_then(cqrs_core::Personal::into_inner),
            conversation_id,
            message_id,
        };
        Some((user_id, payload))
    }

    /// Words from people can't wait; what else an application tells can.
    pub fn urgency(&self) -> Urgency {
        match self.kind.as_str() {
            "message" | "mention" | "new-sign-in" => Urgency::High,
            _ => Urgency::Normal,
        }
    }

    /// As it is encrypted: JSON, its longest texts cut until it fits.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = self.clone();
        for room in [2_000, 700, 100, 0] {
            payload.body = excerpt(&self.body, room);
            if let Some(json) = fitting(&payload) {
                return json;
            }
        }
        // A link of 2,048 characters may take all of it.
        payload.link = None;
        fitting(&payload).unwrap_or_default()
    }
}

fn fitting(payload: &Payload) -> Option<Vec<u8>> {
    serde_json::to_vec(payload).ok().filter(|json| json.len() <= MAX_PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let payload = |body: String, link: Option<String>| Payload {
            id: Uuid::nil(),
            kind: "message".to_owned(),
            title: "語".repeat(200),
            body,
            link,
            conversation_id: None,
            message_id: None,
        };
        let shown = |payload: &Payload| -> Payload {
            let json = payload.encode();
            assert!(json.len() <= MAX_PLAIN);
            serde_json::from_slice(&json).expect("JSON")
        };
        let short = payload("hello".to_owned(), None);
        assert_eq!(shown(&short), short);
        let long = shown(&payload("語".repeat(2_000), None)).body;
        assert!(long.ends_with('…') && long.chars().count() == 700, "{long}");
        assert_eq!(shown(&payload("x".to_owned(), Some("語".repeat(2_000)))).link, None);
    }
}
