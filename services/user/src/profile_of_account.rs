//! The reactor `profile-of-account`: an account makes a profile, through an event and not a call, so that whoever
//! registers while this service is down has a profile once it's up again.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{Actor, Clock, CommandBus, Context, Failure, Incoming, Reactor};
use parlor_contracts::auth::AuthEvent;

use crate::change_email::ChangeEmail;
use crate::create_user::CreateUser;
use crate::values::{DisplayName, EmailAddress};

/// Follows auth's public events.
pub struct ProfileOfAccount {
    commands: CommandBus,
    clock: Arc<dyn Clock>,
}

impl ProfileOfAccount {
    /// Sends its commands to `commands`.
    pub fn new(commands: CommandBus, clock: Arc<dyn Clock>) -> Self {
        Self { commands, clock }
    }

    fn context(&self, event: &Incoming<'_>) -> Context {
        let mut cx = self.clock.context(Actor::System);
        cx.causation = Some(event.meta.id);
        cx.correlation = event.meta.correlation;
        cx
    }
}

#[async_trait]
impl Reactor for ProfileOfAccount {
    fn name(&self) -> &'static str {
        "profile-of-account"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["auth.public"]
    }

    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        match event.decode()? {
            AuthEvent::UserRegistered { user_id, display_name, email } => {
                let command = CreateUser {
                    display_name: DisplayName::nearest(display_name.text()),
                    // Auth accepts addresses by a grammar of its own; one that couldn't be kept here is left out.
                    email: email.get().and_then(|email| EmailAddress::parse(email).ok()),
                    external_id: None,
                    bio: None,
                    avatar_url: None,
                    id: Some(user_id),
                };
                self.commands.dispatch(&self.context(event), command).await?;
            }
            AuthEvent::EmailChanged { user_id, email } => {
                // Erased since: there is nothing to take over.
                let Some(email) = email.into_inner() else { return Ok(()) };
                self.commands.dispatch(&self.context(event), ChangeEmail { user: user_id, email }).await?;
            }
            AuthEvent::UserLoggedIn { .. }
            | AuthEvent::UserLoggedOut { .. }
            | AuthEvent::PasswordResetRequested { .. }
            | AuthEvent::PasswordChanged { .. }
            | AuthEvent::SigningKeyAdded { .. }
            | AuthEvent::SigningKeyRetired { .. }
            | AuthEvent::ServiceKeyCreated { .. }
            | AuthEvent::ServiceKeyRevoked { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::{EventSource, Personal};
    use uuid::Uuid;

    use crate::testing::World;
    use crate::update_user_profile::UpdateUserProfile;
    use crate::user::examples::ANN;
    use crate::users::{GetUserById, GetUserProfile};

    fn registered(id: Uuid, name: &str) -> AuthEvent {
        AuthEvent::UserRegistered {
            user_id: id,
            display_name: Personal::new(id, name.to_owned()),
            email: Personal::new(id, "ann@example.org".to_owned()),
        }
    }

    #[tokio::test]
    async fn an_account_gets_one_profile_however_often_it_is_heard_of() {
        let world = World::new().await;
        let told = world.auth.tell(&registered(ANN, "Ann")).await.expect("told");
        world.react(&told).await;
        world.react(&told).await;
        let own =
            world.ask(&World::cx(Actor::User(ANN), &[]), GetUserProfile { user: None }).await.expect("there");
        assert_eq!((own.profile.display_name.as_str(), own.version), ("Ann", 1));
        assert_eq!(own.profile.email.as_deref(), Some("ann@example.org"));
    }

    #[tokio::test]
    async fn whoever_registered_is_shown_before_their_profile_is_made() {
        let world = World::new().await;
        let told = world.auth.tell(&registered(ANN, "Ann")).await.expect("told");
        let cx = World::cx(Actor::User(ANN), &[]);
        let early = world.ask(&cx, GetUserProfile { user: None }).await.expect("there already");
        assert_eq!((early.profile.display_name.as_str(), early.version), ("Ann", 0));
        world.react(&told).await;
        world.send_json::<UpdateUserProfile>(ANN, r#"{"displayName":"Anna"}"#).await;
        assert_eq!(world.ask(&cx, GetUserById { user: ANN }).await.expect("there").display_name, "Anna");
    }

    #[tokio::test]
    async fn the_view_is_the_same_whichever_log_it_hears_first() {
        let world = World::new().await;
        world.auth_says(&registered(ANN, "Ann")).await;
        world.send_json::<UpdateUserProfile>(ANN, r#"{"displayName":"Anna"}"#).await;
        let cx = World::cx(Actor::System, &[]);
        let live = world.ask(&cx, GetUserById { user: ANN }).await.expect("there");
        let store = &world.store.store;
        let auth: Arc<dyn EventSource> = world.auth.clone();
        for sources in [[store.source(), auth.clone()], [auth, store.source()]] {
            store.views.rebuild("users", &sources, store.executor.keyring(), |_| {}).await.expect("rebuilt");
            assert_eq!(world.ask(&cx, GetUserById { user: ANN }).await.expect("there"), live);
        }
    }

    #[tokio::test]
    async fn a_name_that_auth_accepts_and_a_profile_does_not_is_brought_near() {
        let world = World::new().await;
        world.auth_says(&registered(ANN, "Ann\u{202e}nnA")).await;
        let cx = World::cx(Actor::System, &[]);
        assert_eq!(world.ask(&cx, GetUserById { user: ANN }).await.expect("there").display_name, "AnnnnA");
    }

    #[tokio::test]
    async fn a_new_address_of_the_account_is_the_profiles_too() {
        let world = World::new().await;
        world.auth_says(&registered(ANN, "Ann")).await;
        let email = Personal::new(ANN, "new@example.org".to_owned());
        world.auth_says(&AuthEvent::EmailChanged { user_id: ANN, email }).await;
        let own =
            world.ask(&World::cx(Actor::User(ANN), &[]), GetUserProfile { user: None }).await.expect("there");
        assert_eq!(own.profile.email.as_deref(), Some("new@example.org"));
    }
}
