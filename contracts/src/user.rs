//! What the user service makes public. Ordering key: the user, except for contacts, whose key is the owner.

use cqrs_core::{Event, Personal, Plain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a user says of their availability; said alike in the API, hence its schema there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// There.
    Online,
    /// Not at the desk.
    Away,
    /// There, and not to be disturbed.
    Busy,
    /// Not there, or never said anything.
    #[default]
    Offline,
}

/// The public events of the user service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum UserEvent {
    /// Somebody new is there, registered or created by an administrator or another application.
    #[serde(rename = "user-created.v1", rename_all = "camelCase")]
    UserCreated {
        /// Who; the same id as their account's.
        user_id: Uuid,
        /// What they are called.
        display_name: Personal<String>,
        /// Where their picture is.
        #[serde(default)]
        avatar_url: Option<Personal<String>>,
        /// What the application that created them calls them.
        #[serde(default)]
        external_id: Option<Personal<String>>,
    },
    /// The profile of an account can't be made, for good: there is no such user, and auth says so to whoever registered.
    #[serde(rename = "profile-refused.v1", rename_all = "camelCase")]
    ProfileRefused {
        /// Whose account.
        user_id: Uuid,
        /// Why: the code of the refusal.
        reason: Plain<String>,
    },
    /// The profile is another; all of it, as it is now.
    #[serde(rename = "user-profile-updated.v1", rename_all = "camelCase")]
    UserProfileUpdated {
        /// Whose.
        user_id: Uuid,
        /// What they are called.
        display_name: Personal<String>,
        /// What they say of themselves.
        #[serde(default)]
        bio: Option<Personal<String>>,
        /// Where their picture is.
        #[serde(default)]
        avatar_url: Option<Personal<String>>,
    },
    /// They said something else of their availability.
    #[serde(rename = "user-status-changed.v1", rename_all = "camelCase")]
    UserStatusChanged {
        /// Who.
        user_id: Uuid,
        /// Whether they are there.
        status: Availability,
        /// In their own words.
        #[serde(default)]
        text: Option<Personal<String>>,
    },
    /// Somebody put somebody on their list.
    #[serde(rename = "user-contact-added.v1", rename_all = "camelCase")]
    UserContactAdded {
        /// Whose list.
        user_id: Uuid,
        /// Who is on it.
        contact_id: Uuid,
    },
    /// Somebody took somebody off their list.
    #[serde(rename = "user-contact-removed.v1", rename_all = "camelCase")]
    UserContactRemoved {
        /// Whose list.
        user_id: Uuid,
        /// Who was on it.
        contact_id: Uuid,
    },
    /// An administrator shut somebody out: their sessions end.
    #[serde(rename = "user-disabled.v1", rename_all = "camelCase")]
    UserDisabled {
        /// Who.
        user_id: Uuid,
    },
    /// An administrator let somebody in again.
    #[serde(rename = "user-enabled.v1", rename_all = "camelCase")]
    UserEnabled {
        /// Who.
        user_id: Uuid,
    },
    /// Somebody ended their account for good: their sessions end, their name and messages stay.
    #[serde(rename = "user-deleted.v1", rename_all = "camelCase")]
    UserDeleted {
        /// Who.
        user_id: Uuid,
    },
}

impl Event for UserEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<UserEvent>(), Vec::<String>::new());
    }

    #[test]
    fn a_name_is_sealed_on_its_way_and_reads_back() {
        let user_id = Uuid::from_u128(7);
        let event = UserEvent::UserCreated {
            user_id,
            display_name: Personal::new(user_id, "Zoë".to_owned()),
            avatar_url: None,
            external_id: None,
        };
        let keyring = cqrs_core::testing::keyring();
        let id = Uuid::from_u128(8);
        futures::executor::block_on(async {
            let (name, data) = keyring.encode_parts(id, &event).await.expect("an event can be encoded");
            assert_eq!(name, "user-created.v1");
            // The whole name: a sealed text may hold any two letters by chance, but never an "ë".
            assert!(!String::from_utf8_lossy(&data).contains("Zoë"), "{data:?}");
            let back = cqrs_core::decode_parts::<UserEvent>(&name, &data, id, keyring.keys());
            assert_eq!(back.expect("it is what was encoded"), event);
        });
    }
}
