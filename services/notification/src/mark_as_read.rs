//! `PUT /v1/notifications/{id}/read`: somebody has read a notification.
//! Records `notification.read`; public as `notification-read.v1`; shown by `inbox`.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Decision, Executor, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use crate::notification::{CATEGORY, Notification, NotificationEvent, Notifications};

/// Marks one of the caller's notifications as read; it may be already.
#[derive(Debug, Clone, Copy)]
pub struct MarkNotificationAsRead {
    /// Which.
    pub notification: Uuid,
}

impl Command for MarkNotificationAsRead {
    const NAME: &'static str = "notification.mark-notification-as-read";
}

/// Carries [`MarkNotificationAsRead`] out.
#[derive(Clone)]
pub struct MarkAsReadHandler {
    executor: Executor,
    notifications: Notifications,
}

impl MarkAsReadHandler {
    /// Commits with `executor` what `notifications` stores.
    pub fn new(executor: &Executor, notifications: &Notifications) -> Self {
        Self { executor: executor.clone(), notifications: notifications.clone() }
    }
}

/// A decision that marks `notification`, which is at `version`, besides what it decided so far.
pub(crate) fn mark(
    decision: Decision<()>,
    notifications: &Notifications,
    version: u64,
    notification: &Notification,
) -> Decision<()> {
    let (id, user) = (notification.id, notification.user);
    let row = notifications.write(&Notification { read: true, ..notification.clone() }, version);
    decision.row(row).record_beside_row(CATEGORY, id, version, NotificationEvent::Read { user })
}

/// How often a race is looked at again.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<MarkNotificationAsRead> for MarkAsReadHandler {
    async fn handle(&self, cx: &Context, command: MarkNotificationAsRead) -> Result<Reply, Failure> {
        for _ in 0..TRIES {
            let found = self.notifications.load(command.notification).await?;
            let (version, notification) = found
                .filter(|(_, notification)| cx.actor.user() == Some(notification.user))
                .ok_or_else(|| Failure::not_found("there is no such notification"))?;
            let decision = if notification.read {
                Decision::done()
            } else {
                mark(Decision::done(), &self.notifications, version, &notification)
            };
            if let Some(reply) = self.executor.run_prepared(cx, decision).await? {
                return Ok(reply);
            }
        }
        Err(Failure::Contended)
    }
}

/// Marks one of one's notifications as read.
#[utoipa::path(
    put, path = "/v1/notifications/{id}/read", tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification.")),
    responses(
        (status = 204, description = "It is marked as read."),
        (status = 404, description = "The caller has no such notification."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn mark_notification_as_read(
    Routed(edge): Routed<Edge>,
    PathId(notification): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, MarkNotificationAsRead { notification }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use parlor_contracts::chat::ConversationKind::Direct;

    use crate::testing::{ANN, BOB, World, direct};

    #[tokio::test]
    async fn one_is_read_once_and_the_others_stay_unread() {
        let world = World::with_three_in(Direct).await;
        world.chat_says(&direct(1, ANN, "one")).await;
        world.chat_says(&direct(2, ANN, "two")).await;
        let newest = world.page(BOB, true, 10).await.items.remove(0);
        let cx = World::cx(Actor::User(BOB));
        let first =
            world.send(&cx, MarkNotificationAsRead { notification: newest.id }).await.expect("marked");
        let again =
            world.send(&cx, MarkNotificationAsRead { notification: newest.id }).await.expect("already");
        assert_eq!(first.position, again.position);
        assert_eq!(world.unread(BOB).await, 1);
        assert_eq!(world.page(BOB, true, 10).await.items[0].body, "one");
        let all = world.page(BOB, false, 10).await.items;
        assert_eq!(all.iter().map(|told| told.read).collect::<Vec<_>>(), [true, false]);
    }

    #[tokio::test]
    async fn somebody_elses_is_not_there() {
        let world = World::with_three_in(Direct).await;
        world.chat_says(&direct(1, ANN, "one")).await;
        let bobs = world.page(BOB, true, 10).await.items.remove(0).id;
        for (actor, notification) in
            [(Actor::User(ANN), bobs), (Actor::User(BOB), Uuid::nil()), (Actor::System, bobs)]
        {
            let failure = world.send(&World::cx(actor), MarkNotificationAsRead { notification }).await;
            assert!(
                matches!(failure, Err(Failure::Refused(refused)) if refused.code == "not-found"),
                "{actor:?}"
            );
        }
        assert_eq!(world.unread(BOB).await, 1);
    }
}
