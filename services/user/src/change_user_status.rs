//! `PUT /v1/users/me/status`: somebody says whether they are there.
//! Records `user-status.changed`; public as `user-status-changed.v1`; shown by `users`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, Reads, State};
use cqrs_http::{Answer, Edge, Input};
use parlor_contracts::user::Availability;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::status::{StatusEvent, UserStatus};
use crate::user::{NoStanding, User, about, acting, own_id};
use crate::values::StatusText;

/// Sets both: a text that is left out is taken away.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUserStatus {
    /// Whether they are there.
    pub status: Availability,
    /// In their own words.
    #[serde(default)]
    pub text: Option<StatusText>,
}

impl Command for ChangeUserStatus {
    const NAME: &'static str = "user.change-user-status";
}

impl Decide for ChangeUserStatus {
    type Answer = ();
    type Refusal = NoStanding;

    fn reads(&self, cx: &Context) -> Reads {
        Reads::of::<UserStatus>(own_id(cx)).and::<User>(own_id(cx))
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<()>, NoStanding> {
        let (id, _) = acting(cx, state)?;
        let present = state.get::<UserStatus>(id);
        let text = self.text.as_ref().map(StatusText::as_str).filter(|text| !text.is_empty());
        if present.status == Some(self.status) && present.text.as_deref() == text {
            return Ok(Decision::done());
        }
        let changed = StatusEvent::Changed { status: self.status, text: about(id, text) };
        Ok(Decision::done().record::<UserStatus>(id, changed))
    }
}

/// Says whether one is there.
#[utoipa::path(
    put, path = "/v1/users/me/status", tag = "users",
    request_body = ChangeUserStatus,
    responses(
        (status = 204, description = "Said."),
        (status = 403, description = "The account doesn't stand, or the caller is no user."),
        (status = 422, description = "A value can't be."),
        (status = 503, description = "The account is so new that its profile isn't there yet."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn change_user_status(Routed(edge): Routed<Edge>, input: Input<ChangeUserStatus>) -> Answer {
    edge.command(input.cx, input.body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::{given, given_nothing};

    use crate::user::examples::{ANN, created};

    fn say(json: &str) -> ChangeUserStatus {
        serde_json::from_str(json).expect("a sound status")
    }

    fn changed(status: Availability, text: Option<&str>) -> StatusEvent {
        StatusEvent::Changed { status, text: about(ANN, text) }
    }

    #[test]
    fn a_status_is_said_with_or_without_words() {
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::User(ANN), &say(r#"{"status":"busy","text":"writing"}"#))
            .records::<UserStatus>(ANN, [changed(Availability::Busy, Some("writing"))]);
        given::<User>(ANN, [created(ANN, "Ann")])
            .and::<UserStatus>(ANN, [changed(Availability::Busy, Some("writing"))])
            .when(Actor::User(ANN), &say(r#"{"status":"busy"}"#))
            .records::<UserStatus>(ANN, [changed(Availability::Busy, None)]);
    }

    #[test]
    fn saying_the_same_again_records_nothing() {
        given::<User>(ANN, [created(ANN, "Ann")])
            .and::<UserStatus>(ANN, [changed(Availability::Away, None)])
            .when(Actor::User(ANN), &say(r#"{"status":"away","text":"  "}"#))
            .is_already();
    }

    #[test]
    fn who_never_said_anything_may_say_that_they_are_away() {
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::User(ANN), &say(r#"{"status":"offline"}"#))
            .records::<UserStatus>(ANN, [changed(Availability::Offline, None)]);
    }

    #[test]
    fn an_unknown_status_is_no_status() {
        assert!(serde_json::from_str::<ChangeUserStatus>(r#"{"status":"asleep"}"#).is_err());
    }

    #[test]
    fn somebody_without_a_profile_has_no_status() {
        given_nothing()
            .when(Actor::User(ANN), &say(r#"{"status":"busy"}"#))
            .refused(NoStanding::NoProfileYet);
    }
}
