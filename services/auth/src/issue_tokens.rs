//! `POST /v1/auth/tokens`: an application that has its own accounts signs one of them in, with its service key.
//! Begins a session ([`signing_in`](crate::signing_in)).

use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Command, CommandHandler, Context, Failure, Outcome, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::Account;
use crate::display_name::DisplayName;
use crate::service::{Auth, unkeyed};
use crate::signing_in::{Proof, StartSession};
use crate::tokens::access::Role;

/// How long a user who was made just now is waited for: the user service tells of them by an event.
const WAIT: Duration = Duration::from_secs(2);
/// How long between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Signs a user in. An idempotency key is ignored: a repeat is another session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssueTokens {
    /// Whom.
    pub user_id: Uuid,
    /// What to call the device in the list of sessions.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "shop")]
    pub device: Option<DisplayName>,
}

impl Command for IssueTokens {
    const NAME: &'static str = "auth.issue-tokens";
}

#[async_trait]
impl CommandHandler<IssueTokens> for Auth {
    async fn handle(&self, cx: &Context, command: IssueTokens) -> Result<Reply, Failure> {
        let cx = &unkeyed(cx);
        if !cx.has_role(Role::Service.as_str()) {
            return Err(Failure::forbidden("only an application with a service key signs others in"));
        }
        self.wait_for(command.user_id).await?;
        let start = StartSession {
            user: command.user_id,
            session: cx.fresh_id(0),
            device: command.device.map(String::from),
            // The application's address says nothing of where the user is.
            address: None,
            proof: Proof::Service,
            lifetime: self.settings.session_lifetime(),
        };
        let (reply, _) = self.start_session(cx, start).await?;
        Ok(Reply { outcome: Outcome::Created, ..reply })
    }
}

impl Auth {
    async fn wait_for(&self, user: Uuid) -> Result<(), Failure> {
        let look = async {
            while self.executor.state::<Account>(user).await?.0 == 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        // Whether they came in time or not, the decision has the last word.
        tokio::time::timeout(WAIT, look).await.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;

    use super::*;
    use crate::signing_in::SignedIn;
    use crate::testing::{ANN, World, code, json};
    use crate::user_events::{FollowUser, UserChange};

    fn issue() -> IssueTokens {
        json(serde_json::json!({"userId": ANN}))
    }

    fn service(world: &World) -> Context {
        Context { roles: vec!["service".to_owned()], ..world.cx(Actor::Service(Uuid::from_u128(9))) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_that_the_application_made_is_signed_in_also_right_after() {
        let world = World::new();
        let cx = service(&world);
        let admit = FollowUser { user: ANN, change: UserChange::Created };
        let system = world.cx(Actor::System);
        let (reply, admitted) = tokio::join!(world.bus.dispatch(&cx, issue()), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            world.bus.dispatch(&system, admit).await
        });
        admitted.unwrap();
        let reply = reply.unwrap();
        assert_eq!(reply.outcome, Outcome::Created);
        let tokens: SignedIn = reply.parse().unwrap();
        assert!(world.holds(&tokens));
        assert!(world.refresh(&tokens.refresh_token).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_unknown_is_not_found_after_a_wait() {
        let world = World::new();
        assert_eq!(code(world.bus.dispatch(&service(&world), issue()).await), "not-found");
    }

    #[tokio::test]
    async fn nobody_else_signs_others_in() {
        let world = World::new();
        for actor in [Actor::Anonymous, Actor::User(ANN)] {
            assert_eq!(code(world.bus.dispatch(&world.cx(actor), issue()).await), "forbidden");
        }
        let admin = Context { roles: vec!["admin".to_owned()], ..world.cx(Actor::User(ANN)) };
        assert_eq!(code(world.bus.dispatch(&admin, issue()).await), "forbidden");
    }
}
