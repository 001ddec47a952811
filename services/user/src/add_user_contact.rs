//! `PUT /v1/users/me/contacts/{userId}`: somebody puts somebody on their list.
//! Records `contact.added`; public as `user-contact-added.v1`; shown by `contacts`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, Refusal, RefusalKind, State};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::contact::{Contact, ContactEvent, contact_id};
use crate::user::{NoStanding, Standing, User, acting, own_id};

/// Puts `contact` on the caller's list; they may be on it already.
#[derive(Debug, Clone, Copy)]
pub struct AddUserContact {
    /// Who.
    pub contact: Uuid,
}

/// Why somebody wasn't put on a list.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AddContactRefusal {
    /// The caller has no list.
    #[error(transparent)]
    NoStanding(#[from] NoStanding),
    /// There is no such user, or there is none any more.
    #[error("there is no such user")]
    UnknownUser,
    /// Themselves.
    #[error("nobody is their own contact")]
    Oneself,
}

impl Refusal for AddContactRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoStanding(inner) => inner.code(),
            Self::UnknownUser => "unknown-user",
            Self::Oneself => "contact-is-oneself",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoStanding(inner) => inner.kind(),
            Self::UnknownUser => RefusalKind::NotFound,
            Self::Oneself => RefusalKind::Invalid,
        }
    }
}

impl Command for AddUserContact {
    const NAME: &'static str = "user.add-user-contact";
    // Decided on streams alone; but who has just registered, as the client's token of auth says, is worth a wait.
    const VIEWS: &'static [&'static str] = &["users"];
}

impl Decide for AddUserContact {
    type Answer = ();
    type Refusal = AddContactRefusal;

    fn reads(&self, cx: &Context) -> Reads {
        let me = own_id(cx);
        Reads::of::<Contact>(contact_id(me, self.contact)).and::<User>(me).and::<User>(self.contact)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, AddContactRefusal> {
        let (me, _) = acting(cx, state)?;
        if self.contact == me {
            return Err(AddContactRefusal::Oneself);
        }
        let entry = contact_id(me, self.contact);
        if state.get::<Contact>(entry).listed {
            return Ok(Decision::done());
        }
        match state.get::<User>(self.contact).standing {
            Standing::Unknown | Standing::Refused | Standing::Deleted => Err(AddContactRefusal::UnknownUser),
            Standing::Active | Standing::Disabled => {
                let added = ContactEvent::Added { owner: me, contact: self.contact };
                Ok(Decision::done().record::<Contact>(entry, added))
            }
        }
    }
}

/// Puts somebody on one's list. They may be on it already.
#[utoipa::path(
    put, path = "/v1/users/me/contacts/{userId}", tag = "users",
    params(("userId" = Uuid, Path, description = "Who.")),
    responses(
        (status = 204, description = "They are on the list."),
        (status = 403, description = "The account doesn't stand, or the caller is no user."),
        (status = 404, description = "There is no such user."),
        (status = 422, description = "Oneself."),
        (status = 503, description = "The account is so new that its profile isn't there yet."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn add_user_contact(
    Routed(edge): Routed<Edge>,
    PathId(contact): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, AddUserContact { contact }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::given;

    use crate::user::UserEvent;
    use crate::user::examples::{ANN, BOB, created};

    const ADD_BOB: AddUserContact = AddUserContact { contact: BOB };

    #[test]
    fn a_user_is_put_on_the_list_once() {
        let added = ContactEvent::Added { owner: ANN, contact: BOB };
        let both = || given::<User>(ANN, [created(ANN, "Ann")]).and::<User>(BOB, [created(BOB, "Bob")]);
        both().when(Actor::User(ANN), &ADD_BOB).records::<Contact>(contact_id(ANN, BOB), [added.clone()]);
        both().and::<Contact>(contact_id(ANN, BOB), [added]).when(Actor::User(ANN), &ADD_BOB).is_already();
    }

    #[test]
    fn nobody_puts_themselves_or_somebody_who_is_not_there_on_their_list() {
        let ann = || given::<User>(ANN, [created(ANN, "Ann")]);
        let oneself = AddUserContact { contact: ANN };
        ann().when(Actor::User(ANN), &oneself).refused(AddContactRefusal::Oneself);
        ann().when(Actor::User(ANN), &ADD_BOB).refused(AddContactRefusal::UnknownUser);
        ann()
            .and::<User>(BOB, [created(BOB, "Bob"), UserEvent::Deleted {}])
            .when(Actor::User(ANN), &ADD_BOB)
            .refused(AddContactRefusal::UnknownUser);
    }
}
