//! `DELETE /v1/admin/auth/accounts/{id}/sessions/{session}`: an administrator ends one of somebody's sessions.
//! Records `account.session-ended`; public as `user-logged-out.v1`.

use async_trait::async_trait;
use cqrs_core::{
    Actor, Command, CommandHandler, Context, Decide, Decision, Failure, Reads, Refusal, RefusalKind, Reply,
    State,
};
use uuid::Uuid;

use crate::account::{Account, AccountEvent, EndReason};
use crate::service::Auth;
use crate::tokens::access::Role;

/// Ends a session of somebody's.
#[derive(Debug, Clone, Copy)]
pub struct EndSessionOf {
    /// Whose.
    pub user: Uuid,
    /// Which.
    pub session: Uuid,
}

/// Why an administrator ended no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndSessionRefusal {
    /// Not an administrator.
    #[error("only administrators end others' sessions")]
    NotAllowed,
    /// The account has no such session, or not any more.
    #[error("there is no such session")]
    UnknownSession,
}

impl Refusal for EndSessionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed => "forbidden",
            Self::UnknownSession => "not-found",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotAllowed => RefusalKind::Forbidden,
            Self::UnknownSession => RefusalKind::NotFound,
        }
    }
    /// A repeat finds the session gone because the first one ended it.
    fn permits_replay(&self) -> bool {
        *self == Self::UnknownSession
    }
}

impl Command for EndSessionOf {
    const NAME: &'static str = "auth.end-session-of";
}

impl Decide for EndSessionOf {
    /// The session that ended.
    type Answer = Vec<Uuid>;
    type Refusal = EndSessionRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, EndSessionRefusal> {
        if cx.actor != Actor::System && !cx.has_role(Role::Admin.as_str()) {
            return Err(EndSessionRefusal::NotAllowed);
        }
        let account: &Account = state.get(self.user);
        if !account.sessions.contains_key(&self.session) {
            return Err(EndSessionRefusal::UnknownSession);
        }
        let ended = AccountEvent::SessionEnded { session: self.session, reason: EndReason::EndedByAdmin };
        Ok(Decision::already(vec![self.session]).record::<Account>(self.user, ended))
    }
}

#[async_trait]
impl CommandHandler<EndSessionOf> for Auth {
    async fn handle(&self, cx: &Context, command: EndSessionOf) -> Result<Reply, Failure> {
        let reply = self.executor.run(cx, &command).await?;
        self.ended(cx, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSWORD, World, code};

    #[tokio::test]
    async fn an_administrator_ends_anybody_s_session_and_nobody_else_does() {
        let world = World::new();
        world.register("ann@example.org").await;
        world.register("bob@example.org").await;
        let ann = world.login("ann@example.org", PASSWORD).await.unwrap();
        let kept = world.login("ann@example.org", PASSWORD).await.unwrap();
        let bob = world.login("bob@example.org", PASSWORD).await.unwrap();
        let end = EndSessionOf { user: ann.user_id, session: ann.session_id };
        let mut cx = world.signed_in(&bob);
        assert_eq!(code(world.bus.dispatch(&cx, end).await), "forbidden");
        assert!(world.holds(&ann));
        cx.roles = vec![Role::Admin.as_str().to_owned()];
        world.bus.dispatch(&cx, end).await.unwrap();
        assert_eq!((world.holds(&ann), world.holds(&kept), world.holds(&bob)), (false, true, true));
        assert_eq!(code(world.bus.dispatch(&cx, end).await), "not-found");
    }
}
