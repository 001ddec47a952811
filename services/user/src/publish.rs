//! What others get to hear: private events become public here, and nowhere else.

use std::sync::Arc;

use cqrs_core::{Aggregate as _, CodecError, Keys, PublicEvent, Publisher, RecordedEvent, decode};
use parlor_contracts::user::UserEvent as Public;
use uuid::Uuid;

use crate::contact::{Contact, ContactEvent};
use crate::status::{StatusEvent, UserStatus};
use crate::user::{User, UserEvent};

/// The user service's publisher.
#[derive(Debug, Clone, Copy)]
pub struct UserPublisher;

impl Publisher for UserPublisher {
    type Public = Public;

    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<Public>>, CodecError> {
        let id = event.stream;
        Ok(match &*event.category {
            User::CATEGORY => of_user(id, decode(event, keys)?).map(|event| PublicEvent { key: id, event }),
            UserStatus::CATEGORY => Some(PublicEvent { key: id, event: of_status(id, decode(event, keys)?) }),
            Contact::CATEGORY => Some(of_contact(&decode(event, keys)?)),
            _ => None,
        })
    }
}

fn of_user(user_id: Uuid, event: UserEvent) -> Option<Public> {
    match event {
        UserEvent::Created { display_name, external_id, avatar_url, email: _, bio: _ } => {
            Some(Public::UserCreated { user_id, display_name, avatar_url, external_id })
        }
        UserEvent::ProfileRefused { reason } => Some(Public::ProfileRefused { user_id, reason }),
        UserEvent::ProfileUpdated { display_name, bio, avatar_url } => {
            Some(Public::UserProfileUpdated { user_id, display_name, bio, avatar_url })
        }
        // Auth says so itself.
        UserEvent::EmailChanged { .. } => None,
        UserEvent::Disabled {} => Some(Public::UserDisabled { user_id }),
        UserEvent::Enabled {} => Some(Public::UserEnabled { user_id }),
        UserEvent::Deleted {} => Some(Public::UserDeleted { user_id }),
    }
}

fn of_status(user_id: Uuid, event: StatusEvent) -> Public {
    match event {
        StatusEvent::Changed { status, text } => Public::UserStatusChanged { user_id, status, text },
    }
}

fn of_contact(event: &ContactEvent) -> PublicEvent<Public> {
    match *event {
        ContactEvent::Added { owner, contact } => PublicEvent {
            key: owner,
            event: Public::UserContactAdded { user_id: owner, contact_id: contact },
        },
        ContactEvent::Removed { owner, contact } => PublicEvent {
            key: owner,
            event: Public::UserContactRemoved { user_id: owner, contact_id: contact },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Personal;

    #[test]
    fn an_address_does_not_leave_the_service() {
        let ann = Uuid::from_u128(1);
        let address = || Personal::new(ann, "ann@example.org".to_owned());
        let created = UserEvent::Created {
            display_name: Personal::new(ann, "Ann".to_owned()),
            email: Some(address()),
            external_id: None,
            bio: None,
            avatar_url: None,
        };
        let public = of_user(ann, created).expect("a new user is public");
        assert!(!serde_json::to_string(&public).unwrap_or_default().contains("example.org"));
        assert_eq!(of_user(ann, UserEvent::EmailChanged { email: address() }), None);
    }
}
