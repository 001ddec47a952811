//! `POST /v1/notifications/read-all`: somebody has read all they were told so far.
//! Records `inbox.read`, one event however many there are; public as `notifications-read.v1`; shown by `inbox`.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Decision, Executor, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody};
use cqrs_sql::SqlWriteRepository;

use crate::notification::{INBOX, Inbox, InboxEvent};

/// Marks all of the caller's notifications as read.
#[derive(Debug, Clone, Copy)]
pub struct MarkAllNotificationsAsRead;

impl Command for MarkAllNotificationsAsRead {
    const NAME: &'static str = "notification.mark-all-notifications-as-read";
}

/// Carries [`MarkAllNotificationsAsRead`] out.
pub struct MarkAllAsReadHandler {
    /// Commits.
    pub executor: Executor,
    /// What is stored.
    pub inboxes: SqlWriteRepository<Inbox>,
}

/// How often a race is looked at again.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<MarkAllNotificationsAsRead> for MarkAllAsReadHandler {
    async fn handle(&self, cx: &Context, _: MarkAllNotificationsAsRead) -> Result<Reply, Failure> {
        let user = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have notifications"))?;
        for _ in 0..TRIES {
            let version = self.inboxes.load(user).await?.map_or(0, |(version, _)| version);
            let row = self.inboxes.write(&Inbox { user, read_before: cx.now }, version);
            let decision =
                Decision::done().row(row).record_beside_row(INBOX, user, version, InboxEvent::AllRead {});
            if let Some(reply) = self.executor.run_prepared(cx, decision).await? {
                return Ok(reply);
            }
        }
        Err(Failure::Contended)
    }
}

/// Marks all of one's notifications as read.
#[utoipa::path(
    post, path = "/v1/notifications/read-all", tag = "notifications",
    responses(
        (status = 204, description = "All there were are marked as read."),
        (status = 403, description = "The caller is no user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn mark_all_notifications_as_read(
    Routed(edge): Routed<Edge>,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, MarkAllNotificationsAsRead).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use parlor_contracts::chat::ConversationKind::Direct;

    use crate::testing::{ANN, BOB, World, direct};

    #[tokio::test]
    async fn all_there_were_are_read_and_what_comes_later_is_not() {
        let world = World::with_three_in(Direct).await;
        for id in 1..=5 {
            world.chat_says(&direct(id, ANN, "hello")).await;
        }
        world.chat_says(&direct(6, BOB, "hello yourself")).await;
        world.send(&World::cx(Actor::User(BOB)), MarkAllNotificationsAsRead).await.expect("marked");
        assert_eq!((world.unread(BOB).await, world.unread(ANN).await), (0, 1));
        world.chat_says(&direct(7, ANN, "hello again")).await;
        world.send(&World::cx(Actor::User(ANN)), MarkAllNotificationsAsRead).await.expect("marked");
        assert_eq!((world.unread(BOB).await, world.unread(ANN).await), (1, 0));
        assert_eq!(world.page(BOB, false, 10).await.items.len(), 6);
    }
}
