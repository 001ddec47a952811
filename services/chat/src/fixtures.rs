//! What decision tests begin with.

use cqrs_core::testing::Given;
use cqrs_core::{Actor, Personal};
use uuid::Uuid;

use crate::conversation::{Conversation, ConversationEvent};
use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::values::{History, Kind, MessageType, Role};

pub(crate) const ROOM: Uuid = Uuid::from_u128(0xa001);
pub(crate) const OTHER_ROOM: Uuid = Uuid::from_u128(0xa002);
pub(crate) const ANN: Uuid = Uuid::from_u128(0xb001);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb002);
pub(crate) const CID: Uuid = Uuid::from_u128(0xb003);
pub(crate) const MSG: Uuid = Uuid::from_u128(0xc001);

pub(crate) fn user(id: Uuid) -> Actor {
    Actor::User(id)
}

pub(crate) fn created(kind: Kind) -> ConversationEvent {
    ConversationEvent::Created { kind, title: None, history: History::SinceJoining, creator: ANN }
}

/// A conversation that Ann began.
pub(crate) fn given_room(kind: Kind) -> Given {
    cqrs_core::testing::given::<Conversation>(ROOM, [created(kind)])
}

pub(crate) fn added(who: Uuid, role: Role) -> MembershipEvent {
    let (kind, history) = (Kind::Group, History::SinceJoining);
    MembershipEvent::Added { conversation: ROOM, user: who, role, kind, title: None, history }
}

pub(crate) fn removed(who: Uuid) -> MembershipEvent {
    MembershipEvent::Removed { conversation: ROOM, user: who }
}

pub(crate) fn sent(room: Uuid, sender: Uuid, content: &str) -> MessageEvent {
    MessageEvent::Sent {
        conversation: room,
        sender,
        kind: Kind::Group,
        title: None,
        message_type: MessageType::Text,
        content: Personal::new(sender, content.to_owned()),
        reply_to: None,
    }
}

pub(crate) fn deleted(sender: Uuid) -> MessageEvent {
    MessageEvent::Deleted { conversation: ROOM, sender, position: 1 }
}

pub(crate) trait Participants {
    /// And this one is in the room.
    fn with(self, who: Uuid, role: Role) -> Self;
    /// And this one was in the room.
    fn without(self, who: Uuid) -> Self;
    /// And this happened to the message.
    fn message(self, events: impl IntoIterator<Item = MessageEvent>) -> Self;
}

impl Participants for Given {
    fn with(self, who: Uuid, role: Role) -> Self {
        self.and::<Membership>(Membership::id(ROOM, who), [added(who, role)])
    }
    fn without(self, who: Uuid) -> Self {
        self.and::<Membership>(Membership::id(ROOM, who), [added(who, Role::Member), removed(who)])
    }
    fn message(self, events: impl IntoIterator<Item = MessageEvent>) -> Self {
        self.and::<Message>(MSG, events)
    }
}
