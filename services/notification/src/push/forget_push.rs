//! The reactor `forget-push`: a browser isn't pushed to any more when the session ends in which it was subscribed.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{
    Actor, Clock, Command, CommandBus, CommandHandler, Context, Decision, Executor, Failure, Incoming,
    Reactor, Reply,
};
use parlor_contracts::auth::AuthEvent;
use uuid::Uuid;

use super::subscription::PushSubscriptions;
use crate::notify_of_chat::context_of;

/// Has nothing more pushed to the browsers of a session.
#[derive(Debug, Clone, Copy)]
pub struct ForgetPush {
    /// The session that ended.
    pub session: Uuid,
}

impl Command for ForgetPush {
    const NAME: &'static str = "notification.forget-push";
}

/// Carries [`ForgetPush`] out.
pub struct ForgetPushHandler {
    /// Commits.
    pub executor: Executor,
    /// Who is pushed to.
    pub subscriptions: PushSubscriptions,
}

#[async_trait]
impl CommandHandler<ForgetPush> for ForgetPushHandler {
    async fn handle(&self, cx: &Context, ForgetPush { session }: ForgetPush) -> Result<Reply, Failure> {
        if cx.actor != Actor::System {
            return Err(Failure::forbidden("this command is the application's own"));
        }
        let ended = self.subscriptions.of_session(session).await?;
        let removing = |decision: Decision<()>, id| decision.row(self.subscriptions.removal(id));
        let decision = ended.iter().map(|ended| ended.id).fold(Decision::done(), removing);
        self.executor.run_prepared(cx, decision).await?.ok_or(Failure::Contended)
    }
}

/// Follows auth's public events.
pub struct ForgetPushReactor {
    commands: CommandBus,
    clock: Arc<dyn Clock>,
}

impl ForgetPushReactor {
    /// Sends its commands to `commands`.
    pub fn new(commands: CommandBus, clock: Arc<dyn Clock>) -> Self {
        Self { commands, clock }
    }
}

#[async_trait]
impl Reactor for ForgetPushReactor {
    fn name(&self) -> &'static str {
        "forget-push"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["auth.public"]
    }

    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let AuthEvent::UserLoggedOut { session_id, .. } = event.decode()? else { return Ok(()) };
        let cx = context_of(event, &*self.clock);
        self.commands.dispatch(&cx, ForgetPush { session: session_id }).await.map(drop)
    }
}
