//! `PUT /v1/auth/email`: somebody wants another address, which takes effect when the link sent there is opened
//! ([`verify_email`](crate::verify_email)). Records `account.email-verification-requested`.

use std::convert::Infallible;

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Outcome, Personal, Plain, Reads, Refusal,
    RefusalKind, Reply, State,
};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::{Account, AccountEvent};
use crate::email::Email;
use crate::limits::{AccountKey, Action};
use crate::mail::messages;
use crate::password::PasswordAttempt;
use crate::service::{Auth, EMAILS, NotAUser, origin, unkeyed};
use crate::tokens::one_time::{self, Purpose, TokenHash};
use crate::tokens::random_bytes;

/// Asks for another address. The answer is the same whether or not somebody has it already; the mail there tells.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeEmail {
    /// The new one.
    #[schema(value_type = String, format = "email", max_length = 254, example = "ann@example.com")]
    pub email: Email,
    /// The password, once more.
    #[schema(value_type = String, max_length = 128, example = "three green parrots")]
    pub current_password: PasswordAttempt,
}

/// The password is another, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not your current password")]
pub struct WrongPassword;

impl Refusal for WrongPassword {
    fn code(&self) -> &'static str {
        "wrong-password"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Forbidden
    }
    fn pointer(&self) -> Option<&'static str> {
        Some("/currentPassword")
    }
}

impl Command for ChangeEmail {
    const NAME: &'static str = "auth.change-email";
}

/// A link to be sent to an address.
struct RequestVerification {
    user: Uuid,
    email: Email,
    token: TokenHash,
    expires_at: Timestamp,
}

impl Decide for RequestVerification {
    type Answer = ();
    type Refusal = Infallible;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, Infallible> {
        let requested = AccountEvent::EmailVerificationRequested {
            email: Personal::new(self.user, self.email.as_str().to_owned()),
            token: Plain(self.token.into()),
            expires_at: self.expires_at,
        };
        Ok(Decision::done().record::<Account>(self.user, requested).accepted())
    }
}

#[async_trait]
impl CommandHandler<ChangeEmail> for Auth {
    async fn handle(&self, cx: &Context, command: ChangeEmail) -> Result<Reply, Failure> {
        // Repeating it sends another link, which is all it does.
        let cx = &unkeyed(cx);
        let user = cx.actor.user().ok_or(NotAUser)?;
        self.rates.check(Action::RequestReset(AccountKey::of(&command.email)), origin(cx))?;
        if self.prove_again(cx, user, command.current_password).await?.is_none() {
            return Err(WrongPassword.into());
        }
        let holder = self.executor.claim_owner(EMAILS, &command.email.normalised()).await?;
        if holder.is_some_and(|holder| holder != user) {
            self.post(cx, command.email, messages::already_registered(&self.links));
            let position = *self.executor.log().head().borrow();
            return Ok(Reply {
                outcome: Outcome::Accepted,
                body: Vec::new(),
                version: None,
                position,
                replayed: false,
            });
        }
        let reply = self.send_verification(cx, user, command.email).await?;
        Ok(Reply { version: None, ..reply })
    }
}

impl Auth {
    /// Sends a link that shows the address to be theirs.
    pub(crate) async fn send_verification(
        &self,
        cx: &Context,
        user: Uuid,
        email: Email,
    ) -> Result<Reply, Failure> {
        let (token, hash) = self.one_time.issue(Purpose::VerifyEmail, user, random_bytes());
        let request = RequestVerification {
            user,
            email: email.clone(),
            token: hash,
            expires_at: one_time::expiry(cx.now),
        };
        let reply = self.executor.run(cx, &request).await?;
        self.post(cx, email, messages::verify_email(&self.links, &token));
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSWORD, World, code, json, token_in};
    use crate::verify_email::VerifyEmail;

    fn change(email: &str, password: &str) -> ChangeEmail {
        json(serde_json::json!({"email": email, "currentPassword": password}))
    }

    #[tokio::test]
    async fn the_new_address_counts_once_its_link_was_opened_and_the_old_one_is_told() {
        let world = World::new();
        world.register("ann@example.org").await;
        let ann = world.login("ann@example.org", PASSWORD).await.unwrap();
        world.bus.dispatch(&world.signed_in(&ann), change("ann@example.com", PASSWORD)).await.unwrap();
        assert!(world.login("ann@example.org", PASSWORD).await.is_ok());
        assert_eq!(code(world.login("ann@example.com", PASSWORD).await), "invalid-credentials");
        let mails = world.mails(1).await;
        assert_eq!(mails[0].to.as_str(), "ann@example.com");
        let verify: VerifyEmail = json(serde_json::json!({"token": token_in(&mails[0])}));
        world.bus.dispatch(&world.cx(cqrs_core::Actor::Anonymous), verify).await.unwrap();
        assert!(world.login("ann@example.com", PASSWORD).await.is_ok());
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "invalid-credentials");
        let told = &world.mails(2).await[1];
        assert_eq!(
            (told.to.as_str(), told.subject.as_str()),
            ("ann@example.org", "Your e-mail address was changed")
        );
        world.register("ann@example.org").await;
    }

    #[tokio::test]
    async fn it_needs_the_password() {
        let world = World::new();
        world.register("ann@example.org").await;
        let ann = world.login("ann@example.org", PASSWORD).await.unwrap();
        let wrong =
            world.bus.dispatch(&world.signed_in(&ann), change("ann@example.com", "wrong wrong")).await;
        assert_eq!(code(wrong), "wrong-password");
    }

    #[tokio::test]
    async fn whether_somebody_has_the_address_is_told_to_its_mailbox_only() {
        let world = World::new();
        world.register("ann@example.org").await;
        world.register("bob@example.org").await;
        let ann = world.login("ann@example.org", PASSWORD).await.unwrap();
        let free =
            world.bus.dispatch(&world.signed_in(&ann), change("new@example.org", PASSWORD)).await.unwrap();
        let taken =
            world.bus.dispatch(&world.signed_in(&ann), change("bob@example.org", PASSWORD)).await.unwrap();
        assert_eq!((free.outcome, free.body, free.version), (taken.outcome, taken.body, taken.version));
        let mails = world.mails(2).await;
        assert_eq!(mails[1].subject, "You already have an account");
    }
}
