//! What somebody says of their availability. A stream of its own, so that a status that changes all day neither makes
//! the profile's history long nor its `ETag` stale.

use cqrs_core::{Aggregate, Event, Personal};
use parlor_contracts::user::Availability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum StatusEvent {
    /// It is another.
    #[serde(rename = "user-status.changed")]
    Changed {
        /// Whether they are there.
        status: Availability,
        /// In their own words.
        text: Option<Personal<String>>,
    },
}

impl Event for StatusEvent {}

/// A status as decisions see it; the stream's id is the user's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserStatus {
    /// Whether they are there; nothing as long as they never said so. Who says that they are away wants to seem so.
    pub status: Option<Availability>,
    /// In their own words.
    pub text: Option<String>,
}

impl Aggregate for UserStatus {
    const CATEGORY: &'static str = "user-status";
    type Event = StatusEvent;
    const SNAPSHOT_EVERY: Option<u64> = Some(200);

    fn apply(&mut self, event: &StatusEvent) {
        let StatusEvent::Changed { status, text } = event;
        self.status = Some(*status);
        self.text = text.as_ref().and_then(Personal::get).cloned();
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.text.as_ref().map_or(0, String::len)
    }

    /// The last event is the whole state; only the availability is kept, since a text belongs under its person's key.
    /// That loses nothing that decisions rest on when there is no text, and with one there is no snapshot.
    fn to_snapshot(&self) -> Option<Vec<u8>> {
        if self.text.is_some() {
            return None;
        }
        serde_json::to_vec(&self.status).ok()
    }

    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        Some(Self { status: serde_json::from_slice(bytes).ok()?, text: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<StatusEvent>(), Vec::<String>::new());
    }

    #[test]
    fn a_snapshot_restores_the_state_and_never_holds_a_persons_words() {
        let mut state = UserStatus::default();
        state.apply(&StatusEvent::Changed { status: Availability::Busy, text: None });
        let bytes = state.to_snapshot().expect("a state without words has one");
        assert_eq!(UserStatus::from_snapshot(&bytes), Some(state.clone()));
        let words = Personal::new(Uuid::from_u128(1), "in a meeting".to_owned());
        state.apply(&StatusEvent::Changed { status: Availability::Busy, text: Some(words) });
        assert_eq!(state.to_snapshot(), None);
    }
}
