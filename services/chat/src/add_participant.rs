//! `PUT /v1/conversations/{id}/participants/{userId}`: an admin adds somebody to a group, or changes their role.
//! Records `participant.added` or `participant.role-changed`; public as `participant-added.v1` and
//! `participant-role-changed.v1`; shown by `conversations` and `timeline`.
//!
//! Nobody changes their own role, so that a group loses its last admin only when that admin leaves.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Executor, Failure, Reads, Refusal, RefusalKind,
    Reply, State,
};
use cqrs_http::{Answer, Edge, Input, PathId};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversation::Conversation;
use crate::membership::{Membership, MembershipEvent};
use crate::people::{self, People};
use crate::values::{Kind, Role, caller};

/// As what somebody is to be in the group.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddParticipantBody {
    /// What they may do. Left out, newcomers are members, and who is in keeps their role.
    #[serde(default)]
    pub role: Option<Role>,
}

/// Adds somebody to a group, or changes what they may do there.
#[derive(Debug, Clone, Copy)]
pub struct AddParticipant {
    /// Which conversation.
    pub conversation: Uuid,
    /// Who.
    pub user: Uuid,
    /// What they may do.
    pub role: Option<Role>,
}

impl Command for AddParticipant {
    const NAME: &'static str = "chat.add-participant";
    const VIEWS: &'static [&'static str] = &[people::VIEW];
}

/// Why nobody was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddRefusal {
    /// No such conversation, or not one of the caller's.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// A direct conversation has its two.
    #[error("nobody can be added to a direct conversation; begin a group")]
    Direct,
    /// The caller isn't an admin of the group.
    #[error("only the group's admins may add others or change roles")]
    NotAnAdmin,
    /// Nobody changes their own role.
    #[error("one's own role is changed by another admin")]
    OwnRole,
    /// There is no such user, or none any more.
    #[error("there is no such user")]
    UnknownParticipant,
}

impl Refusal for AddRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchConversation => "not-found",
            Self::Direct => "direct-conversation",
            Self::NotAnAdmin => "not-an-admin",
            Self::OwnRole => "own-role",
            Self::UnknownParticipant => "unknown-participant",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchConversation => RefusalKind::NotFound,
            Self::Direct | Self::OwnRole => RefusalKind::Conflict,
            Self::NotAnAdmin => RefusalKind::Forbidden,
            Self::UnknownParticipant => RefusalKind::Invalid,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        (*self == Self::UnknownParticipant).then_some("userId")
    }
}

/// The decision, with what the `people` view says of the newcomer.
struct Adding {
    command: AddParticipant,
    known: bool,
}

impl Decide for Adding {
    type Answer = ();
    type Refusal = AddRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let AddParticipant { conversation, user, .. } = self.command;
        Reads::of::<Membership>(Membership::id(conversation, user))
            .and::<Membership>(Membership::id(conversation, caller(cx)))
            .and::<Conversation>(conversation)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, AddRefusal> {
        let (me, AddParticipant { conversation, user, role }) = (caller(cx), self.command);
        let mine: &Membership = state.get(Membership::id(conversation, me));
        let room: &Conversation = state.get(conversation);
        if !mine.is_in() {
            return Err(AddRefusal::NoSuchConversation);
        }
        if room.kind == Kind::Direct {
            return Err(AddRefusal::Direct);
        }
        if !mine.is_admin() {
            return Err(AddRefusal::NotAnAdmin);
        }
        let stream = Membership::id(conversation, user);
        let event = match state.get::<Membership>(stream).role {
            Some(held) if role.is_none_or(|role| role == held) => return Ok(Decision::already(())),
            Some(_) if user == me => return Err(AddRefusal::OwnRole),
            Some(_) => MembershipEvent::RoleChanged { conversation, user, role: role.unwrap_or_default() },
            None if !self.known => return Err(AddRefusal::UnknownParticipant),
            None => MembershipEvent::Added {
                conversation,
                user,
                role: role.unwrap_or_default(),
                kind: room.kind,
                title: room.title.clone(),
                history: room.history,
            },
        };
        Ok(Decision::done().record::<Membership>(stream, event))
    }
}

/// Carries [`AddParticipant`] out.
pub struct AddParticipantHandler {
    /// Decides.
    pub executor: Executor,
    /// Knows who there is.
    pub people: People,
}

#[async_trait]
impl CommandHandler<AddParticipant> for AddParticipantHandler {
    async fn handle(&self, cx: &Context, command: AddParticipant) -> Result<Reply, Failure> {
        let known = self.people.active_by_now(cx, &[command.user]).await?.contains(&command.user);
        self.executor.run(cx, &Adding { command, known }).await
    }
}

/// Adds a participant, or changes a role
///
/// A group's admins may. Newcomers see what is sent from now on, or all of it where the group's `history` is `all`.
#[utoipa::path(put, path = "/v1/conversations/{id}/participants/{userId}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"),
        ("userId" = Uuid, Path, description = "Who is to be in it")),
    request_body = AddParticipantBody,
    responses(
        (status = 204, description = "In it, in this role"),
        (status = 403, description = "`not-an-admin`"),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 409, description = "`direct-conversation`, or `own-role`: one's own role is changed by another admin"),
        (status = 422, description = "`unknown-participant`: there is no such user")),
    security(("bearer" = [])))]
pub(crate) async fn add_participant(
    Shared(edge): Shared<Edge>,
    PathId((conversation, user)): PathId<(Uuid, Uuid)>,
    input: Input<AddParticipantBody>,
) -> Answer {
    edge.command(input.cx, AddParticipant { conversation, user, role: input.body.role }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ANN, BOB, CID, Participants as _, ROOM, added, given_room, user};

    fn adding(who: Uuid, role: Option<Role>) -> Adding {
        Adding { command: AddParticipant { conversation: ROOM, user: who, role }, known: true }
    }

    #[test]
    fn an_admin_adds_a_newcomer_and_somebody_who_had_left() {
        let stream = Membership::id(ROOM, BOB);
        let given = given_room(Kind::Group).with(ANN, Role::Admin);
        let then = given.when(user(ANN), &adding(BOB, None));
        let _ = then.records::<Membership>(stream, [added(BOB, Role::Member)]);
        let given = given_room(Kind::Group).with(ANN, Role::Admin).without(BOB);
        let then = given.when(user(ANN), &adding(BOB, Some(Role::Admin)));
        let _ = then.records::<Membership>(stream, [added(BOB, Role::Admin)]);
    }

    #[test]
    fn an_admin_changes_a_role_and_leaving_it_out_changes_none() {
        let given = || given_room(Kind::Group).with(ANN, Role::Admin).with(BOB, Role::Admin);
        let demoted = MembershipEvent::RoleChanged { conversation: ROOM, user: BOB, role: Role::Member };
        let then = given().when(user(ANN), &adding(BOB, Some(Role::Member)));
        let _ = then.records::<Membership>(Membership::id(ROOM, BOB), [demoted]);
        let _ = given().when(user(ANN), &adding(BOB, None)).is_already();
        let _ = given().when(user(ANN), &adding(BOB, Some(Role::Admin))).is_already();
    }

    #[test]
    fn nobody_changes_their_own_role() {
        let given = || given_room(Kind::Group).with(ANN, Role::Admin);
        given().when(user(ANN), &adding(ANN, Some(Role::Member))).refused(AddRefusal::OwnRole);
        let _ = given().when(user(ANN), &adding(ANN, Some(Role::Admin))).is_already();
    }

    #[test]
    fn a_member_adds_nobody_and_an_outsider_learns_nothing() {
        let given = || given_room(Kind::Group).with(BOB, Role::Member);
        given().when(user(BOB), &adding(CID, None)).refused(AddRefusal::NotAnAdmin);
        given().when(user(CID), &adding(CID, None)).refused(AddRefusal::NoSuchConversation);
    }

    #[test]
    fn who_is_unknown_or_disabled_is_not_added() {
        let nobody = Adding { known: false, ..adding(CID, None) };
        let given = given_room(Kind::Group).with(ANN, Role::Admin);
        given.when(user(ANN), &nobody).refused(AddRefusal::UnknownParticipant);
    }

    #[test]
    fn a_direct_conversation_has_its_two() {
        given_room(Kind::Direct)
            .with(ANN, Role::Member)
            .when(user(ANN), &adding(CID, None))
            .refused(AddRefusal::Direct);
    }
}
