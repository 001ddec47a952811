//! `POST /v1/auth/logout`: somebody signs out, here or everywhere.
//! Records `account.session-ended`; public as `user-logged-out.v1`.

use async_trait::async_trait;
use cqrs_core::{Command, CommandHandler, Context, Decide, Decision, Failure, Reads, Reply, State};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::{Account, AccountEvent, EndReason};
use crate::service::{Auth, NotAUser};

/// Signs out. Somebody who is signed out already stays so.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogoutUser {
    /// All sessions instead of this one.
    #[serde(default)]
    pub everywhere: bool,
}

impl Command for LogoutUser {
    const NAME: &'static str = "auth.logout-user";
}

impl Decide for LogoutUser {
    /// The sessions that ended.
    type Answer = Vec<Uuid>;
    type Refusal = NotAUser;

    fn reads(&self, cx: &Context) -> Reads {
        cx.actor.user().map_or_else(Reads::none, Reads::of::<Account>)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, NotAUser> {
        let (Some(user), Some(session)) = (cx.actor.user(), cx.session) else { return Err(NotAUser) };
        let account: &Account = state.get(user);
        let ended: Vec<Uuid> =
            account.sessions.keys().copied().filter(|live| self.everywhere || *live == session).collect();
        let events = ended.clone().into_iter();
        let events =
            events.map(|session| AccountEvent::SessionEnded { session, reason: EndReason::LoggedOut });
        Ok(events.fold(Decision::already(ended), |decision, event| decision.record::<Account>(user, event)))
    }
}

#[async_trait]
impl CommandHandler<LogoutUser> for Auth {
    async fn handle(&self, cx: &Context, command: LogoutUser) -> Result<Reply, Failure> {
        let reply = self.executor.run(cx, &command).await?;
        self.ended(cx, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSWORD, World, code, json};

    #[tokio::test]
    async fn security_17_signing_out_ends_this_session_at_once_and_no_other() {
        let world = World::new();
        world.register("ann@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let there = world.login("ann@example.org", PASSWORD).await.unwrap();
        let reply = world.bus.dispatch(&world.signed_in(&here), LogoutUser::default()).await.unwrap();
        assert!(reply.body.is_empty());
        assert!(!world.holds(&here));
        assert!(world.holds(&there));
        assert_eq!(code(world.refresh(&here.refresh_token).await), "invalid-refresh-token");
        assert!(world.refresh(&there.refresh_token).await.is_ok());
        assert!(
            world.bus.dispatch(&world.signed_in(&here), LogoutUser::default()).await.is_ok(),
            "again is the same"
        );
    }

    #[tokio::test]
    async fn security_17_signing_out_everywhere_ends_all_sessions_of_ones_own() {
        let world = World::new();
        world.register("ann@example.org").await;
        world.register("bob@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let there = world.login("ann@example.org", PASSWORD).await.unwrap();
        let bob = world.login("bob@example.org", PASSWORD).await.unwrap();
        let everywhere: LogoutUser = json(serde_json::json!({"everywhere": true}));
        world.bus.dispatch(&world.signed_in(&here), everywhere).await.unwrap();
        assert_eq!((world.holds(&here), world.holds(&there), world.holds(&bob)), (false, false, true));
    }
}
