//! An account of which no profile can be made, for good: said so, instead of being tried for ever.
//! Records `user.profile-refused`; public as `profile-refused.v1`, on which auth marks the account. No route.

use cqrs_core::{Command, Context, Decide, Decision, Plain, Reads, State};
use uuid::Uuid;

use crate::access;
use crate::disable_user::StandingRefusal;
use crate::user::{Standing, User, UserEvent};

/// Gives up making a profile.
#[derive(Debug, Clone)]
pub struct RefuseProfile {
    /// Whose account.
    pub user: Uuid,
    /// The code of the refusal.
    pub reason: String,
}

impl Command for RefuseProfile {
    const NAME: &'static str = "user.refuse-profile";
}

impl Decide for RefuseProfile {
    type Answer = ();
    type Refusal = StandingRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<User>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, StandingRefusal> {
        if !access::administers(cx) {
            return Err(StandingRefusal::NotAllowed);
        }
        if state.get::<User>(self.user).standing != Standing::Unknown {
            // There is a profile, or it was refused before.
            return Ok(Decision::already(()));
        }
        let reason = Plain(self.reason.clone());
        Ok(Decision::done().record::<User>(self.user, UserEvent::ProfileRefused { reason }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::{given, given_nothing};

    use crate::create_user::examples::of_account;
    use crate::delete_user::DeleteUser;
    use crate::update_user_profile::UpdateUserProfile;
    use crate::user::NoStanding;
    use crate::user::examples::{ANN, created};

    fn refuse() -> RefuseProfile {
        RefuseProfile { user: ANN, reason: "external-id-taken".to_owned() }
    }

    fn refused() -> UserEvent {
        UserEvent::ProfileRefused { reason: Plain("external-id-taken".to_owned()) }
    }

    #[test]
    fn a_profile_is_refused_once_and_never_made_afterwards() {
        given_nothing().when(Actor::System, &refuse()).records::<User>(ANN, [refused()]);
        given::<User>(ANN, [refused()]).when(Actor::System, &refuse()).is_already();
        given::<User>(ANN, [refused()]).when(Actor::System, &of_account(ANN, "Ann")).is_already();
    }

    #[test]
    fn a_profile_that_is_there_stays_and_nobody_else_refuses_any() {
        given::<User>(ANN, [created(ANN, "Ann")]).when(Actor::System, &refuse()).is_already();
        given_nothing().when(Actor::User(ANN), &refuse()).refused(StandingRefusal::NotAllowed);
    }

    #[test]
    fn whose_profile_was_refused_can_give_the_account_up_and_nothing_else() {
        let hi: UpdateUserProfile = serde_json::from_str(r#"{"bio":"hi"}"#).expect("a patch");
        given::<User>(ANN, [refused()]).when(Actor::User(ANN), &hi).refused(NoStanding::ProfileRefused);
        given::<User>(ANN, [refused()])
            .when(Actor::User(ANN), &DeleteUser)
            .records::<User>(ANN, [UserEvent::Deleted {}]);
    }
}
