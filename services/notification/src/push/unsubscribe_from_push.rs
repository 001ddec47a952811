//! `DELETE /v1/notifications/push/subscriptions/{id}`: somebody has nothing more pushed to a browser.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Decision, Executor, Failure, Reply};
use cqrs_http::{Answer, Edge, Input, NoBody, PathId};
use uuid::Uuid;

use super::subscription::PushSubscriptions;

/// Has nothing more pushed to one of the caller's browsers.
#[derive(Debug, Clone, Copy)]
pub struct UnsubscribeFromPush(pub Uuid);

impl Command for UnsubscribeFromPush {
    const NAME: &'static str = "notification.unsubscribe-from-push";
}

/// Carries [`UnsubscribeFromPush`] out.
pub struct UnsubscribeFromPushHandler {
    /// Commits.
    pub executor: Executor,
    /// Who is pushed to.
    pub subscriptions: PushSubscriptions,
}

#[async_trait]
impl CommandHandler<UnsubscribeFromPush> for UnsubscribeFromPushHandler {
    async fn handle(&self, cx: &Context, command: UnsubscribeFromPush) -> Result<Reply, Failure> {
        let UnsubscribeFromPush(id) = command;
        let found = self.subscriptions.load(id).await?;
        let mine = found.filter(|(_, found)| cx.actor.user() == Some(found.user));
        if mine.is_none() {
            return Err(Failure::not_found("there is no such browser"));
        }
        let decision = Decision::done().row(self.subscriptions.removal(id));
        self.executor.run_prepared(cx, decision).await?.ok_or(Failure::Contended)
    }
}

/// Has nothing more pushed to a browser.
#[utoipa::path(
    delete, path = "/v1/notifications/push/subscriptions/{id}", tag = "notifications",
    params(("id" = Uuid, Path, description = "The browser, as subscribing named it.")),
    responses(
        (status = 204, description = "It isn't pushed to any more."),
        (status = 404, description = "The caller has no such browser."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn unsubscribe_from_push(
    Routed(edge): Routed<Edge>,
    PathId(id): PathId,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, UnsubscribeFromPush(id)).await
}
