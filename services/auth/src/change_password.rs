//! `PUT /v1/auth/password`: somebody who is signed in chooses a new password.
//! Records `account.password-changed` and `account.session-ended` for each other session.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Personal, Reads, Refusal, RefusalKind,
    Reply, State,
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::{Account, AccountEvent, EndReason};
use crate::mail::messages;
use crate::password::policy::{self, Guessable};
use crate::password::{Password, PasswordAttempt, PasswordHash};
use crate::service::{Auth, NotAUser};

/// Chooses a new password. The other sessions end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangePassword {
    /// The present one.
    #[schema(value_type = String, max_length = 128, example = "three green parrots")]
    pub current_password: PasswordAttempt,
    /// 8 to 128 characters; none of the commonest, nor your own name or address.
    #[schema(value_type = String, min_length = 8, max_length = 128, example = "four green parrots")]
    pub new_password: Password,
}

/// Why the password stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangePasswordRefusal {
    /// The present password is another, or there is none.
    #[error("this is not your current password")]
    WrongPassword,
    /// The new password is guessed first.
    #[error("{0}")]
    Guessable(#[from] Guessable),
}

impl Refusal for ChangePasswordRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong-password",
            Self::Guessable(_) => "password-guessable",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::WrongPassword => RefusalKind::Forbidden,
            Self::Guessable(_) => RefusalKind::Invalid,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::WrongPassword => Some("/currentPassword"),
            Self::Guessable(_) => Some("/newPassword"),
        }
    }
    /// A repeat shows the old password because the first one changed it.
    fn permits_replay(&self) -> bool {
        true
    }
}

impl Command for ChangePassword {
    const NAME: &'static str = "auth.change-password";
}

/// With the present password found to match, and the new one hashed.
struct Change {
    user: Uuid,
    matched: PasswordHash,
    password: PasswordHash,
}

impl Decide for Change {
    /// The sessions that ended.
    type Answer = Vec<Uuid>;
    type Refusal = ChangePasswordRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, ChangePasswordRefusal> {
        let account: &Account = state.get(self.user);
        if account.password.as_ref() != Some(&self.matched) {
            return Err(ChangePasswordRefusal::WrongPassword);
        }
        let others: Vec<Uuid> =
            account.sessions.keys().copied().filter(|id| Some(*id) != cx.session).collect();
        let password_hash = Personal::new(self.user, self.password.as_str().to_owned());
        let decision = Decision::already(others)
            .record::<Account>(self.user, AccountEvent::PasswordChanged { password_hash });
        Ok(account
            .end_sessions(cx.session, EndReason::PasswordChanged)
            .fold(decision, |decision, ended| decision.record::<Account>(self.user, ended)))
    }
}

#[async_trait]
impl CommandHandler<ChangePassword> for Auth {
    async fn handle(&self, cx: &Context, command: ChangePassword) -> Result<Reply, Failure> {
        let user = cx.actor.user().ok_or(NotAUser)?;
        let Some((account, matched)) = self.prove_again(cx, user, command.current_password).await? else {
            return self.executor.refused(cx, ChangePasswordRefusal::WrongPassword.into()).await;
        };
        let Some(email) = account.email else { return Err(ChangePasswordRefusal::WrongPassword.into()) };
        let name = account.display_name.unwrap_or_default();
        policy::check(&command.new_password, &name, &email).map_err(ChangePasswordRefusal::from)?;
        let password = self.hasher.hash(command.new_password).await?;
        let reply = self.executor.run(cx, &Change { user, matched, password }).await?;
        if !reply.replayed {
            self.post(cx, email, messages::password_changed(&self.links, cx.now));
        }
        self.ended(cx, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSWORD, World, code, json};

    const NEW: &str = "four green parrots";

    fn change(current: &str, new: &str) -> ChangePassword {
        json(serde_json::json!({"currentPassword": current, "newPassword": new}))
    }

    #[tokio::test]
    async fn the_other_sessions_end_and_this_one_goes_on() {
        let world = World::new();
        world.register("ann@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let there = world.login("ann@example.org", PASSWORD).await.unwrap();
        world.bus.dispatch(&world.signed_in(&here), change(PASSWORD, NEW)).await.unwrap();
        assert_eq!((world.holds(&here), world.holds(&there)), (true, false));
        assert!(world.refresh(&here.refresh_token).await.is_ok());
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "invalid-credentials");
        assert!(world.login("ann@example.org", NEW).await.is_ok());
        assert_eq!(world.mails(1).await[0].subject, "Your password was changed", "security 10");
    }

    #[tokio::test]
    async fn security_8_it_needs_the_old_password() {
        let world = World::new();
        world.register("ann@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let wrong = world.bus.dispatch(&world.signed_in(&here), change("wrong wrong", NEW)).await;
        assert_eq!(code(wrong), "wrong-password");
        assert!(world.login("ann@example.org", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn security_7_guessing_it_with_a_stolen_token_is_slowed_down() {
        let world = World::new();
        world.register("ann@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        for _ in 0..5 {
            let wrong = world.bus.dispatch(&world.signed_in(&here), change("wrong wrong", NEW)).await;
            assert_eq!(code(wrong), "wrong-password");
        }
        let sixth = world.bus.dispatch(&world.signed_in(&here), change(PASSWORD, NEW)).await;
        assert_eq!(code(sixth), "too-many-requests");
    }

    #[tokio::test]
    async fn security_3_a_guessable_new_password_is_refused() {
        let world = World::new();
        world.register("ann@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let common = world.bus.dispatch(&world.signed_in(&here), change(PASSWORD, "password1")).await;
        assert_eq!(code(common), "password-guessable");
    }
}
