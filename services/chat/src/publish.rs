//! What the other services hear of chat: private events made public through one exhaustive match.

use std::sync::Arc;

use cqrs_core::{Actor, Aggregate as _, CodecError, Keys, PublicEvent, Publisher, RecordedEvent, decode};
use parlor_contracts::chat::ChatEvent;
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::read_mark::{ReadMark, ReadMarkEvent};

/// Makes chat's events public. All travel in the order of their conversation.
pub struct ChatPublisher;

/// A private event of any kind.
enum Private {
    Conversation(ConversationEvent),
    Membership(MembershipEvent),
    ReadMark(ReadMarkEvent),
    Message(MessageEvent),
}

impl Private {
    fn decode(event: &RecordedEvent, keys: &Keys) -> Result<Option<Self>, CodecError> {
        Ok(Some(match &*event.category {
            Conversation::CATEGORY => Self::Conversation(decode(event, keys)?),
            Membership::CATEGORY => Self::Membership(decode(event, keys)?),
            ReadMark::CATEGORY => Self::ReadMark(decode(event, keys)?),
            Message::CATEGORY => Self::Message(decode(event, keys)?),
            _ => return Ok(None),
        }))
    }
}

impl Publisher for ChatPublisher {
    type Public = ChatEvent;

    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<ChatEvent>>, CodecError> {
        let Some(private) = Private::decode(event, keys)? else { return Ok(None) };
        let (key, event) = public(private, event.stream, by(event.actor));
        Ok(Some(PublicEvent { key, event }))
    }
}

/// Whoever did it; nil if no user did.
fn by(actor: Actor) -> Uuid {
    actor.user().unwrap_or_default()
}

fn public(private: Private, stream: Uuid, by: Uuid) -> (Uuid, ChatEvent) {
    match private {
        Private::Conversation(ConversationEvent::Created { kind, title, history, creator }) => {
            let (kind, history) = (kind.into(), history.into());
            let (conversation_id, created_by) = (stream, creator);
            (stream, ChatEvent::ConversationCreated { conversation_id, kind, title, history, created_by })
        }
        Private::Conversation(ConversationEvent::Renamed { title }) => {
            (stream, ChatEvent::ConversationRenamed { conversation_id: stream, title, renamed_by: by })
        }
        Private::Membership(MembershipEvent::Added { conversation, user, role, kind, title, history }) => {
            let event = ChatEvent::ParticipantAdded {
                conversation_id: conversation,
                user_id: user,
                role: role.into(),
                added_by: by,
                kind: kind.into(),
                title,
                history: history.into(),
            };
            (conversation, event)
        }
        Private::Membership(MembershipEvent::RoleChanged { conversation, user, role }) => {
            let event = ChatEvent::ParticipantRoleChanged {
                conversation_id: conversation,
                user_id: user,
                role: role.into(),
                changed_by: by,
            };
            (conversation, event)
        }
        Private::Membership(MembershipEvent::Removed { conversation, user }) => {
            let event = ChatEvent::ParticipantRemoved {
                conversation_id: conversation,
                user_id: user,
                removed_by: by,
            };
            (conversation, event)
        }
        Private::ReadMark(ReadMarkEvent::Read { conversation, user, up_to, position }) => {
            let (conversation_id, user_id) = (conversation, user);
            (conversation, ChatEvent::MessagesRead { conversation_id, user_id, up_to, position })
        }
        Private::Message(MessageEvent::Sent {
            conversation,
            sender,
            kind,
            title,
            message_type,
            content,
            reply_to,
        }) => {
            let event = ChatEvent::MessageSent {
                conversation_id: conversation,
                kind: kind.into(),
                title,
                message_id: stream,
                sender_id: sender,
                message_type: message_type.into(),
                content,
                reply_to,
            };
            (conversation, event)
        }
        Private::Message(MessageEvent::Edited { conversation, sender, position, content, .. }) => {
            let event = ChatEvent::MessageEdited {
                conversation_id: conversation,
                message_id: stream,
                sender_id: sender,
                position,
                content,
            };
            (conversation, event)
        }
        Private::Message(MessageEvent::Deleted { conversation, sender, position }) => {
            let event = ChatEvent::MessageDeleted {
                conversation_id: conversation,
                message_id: stream,
                sender_id: sender,
                position,
                deleted_by: by,
            };
            (conversation, event)
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{keyring, noon};
    use cqrs_core::{Event, Position};
    use futures::executor::block_on;

    use super::*;
    use crate::fixtures::{ANN, BOB, MSG, ROOM, added, created, deleted, removed, sent};
    use crate::values::{Kind, Role};

    /// What others hear when Ann causes `event` in `stream`.
    fn heard<A: cqrs_core::Aggregate>(stream: Uuid, event: &A::Event) -> (Uuid, ChatEvent)
    where
        A::Event: Event,
    {
        let keyring = keyring();
        let id = Uuid::from_u128(0xe001);
        let new = block_on(keyring.encode(id, event)).unwrap();
        let recorded = RecordedEvent {
            position: Position(5),
            id,
            category: A::CATEGORY.into(),
            stream,
            version: 1,
            name: new.name,
            schema: new.schema,
            at: noon(),
            actor: Actor::User(ANN),
            correlation: id,
            causation: None,
            data: new.data,
        };
        let public = ChatPublisher.publish(&Arc::new(recorded), keyring.keys()).unwrap().unwrap();
        (public.key, public.event)
    }

    #[test]
    fn a_message_tells_all_that_a_notification_needs_under_its_conversations_key() {
        let (key, event) = heard::<Message>(MSG, &sent(ROOM, BOB, "hello"));
        let ChatEvent::MessageSent { conversation_id, message_id, sender_id, content, kind, .. } = event
        else {
            panic!("{event:?}");
        };
        assert_eq!((key, conversation_id, message_id, sender_id), (ROOM, ROOM, MSG, BOB));
        assert_eq!((content.person(), content.text(), kind), (BOB, "hello", Kind::Group.into()));
    }

    #[test]
    fn joining_and_leaving_name_who_did_it_under_the_conversations_key() {
        let membership = Membership::id(ROOM, BOB);
        let (key, event) = heard::<Membership>(membership, &added(BOB, Role::Member));
        let ChatEvent::ParticipantAdded { conversation_id, user_id, added_by, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!((key, conversation_id, user_id, added_by), (ROOM, ROOM, BOB, ANN));
        let (key, event) = heard::<Membership>(membership, &removed(BOB));
        let gone = ChatEvent::ParticipantRemoved { conversation_id: ROOM, user_id: BOB, removed_by: ANN };
        assert_eq!((key, event), (ROOM, gone));
    }

    #[test]
    fn a_deletion_names_author_and_deleter() {
        let (key, event) = heard::<Message>(MSG, &deleted(BOB));
        let gone = ChatEvent::MessageDeleted {
            conversation_id: ROOM,
            message_id: MSG,
            sender_id: BOB,
            position: 1,
            deleted_by: ANN,
        };
        assert_eq!((key, event), (ROOM, gone));
    }

    #[test]
    fn a_conversation_is_its_own_key() {
        let (key, event) = heard::<Conversation>(ROOM, &created(Kind::Group));
        assert_eq!(key, ROOM);
        assert!(matches!(event, ChatEvent::ConversationCreated { created_by: ANN, .. }), "{event:?}");
    }
}
