//! `PUT /v1/notifications/preferences`: somebody says what they want to be told of, and when not.
//! Records `notification-preferences.updated`; public as `notification-preferences-updated.v1`; shown by `preferences`,
//! and relied on by the reactors.

use async_trait::async_trait;
use axum::extract::State as Routed;
use cqrs_core::{Command, CommandHandler, Context, Decision, Executor, Failure, FieldError, Personal, Reply};
use cqrs_http::{Answer, Edge, Input};
use cqrs_sql::SqlWriteRepository;

use crate::preferences::{CATEGORY, Preferences, PreferencesEvent, StoredPreferences};

/// The most conversations with a level of their own.
pub const MAX_CONVERSATIONS: usize = 1_000;

/// Sets all of the caller's preferences: what is left out is as it was at first.
#[derive(Debug, Clone)]
pub struct UpdateNotificationPreferences(pub Preferences);

impl Command for UpdateNotificationPreferences {
    const NAME: &'static str = "notification.update-notification-preferences";

    fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.0.conversations.len() > MAX_CONVERSATIONS {
            let detail = format!("at most {MAX_CONVERSATIONS} conversations have a level of their own");
            errors.push(FieldError::new("/conversations", detail));
        }
        if let Some(hours) = &self.0.quiet_hours {
            if hours.zone().is_none() {
                let detail = "is no zone of the IANA time zone database, as Europe/Berlin is";
                errors.push(FieldError::new("/quietHours/timeZone", detail));
            }
            if hours.from == hours.to {
                errors.push(FieldError::new("/quietHours/to", "must be another time than from"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Carries [`UpdateNotificationPreferences`] out.
pub struct UpdatePreferencesHandler {
    /// Commits.
    pub executor: Executor,
    /// What is stored.
    pub preferences: SqlWriteRepository<StoredPreferences>,
}

/// How often a race is looked at again.
const TRIES: u32 = 5;

#[async_trait]
impl CommandHandler<UpdateNotificationPreferences> for UpdatePreferencesHandler {
    async fn handle(&self, cx: &Context, command: UpdateNotificationPreferences) -> Result<Reply, Failure> {
        let user = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have preferences"))?;
        let new = StoredPreferences { user, preferences: command.0 };
        for _ in 0..TRIES {
            let (version, old) = match self.preferences.load(user).await? {
                Some((version, old)) => (version, old.preferences),
                None => (0, Preferences::default()),
            };
            if let Some(expected) = cx.if_match.filter(|expected| *expected != version) {
                // An earlier try of this very command may be what moved it.
                let mismatch = Failure::VersionMismatch { expected, current: version };
                return self.executor.refused(cx, mismatch).await;
            }
            let answer = new.preferences.clone();
            let decision = Decision::answering(move |_| answer.clone());
            let (decision, after) = if old == new.preferences {
                (decision, version)
            } else {
                let updated =
                    PreferencesEvent::Updated { preferences: Personal::new(user, new.preferences.clone()) };
                let row = self.preferences.write(&new, version);
                (decision.row(row).record_beside_row(CATEGORY, user, version, updated), version + 1)
            };
            if let Some(reply) = self.executor.run_prepared(cx, decision).await? {
                // A repeat of an earlier command says nothing of the present version.
                let version = if reply.replayed { reply.version } else { Some(after) };
                return Ok(Reply { version, ..reply });
            }
        }
        Err(Failure::Contended)
    }
}

/// Says what one wants to be told of, and when not.
///
/// All of it at once: what is left out is as it was at first. Groups start at `mentions`, everything else at `all`. While
/// muted and in quiet hours nobody is told of anything in conversations; a new sign-in is always told of, unless its
/// level is `none`.
#[utoipa::path(
    put, path = "/v1/notifications/preferences", tag = "notifications",
    request_body = Preferences,
    responses(
        (status = 200, description = "The preferences as they now are.", body = Preferences,
         headers(("ETag" = String, description = "Their new version, for `If-Match`."))),
        (status = 403, description = "The caller is no user."),
        (status = 412, description = "`If-Match` named another version."),
        (status = 422, description = "A value can't be."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn update_notification_preferences(
    Routed(edge): Routed<Edge>,
    input: Input<Preferences>,
) -> Answer {
    edge.command(input.cx, UpdateNotificationPreferences(input.body)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::{Actor, Clock as _, SystemClock};

    use crate::get_preferences::GetNotificationPreferences;
    use crate::preferences::Level;
    use crate::testing::{ANN, BOB, World};

    fn command(json: &str) -> UpdateNotificationPreferences {
        UpdateNotificationPreferences(serde_json::from_str(json).expect("sound"))
    }

    #[tokio::test]
    async fn what_is_chosen_is_shown_with_its_version_and_to_nobody_else() {
        let world = World::new().await;
        let cx = World::cx(Actor::User(ANN));
        let none_yet = world.ask(ANN, GetNotificationPreferences).await.expect("shown");
        assert_eq!((none_yet.version, none_yet.preferences.kinds.group), (0, Level::Mentions));
        let reply = world.send(&cx, command(r#"{"kinds":{"group":"none"}}"#)).await.expect("updated");
        assert_eq!(reply.version, Some(1));
        let again = world.send(&cx, command(r#"{"kinds":{"group":"none"}}"#)).await.expect("already");
        assert_eq!((again.version, again.position), (Some(1), reply.position));
        let shown = world.ask(ANN, GetNotificationPreferences).await.expect("shown");
        assert_eq!((shown.version, shown.preferences.kinds.group), (1, Level::None));
        assert_eq!(world.ask(BOB, GetNotificationPreferences).await.expect("shown").version, 0);
    }

    #[tokio::test]
    async fn a_stale_version_changes_nothing() {
        let world = World::new().await;
        world.prefer(ANN, r#"{"kinds":{"group":"none"}}"#).await;
        let mut cx = SystemClock.context(Actor::User(ANN));
        cx.if_match = Some(0);
        let failure = world.send(&cx, command("{}")).await;
        assert!(matches!(failure, Err(Failure::VersionMismatch { expected: 0, current: 1 })));
        let shown = world.ask(ANN, GetNotificationPreferences).await.expect("shown");
        assert_eq!(shown.preferences.kinds.group, Level::None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let wrong = |json: &str| command(json).validate().expect_err(json).remove(0).pointer;
        let hours = |from, to, zone| {
            format!(r#"{{"quietHours":{{"from":"{from}","to":"{to}","timeZone":"{zone}"}}}}"#)
        };
        assert_eq!(wrong(&hours("22:00", "07:00", "Mars/Olympus")), "/quietHours/timeZone");
        assert_eq!(wrong(&hours("22:00", "22:00", "Europe/Berlin")), "/quietHours/to");
        let many: Vec<_> =
            (0..1_001_u128).map(|n| format!(r#""{}":"all""#, uuid::Uuid::from_u128(n))).collect();
        assert_eq!(wrong(&format!(r#"{{"conversations":{{{}}}}}"#, many.join(","))), "/conversations");
        assert!(command(&hours("22:00", "07:00", "Asia/Kathmandu")).validate().is_ok());
    }
}
