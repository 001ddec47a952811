//! `POST /v1/notifications`: an administrator or another application tells somebody something. What reactors tell of
//! goes the same way, many at a time.
//! Records `notification.created`; public as `notification-created.v1`; shown by `inbox`.
//!
//! Preferences are about what Parlor tells of by itself: what an application says is always kept.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{
    Actor, Command, CommandHandler, Context, Decision, Executor, Failure, Personal, Plain, Reply,
};
use cqrs_http::{Answer, Edge, Input};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::notification::{CATEGORY, Notification, NotificationEvent, Notifications, Origin};
use crate::values::{Body, Kind, Link, Title};

/// Tells somebody something.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateNotification {
    /// Who is told.
    pub user_id: Uuid,
    /// What it is about, in a word.
    pub kind: Kind,
    /// In a few words.
    pub title: Title,
    /// In more words.
    pub body: Body,
    /// Where it leads.
    #[serde(default)]
    pub link: Option<Link>,
}

/// Names the notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NotificationMade {
    /// Its id.
    pub id: Uuid,
}

impl Command for CreateNotification {
    const NAME: &'static str = "notification.create-notification";
}

/// Tells several people something; of those whose ids are there already nothing is said again.
#[derive(Debug, Clone)]
pub struct CreateNotifications(pub Vec<NewNotification>);

impl Command for CreateNotifications {
    const NAME: &'static str = "notification.create-notifications";
}

/// A notification before it is there.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// Its id.
    pub id: Uuid,
    /// Who is told.
    pub user: Uuid,
    /// Whom its words are about: the author of a message, otherwise who is told.
    pub about: Uuid,
    /// What it is about.
    pub kind: String,
    /// In a few words.
    pub title: Title,
    /// In more words.
    pub body: Body,
    /// Where it leads.
    pub link: Option<Link>,
    /// Where it comes from.
    pub origin: Origin,
}

impl NewNotification {
    fn row(&self) -> Notification {
        let Origin { conversation, position, .. } = self.origin;
        Notification { id: self.id, user: self.user, conversation, position, read: false }
    }

    fn event(&self) -> NotificationEvent {
        NotificationEvent::Created {
            user: self.user,
            kind: Plain(self.kind.clone()),
            title: Personal::new(self.about, self.title.clone().into()),
            body: Personal::new(self.about, self.body.clone().into()),
            link: self.link.clone().map(|link| Personal::new(self.about, link.into())),
            origin: self.origin,
        }
    }
}

/// Creates notifications, one or many.
#[derive(Clone)]
pub struct CreateNotificationHandler {
    executor: Executor,
    notifications: Notifications,
}

impl CreateNotificationHandler {
    /// Commits with `executor` what `notifications` stores.
    pub fn new(executor: &Executor, notifications: &Notifications) -> Self {
        Self { executor: executor.clone(), notifications: notifications.clone() }
    }

    fn add<T: 'static>(&self, decision: Decision<T>, new: &NewNotification) -> Decision<T> {
        let row = self.notifications.write(&new.row(), 0);
        decision.row(row).record_beside_row(CATEGORY, new.id, 0, new.event())
    }
}

#[async_trait]
impl CommandHandler<CreateNotification> for CreateNotificationHandler {
    async fn handle(&self, cx: &Context, command: CreateNotification) -> Result<Reply, Failure> {
        if cx.actor != Actor::System && !cx.has_role("admin") && !cx.has_role("service") {
            return Err(Failure::forbidden(
                "only administrators and applications with a service key notify others",
            ));
        }
        let id = cx.fresh_id(1);
        let new = NewNotification {
            id,
            user: command.user_id,
            about: command.user_id,
            kind: command.kind.into(),
            title: command.title,
            body: command.body,
            link: command.link,
            origin: Origin { actor: cx.actor.user(), ..Origin::default() },
        };
        let decision = Decision::answering(move |_| NotificationMade { id }).created();
        // A fresh id has no rival.
        self.executor.run_prepared(cx, self.add(decision, &new)).await?.ok_or(Failure::Contended)
    }
}

/// How often a race is looked at again.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<CreateNotifications> for CreateNotificationHandler {
    async fn handle(&self, cx: &Context, command: CreateNotifications) -> Result<Reply, Failure> {
        if cx.actor != Actor::System {
            return Err(Failure::forbidden("this command is the application's own"));
        }
        let mut new = command.0;
        for _ in 0..TRIES {
            let decision = new.iter().fold(Decision::done(), |decision, new| self.add(decision, new));
            if let Some(reply) = self.executor.run_prepared(cx, decision).await? {
                return Ok(reply);
            }
            // Some are there already: the event that set this off was handled before, at least in part.
            let mut missing = Vec::new();
            for new in new {
                if self.notifications.load(new.id).await?.is_none() {
                    missing.push(new);
                }
            }
            new = missing;
        }
        Err(Failure::Contended)
    }
}

/// Tells somebody something, for another application or by hand.
#[utoipa::path(
    post, path = "/v1/notifications", tag = "notifications",
    request_body = CreateNotification,
    responses(
        (status = 201, description = "They are told.", body = NotificationMade),
        (status = 403, description = "The caller is neither administrator nor application."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn create_notification(
    Routed(edge): Routed<Edge>,
    input: Input<CreateNotification>,
) -> Answer {
    edge.command(input.cx, input.body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Outcome;

    use crate::testing::{ANN, BOB, World};

    fn command(json: &str) -> Result<CreateNotification, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn shipped() -> CreateNotification {
        let json = format!(
            r#"{{"userId":"{ANN}","kind":"order-shipped","title":"It's on its way","body":"No. 42","link":"/orders/42"}}"#
        );
        command(&json).expect("sound")
    }

    #[tokio::test]
    async fn an_application_tells_somebody_something_even_if_muted() {
        let world = World::new().await;
        world.prefer(ANN, r#"{"muteUntil":"2999-01-01T00:00:00Z"}"#).await;
        let mut cx = World::cx(Actor::Service(BOB));
        cx.roles = vec!["service".to_owned()];
        let reply = world.send(&cx, shipped()).await.expect("told");
        assert_eq!(reply.outcome, Outcome::Created);
        let made: NotificationMade = reply.parse().expect("names it");
        let shown = world.page(ANN, true, 10).await.items.remove(0);
        assert_eq!((shown.id, shown.kind.as_str()), (made.id, "order-shipped"));
        assert_eq!(shown.link.as_deref(), Some("/orders/42"));
    }

    #[tokio::test]
    async fn a_user_without_a_role_tells_nobody_anything() {
        let world = World::new().await;
        let cx = World::cx(Actor::User(BOB));
        for failure in
            [world.send(&cx, shipped()).await, world.send(&cx, CreateNotifications(Vec::new())).await]
        {
            assert!(matches!(failure, Err(Failure::Refused(refused)) if refused.code == "forbidden"));
        }
        assert!(world.inbox(ANN).await.is_empty());
    }

    #[tokio::test]
    async fn what_it_says_lies_sealed_in_the_log_and_not_beside_it() {
        let world = World::new().await;
        world.send(&World::cx(Actor::System), shipped()).await.expect("told");
        let dir = world.store.dir().expect("on SQLite");
        for file in ["log.db", "log.db-wal"] {
            let bytes = std::fs::read(dir.join(file)).unwrap_or_default();
            assert!(
                !bytes.windows(11).any(|window| window == b"on its way\"" || window == b"s on its wa"),
                "{file}"
            );
        }
    }

    #[test]
    fn unknown_fields_and_bad_values_are_refused() {
        let with = |more: &str| format!(r#"{{"userId":"{ANN}","kind":"k","title":"t","body":"b"{more}}}"#);
        assert!(command(&with("")).is_ok());
        for more in [r#","id":1"#, r#","link":"javascript:alert(1)""#] {
            assert!(command(&with(more)).is_err(), "{more}");
        }
    }
}
