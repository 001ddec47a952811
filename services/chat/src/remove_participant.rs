//! `DELETE /v1/conversations/{id}/participants/{userId}`: an admin removes somebody, or somebody leaves.
//! Records `participant.removed`; public as `participant-removed.v1`; from there on no view shows them anything.
//!
//! Anybody may leave, the last admin too: the group then goes on as it is, its members leaving as they please.

use axum::extract::State as Shared;
use cqrs_core::{Command, Context, Decide, Decision, Reads, Refusal, RefusalKind, State};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::conversation::Conversation;
use crate::membership::{Membership, MembershipEvent};
use crate::values::{Kind, caller};

/// Removes somebody from a group; oneself: leaves it.
#[derive(Debug, Clone, Copy)]
pub struct RemoveParticipant {
    /// Which conversation.
    pub conversation: Uuid,
    /// Who.
    pub user: Uuid,
}

impl Command for RemoveParticipant {
    const NAME: &'static str = "chat.remove-participant";
}

/// Why nobody was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoveRefusal {
    /// No such conversation, or not one of the caller's.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// The caller left, perhaps by this very command.
    #[error("there is no such conversation")]
    LeftAlready,
    /// The two of a direct conversation stay.
    #[error("nobody leaves a direct conversation")]
    Direct,
    /// The caller isn't an admin of the group.
    #[error("only the group's admins may remove others")]
    NotAnAdmin,
    /// They never were in.
    #[error("there is no such participant")]
    NoSuchParticipant,
}

impl Refusal for RemoveRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConversation | Self::LeftAlready | Self::NoSuchParticipant => "not-found",
            Self::Direct => "direct-conversation",
            Self::NotAnAdmin => "not-an-admin",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchConversation | Self::LeftAlready | Self::NoSuchParticipant => RefusalKind::NotFound,
            Self::Direct => RefusalKind::Conflict,
            Self::NotAnAdmin => RefusalKind::Forbidden,
        }
    }
    fn permits_replay(&self) -> bool {
        // Who left has lost access by the very command that is repeated: its empty answer tells nothing new.
        matches!(self, Self::LeftAlready | Self::Direct)
    }
}

impl Decide for RemoveParticipant {
    type Answer = ();
    type Refusal = RemoveRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let Self { conversation, user } = *self;
        Reads::of::<Membership>(Membership::id(conversation, user))
            .and::<Membership>(Membership::id(conversation, caller(cx)))
            .and::<Conversation>(conversation)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, RemoveRefusal> {
        let (me, Self { conversation, user }) = (caller(cx), *self);
        let mine: &Membership = state.get(Membership::id(conversation, me));
        if !mine.is_in() {
            let left = user == me && state.version::<Membership>(Membership::id(conversation, me)) > 0;
            return Err(if left { RemoveRefusal::LeftAlready } else { RemoveRefusal::NoSuchConversation });
        }
        if state.get::<Conversation>(conversation).kind == Kind::Direct {
            return Err(RemoveRefusal::Direct);
        }
        if user != me && !mine.is_admin() {
            return Err(RemoveRefusal::NotAnAdmin);
        }
        let stream = Membership::id(conversation, user);
        match state.find_existing::<Membership>(stream) {
            None => Err(RemoveRefusal::NoSuchParticipant),
            Some(theirs) if !theirs.is_in() => Ok(Decision::already(())),
            Some(_) => {
                let event = MembershipEvent::Removed { conversation, user };
                Ok(Decision::done().record::<Membership>(stream, event))
            }
        }
    }
}

/// Removes a participant, or leaves
///
/// Admins remove others; all may leave by removing themselves. From then on they get 404 on all of the conversation.
#[utoipa::path(delete, path = "/v1/conversations/{id}/participants/{userId}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"),
        ("userId" = Uuid, Path, description = "Who is to be in it no more")),
    responses(
        (status = 204, description = "Not in it any more"),
        (status = 403, description = "`not-an-admin`"),
        (status = 404, description = "No such conversation, not one of the caller's, or no such participant"),
        (status = 409, description = "`direct-conversation`: nobody leaves a direct conversation")),
    security(("bearer" = [])))]
pub(crate) async fn remove_participant(
    Shared(edge): Shared<Edge>,
    PathId((conversation, user)): PathId<(Uuid, Uuid)>,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, RemoveParticipant { conversation, user }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ANN, BOB, CID, Participants as _, ROOM, given_room, removed, user};
    use crate::values::Role;

    fn removing(who: Uuid) -> RemoveParticipant {
        RemoveParticipant { conversation: ROOM, user: who }
    }

    #[test]
    fn an_admin_removes_somebody_and_anybody_leaves() {
        let given = || given_room(Kind::Group).with(ANN, Role::Admin).with(BOB, Role::Member);
        for who in [ANN, BOB] {
            let stream = Membership::id(ROOM, BOB);
            let _ = given().when(user(who), &removing(BOB)).records::<Membership>(stream, [removed(BOB)]);
        }
        let _ = given().when(user(ANN), &removing(ANN)).records_in_all(1);
    }

    #[test]
    fn a_member_removes_nobody_else() {
        given_room(Kind::Group)
            .with(CID, Role::Member)
            .with(BOB, Role::Member)
            .when(user(CID), &removing(BOB))
            .refused(RemoveRefusal::NotAnAdmin);
    }

    #[test]
    fn somebody_who_is_not_in_learns_nothing() {
        given_room(Kind::Group)
            .without(BOB)
            .with(ANN, Role::Admin)
            .when(user(BOB), &removing(ANN))
            .refused(RemoveRefusal::NoSuchConversation);
    }

    #[test]
    fn who_has_left_is_not_found_but_may_hear_again_that_it_worked() {
        given_room(Kind::Group)
            .without(BOB)
            .when(user(BOB), &removing(BOB))
            .refused(RemoveRefusal::LeftAlready);
        assert!(RemoveRefusal::LeftAlready.permits_replay());
        assert!(!RemoveRefusal::NoSuchConversation.permits_replay());
    }

    #[test]
    fn removing_who_left_changes_nothing_and_who_never_was_in_is_not_found() {
        let given = || given_room(Kind::Group).with(ANN, Role::Admin).without(BOB);
        let _ = given().when(user(ANN), &removing(BOB)).is_already();
        given().when(user(ANN), &removing(CID)).refused(RemoveRefusal::NoSuchParticipant);
    }

    #[test]
    fn the_two_of_a_direct_conversation_stay() {
        given_room(Kind::Direct)
            .with(ANN, Role::Member)
            .when(user(ANN), &removing(ANN))
            .refused(RemoveRefusal::Direct);
    }
}
