//! `POST /v1/auth/password-reset`: somebody forgot their password.
//! Records `account.password-reset-requested`; public as `password-reset-requested.v1`, without the token.

use std::convert::Infallible;

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Outcome, Plain, Reads, Reply, State,
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::{Account, AccountEvent};
use crate::email::Email;
use crate::limits::{AccountKey, Action};
use crate::mail::messages;
use crate::service::{Auth, origin, unkeyed};
use crate::tokens::one_time::{self, Purpose, TokenHash};
use crate::tokens::random_bytes;

/// Asks for a link to choose a new password. The answer is the same whether or not there is such an account; the mail
/// tells. An older link no longer works.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestPasswordReset {
    /// The account's address.
    #[schema(value_type = String, format = "email", max_length = 254, example = "ann@example.org")]
    pub email: Email,
}

impl Command for RequestPasswordReset {
    const NAME: &'static str = "auth.request-password-reset";
}

struct RecordRequest {
    user: Uuid,
    token: TokenHash,
    expires_at: Timestamp,
}

impl Decide for RecordRequest {
    /// Whether a link is to be sent.
    type Answer = bool;
    type Refusal = Infallible;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<bool>, Infallible> {
        let account: &Account = state.get(self.user);
        // An account without an address or password belongs to an application, which signs its users in itself.
        if account.is_closed() || account.password.is_none() {
            return Ok(Decision::already(false));
        }
        let token = Plain(self.token.into());
        let requested = AccountEvent::PasswordResetRequested { token, expires_at: self.expires_at };
        Ok(Decision::already(true).record::<Account>(self.user, requested))
    }
}

#[async_trait]
impl CommandHandler<RequestPasswordReset> for Auth {
    /// Looks for the account after the answer, so that its time doesn't tell whether there is one.
    async fn handle(&self, cx: &Context, command: RequestPasswordReset) -> Result<Reply, Failure> {
        self.rates.check(Action::RequestReset(AccountKey::of(&command.email)), origin(cx))?;
        let (auth, cx) = (self.clone(), unkeyed(cx));
        self.background.spawn(async move {
            if let Err(failure) = auth.send_reset(&cx, command.email).await {
                tracing::error!(request_id = %cx.request_id, %failure, "a password reset couldn't be looked up");
            }
        });
        let position = *self.executor.log().head().borrow();
        Ok(Reply { outcome: Outcome::Accepted, body: Vec::new(), version: None, position, replayed: false })
    }
}

impl Auth {
    async fn send_reset(&self, cx: &Context, email: Email) -> Result<(), Failure> {
        let Some((user, account)) = self.find_account(&email).await? else { return Ok(()) };
        let (token, hash) = self.one_time.issue(Purpose::ResetPassword, user, random_bytes());
        let request = RecordRequest { user, token: hash, expires_at: one_time::expiry(cx.now) };
        let sent = self.executor.run(cx, &request).await?.parse::<bool>()?;
        if sent {
            // To the address on file, not to the one that was typed, which may only look like it.
            self.post(cx, account.email.unwrap_or(email), messages::password_reset(&self.links, &token));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;

    use super::*;
    use crate::testing::{World, code, json};

    fn ask(email: &str) -> RequestPasswordReset {
        json(serde_json::json!({"email": email}))
    }

    #[tokio::test]
    async fn security_6_the_answer_is_the_same_with_and_without_an_account() {
        let world = World::new();
        world.register("ann@example.org").await;
        let ann = world.bus.dispatch(&world.cx(Actor::Anonymous), ask("ANN@example.org")).await.unwrap();
        let bob = world.bus.dispatch(&world.cx(Actor::Anonymous), ask("bob@example.org")).await.unwrap();
        assert_eq!((ann.outcome, &ann.body, ann.version), (Outcome::Accepted, &bob.body, bob.version));
        assert_eq!(ann.position, bob.position);
        world.auth.finish().await;
        let mails = world.mails(1).await;
        assert_eq!(mails[0].to.as_str(), "ann@example.org");
    }

    #[tokio::test]
    async fn security_11_the_log_holds_no_token() {
        let world = World::new();
        world.register("ann@example.org").await;
        world.bus.dispatch(&world.cx(Actor::Anonymous), ask("ann@example.org")).await.unwrap();
        world.auth.finish().await;
        let token = crate::testing::token_in(&world.mails(1).await[0]);
        let log = world.auth.executor.log();
        let events = log.read(cqrs_core::Position(0), 100).await.unwrap();
        assert_eq!(events.last().unwrap().name, "account.password-reset-requested");
        for event in events {
            let data = String::from_utf8_lossy(&event.data);
            assert!(!data.contains(&token[4..]) && !data.contains("ann@"), "{data}");
        }
    }

    #[tokio::test]
    async fn a_mailbox_is_not_flooded() {
        let world = World::new();
        for _ in 0..5 {
            world.bus.dispatch(&world.cx(Actor::Anonymous), ask("ann@example.org")).await.unwrap();
        }
        let sixth = world.bus.dispatch(&world.cx(Actor::Anonymous), ask("ann@example.org")).await;
        assert_eq!(code(sixth), "too-many-requests");
    }
}
