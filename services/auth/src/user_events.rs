//! What the user service decides and auth follows: that somebody is there, is called something else, is kept out, is let
//! in again, is gone; and that a registered account has its profile, or can't have one. Records `account.admitted`,
//! `account.profile-made`, `account.profile-refused`, `account.renamed`, `account.disabled`, `account.enabled`,
//! `account.deleted`, and ends sessions.

use std::convert::Infallible;

use async_trait::async_trait;
use cqrs_core::{
    Actor, Command, CommandBus, CommandHandler, Context, Decide, Decision, Executor, Failure, Incoming,
    Personal, Plain, Reactor, Reads, Reply, State,
};
use parlor_contracts::user::UserEvent;
use uuid::Uuid;

use crate::account::{Account, AccountEvent, EndReason, Profile};
use crate::service::{Auth, EMAILS};

/// What happened to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChange {
    /// They are there, registered or made by an application.
    Created,
    /// They registered, and no profile can be made of it; with the code of the refusal.
    Refused(String),
    /// They call themselves this.
    Renamed(String),
    /// An administrator keeps them out.
    Disabled,
    /// And lets them in again.
    Enabled,
    /// They gave their account up.
    Deleted,
}

/// Takes over what happened to a user. Once or several times is the same.
#[derive(Debug, Clone)]
pub struct FollowUser {
    /// To whom.
    pub user: Uuid,
    /// What.
    pub change: UserChange,
}

impl Command for FollowUser {
    const NAME: &'static str = "auth.follow-user";
}

impl Decide for FollowUser {
    /// The sessions that ended.
    type Answer = Vec<Uuid>;
    type Refusal = Infallible;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user)
    }

    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<Vec<Uuid>>, Infallible> {
        let user = self.user;
        let known = state.find_existing::<Account>(user);
        let account = state.get::<Account>(user);
        let nothing = Decision::already(Vec::new());
        let close = |event, reason| {
            let ended = account.sessions.keys().copied().collect::<Vec<_>>();
            let decision = Decision::already(ended).record::<Account>(user, event);
            account
                .end_sessions(None, reason)
                .fold(decision, |decision, ended| decision.record::<Account>(user, ended))
        };
        Ok(match &self.change {
            UserChange::Created if known.is_none() => {
                nothing.record::<Account>(user, AccountEvent::Admitted {})
            }
            UserChange::Created if account.profile == Profile::Pending => {
                nothing.record::<Account>(user, AccountEvent::ProfileMade {})
            }
            UserChange::Refused(reason) if known.is_some() && account.profile == Profile::Pending => {
                let reason = Plain(reason.clone());
                nothing.record::<Account>(user, AccountEvent::ProfileRefused { reason })
            }
            UserChange::Renamed(name) if account.display_name.as_ref() != Some(name) && !account.deleted => {
                let display_name = Personal::new(user, name.clone());
                nothing.record::<Account>(user, AccountEvent::Renamed { display_name })
            }
            UserChange::Disabled if !account.disabled => {
                close(AccountEvent::Disabled {}, EndReason::AccountDisabled)
            }
            UserChange::Enabled if account.disabled => {
                nothing.record::<Account>(user, AccountEvent::Enabled {})
            }
            UserChange::Deleted if !account.deleted => {
                let closed = close(AccountEvent::Deleted {}, EndReason::AccountDeleted);
                match &account.email {
                    // The address may register anew.
                    Some(email) => closed.release(EMAILS, email.normalised(), user),
                    None => closed,
                }
            }
            UserChange::Created
            | UserChange::Refused(_)
            | UserChange::Renamed(_)
            | UserChange::Disabled
            | UserChange::Enabled
            | UserChange::Deleted => nothing,
        })
    }
}

#[async_trait]
impl CommandHandler<FollowUser> for Auth {
    async fn handle(&self, cx: &Context, command: FollowUser) -> Result<Reply, Failure> {
        let reply = self.executor.run(cx, &command).await?;
        self.ended(cx, reply)
    }
}

/// Turns the user service's public events into [`FollowUser`].
pub struct FollowsUsers {
    bus: CommandBus,
    executor: Executor,
}

impl FollowsUsers {
    /// Commands go through `bus`.
    pub fn new(bus: CommandBus, executor: Executor) -> Self {
        Self { bus, executor }
    }
}

#[async_trait]
impl Reactor for FollowsUsers {
    fn name(&self) -> &'static str {
        "account-of-user"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["user.public"]
    }

    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let (user, change) = match event.decode::<UserEvent>()? {
            UserEvent::UserCreated { user_id, .. } => (user_id, UserChange::Created),
            UserEvent::ProfileRefused { user_id, reason } => (user_id, UserChange::Refused(reason.0)),
            UserEvent::UserDisabled { user_id } => (user_id, UserChange::Disabled),
            UserEvent::UserEnabled { user_id } => (user_id, UserChange::Enabled),
            UserEvent::UserDeleted { user_id } => (user_id, UserChange::Deleted),
            UserEvent::UserProfileUpdated { user_id, display_name, .. } => match display_name.into_inner() {
                Some(name) => (user_id, UserChange::Renamed(name)),
                None => return Ok(()),
            },
            UserEvent::UserStatusChanged { .. }
            | UserEvent::UserContactAdded { .. }
            | UserEvent::UserContactRemoved { .. } => return Ok(()),
        };
        let cx = Context {
            correlation: event.meta.correlation,
            causation: Some(event.meta.id),
            ..self.executor.clock().context(Actor::System)
        };
        self.bus.dispatch(&cx, FollowUser { user, change }).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{given, given_nothing, noon};

    use super::*;
    use crate::access_view::ProfileState;
    use crate::testing::{ANN, PASSWORD, World, code, registered, session_started};

    fn follow(change: UserChange) -> FollowUser {
        FollowUser { user: ANN, change }
    }

    #[test]
    fn a_user_made_elsewhere_gets_an_account_and_a_registered_one_has_it_already() {
        given_nothing()
            .when(Actor::System, &follow(UserChange::Created))
            .records::<Account>(ANN, [AccountEvent::Admitted {}]);
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::System, &follow(UserChange::Created))
            .records::<Account>(ANN, [AccountEvent::ProfileMade {}]);
        for there in
            [AccountEvent::ProfileMade {}, AccountEvent::ProfileRefused { reason: Plain("no".to_owned()) }]
        {
            given::<Account>(ANN, [registered("hash"), there])
                .when(Actor::System, &follow(UserChange::Created))
                .is_already();
        }
    }

    #[test]
    fn an_account_whose_profile_is_refused_says_so_unless_it_has_one() {
        let refuse = || follow(UserChange::Refused("not-this-one".to_owned()));
        let refused = || AccountEvent::ProfileRefused { reason: Plain("not-this-one".to_owned()) };
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::System, &refuse())
            .records::<Account>(ANN, [refused()]);
        given::<Account>(ANN, [registered("hash"), refused()]).when(Actor::System, &refuse()).is_already();
        given::<Account>(ANN, [AccountEvent::Admitted {}]).when(Actor::System, &refuse()).is_already();
        given_nothing().when(Actor::System, &refuse()).is_already();
    }

    #[tokio::test]
    async fn a_sign_in_says_that_there_can_be_no_profile() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        assert_eq!(world.login("ann@example.org", PASSWORD).await.unwrap().profile, None);
        let change = UserChange::Refused("not-this-one".to_owned());
        world.bus.dispatch(&world.cx(Actor::System), FollowUser { user, change }).await.unwrap();
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        assert_eq!(tokens.profile, Some(ProfileState::Refused));
        assert!(world.holds(&tokens), "so that they can see why, and delete the account");
    }

    #[test]
    fn security_3_a_new_name_is_known_here_so_that_it_is_no_password() {
        let renamed = || FollowUser { user: ANN, change: UserChange::Renamed("Anna".to_owned()) };
        let event = AccountEvent::Renamed { display_name: Personal::new(ANN, "Anna".to_owned()) };
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::System, &renamed())
            .records::<Account>(ANN, [event.clone()]);
        given::<Account>(ANN, [registered("hash"), event]).when(Actor::System, &renamed()).is_already();
    }

    #[test]
    fn security_17_disabling_and_deleting_end_all_sessions_once() {
        let session = Uuid::from_u128(50);
        let live = || [registered("hash"), session_started(session, noon())];
        let ended = |reason| AccountEvent::SessionEnded { session, reason };
        given::<Account>(ANN, live())
            .when(Actor::System, &follow(UserChange::Disabled))
            .records::<Account>(ANN, [AccountEvent::Disabled {}, ended(EndReason::AccountDisabled)]);
        given::<Account>(ANN, live())
            .when(Actor::System, &follow(UserChange::Deleted))
            .records::<Account>(ANN, [AccountEvent::Deleted {}, ended(EndReason::AccountDeleted)]);
        given::<Account>(ANN, [registered("hash"), AccountEvent::Disabled {}])
            .when(Actor::System, &follow(UserChange::Disabled))
            .is_already();
    }

    #[tokio::test]
    async fn security_17_a_disabled_user_is_out_at_once_and_in_again_when_enabled() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let change = |change| FollowUser { user, change };
        world.bus.dispatch(&world.cx(Actor::System), change(UserChange::Disabled)).await.unwrap();
        assert!(!world.holds(&tokens));
        assert_eq!(code(world.refresh(&tokens.refresh_token).await), "invalid-refresh-token");
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "account-disabled");
        world.bus.dispatch(&world.cx(Actor::System), change(UserChange::Enabled)).await.unwrap();
        assert!(world.login("ann@example.org", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn a_deleted_accounts_address_may_register_anew() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let deleted = FollowUser { user, change: UserChange::Deleted };
        world.bus.dispatch(&world.cx(Actor::System), deleted).await.unwrap();
        assert_eq!(code(world.login("ann@example.org", PASSWORD).await), "invalid-credentials");
        assert_ne!(world.register("ann@example.org").await, user);
    }
}
