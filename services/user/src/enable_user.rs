//! `POST /v1/users/{id}/enable`: an administrator lets somebody in again.
//! Records `user.enabled`; public as `user-enabled.v1`, which auth follows; shown by `users`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, State};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::disable_user::{StandingRefusal, standing};
use crate::user::{Standing, User, UserEvent};

/// Lets a user in again; they may be in already.
#[derive(Debug, Clone, Copy)]
pub struct EnableUser {
    /// Whom.
    pub user: Uuid,
}

impl Command for EnableUser {
    const NAME: &'static str = "user.enable-user";
    // Decided on streams alone; but who has just registered, as the client's token of auth says, is worth a wait.
    const VIEWS: &'static [&'static str] = &["users"];
}

impl Decide for EnableUser {
    type Answer = ();
    type Refusal = StandingRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<User>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, StandingRefusal> {
        match standing(cx, state, self.user)? {
            Standing::Disabled => Ok(Decision::done().record::<User>(self.user, UserEvent::Enabled {})),
            _ => Ok(Decision::done()),
        }
    }
}

/// Lets somebody in again.
#[utoipa::path(
    post, path = "/v1/users/{id}/enable", tag = "users",
    params(("id" = Uuid, Path, description = "Whom.")),
    responses(
        (status = 204, description = "They can sign in."),
        (status = 403, description = "The caller is no administrator."),
        (status = 404, description = "There is no such user."),
        (status = 409, description = "They ended their account themselves."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn enable_user(
    Routed(edge): Routed<Edge>,
    PathId(user): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, EnableUser { user }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::given;

    use crate::user::examples::{ANN, BOB, created};

    const ENABLE_BOB: EnableUser = EnableUser { user: BOB };

    #[test]
    fn who_was_shut_out_is_let_in_again() {
        given::<User>(BOB, [created(BOB, "Bob"), UserEvent::Disabled {}])
            .when(Actor::System, &ENABLE_BOB)
            .records::<User>(BOB, [UserEvent::Enabled {}]);
        given::<User>(BOB, [created(BOB, "Bob")]).when(Actor::System, &ENABLE_BOB).is_already();
    }

    #[test]
    fn a_deleted_account_stays_deleted_and_a_user_enables_nobody() {
        given::<User>(BOB, [created(BOB, "Bob"), UserEvent::Deleted {}])
            .when(Actor::System, &ENABLE_BOB)
            .refused(StandingRefusal::AlreadyDeleted);
        given::<User>(BOB, [created(BOB, "Bob"), UserEvent::Disabled {}])
            .when(Actor::User(ANN), &ENABLE_BOB)
            .refused(StandingRefusal::NotAllowed);
    }
}
