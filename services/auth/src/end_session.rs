//! `DELETE /v1/auth/sessions/{id}`: somebody ends one of their own sessions, from another.
//! Records `account.session-ended`; public as `user-logged-out.v1`.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Reads, Refusal, RefusalKind, Reply, State,
};
use uuid::Uuid;

use crate::account::{Account, AccountEvent, EndReason};
use crate::service::Auth;

/// Ends a session.
#[derive(Debug, Clone, Copy)]
pub struct EndSession {
    /// Which.
    pub session: Uuid,
}

/// The caller has no such session, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such session")]
pub struct UnknownSession;

impl Refusal for UnknownSession {
    fn code(&self) -> &'static str {
        "not-found"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }
    /// A repeat finds the session gone because the first one ended it.
    fn permits_replay(&self) -> bool {
        true
    }
}

impl Command for EndSession {
    const NAME: &'static str = "auth.end-session";
}

impl Decide for EndSession {
    /// The session that ended.
    type Answer = Vec<Uuid>;
    type Refusal = UnknownSession;

    fn reads(&self, cx: &Context) -> Reads {
        cx.actor.user().map_or_else(Reads::none, Reads::of::<Account>)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, UnknownSession> {
        let user = cx.actor.user().ok_or(UnknownSession)?;
        let account: &Account = state.get(user);
        if !account.sessions.contains_key(&self.session) {
            return Err(UnknownSession);
        }
        let ended = AccountEvent::SessionEnded { session: self.session, reason: EndReason::EndedByOwner };
        Ok(Decision::already(vec![self.session]).record::<Account>(user, ended))
    }
}

#[async_trait]
impl CommandHandler<EndSession> for Auth {
    async fn handle(&self, cx: &Context, command: EndSession) -> Result<Reply, Failure> {
        let reply = self.executor.run(cx, &command).await?;
        self.ended(cx, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSWORD, World, code};

    #[tokio::test]
    async fn one_ends_ones_own_sessions_and_nobody_elses() {
        let world = World::new();
        world.register("ann@example.org").await;
        world.register("bob@example.org").await;
        let here = world.login("ann@example.org", PASSWORD).await.unwrap();
        let there = world.login("ann@example.org", PASSWORD).await.unwrap();
        let bob = world.login("bob@example.org", PASSWORD).await.unwrap();
        let end = |session| EndSession { session };
        assert_eq!(code(world.bus.dispatch(&world.signed_in(&here), end(bob.session_id)).await), "not-found");
        world.bus.dispatch(&world.signed_in(&here), end(there.session_id)).await.unwrap();
        assert_eq!((world.holds(&here), world.holds(&there), world.holds(&bob)), (true, false, true));
        assert_eq!(
            code(world.bus.dispatch(&world.signed_in(&here), end(there.session_id)).await),
            "not-found"
        );
    }
}
