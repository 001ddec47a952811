//! The reactor `profile-of-account`: an account makes a profile, through an event and not a call, so that whoever
//! registers while this service is down has a profile once it's up again. Where none can be made, auth hears of that, too.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{Actor, Clock, CommandBus, Context, Failure, Incoming, Reactor};
use parlor_contracts::auth::AuthEvent;

use crate::change_email::ChangeEmail;
use crate::create_user::CreateUser;
use crate::refuse_profile::RefuseProfile;
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
                match self.commands.dispatch(&self.context(event), command).await {
                    // For good: said to auth, which tells whoever registered, and the next accounts get their profiles.
                    Err(Failure::Refused(refused)) => {
                        tracing::warn!(user = %user_id, code = refused.code, "no profile can be made of an account");
                        let refuse = RefuseProfile { user: user_id, reason: refused.code.to_owned() };
                        self.commands.dispatch(&self.context(event), refuse).await?;
                    }
                    result => drop(result?),
                }
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

    /// Refuses to make anybody, as a rule that is still to come may do.
    struct Refuses;

    #[derive(Debug, thiserror::Error)]
    #[error("not this one")]
    struct NotThisOne;

    impl cqrs_core::Refusal for NotThisOne {
        fn code(&self) -> &'static str {
            "not-this-one"
        }
        fn kind(&self) -> cqrs_core::RefusalKind {
            cqrs_core::RefusalKind::Conflict
        }
    }

    #[async_trait]
    impl cqrs_core::CommandHandler<CreateUser> for Refuses {
        async fn handle(&self, _: &Context, _: CreateUser) -> Result<cqrs_core::Reply, Failure> {
            Err(NotThisOne.into())
        }
    }

    #[tokio::test]
    async fn an_account_of_which_no_profile_can_be_made_is_refused_for_good_and_said_so() {
        let world = World::new().await;
        let executor = &world.store.store.executor;
        let commands = CommandBus::builder()
            .handle::<CreateUser, _>(Refuses)
            .decide::<RefuseProfile>(executor)
            .build()
            .expect("a bus");
        let reactor = ProfileOfAccount::new(commands, executor.clock().clone());
        let told = world.auth.tell(&registered(ANN, "Ann")).await.expect("told");
        let keys = executor.keyring().keys().clone();
        for _ in 0..2 {
            let incoming = Incoming { source: "auth.public", meta: &told, keys: &keys };
            reactor.react(&incoming).await.expect("it goes on");
        }
        let log = executor.log().clone();
        let public =
            cqrs_core::PublicSource::new("user.public", log, executor.keyring().clone(), crate::publisher());
        let events = public.read(cqrs_core::Position(0), 10).await.expect("read").events;
        assert_eq!(events.len(), 1, "once");
        assert_eq!(&*events[0].name, "profile-refused.v1");
        assert!(String::from_utf8_lossy(&events[0].data).contains("not-this-one"));
        world.project().await;
        let cx = World::cx(Actor::System, &[]);
        let shown = world.ask(&cx, GetUserById { user: ANN }).await.expect("there is a trace");
        assert_eq!(shown.display_name, "", "nothing of what auth said of them is shown");
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
