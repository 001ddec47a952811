//! `POST /v1/users/{id}/disable`: an administrator shuts somebody out.
//! Records `user.disabled`; public as `user-disabled.v1`, on which auth ends their sessions; shown by `users`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, Refusal, RefusalKind, State};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::access;
use crate::user::{Standing, User, UserEvent};

/// Shuts a user out; they may be already.
#[derive(Debug, Clone, Copy)]
pub struct DisableUser {
    /// Whom.
    pub user: Uuid,
}

/// Why an account was neither disabled nor enabled.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum StandingRefusal {
    /// Not an administrator.
    #[error("only administrators disable and enable accounts")]
    NotAllowed,
    /// There is no such user.
    #[error("there is no such user")]
    UnknownUser,
    /// They ended their account themselves.
    #[error("this account was deleted")]
    AlreadyDeleted,
}

impl Refusal for StandingRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "forbidden",
            Self::UnknownUser => "unknown-user",
            Self::AlreadyDeleted => "user-deleted",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAllowed => RefusalKind::Forbidden,
            Self::UnknownUser => RefusalKind::NotFound,
            Self::AlreadyDeleted => RefusalKind::Conflict,
        }
    }
}

impl Command for DisableUser {
    const NAME: &'static str = "user.disable-user";
    // Decided on streams alone; but who has just registered, as the client's token of auth says, is worth a wait.
    const VIEWS: &'static [&'static str] = &["users"];
}

impl Decide for DisableUser {
    type Answer = ();
    type Refusal = StandingRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<User>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, StandingRefusal> {
        match standing(cx, state, self.user)? {
            Standing::Active => Ok(Decision::done().record::<User>(self.user, UserEvent::Disabled {})),
            _ => Ok(Decision::done()),
        }
    }
}

/// The standing of an account that the caller may disable and enable: active or disabled.
pub(crate) fn standing(cx: &Context, state: &State<'_>, user: Uuid) -> Result<Standing, StandingRefusal> {
    if !access::administers(cx) {
        return Err(StandingRefusal::NotAllowed);
    }
    match state.get::<User>(user).standing {
        Standing::Unknown | Standing::Refused => Err(StandingRefusal::UnknownUser),
        Standing::Deleted => Err(StandingRefusal::AlreadyDeleted),
        standing => Ok(standing),
    }
}

/// Shuts somebody out: their sessions end, and they can't sign in.
#[utoipa::path(
    post, path = "/v1/users/{id}/disable", tag = "users",
    params(("id" = Uuid, Path, description = "Whom.")),
    responses(
        (status = 204, description = "They are shut out."),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such user."),
        (status = 409, description = "They ended their account themselves."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn disable_user(
    Routed(edge): Routed<Edge>,
    PathId(user): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, DisableUser { user }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::{context, given, given_nothing};

    use crate::user::examples::{ANN, BOB, created};

    const DISABLE_BOB: DisableUser = DisableUser { user: BOB };

    fn administrator() -> Context {
        let mut cx = context(Actor::User(ANN));
        cx.roles = vec![access::ADMIN.to_owned()];
        cx
    }

    #[test]
    fn an_administrator_shuts_somebody_out_once() {
        given::<User>(BOB, [created(BOB, "Bob")])
            .when_in(&administrator(), &DISABLE_BOB)
            .records::<User>(BOB, [UserEvent::Disabled {}]);
        given::<User>(BOB, [created(BOB, "Bob"), UserEvent::Disabled {}])
            .when_in(&administrator(), &DISABLE_BOB)
            .is_already();
    }

    #[test]
    fn others_may_not_not_even_to_find_out_who_exists() {
        let refused = || StandingRefusal::NotAllowed;
        given::<User>(BOB, [created(BOB, "Bob")]).when(Actor::User(ANN), &DISABLE_BOB).refused(refused());
        given_nothing().when(Actor::User(ANN), &DISABLE_BOB).refused(refused());
    }

    #[test]
    fn who_is_not_there_is_not_shut_out() {
        given_nothing().when_in(&administrator(), &DISABLE_BOB).refused(StandingRefusal::UnknownUser);
        given::<User>(BOB, [created(BOB, "Bob"), UserEvent::Deleted {}])
            .when_in(&administrator(), &DISABLE_BOB)
            .refused(StandingRefusal::AlreadyDeleted);
    }
}
