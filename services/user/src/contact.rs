//! Somebody on somebody's list. One stream per owner and contact, so that lists of any length are changed by several
//! devices at once without one getting into another's way.

use cqrs_core::{Aggregate, Event, derived_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What happens to an entry of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum ContactEvent {
    /// It is on the list.
    #[serde(rename = "contact.added")]
    Added {
        /// Whose list.
        owner: Uuid,
        /// Who is on it.
        contact: Uuid,
    },
    /// It no longer is.
    #[serde(rename = "contact.removed")]
    Removed {
        /// Whose list.
        owner: Uuid,
        /// Who was on it.
        contact: Uuid,
    },
}

impl Event for ContactEvent {}

/// An entry as decisions see it.
#[derive(Debug, Clone, Default)]
pub struct Contact {
    /// Whether it is on the list.
    pub listed: bool,
}

impl Aggregate for Contact {
    const CATEGORY: &'static str = "contact";
    type Event = ContactEvent;

    fn apply(&mut self, event: &ContactEvent) {
        self.listed = matches!(event, ContactEvent::Added { .. });
    }
}

/// The id of the entry of `contact` on `owner`'s list.
pub fn contact_id(owner: Uuid, contact: Uuid) -> Uuid {
    derived_id("parlor contact v1", &[owner.as_bytes(), contact.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<ContactEvent>(), Vec::<String>::new());
    }

    #[test]
    fn two_lists_have_two_entries() {
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_ne!(contact_id(ann, bob), contact_id(bob, ann));
    }
}
