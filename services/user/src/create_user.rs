//! `POST /v1/users`: an administrator or another application makes a user.
//! Records `user.created`; public as `user-created.v1`; shown by `users`.
//!
//! A user made here has no password: another application signs them in (`POST /v1/auth/tokens`). The e-mail says where
//! to reach them. It isn't unique and proves nothing: what signs in and must be unique are auth's addresses.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Executor, Failure, Personal, Reads, Refusal,
    RefusalKind, Reply, State,
};
use cqrs_http::{Answer, Edge, Input};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access;
use crate::user::{Standing, User, UserEvent, about};
use crate::values::{AvatarUrl, Bio, DisplayName, EmailAddress, ExternalId};

/// The set in which external ids are unique.
pub const EXTERNAL_IDS: &str = "user-external-id";

/// Makes a user. The same `externalId` again is the same user: the answer names them and nothing is changed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateUser {
    /// What they are called.
    pub display_name: DisplayName,
    /// Where to reach them.
    #[serde(default)]
    pub email: Option<EmailAddress>,
    /// What the calling application calls them; unique.
    #[serde(default)]
    pub external_id: Option<ExternalId>,
    /// What they say of themselves.
    #[serde(default)]
    pub bio: Option<Bio>,
    /// Where their picture is.
    #[serde(default)]
    pub avatar_url: Option<AvatarUrl>,
    /// Their id, where an account has one already; clients can't choose it.
    #[serde(skip)]
    pub id: Option<Uuid>,
}

/// Names the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserMade {
    /// Their id.
    pub id: Uuid,
}

/// Why nobody was made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum CreateUserRefusal {
    /// Neither administrator nor application.
    #[error("only administrators and applications with a service key make users")]
    NotAllowed,
    /// Somebody else was given this external id in between.
    #[error("this external id belongs to another user")]
    ExternalIdTaken,
}

impl Refusal for CreateUserRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "forbidden",
            Self::ExternalIdTaken => "external-id-taken",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAllowed => RefusalKind::Forbidden,
            Self::ExternalIdTaken => RefusalKind::Conflict,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        matches!(self, Self::ExternalIdTaken).then_some("/externalId")
    }
}

impl Command for CreateUser {
    const NAME: &'static str = "user.create-user";
}

/// The command once it's known whose the external id is.
#[derive(Debug)]
pub(crate) struct CreateUserAs {
    command: CreateUser,
    id: Uuid,
}

impl Decide for CreateUserAs {
    type Answer = UserMade;
    type Refusal = CreateUserRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<User>(self.id)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<UserMade>, CreateUserRefusal> {
        if !access::makes_users(cx) {
            return Err(CreateUserRefusal::NotAllowed);
        }
        let (id, command) = (self.id, &self.command);
        if state.get::<User>(id).standing != Standing::Unknown {
            return Ok(Decision::already(UserMade { id }));
        }
        let created = UserEvent::Created {
            display_name: Personal::new(id, command.display_name.as_str().to_owned()),
            email: about(id, command.email.clone()),
            external_id: about(id, command.external_id.clone()),
            bio: about(id, command.bio.clone()),
            avatar_url: about(id, command.avatar_url.clone()),
        };
        let decision = Decision::answering(move |_| UserMade { id }).record::<User>(id, created).created();
        Ok(match &command.external_id {
            Some(external_id) => decision.claim(EXTERNAL_IDS, external_id.as_str(), id),
            None => decision,
        })
    }

    fn claim_taken(&self, _: &'static str) -> Option<CreateUserRefusal> {
        Some(CreateUserRefusal::ExternalIdTaken)
    }
}

/// Looks up whose an external id is, then decides.
pub struct CreateUserHandler(Executor);

/// How often a race for one external id is looked at again.
const TRIES: u32 = 3;

impl CreateUserHandler {
    /// Decides with `executor`.
    pub fn new(executor: &Executor) -> Self {
        Self(executor.clone())
    }

    async fn holder(&self, command: &CreateUser) -> Result<Option<Uuid>, Failure> {
        match &command.external_id {
            Some(external_id) => self.0.claim_owner(EXTERNAL_IDS, external_id.as_str()).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl CommandHandler<CreateUser> for CreateUserHandler {
    async fn handle(&self, cx: &Context, command: CreateUser) -> Result<Reply, Failure> {
        let mut tries = 0;
        loop {
            // Whose an external id is, is nothing to tell those who may not make users: the decision refuses them.
            let holder = if access::makes_users(cx) { self.holder(&command).await? } else { None };
            let id = holder.or(command.id).unwrap_or_else(|| cx.fresh_id(1));
            let prepared = CreateUserAs { command: command.clone(), id };
            tries += 1;
            match self.0.run(cx, &prepared).await {
                // Somebody was faster: now there is a holder, and the answer names them.
                Err(Failure::Refused(refused)) if refused.code == "external-id-taken" && tries < TRIES => {}
                result => return result,
            }
        }
    }
}

/// Makes a user for another application, or by hand.
///
/// The same `externalId` again is the same user: 200 with their id, and nothing is changed.
#[utoipa::path(
    post, path = "/v1/users", tag = "users",
    request_body = CreateUser,
    responses(
        (status = 201, description = "Made.", body = UserMade),
        (status = 200, description = "There already: the user with this `externalId`.", body = UserMade),
        (status = 403, description = "The caller is neither administrator nor application."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn create_user(Routed(edge): Routed<Edge>, input: Input<CreateUser>) -> Answer {
    edge.command(input.cx, input.body).await
}

#[cfg(test)]
pub(crate) mod examples {
    //! For the tests of other files.
    use super::*;

    /// The command that makes the profile of an account.
    pub(crate) fn of_account(id: Uuid, name: &str) -> CreateUserAs {
        let command = CreateUser {
            display_name: DisplayName::parse(name).expect("a name"),
            email: None,
            external_id: None,
            bio: None,
            avatar_url: None,
            id: Some(id),
        };
        CreateUserAs { command, id }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::of_account;
    use super::*;
    use std::sync::Arc;

    use cqrs_core::testing::{TestClock, context, given, given_nothing, instance_key, keyring};
    use cqrs_core::{Actor, ExecutorOptions, MemoryLog, Outcome};

    use crate::user::examples::{ANN, BOB, created};

    fn handler() -> (Executor, CreateUserHandler) {
        let log = Arc::new(MemoryLog::new("user"));
        let clock = Arc::new(TestClock::default());
        let executor = Executor::new(log, keyring(), instance_key(), clock, &ExecutorOptions::default());
        let handler = CreateUserHandler::new(&executor);
        (executor, handler)
    }

    /// An application asks, with a seed for ids of its own.
    fn application(seed: u128) -> Context {
        let mut cx = context(Actor::Service(Uuid::from_u128(0x5)));
        cx.roles = vec![access::SERVICE.to_owned()];
        cx.seed = Uuid::from_u128(seed << 64);
        cx
    }

    fn known_as(external_id: &str) -> CreateUser {
        serde_json::from_value(serde_json::json!({ "displayName": "Ann", "externalId": external_id }))
            .expect("sound")
    }

    #[test]
    fn a_signed_in_user_without_a_role_makes_nobody() {
        given_nothing()
            .when(Actor::User(BOB), &of_account(ANN, "Ann"))
            .refused(CreateUserRefusal::NotAllowed);
    }

    #[test]
    fn the_application_makes_the_profile_of_an_account_once() {
        let then = given_nothing().when(Actor::System, &of_account(ANN, "Ann"));
        assert_eq!(then.answer(), UserMade { id: ANN });
        then.records::<User>(ANN, [created(ANN, "Ann")]);
        given::<User>(ANN, [created(ANN, "Ann")]).when(Actor::System, &of_account(ANN, "Other")).is_already();
    }

    #[tokio::test]
    async fn the_same_external_id_is_the_same_user() {
        let (_, handler) = handler();
        let first = handler.handle(&application(1), known_as("crm-1")).await.expect("made");
        let again = handler.handle(&application(2), known_as("crm-1")).await.expect("found");
        let other = handler.handle(&application(3), known_as("crm-2")).await.expect("made");
        assert_eq!(first.outcome, Outcome::Created);
        assert_eq!(again.outcome, Outcome::Done);
        assert_eq!(first.body, again.body);
        assert_ne!(first.body, other.body);
    }

    #[tokio::test]
    async fn racing_creations_of_one_external_id_make_one_user() {
        let (executor, handler) = handler();
        let contexts: Vec<_> = (1..=50).map(application).collect();
        let racing = contexts.iter().map(|cx| handler.handle(cx, known_as("crm-1")));
        let replies = futures::future::try_join_all(racing).await.expect("all are answered");
        assert!(replies.iter().all(|reply| reply.body == replies[0].body));
        assert_eq!(replies.iter().filter(|reply| reply.outcome == Outcome::Created).count(), 1);
        assert_eq!(executor.log().count_streams("user").await.expect("in memory"), 1);
    }

    #[tokio::test]
    async fn whose_an_external_id_is_is_not_told_to_users() {
        let (_, handler) = handler();
        handler.handle(&application(1), known_as("crm-1")).await.expect("made");
        let failure = handler.handle(&context(Actor::User(BOB)), known_as("crm-1")).await;
        assert!(matches!(failure, Err(Failure::Refused(refused)) if refused.code == "forbidden"));
    }

    #[test]
    fn a_client_chooses_neither_the_id_nor_an_unknown_field() {
        for json in [
            r#"{"displayName":"A","id":"00000000-0000-0000-0000-000000000001"}"#,
            r#"{"displayName":"A","x":1}"#,
        ] {
            assert!(serde_json::from_str::<CreateUser>(json).is_err(), "{json}");
        }
    }
}
