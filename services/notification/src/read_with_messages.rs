//! Notifications of messages are read with the messages: a command of the reactor's, without a route.
//! Records `notification.read`; public as `notification-read.v1`; shown by `inbox`.

use async_trait::async_trait;
use cqrs_core::{Actor, Command, CommandHandler, Context, Decision, Executor, Failure, Reply};
use uuid::Uuid;

use crate::mark_as_read::mark;
use crate::notification::Notifications;

/// Marks as read what `user` was told of `conversation` up to a place in chat's log.
#[derive(Debug, Clone, Copy)]
pub struct ReadWithMessages {
    /// Whose notifications.
    pub user: Uuid,
    /// Of which conversation.
    pub conversation: Uuid,
    /// Up to where.
    pub position: u64,
}

impl Command for ReadWithMessages {
    const NAME: &'static str = "notification.read-with-messages";
}

/// Carries [`ReadWithMessages`] out.
pub struct ReadWithMessagesHandler {
    /// Commits.
    pub executor: Executor,
    /// What is stored.
    pub notifications: Notifications,
}

/// How many are marked in one commit.
const TOGETHER: u32 = 200;
/// How often in a row a race may be lost.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<ReadWithMessages> for ReadWithMessagesHandler {
    async fn handle(&self, cx: &Context, command: ReadWithMessages) -> Result<Reply, Failure> {
        if cx.actor != Actor::System {
            return Err(Failure::forbidden("this command is the application's own"));
        }
        let ReadWithMessages { user, conversation, position } = command;
        let mut lost = 0;
        while lost < TRIES {
            let unread =
                self.notifications.unread_of_conversation(user, conversation, position, TOGETHER).await?;
            let more = unread.len() == TOGETHER as usize;
            let mut decision = Decision::done();
            for notification in unread {
                // Its version comes with a second look; whatever happened since the first shows there.
                if let Some((version, notification)) = self.notifications.load(notification.id).await?
                    && !notification.read
                {
                    decision = mark(decision, &self.notifications, version, &notification);
                }
            }
            match self.executor.run_prepared(cx, decision).await? {
                Some(_) if more => lost = 0,
                Some(reply) => return Ok(reply),
                None => lost += 1,
            }
        }
        Err(Failure::Contended)
    }
}
