//! `POST /v1/auth/register`: somebody makes an account.
//! Records `account.registered`; public as `user-registered.v1`, from which the user service makes the profile.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Outcome, Personal, Plain, Reads, Refusal,
    RefusalKind, Reply, State,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::{Account, AccountEvent};
use crate::display_name::DisplayName;
use crate::email::Email;
use crate::limits::Action;
use crate::mail::messages;
use crate::password::policy::{self, Guessable};
use crate::password::{Password, PasswordHash};
use crate::service::{Auth, EMAILS, origin};
use crate::tokens::one_time::{self, Purpose, TokenHash};
use crate::tokens::random_bytes;

/// Makes an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterUser {
    /// Where mails reach you; unique.
    #[schema(value_type = String, format = "email", max_length = 254, example = "ann@example.org")]
    pub email: Email,
    /// 8 to 128 characters; none of the commonest, nor your own name or address.
    #[schema(value_type = String, min_length = 8, max_length = 128, example = "three green parrots")]
    pub password: Password,
    /// What others see.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "Ann")]
    pub display_name: DisplayName,
}

/// The new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRegistered {
    /// The user's id, in every service.
    pub user_id: Uuid,
}

/// Why there is no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterRefusal {
    /// Somebody has this address.
    #[error("there is an account with this e-mail address already")]
    EmailTaken,
    /// The password is guessed first.
    #[error("{0}")]
    Guessable(#[from] Guessable),
}

impl Refusal for RegisterRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::EmailTaken => "email-taken",
            Self::Guessable(_) => "password-guessable",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::EmailTaken => RefusalKind::Conflict,
            Self::Guessable(_) => RefusalKind::Invalid,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::EmailTaken => Some("/email"),
            Self::Guessable(_) => Some("/password"),
        }
    }
}

impl Command for RegisterUser {
    const NAME: &'static str = "auth.register-user";
}

/// With the password hashed, and the token of the link that confirms the address, where one is wanted.
struct Registration {
    user: Uuid,
    email: Email,
    display_name: String,
    password: PasswordHash,
    confirm: Option<(TokenHash, Timestamp)>,
}

impl Decide for Registration {
    type Answer = Option<UserRegistered>;
    type Refusal = RegisterRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<Self::Answer>, RegisterRefusal> {
        let user = self.user;
        let personal = |text: &str| Personal::new(user, text.to_owned());
        let registered = AccountEvent::Registered {
            email: personal(self.email.as_str()),
            display_name: personal(&self.display_name),
            password_hash: personal(self.password.as_str()),
        };
        // Where addresses are confirmed, the answer doesn't tell whether the account is new.
        let told = self.confirm.is_none().then_some(UserRegistered { user_id: user });
        let decision = Decision::already(told).record::<Account>(user, registered).claim(
            EMAILS,
            self.email.normalised(),
            user,
        );
        Ok(match self.confirm {
            None => decision.created(),
            Some((token, expires_at)) => {
                let token = Plain(token.into());
                let email = personal(self.email.as_str());
                let sent = AccountEvent::EmailVerificationRequested { email, token, expires_at };
                decision.record::<Account>(user, sent).accepted()
            }
        })
    }

    fn claim_taken(&self, _: &'static str) -> Option<RegisterRefusal> {
        Some(RegisterRefusal::EmailTaken)
    }
}

#[async_trait]
impl CommandHandler<RegisterUser> for Auth {
    async fn handle(&self, cx: &Context, command: RegisterUser) -> Result<Reply, Failure> {
        self.rates.check(Action::Register, origin(cx))?;
        let RegisterUser { email, password, display_name } = command;
        policy::check(&password, display_name.as_str(), &email).map_err(RegisterRefusal::from)?;
        let password = self.hasher.hash(password).await?;
        let user = cx.fresh_id(0);
        let link = self
            .settings
            .verify_email
            .then(|| self.one_time.issue(Purpose::VerifyEmail, user, random_bytes()));
        let registration = Registration {
            user,
            email: email.clone(),
            display_name: display_name.into(),
            password,
            confirm: link.as_ref().map(|(_, hash)| (*hash, one_time::expiry(cx.now))),
        };
        let result = self.executor.run(cx, &registration).await;
        let Some((token, _)) = link else { return result };
        match result {
            Ok(reply) => {
                if !reply.replayed {
                    self.post(cx, email, messages::verify_email(&self.links, &token));
                }
                Ok(Reply { version: None, ..reply })
            }
            // Only the mailbox's owner is to learn that there is an account.
            Err(Failure::Refused(refused)) if refused.code == RegisterRefusal::EmailTaken.code() => {
                self.post(cx, email, messages::already_registered(&self.links));
                let position = *self.executor.log().head().borrow();
                Ok(Reply {
                    outcome: Outcome::Accepted,
                    body: Vec::new(),
                    version: None,
                    position,
                    replayed: false,
                })
            }
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::given_nothing;
    use cqrs_core::{Actor, IdempotencyKey};

    use super::*;
    use crate::settings::AuthSettings;
    use crate::testing::{ANN, World, code, json, register, registered};

    fn registration(confirm: Option<(TokenHash, Timestamp)>) -> Registration {
        Registration {
            user: ANN,
            email: Email::parse("ann@example.org").unwrap(),
            display_name: "Ann".to_owned(),
            password: PasswordHash::from("hash".to_owned()),
            confirm,
        }
    }

    #[test]
    fn a_registration_is_recorded_and_answered_with_the_users_id() {
        let then = given_nothing().when(Actor::Anonymous, &registration(None));
        assert_eq!(then.answer(), Some(UserRegistered { user_id: ANN }));
        then.records::<Account>(ANN, [registered("hash")]);
    }

    #[tokio::test]
    async fn an_address_is_taken_once_whatever_its_letters() {
        let world = World::new();
        world.register("Ann@Example.org").await;
        let again = world.bus.dispatch(&world.cx(Actor::Anonymous), register("ann@example.ORG")).await;
        assert_eq!(code(again), "email-taken");
    }

    #[tokio::test]
    async fn two_at_once_with_one_address_make_one_account() {
        let world = World::new();
        let (a, b) = (world.cx(Actor::Anonymous), world.cx(Actor::Anonymous));
        let (a, b) = tokio::join!(
            world.bus.dispatch(&a, register("ann@example.org")),
            world.bus.dispatch(&b, register("ann@example.org"))
        );
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    }

    #[tokio::test]
    async fn security_3_a_guessable_password_is_refused_at_its_field() {
        let world = World::new();
        for password in ["password1", "ann@example.org", "iloveyou"] {
            let command: RegisterUser = json(serde_json::json!({
                "email": "ann@example.org", "password": password, "displayName": "Ann"
            }));
            match world.bus.dispatch(&world.cx(Actor::Anonymous), command).await.unwrap_err() {
                Failure::Refused(refused) => {
                    assert_eq!(
                        (refused.code, refused.errors[0].pointer.as_str()),
                        ("password-guessable", "/password")
                    );
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn unknown_fields_and_line_breaks_in_an_address_are_refused() {
        for body in [
            serde_json::json!({"email": "a@b.c", "password": "12345678x", "displayName": "A", "role": "admin"}),
            serde_json::json!({"email": "a@b.c\r\nBcc: d@e.f", "password": "12345678x", "displayName": "A"}),
            serde_json::json!({"email": "a@b.c", "password": "short", "displayName": "A"}),
            serde_json::json!({"email": "a@b.c", "password": "12345678x", "displayName": " "}),
        ] {
            assert!(serde_json::from_value::<RegisterUser>(body.clone()).is_err(), "{body}");
        }
    }

    #[tokio::test]
    async fn a_repeat_with_the_same_key_is_the_same_account() {
        let world = World::new();
        let keyed = |world: &World| Context {
            idempotency: Some(
                IdempotencyKey {
                    key: "k".to_owned(),
                    route: "/v1/auth/register".to_owned(),
                    content: "c".into(),
                }
                .into(),
            ),
            ..world.cx(Actor::Anonymous)
        };
        let first = world.bus.dispatch(&keyed(&world), register("ann@example.org")).await.unwrap();
        let again = world.bus.dispatch(&keyed(&world), register("ann@example.org")).await.unwrap();
        assert_eq!(first.body, again.body);
        assert!(again.replayed);
    }

    #[tokio::test]
    async fn where_addresses_are_confirmed_only_the_mailbox_learns_whether_there_was_an_account() {
        let world = World::with(AuthSettings { verify_email: true, ..AuthSettings::default() });
        let first =
            world.bus.dispatch(&world.cx(Actor::Anonymous), register("ann@example.org")).await.unwrap();
        let second =
            world.bus.dispatch(&world.cx(Actor::Anonymous), register("ann@example.org")).await.unwrap();
        assert_eq!(
            (first.outcome, &first.body, first.version),
            (second.outcome, &second.body, second.version)
        );
        assert_eq!((first.outcome, first.body.len()), (Outcome::Accepted, 0));
        let subjects: Vec<_> = world.mails(2).await.into_iter().map(|mail| mail.subject).collect();
        assert_eq!(subjects, ["Confirm your e-mail address", "You already have an account"]);
    }
}
