//! `DELETE /v1/users/me/contacts/{userId}`: somebody takes somebody off their list.
//! Records `contact.removed`; public as `user-contact-removed.v1`; shown by `contacts`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, State};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::contact::{Contact, ContactEvent, contact_id};
use crate::user::{NoStanding, User, acting, own_id};

/// Takes `contact` off the caller's list; they needn't be on it.
#[derive(Debug, Clone, Copy)]
pub struct RemoveUserContact {
    /// Who.
    pub contact: Uuid,
}

impl Command for RemoveUserContact {
    const NAME: &'static str = "user.remove-user-contact";
}

impl Decide for RemoveUserContact {
    type Answer = ();
    type Refusal = NoStanding;

    fn reads(&self, cx: &Context) -> Reads {
        let me = own_id(cx);
        Reads::of::<Contact>(contact_id(me, self.contact)).and::<User>(me)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, NoStanding> {
        let (me, _) = acting(cx, state)?;
        let entry = contact_id(me, self.contact);
        if !state.get::<Contact>(entry).listed {
            return Ok(Decision::done());
        }
        let removed = ContactEvent::Removed { owner: me, contact: self.contact };
        Ok(Decision::done().record::<Contact>(entry, removed))
    }
}

/// Takes somebody off one's list. They needn't be on it.
#[utoipa::path(
    delete, path = "/v1/users/me/contacts/{userId}", tag = "users",
    params(("userId" = Uuid, Path, description = "Who.")),
    responses(
        (status = 204, description = "They aren't on the list."),
        (status = 403, description = "The account doesn't stand, or the caller is no user."),
        (status = 503, description = "The account is so new that its profile isn't there yet."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn remove_user_contact(
    Routed(edge): Routed<Edge>,
    PathId(contact): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, RemoveUserContact { contact }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::given;

    use crate::user::examples::{ANN, BOB, created};

    const REMOVE_BOB: RemoveUserContact = RemoveUserContact { contact: BOB };

    #[test]
    fn somebody_on_the_list_is_taken_off_and_can_come_back() {
        let (added, removed) = (
            ContactEvent::Added { owner: ANN, contact: BOB },
            ContactEvent::Removed { owner: ANN, contact: BOB },
        );
        given::<User>(ANN, [created(ANN, "Ann")])
            .and::<Contact>(contact_id(ANN, BOB), [added.clone()])
            .when(Actor::User(ANN), &REMOVE_BOB)
            .records::<Contact>(contact_id(ANN, BOB), [removed.clone()]);
        given::<User>(ANN, [created(ANN, "Ann")])
            .and::<Contact>(contact_id(ANN, BOB), [added.clone(), removed, added])
            .when(Actor::User(ANN), &REMOVE_BOB)
            .records_in_all(1);
    }

    #[test]
    fn taking_off_who_is_not_on_the_list_changes_nothing() {
        given::<User>(ANN, [created(ANN, "Ann")]).when(Actor::User(ANN), &REMOVE_BOB).is_already();
    }
}
