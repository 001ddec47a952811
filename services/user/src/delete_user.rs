//! `DELETE /v1/users/me`: somebody ends their account for good. Their name and messages stay.
//! Records `user.deleted`; public as `user-deleted.v1`, on which auth ends their sessions; shown by `users`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, State};
use cqrs_http::{Answer, Edge, Input, NoBody};

use crate::create_user::EXTERNAL_IDS;
use crate::user::{NoStanding, User, UserEvent, acting, own_id};

/// Ends the caller's account. Their external id is free again: the application that made them may make them anew, as
/// another user.
#[derive(Debug, Clone, Copy)]
pub struct DeleteUser;

impl Command for DeleteUser {
    const NAME: &'static str = "user.delete-user";
}

impl Decide for DeleteUser {
    type Answer = ();
    type Refusal = NoStanding;

    fn reads(&self, cx: &Context) -> Reads {
        Reads::of::<User>(own_id(cx))
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, NoStanding> {
        let (id, user) = match acting(cx, state) {
            // What was asked for is so: the answer to the first request may have been lost.
            Err(NoStanding::Deleted) => return Ok(Decision::done()),
            // Nothing was made of the account, and its address is to be free again.
            Err(NoStanding::ProfileRefused) => (own_id(cx), state.get::<User>(own_id(cx))),
            result => result?,
        };
        let decision = Decision::done().record::<User>(id, UserEvent::Deleted {});
        Ok(match &user.external_id {
            Some(external_id) => decision.release(EXTERNAL_IDS, external_id, id),
            None => decision,
        })
    }
}

/// Ends one's own account for good. Sessions end; name and messages stay.
#[utoipa::path(
    delete, path = "/v1/users/me", tag = "users",
    responses(
        (status = 204, description = "Ended."),
        (status = 403, description = "The account doesn't stand, or the caller is no user."),
        (status = 503, description = "The account is so new that its profile isn't there yet."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn delete_user(Routed(edge): Routed<Edge>, input: Input<NoBody>) -> Answer {
    edge.command(input.cx, DeleteUser).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use cqrs_core::testing::{TestClock, context, given, instance_key, keyring};
    use cqrs_core::{Actor, CommandHandler as _, Executor, ExecutorOptions, MemoryLog};

    use crate::create_user::{CreateUser, CreateUserHandler, UserMade};
    use crate::user::examples::{ANN, created};

    #[test]
    fn an_account_is_ended_once() {
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::User(ANN), &DeleteUser)
            .records::<User>(ANN, [UserEvent::Deleted {}]);
        given::<User>(ANN, [created(ANN, "Ann"), UserEvent::Deleted {}])
            .when(Actor::User(ANN), &DeleteUser)
            .is_already();
    }

    #[test]
    fn who_is_shut_out_does_not_get_away_by_deleting() {
        given::<User>(ANN, [created(ANN, "Ann"), UserEvent::Disabled {}])
            .when(Actor::User(ANN), &DeleteUser)
            .refused(NoStanding::Disabled);
    }

    #[tokio::test]
    async fn an_external_id_is_free_once_its_user_is_gone() {
        let log = Arc::new(MemoryLog::new("user"));
        let clock = Arc::new(TestClock::default());
        let executor = Executor::new(log, keyring(), instance_key(), clock, &ExecutorOptions::default());
        let handler = CreateUserHandler::new(&executor);
        let command: CreateUser =
            serde_json::from_str(r#"{"displayName":"Ann","externalId":"crm-1"}"#).expect("sound");
        let first: UserMade = handler
            .handle(&context(Actor::System), command.clone())
            .await
            .and_then(|r| r.parse())
            .expect("made");
        executor.run(&context(Actor::User(first.id)), &DeleteUser).await.expect("ended");
        let mut later = context(Actor::System);
        later.seed = ANN;
        let second: UserMade =
            handler.handle(&later, command).await.and_then(|r| r.parse()).expect("made anew");
        assert_ne!(first, second);
    }
}
