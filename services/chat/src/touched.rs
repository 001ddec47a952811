//! What the views of lists and messages say that an event changes, and what remembered answers depend on
//! ([`cqrs_sql::Watch`]): a conversation's id stands for what its members see of it alike, a person's for where they are in.

use cqrs_core::Writes;
use uuid::Uuid;

use crate::membership::MembershipEvent;

/// Whether, and since when, somebody is in a conversation.
pub(crate) fn in_room(conversation: Uuid, person: Uuid) -> Uuid {
    Uuid::from_u128(conversation.as_u128() ^ person.as_u128())
}

/// How far somebody has read, anywhere.
pub(crate) fn reading(person: Uuid) -> Uuid {
    // Any bits will do that set it apart from the person's own.
    Uuid::from_u128(!person.as_u128())
}

/// What a change of a membership changes.
pub(crate) fn membership(change: &MembershipEvent, out: &mut Writes) {
    let (MembershipEvent::Added { conversation, user, .. }
    | MembershipEvent::Removed { conversation, user }
    | MembershipEvent::RoleChanged { conversation, user, .. }) = *change;
    for what in [conversation, user, in_room(conversation, user)] {
        out.touch(what);
    }
}
