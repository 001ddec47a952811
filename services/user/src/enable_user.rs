//! `POST /v1/users/{id}/enable`: an administrator lets somebody in again.
//! Records `user.enabled`; public as `user-enabled.v1`, which auth follows; shown by `users`.

use cqrs_core::{Command, Context, Decide, Decision, Reads, State};
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
