//! `POST /v1/auth/verify-email`: the link sent to an address was opened, so the address is theirs.
//! Records `account.email-verified`, or `account.email-changed` where it's a new one; public as `email-changed.v1`.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Personal, Reads, Refusal, RefusalKind,
    Reply, State,
};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::account::{Account, AccountEvent};
use crate::limits::Action;
use crate::mail::messages;
use crate::service::{Auth, EMAILS, origin};
use crate::tokens::one_time::{Purpose, TokenHash};

/// Shows an address to be one's own.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyEmail {
    /// What follows `#token=` in the link.
    #[schema(value_type = String, example = "pve_…")]
    pub token: Zeroizing<String>,
}

/// Why the address isn't taken as theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyEmailRefusal {
    /// The link was used, is too old, or never was: not told apart.
    #[error("this link no longer works; ask for another")]
    InvalidToken,
    /// Somebody else took the address meanwhile.
    #[error("there is an account with this e-mail address already")]
    EmailTaken,
}

impl Refusal for VerifyEmailRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid-token",
            Self::EmailTaken => "email-taken",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::InvalidToken => RefusalKind::Invalid,
            Self::EmailTaken => RefusalKind::Conflict,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::InvalidToken => Some("/token"),
            Self::EmailTaken => None,
        }
    }
}

impl Command for VerifyEmail {
    const NAME: &'static str = "auth.verify-email";
}

/// A token read: whose it claims to be, and its hash.
struct Confirm {
    user: Uuid,
    token: TokenHash,
}

impl Decide for Confirm {
    type Answer = ();
    type Refusal = VerifyEmailRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, VerifyEmailRefusal> {
        let account: &Account = state.get(self.user);
        let (Some((link, email)), Some(old), false) =
            (&account.verification, &account.email, account.is_closed())
        else {
            return Err(VerifyEmailRefusal::InvalidToken);
        };
        if !link.is_opened_by(self.token, cx.now) {
            return Err(VerifyEmailRefusal::InvalidToken);
        }
        if email == old {
            return Ok(Decision::done().record::<Account>(self.user, AccountEvent::EmailVerified {}));
        }
        let changed =
            AccountEvent::EmailChanged { email: Personal::new(self.user, email.as_str().to_owned()) };
        let decision = Decision::done().record::<Account>(self.user, changed);
        if email.normalised() == old.normalised() {
            return Ok(decision);
        }
        Ok(decision.release(EMAILS, old.normalised(), self.user).claim(EMAILS, email.normalised(), self.user))
    }

    fn claim_taken(&self, _: &'static str) -> Option<VerifyEmailRefusal> {
        Some(VerifyEmailRefusal::EmailTaken)
    }
}

#[async_trait]
impl CommandHandler<VerifyEmail> for Auth {
    async fn handle(&self, cx: &Context, command: VerifyEmail) -> Result<Reply, Failure> {
        self.rates.check(Action::UseToken, origin(cx))?;
        let Some((user, token)) = self.one_time.read(Purpose::VerifyEmail, &command.token) else {
            return Err(VerifyEmailRefusal::InvalidToken.into());
        };
        let (_, before) = self.executor.state::<Account>(user).await?;
        let reply = self.executor.run(cx, &Confirm { user, token }).await?;
        let changed = before.verification.map(|(_, email)| email) != before.email;
        if let (Some(old), true, false) = (before.email, changed, reply.replayed) {
            self.post(cx, old, messages::email_changed(&self.links, cx.now));
        }
        Ok(Reply { version: None, ..reply })
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{context, given, noon};
    use cqrs_core::{Actor, Plain};

    use super::*;
    use crate::testing::{ANN, World, code, json, registered};
    use crate::tokens::InstanceSecret;
    use crate::tokens::one_time::{OneTimeTokens, expiry};

    fn sent(email: &str) -> (Confirm, AccountEvent) {
        let tokens = OneTimeTokens::new(&InstanceSecret::new([1; 32]));
        let (_, token) = tokens.issue(Purpose::VerifyEmail, ANN, [2; 32]);
        let event = AccountEvent::EmailVerificationRequested {
            email: Personal::new(ANN, email.to_owned()),
            token: Plain(token.into()),
            expires_at: expiry(noon()),
        };
        (Confirm { user: ANN, token }, event)
    }

    #[test]
    fn the_address_of_the_account_is_verified() {
        let (confirm, sent) = sent("ann@example.org");
        given::<Account>(ANN, [registered("hash"), sent.clone()])
            .when(Actor::Anonymous, &confirm)
            .records::<Account>(ANN, [AccountEvent::EmailVerified {}]);
        given::<Account>(ANN, [registered("hash"), sent, AccountEvent::EmailVerified {}])
            .when(Actor::Anonymous, &confirm)
            .refused(VerifyEmailRefusal::InvalidToken);
    }

    #[test]
    fn another_address_takes_its_place() {
        let (confirm, sent) = sent("ann@example.com");
        let changed = AccountEvent::EmailChanged { email: Personal::new(ANN, "ann@example.com".to_owned()) };
        given::<Account>(ANN, [registered("hash"), sent])
            .when(Actor::Anonymous, &confirm)
            .records::<Account>(ANN, [changed]);
    }

    #[test]
    fn security_11_a_link_is_good_for_half_an_hour() {
        let (confirm, sent) = sent("ann@example.org");
        let late = Context { now: expiry(noon()), ..context(Actor::Anonymous) };
        given::<Account>(ANN, [registered("hash"), sent])
            .when_in(&late, &confirm)
            .refused(VerifyEmailRefusal::InvalidToken);
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused() {
        let world = World::new();
        for token in ["", "pve_", "prp_AAAA"] {
            let verify: VerifyEmail = json(serde_json::json!({"token": token}));
            assert_eq!(code(world.bus.dispatch(&world.cx(Actor::Anonymous), verify).await), "invalid-token");
        }
    }
}
