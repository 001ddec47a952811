//! The reactor `notify-of-sign-ins`: tells people that somebody signed in as them with a device never used before.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{Clock, CommandBus, Failure, Incoming, Personal, Reactor};
use cqrs_sql::SqlWriteRepository;
use parlor_contracts::auth::AuthEvent;

use crate::create_notification::{CreateNotifications, NewNotification};
use crate::notification::Origin;
use crate::notify_of_chat::{context_of, notification_id};
use crate::preferences::{Occasion, Preferences, StoredPreferences};
use crate::values::{Body, Title};

/// Follows auth's public events.
pub struct NotifyOfSignIns {
    preferences: SqlWriteRepository<StoredPreferences>,
    commands: CommandBus,
    clock: Arc<dyn Clock>,
}

impl NotifyOfSignIns {
    /// Looks up what people want in `preferences` and sends its commands to `commands`.
    pub fn new(
        preferences: SqlWriteRepository<StoredPreferences>,
        commands: CommandBus,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { preferences, commands, clock }
    }
}

#[async_trait]
impl Reactor for NotifyOfSignIns {
    fn name(&self) -> &'static str {
        "notify-of-sign-ins"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["auth.public"]
    }

    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let AuthEvent::UserLoggedIn { user_id: user, device, new_device: true, .. } = event.decode()? else {
            return Ok(());
        };
        let stored = self.preferences.load(user).await?;
        let preferences = stored.map_or_else(Preferences::default, |(_, stored)| stored.preferences);
        if !preferences.want(Occasion::NewSignIn, event.meta.at) {
            return Ok(());
        }
        let device = device.and_then(Personal::into_inner).unwrap_or_else(|| "an unnamed device".to_owned());
        let new = NewNotification {
            id: notification_id(event.meta.id, user),
            user,
            about: user,
            kind: "new-sign-in".to_owned(),
            title: Title::nearest("New sign-in", "New sign-in"),
            body: Body::excerpt(&format!("Somebody signed in to your account with {device}")),
            link: None,
            origin: Origin::default(),
        };
        let cx = context_of(event, &*self.clock);
        self.commands.dispatch(&cx, CreateNotifications(vec![new])).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    use crate::testing::{ANN, World};

    fn signed_in(new_device: bool) -> AuthEvent {
        AuthEvent::UserLoggedIn {
            user_id: ANN,
            session_id: Uuid::from_u128(1),
            device: Some(Personal::new(ANN, "Ann's phone".to_owned())),
            new_device,
        }
    }

    #[tokio::test]
    async fn a_sign_in_is_told_of_if_the_device_is_new() {
        let world = World::new().await;
        world.auth_says(&signed_in(false)).await;
        assert!(world.inbox(ANN).await.is_empty());
        world.auth_says(&signed_in(true)).await;
        let shown = world.page(ANN, true, 10).await.items.remove(0);
        assert_eq!(shown.kind, "new-sign-in");
        assert!(shown.body.contains("Ann's phone"), "{}", shown.body);
    }

    #[tokio::test]
    async fn who_does_not_want_to_know_is_not_told() {
        let world = World::new().await;
        world.prefer(ANN, r#"{"kinds":{"newSignIn":"none"}}"#).await;
        world.auth_says(&signed_in(true)).await;
        assert!(world.inbox(ANN).await.is_empty());
    }
}
