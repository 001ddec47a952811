//! `POST /v1/auth/password-reset/confirm`: somebody chooses a new password with the link from the mail.
//! Records `account.password-changed` and `account.session-ended` for each session; signs nobody in.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Personal, Reads, Refusal, RefusalKind,
    Reply, State,
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::account::{Account, AccountEvent, EndReason};
use crate::limits::{AccountKey, Action};
use crate::mail::messages;
use crate::password::policy::{self, Guessable};
use crate::password::{Password, PasswordHash};
use crate::service::{Auth, origin};
use crate::tokens::one_time::{Purpose, TokenHash};

/// Chooses a new password. All sessions end.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetPassword {
    /// What follows `#token=` in the link.
    #[schema(value_type = String, example = "prp_…")]
    pub token: Zeroizing<String>,
    /// 8 to 128 characters; none of the commonest, nor your own name or address.
    #[schema(value_type = String, min_length = 8, max_length = 128, example = "four green parrots")]
    pub new_password: Password,
}

/// Why the password stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResetRefusal {
    /// The link was used, is too old, or never was: not told apart.
    #[error("this link no longer works; ask for another")]
    InvalidToken,
    /// The new password is guessed first.
    #[error("{0}")]
    Guessable(#[from] Guessable),
}

impl Refusal for ResetRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid-token",
            Self::Guessable(_) => "password-guessable",
        }
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Invalid
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken => Some("/token"),
            Self::Guessable(_) => Some("/newPassword"),
        }
    }
}

impl Command for ResetPassword {
    const NAME: &'static str = "auth.reset-password";
}

/// With the new password hashed.
struct Reset {
    user: Uuid,
    token: TokenHash,
    password: PasswordHash,
}

impl Decide for Reset {
    /// The sessions that ended.
    type Answer = Vec<Uuid>;
    type Refusal = ResetRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, ResetRefusal> {
        let account: &Account = state.get(self.user);
        if !is_good(account, self.token, cx) {
            return Err(ResetRefusal::InvalidToken);
        }
        let password_hash = Personal::new(self.user, self.password.as_str().to_owned());
        let mut decision = Decision::already(account.sessions.keys().copied().collect::<Vec<_>>())
            .record::<Account>(self.user, AccountEvent::PasswordChanged { password_hash });
        // Whoever reads the mailbox has shown that the address is theirs.
        if !account.email_verified {
            decision = decision.record::<Account>(self.user, AccountEvent::EmailVerified {});
        }
        for ended in account.end_sessions(None, EndReason::PasswordChanged) {
            decision = decision.record::<Account>(self.user, ended);
        }
        Ok(decision)
    }
}

fn is_good(account: &Account, token: TokenHash, cx: &Context) -> bool {
    !account.is_closed() && account.reset.as_ref().is_some_and(|link| link.is_opened_by(token, cx.now))
}

#[async_trait]
impl CommandHandler<ResetPassword> for Auth {
    async fn handle(&self, cx: &Context, command: ResetPassword) -> Result<Reply, Failure> {
        self.rates.check(Action::UseToken, origin(cx))?;
        let Some((user, token)) = self.one_time.read(Purpose::ResetPassword, &command.token) else {
            return Err(ResetRefusal::InvalidToken.into());
        };
        let (_, account) = self.executor.state::<Account>(user).await?;
        // Looked at before hashing, so that a made-up link costs us little.
        if !is_good(&account, token, cx) {
            return self.executor.refused(cx, ResetRefusal::InvalidToken.into()).await;
        }
        let Some(email) = account.email else { return Err(ResetRefusal::InvalidToken.into()) };
        let name = account.display_name.unwrap_or_default();
        policy::check(&command.new_password, &name, &email).map_err(ResetRefusal::from)?;
        let password = self.hasher.hash(command.new_password).await?;
        let reply = self.executor.run(cx, &Reset { user, token, password }).await?;
        if !reply.replayed {
            self.failures.forget(AccountKey::of(&email));
            self.post(cx, email, messages::password_changed(&self.links, cx.now));
        }
        self.ended(cx, reply)
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;
    use cqrs_core::IdempotencyKey;

    use super::*;
    use crate::request_password_reset::RequestPasswordReset;
    use crate::testing::{PASSWORD, World, code, json, token_in};

    const NEW: &str = "four green parrots";

    async fn asked(world: &World, mails: usize) -> String {
        let ask: RequestPasswordReset = json(serde_json::json!({"email": "ann@example.org"}));
        world.bus.dispatch(&world.cx(Actor::Anonymous), ask).await.unwrap();
        token_in(world.mails(mails).await.last().unwrap())
    }

    async fn confirm(world: &World, token: &str) -> Result<Reply, Failure> {
        let reset: ResetPassword = json(serde_json::json!({"token": token, "newPassword": NEW}));
        world.bus.dispatch(&world.cx(Actor::Anonymous), reset).await
    }

    #[tokio::test]
    async fn security_14_a_reset_changes_the_password_ends_all_sessions_and_signs_nobody_in() {
        let world = World::new();
        world.register("ann@example.org").await;
        let before = world.login("ann@example.org", PASSWORD).await.unwrap();
        let token = asked(&world, 1).await;
        let reply = confirm(&world, &token).await.unwrap();
        assert!(reply.body.is_empty());
        assert!(!world.holds(&before));
        assert_eq!(code(world.refresh(&before.refresh_token).await), "invalid-refresh-token");
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "invalid-credentials");
        assert!(world.login("ann@example.org", NEW).await.is_ok());
        assert_eq!(world.mails(2).await[1].subject, "Your password was changed", "security 10");
    }

    #[tokio::test]
    async fn security_11_a_link_works_once_and_for_half_an_hour_and_dies_with_a_newer_one() {
        let world = World::new();
        world.register("ann@example.org").await;
        let old = asked(&world, 1).await;
        let new = asked(&world, 2).await;
        assert_eq!(code(confirm(&world, &old).await), "invalid-token");
        confirm(&world, &new).await.unwrap();
        assert_eq!(code(confirm(&world, &new).await), "invalid-token");
        let late = asked(&world, 4).await;
        world.later(30 * 60);
        assert_eq!(code(confirm(&world, &late).await), "invalid-token");
    }

    #[tokio::test]
    async fn two_at_once_with_one_link_change_the_password_once() {
        let world = World::new();
        world.register("ann@example.org").await;
        let token = asked(&world, 1).await;
        let (a, b) = tokio::join!(confirm(&world, &token), confirm(&world, &token));
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    }

    #[tokio::test]
    async fn a_repeat_with_the_same_key_gets_the_first_answer() {
        let world = World::new();
        world.register("ann@example.org").await;
        let token = asked(&world, 1).await;
        let key = IdempotencyKey { key: "k".to_owned(), route: "confirm".to_owned(), content: "c".into() };
        let keyed = || Context { idempotency: Some(key.clone().into()), ..world.cx(Actor::Anonymous) };
        let reset = || json::<ResetPassword>(serde_json::json!({"token": token, "newPassword": NEW}));
        assert!(!world.bus.dispatch(&keyed(), reset()).await.unwrap().replayed);
        assert!(world.bus.dispatch(&keyed(), reset()).await.unwrap().replayed);
    }

    #[tokio::test]
    async fn security_3_a_guessable_new_password_is_refused_and_the_link_still_works() {
        let world = World::new();
        world.register("ann@example.org").await;
        let token = asked(&world, 1).await;
        let reset: ResetPassword =
            json(serde_json::json!({"token": token, "newPassword": "ann@example.org"}));
        assert_eq!(code(world.bus.dispatch(&world.cx(Actor::Anonymous), reset).await), "password-guessable");
        assert!(confirm(&world, &token).await.is_ok());
    }

    #[tokio::test]
    async fn security_12_what_is_no_reset_token_is_refused() {
        let world = World::new();
        world.register("ann@example.org").await;
        let token = asked(&world, 1).await;
        for other in ["", "prp_", &token.replace("prp_", "pve_"), &format!("{token}x"), &token.to_lowercase()]
        {
            assert_eq!(code(confirm(&world, other).await), "invalid-token", "{other}");
        }
    }
}
