//! `PATCH /v1/users/me/profile`: somebody says who they are to others.
//! Records `user.profile-updated`; public as `user-profile-updated.v1`; shown by `users`.

use axum::extract::State as Routed;
use cqrs_core::{Command, Context, Decide, Decision, FieldError, Personal, Reads, State};
use cqrs_http::{Answer, Edge, Input};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::patch::Patch;
use crate::profile::Profile;
use crate::status::UserStatus;
use crate::user::{NoStanding, User, UserEvent, about, acting, own_id};
use crate::values::{AvatarUrl, Bio, DisplayName};

/// What is left out stays, `null` takes away; a name can't be taken away. Answers with the whole profile.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateUserProfile {
    /// What they are called.
    #[serde(default)]
    #[schema(value_type = DisplayName, required = false)]
    pub display_name: Patch<DisplayName>,
    /// What they say of themselves.
    #[serde(default)]
    #[schema(value_type = Option<Bio>)]
    pub bio: Patch<Bio>,
    /// Where their picture is.
    #[serde(default)]
    #[schema(value_type = Option<AvatarUrl>)]
    pub avatar_url: Patch<AvatarUrl>,
}

impl Command for UpdateUserProfile {
    const NAME: &'static str = "user.update-user-profile";

    fn validate(&self) -> Result<(), Vec<FieldError>> {
        match self.display_name {
            Patch::Clear => {
                Err(vec![FieldError::new("/displayName", "a name can be changed, not taken away")])
            }
            _ => Ok(()),
        }
    }
}

impl Decide for UpdateUserProfile {
    type Answer = Profile;
    type Refusal = NoStanding;

    fn reads(&self, cx: &Context) -> Reads {
        Reads::of::<User>(own_id(cx)).and::<UserStatus>(own_id(cx))
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Profile>, NoStanding> {
        let (id, user) = acting(cx, state)?;
        let status = state.get::<UserStatus>(id);
        let profile = Profile {
            id,
            display_name: self.display_name.apply(Some(&user.display_name)).unwrap_or_default(),
            // An empty text is no text.
            bio: self.bio.apply(user.bio.as_ref()).filter(|bio| !bio.is_empty()),
            avatar_url: self.avatar_url.apply(user.avatar_url.as_ref()),
            status: status.status.unwrap_or_default(),
            status_text: status.text.clone(),
            email: user.email.clone(),
            external_id: user.external_id.clone(),
        };
        let same = profile.display_name == user.display_name
            && profile.bio == user.bio
            && profile.avatar_url == user.avatar_url;
        if same {
            return Ok(Decision::already(profile));
        }
        let updated = UserEvent::ProfileUpdated {
            display_name: Personal::new(id, profile.display_name.clone()),
            bio: about(id, profile.bio.clone()),
            avatar_url: about(id, profile.avatar_url.clone()),
        };
        Ok(Decision::answering(move |_| profile.clone()).record::<User>(id, updated))
    }
}

/// Changes one's own profile.
///
/// What is left out stays as it is; `null` takes `bio` and `avatarUrl` away.
#[utoipa::path(
    patch, path = "/v1/users/me/profile", tag = "users",
    request_body = UpdateUserProfile,
    responses(
        (status = 200, description = "The profile as it now is.", body = Profile,
         headers(("ETag" = String, description = "Its new version, for `If-Match`."))),
        (status = 403, description = "The account doesn't stand, or the caller is no user."),
        (status = 412, description = "`If-Match` named another version."),
        (status = 422, description = "A value can't be."),
        (status = 503, description = "The account is so new that its profile isn't there yet."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn update_user_profile(
    Routed(edge): Routed<Edge>,
    input: Input<UpdateUserProfile>,
) -> Answer {
    edge.command(input.cx, input.body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;
    use cqrs_core::testing::{given, given_nothing};
    use uuid::Uuid;

    use crate::user::examples::{ANN, created};

    fn patch(json: &str) -> UpdateUserProfile {
        serde_json::from_str(json).expect("a sound patch")
    }

    fn updated(name: &str, bio: Option<&str>) -> UserEvent {
        UserEvent::ProfileUpdated {
            display_name: Personal::new(ANN, name.to_owned()),
            bio: about(ANN, bio),
            avatar_url: None,
        }
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        given::<User>(ANN, [created(ANN, "Ann")])
            .when(Actor::User(ANN), &patch(r#"{"bio":" I sail. "}"#))
            .records::<User>(ANN, [updated("Ann", Some("I sail."))]);
        given::<User>(ANN, [created(ANN, "Ann"), updated("Ann", Some("I sail."))])
            .when(Actor::User(ANN), &patch(r#"{"displayName":"Anna","bio":null}"#))
            .records::<User>(ANN, [updated("Anna", None)]);
    }

    #[test]
    fn the_answer_is_the_whole_profile_as_it_now_is() {
        let then =
            given::<User>(ANN, [created(ANN, "Ann")]).when(Actor::User(ANN), &patch(r#"{"bio":"Hi"}"#));
        assert_eq!(then.answer().display_name, "Ann");
        assert_eq!(then.answer().bio.as_deref(), Some("Hi"));
    }

    #[test]
    fn a_patch_that_changes_nothing_records_nothing() {
        for same in ["{}", r#"{"displayName":" Ann ","bio":""}"#] {
            given::<User>(ANN, [created(ANN, "Ann")]).when(Actor::User(ANN), &patch(same)).is_already();
        }
    }

    #[test]
    fn a_name_is_not_taken_away() {
        assert_eq!(patch(r#"{"displayName":null}"#).validate().expect_err("null")[0].pointer, "/displayName");
    }

    #[test]
    fn only_a_user_whose_account_stands_has_a_profile_to_change() {
        let hi = patch(r#"{"bio":"Hi"}"#);
        let shut_out = [created(ANN, "Ann"), UserEvent::Disabled {}];
        given::<User>(ANN, shut_out).when(Actor::User(ANN), &hi).refused(NoStanding::Disabled);
        let gone = [created(ANN, "Ann"), UserEvent::Deleted {}];
        given::<User>(ANN, gone).when(Actor::User(ANN), &hi).refused(NoStanding::Deleted);
        given_nothing().when(Actor::User(ANN), &hi).refused(NoStanding::NoProfileYet);
        given_nothing().when(Actor::Service(Uuid::from_u128(5)), &hi).refused(NoStanding::NotAUser);
    }
}
