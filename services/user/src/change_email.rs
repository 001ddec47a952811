//! Somebody's account has another address: what auth said, in the user's own stream.
//! Records `user.email-changed`; shown by `users` to themselves and administrators. No route: auth's is the address.

use cqrs_core::{Command, Context, Decide, Decision, Personal, Reads, State};
use uuid::Uuid;

use crate::access;
use crate::disable_user::StandingRefusal;
use crate::user::{Standing, User, UserEvent};

/// Takes over an address that auth has accepted.
#[derive(Debug, Clone)]
pub struct ChangeEmail {
    /// Whose.
    pub user: Uuid,
    /// The new one.
    pub email: String,
}

impl Command for ChangeEmail {
    const NAME: &'static str = "user.change-email";
}

impl Decide for ChangeEmail {
    type Answer = ();
    type Refusal = StandingRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<User>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, StandingRefusal> {
        if !access::administers(cx) {
            return Err(StandingRefusal::NotAllowed);
        }
        let user = state.get::<User>(self.user);
        match user.standing {
            Standing::Unknown => Err(StandingRefusal::UnknownUser),
            // The address of who is gone isn't kept.
            Standing::Deleted | Standing::Refused => Ok(Decision::done()),
            Standing::Active | Standing::Disabled if user.email.as_deref() == Some(&self.email) => {
                Ok(Decision::done())
            }
            Standing::Active | Standing::Disabled => {
                let email = Personal::new(self.user, self.email.clone());
                Ok(Decision::done().record::<User>(self.user, UserEvent::EmailChanged { email }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::given;

    use crate::user::examples::{ANN, created};

    #[test]
    fn a_new_address_is_taken_over_once_and_from_the_application_only() {
        let change = ChangeEmail { user: ANN, email: "ann@example.org".to_owned() };
        let changed = UserEvent::EmailChanged { email: Personal::new(ANN, "ann@example.org".to_owned()) };
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::System, &change)
            .records::<User>(ANN, [changed.clone()]);
        given::<User>(ANN, [created(ANN, "Ann"), changed]).when(Actor::System, &change).is_already();
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::User(ANN), &change)
            .refused(StandingRefusal::NotAllowed);
    }
}
