//! `parlor user promote EMAIL`: the operator makes somebody an administrator.
//! Records `account.role-granted`; the role is in the next access token, within five minutes or at the next refresh.

use cqrs_core::{Context, Decide, Decision, Failure, Reads, Refusal, RefusalKind, State};
use uuid::Uuid;

use crate::account::{Account, AccountEvent};
use crate::email::Email;
use crate::service::Auth;
use crate::tokens::access::Role;

/// Nobody has this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody has registered with this e-mail address")]
pub struct UnknownAccount;

impl Refusal for UnknownAccount {
    fn code(&self) -> &'static str {
        "not-found"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }
}

struct ChangeRole {
    user: Uuid,
    role: Role,
    held: bool,
}

impl Decide for ChangeRole {
    type Answer = ();
    type Refusal = UnknownAccount;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, UnknownAccount> {
        let account = state.find_existing::<Account>(self.user).ok_or(UnknownAccount)?;
        if account.deleted {
            return Err(UnknownAccount);
        }
        let role = self.role;
        let event = match (account.roles.contains(&role), self.held) {
            (false, true) => AccountEvent::RoleGranted { role },
            (true, false) => AccountEvent::RoleRevoked { role },
            (true, true) | (false, false) => return Ok(Decision::done()),
        };
        Ok(Decision::done().record::<Account>(self.user, event))
    }
}

impl Auth {
    /// Makes the account with this address an administrator's, and gives the user's id.
    pub async fn promote(&self, cx: &Context, email: &Email) -> Result<Uuid, Failure> {
        self.change_admin(cx, email, true).await
    }

    /// Makes it an ordinary one again.
    pub async fn demote(&self, cx: &Context, email: &Email) -> Result<Uuid, Failure> {
        self.change_admin(cx, email, false).await
    }

    async fn change_admin(&self, cx: &Context, email: &Email, held: bool) -> Result<Uuid, Failure> {
        let (user, _) = self.find_account(email).await?.ok_or(UnknownAccount)?;
        self.executor.run(cx, &ChangeRole { user, role: Role::Admin, held }).await?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;
    use cqrs_core::testing::{given, given_nothing};

    use super::*;
    use crate::testing::{ANN, PASSWORD, World, code, registered};

    const ADMIN: ChangeRole = ChangeRole { user: ANN, role: Role::Admin, held: true };

    #[test]
    fn a_role_is_granted_once() {
        let granted = AccountEvent::RoleGranted { role: Role::Admin };
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::System, &ADMIN)
            .records::<Account>(ANN, [granted.clone()]);
        given::<Account>(ANN, [registered("hash"), granted]).when(Actor::System, &ADMIN).is_already();
        given_nothing().when(Actor::System, &ADMIN).refused(UnknownAccount);
    }

    #[tokio::test]
    async fn the_next_token_carries_the_role_and_loses_it_again() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let email = Email::parse("Ann@example.org").unwrap();
        assert_eq!(world.auth.promote(&world.cx(Actor::System), &email).await.unwrap(), user);
        let tokens = world.refresh(&tokens.refresh_token).await.unwrap();
        let roles = |token: &str| world.auth.verifier.verify(token, world.now()).unwrap().roles.clone();
        assert_eq!(roles(&tokens.access_token), [Role::Admin]);
        world.auth.demote(&world.cx(Actor::System), &email).await.unwrap();
        let tokens = world.refresh(&tokens.refresh_token).await.unwrap();
        assert_eq!(roles(&tokens.access_token), []);
        let nobody = Email::parse("bob@example.org").unwrap();
        assert_eq!(code(world.auth.promote(&world.cx(Actor::System), &nobody).await), "not-found");
    }
}
