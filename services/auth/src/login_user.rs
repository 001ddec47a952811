//! `POST /v1/auth/login`: somebody signs in with their password.
//! Begins a session ([`signing_in`](crate::signing_in)).

use async_trait::async_trait;
use cqrs_core::{Command, CommandHandler, Context, Failure, Refusal as _, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::Account;
use crate::display_name::DisplayName;
use crate::email::Email;
use crate::limits::{AccountKey, Action};
use crate::mail::messages;
use crate::password::{Password, PasswordAttempt, PasswordHash, Verdict};
use crate::service::{Auth, origin, unkeyed};
use crate::signing_in::{Proof, SignInRefusal, StartSession};

/// Signs in. An idempotency key is ignored: a repeat is another session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginUser {
    /// The account's address.
    #[schema(value_type = String, format = "email", max_length = 254, example = "ann@example.org")]
    pub email: Email,
    /// Its password.
    #[schema(value_type = String, max_length = 128, example = "three green parrots")]
    pub password: PasswordAttempt,
    /// What to call the device in the list of sessions.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "Ann's laptop")]
    pub device: Option<DisplayName>,
}

impl Command for LoginUser {
    const NAME: &'static str = "auth.login-user";
}

#[async_trait]
impl CommandHandler<LoginUser> for Auth {
    async fn handle(&self, cx: &Context, command: LoginUser) -> Result<Reply, Failure> {
        let cx = &unkeyed(cx);
        let key = AccountKey::of(&command.email);
        self.rates.check(Action::SignIn(key), origin(cx))?;
        let attempt = self.failures.attempt(key, origin(cx), cx.now)?;
        let result = self.sign_in(cx, command).await;
        match &result {
            Ok(_) => self.failures.succeeded(&attempt),
            // The password was right.
            Err(Failure::Refused(refused)) if refused.code != SignInRefusal::InvalidCredentials.code() => {
                self.failures.succeeded(&attempt);
            }
            Err(Failure::Refused(_)) => {}
            Err(_) => self.failures.undecided(&attempt),
        }
        result
    }
}

impl Auth {
    async fn sign_in(&self, cx: &Context, command: LoginUser) -> Result<Reply, Failure> {
        let LoginUser { email, password, device } = command;
        let device = device.map(String::from);
        let found = self.find_account(&email).await?;
        let Some((user, account, matched, rehashed)) = self.check_password(found, password).await? else {
            return Err(SignInRefusal::InvalidCredentials.into());
        };
        let start = StartSession {
            user,
            session: cx.fresh_id(0),
            device: device.clone(),
            address: cx.client,
            proof: Proof::Password { matched, rehashed, verified_only: self.settings.verify_email },
            lifetime: self.settings.session_lifetime(),
        };
        let (reply, started) = match self.start_session(cx, start).await {
            Err(Failure::Refused(refused)) if refused.code == SignInRefusal::EmailUnverified.code() => {
                self.send_verification(cx, user, email).await?;
                return Err(Failure::Refused(refused));
            }
            result => result?,
        };
        if started.new_device
            && let Some(email) = account.email
        {
            self.post(cx, email, messages::new_sign_in(&self.links, cx.now, device.as_deref()));
        }
        Ok(reply)
    }

    /// The account, if this is its password: with the hash that matched, and a stronger one where it is due. Takes as long
    /// where there is no account, or one without a password.
    async fn check_password(
        &self,
        found: Option<(Uuid, Account)>,
        attempt: PasswordAttempt,
    ) -> Result<Option<(Uuid, Account, PasswordHash, Option<PasswordHash>)>, Failure> {
        let stored = found.as_ref().and_then(|(_, account)| account.password.clone());
        let verdict = self.hasher.verify(attempt.clone(), stored.clone()).await?;
        let (Some((user, account)), Some(stored), Verdict::Match { rehash_due }) = (found, stored, verdict)
        else {
            return Ok(None);
        };
        let rehashed =
            if rehash_due { Some(self.hasher.hash(Password::from_match(attempt)).await?) } else { None };
        Ok(Some((user, account, stored, rehashed)))
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{Actor, EventSourcedRepository};

    use super::*;
    use crate::limits::{Rate, RateSettings};
    use crate::settings::{AuthSettings, PasswordSettings};
    use crate::testing::{PASSWORD, World, code, json, token_in};

    #[tokio::test]
    async fn the_right_password_gives_tokens_that_hold() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let tokens = world.login("ANN@example.org", PASSWORD).await.unwrap();
        assert_eq!((tokens.user_id, tokens.expires_in, tokens.token_type.as_str()), (user, 300, "Bearer"));
        let claims = world.auth.verifier.verify(&tokens.access_token, world.now()).unwrap();
        assert_eq!((claims.sub, claims.sid), (user, tokens.session_id));
    }

    #[tokio::test]
    async fn security_6_a_wrong_password_and_no_account_are_refused_alike() {
        let world = World::new();
        world.register("ann@example.org").await;
        let wrong = world.login("ann@example.org", "three green parrotz").await.unwrap_err();
        let nobody = world.login("bob@example.org", "three green parrotz").await.unwrap_err();
        assert_eq!(format!("{wrong:?}"), format!("{nobody:?}"));
        assert_eq!(code::<()>(Err(wrong)), "invalid-credentials");
    }

    #[tokio::test]
    async fn security_5_sign_ins_are_limited_and_told_when_to_come_back() {
        let limits = RateSettings { sign_in_per_account: Rate::new(3, 60), ..RateSettings::default() };
        let world = World::with(AuthSettings { limits, ..AuthSettings::default() });
        for _ in 0..3 {
            assert_eq!(code(world.login("ann@example.org", "wrong wrong").await), "invalid-credentials");
        }
        match world.login("ann@example.org", "wrong wrong").await.unwrap_err() {
            Failure::Refused(refused) => {
                assert_eq!(refused.code, "too-many-requests");
                assert_eq!(refused.retry_after.unwrap().as_secs(), 20);
            }
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn security_7_failures_in_a_row_make_one_wait_even_for_the_right_password() {
        let world = World::new();
        world.register("ann@example.org").await;
        for _ in 0..5 {
            assert_eq!(code(world.login("ann@example.org", "wrong wrong").await), "invalid-credentials");
        }
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "too-many-requests");
        world.later(1);
        assert!(world.login("ann@example.org", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn security_1_raised_settings_rehash_at_the_next_sign_in() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let repository = EventSourcedRepository::<Account>::new(world.auth.executor.clone());
        let (_, before) = repository.load(user).await.unwrap();
        let password = PasswordSettings { passes: 3, ..PasswordSettings::default() };
        let stronger = world.restarted(AuthSettings { password, ..AuthSettings::default() });
        stronger.login("ann@example.org", PASSWORD).await.unwrap();
        let (_, after) = repository.load(user).await.unwrap();
        assert!(before.password.unwrap().as_str().contains("t=2"));
        assert!(after.password.unwrap().as_str().contains("t=3"));
        assert!(stronger.login("ann@example.org", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn an_unconfirmed_address_gets_another_link_and_no_tokens() {
        let world = World::with(AuthSettings { verify_email: true, ..AuthSettings::default() });
        world
            .bus
            .dispatch(&world.cx(Actor::Anonymous), crate::testing::register("ann@example.org"))
            .await
            .unwrap();
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "email-unverified");
        let mails = world.mails(2).await;
        let verify: crate::verify_email::VerifyEmail =
            json(serde_json::json!({"token": token_in(&mails[1])}));
        world.bus.dispatch(&world.cx(Actor::Anonymous), verify).await.unwrap();
        assert!(world.login("ann@example.org", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn a_sign_in_with_a_new_device_is_told_by_mail_and_the_first_one_is_not() {
        let world = World::new();
        world.register("ann@example.org").await;
        let login = |device: &str| {
            json(serde_json::json!({"email": "ann@example.org", "password": PASSWORD, "device": device}))
        };
        world.bus.dispatch::<LoginUser>(&world.cx(Actor::Anonymous), login("laptop")).await.unwrap();
        world.bus.dispatch::<LoginUser>(&world.cx(Actor::Anonymous), login("laptop")).await.unwrap();
        world.bus.dispatch::<LoginUser>(&world.cx(Actor::Anonymous), login("phone")).await.unwrap();
        let mails = world.mails(1).await;
        assert!(mails[0].text.contains("with “phone”"), "{}", mails[0].text);
    }
}
