//! What others get to hear: private events become public here, and nowhere else.

use std::sync::Arc;

use cqrs_core::{CodecError, Keys, PublicEvent, Publisher, RecordedEvent, decode};
use parlor_contracts::notification::NotificationEvent as Public;

use crate::notification::{self, InboxEvent, NotificationEvent, Origin};
use crate::preferences::{self, PreferencesEvent};

/// The notification service's publisher.
#[derive(Debug, Clone, Copy)]
pub struct NotificationPublisher;

impl Publisher for NotificationPublisher {
    type Public = Public;

    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<Public>>, CodecError> {
        let id = event.stream;
        Ok(match &*event.category {
            notification::CATEGORY => Some(match decode(event, keys)? {
                NotificationEvent::Created { user, kind, title, body, link, origin } => {
                    let Origin { actor, conversation, message, position } = origin;
                    let event = Public::NotificationCreated {
                        notification_id: id,
                        user_id: user,
                        kind,
                        title,
                        body,
                        link,
                        actor_id: actor,
                        conversation_id: conversation,
                        message_id: message,
                        position,
                    };
                    PublicEvent { key: user, event }
                }
                NotificationEvent::Read { user } => {
                    let event = Public::NotificationRead { notification_id: id, user_id: user };
                    PublicEvent { key: user, event }
                }
            }),
            notification::INBOX => {
                let InboxEvent::AllRead {} = decode(event, keys)?;
                Some(PublicEvent { key: id, event: Public::NotificationsRead { user_id: id } })
            }
            preferences::CATEGORY => {
                // What they are is nobody else's concern: that they changed is enough to ask anew.
                let PreferencesEvent::Updated { preferences: _ } = decode(event, keys)?;
                Some(PublicEvent { key: id, event: Public::NotificationPreferencesUpdated { user_id: id } })
            }
            _ => None,
        })
    }
}
