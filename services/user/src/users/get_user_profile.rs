//! `GET /v1/users/{id}/profile` and `GET /v1/users/me/profile`: who somebody is to others.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{BaseRepository as _, Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams, PathId};
use serde::Serialize;
use uuid::Uuid;

use super::Users;
use crate::access;
use crate::profile::Profile;
use crate::user::NoStanding;

/// Asks for somebody's profile.
#[derive(Debug, Clone, Copy)]
pub struct GetUserProfile {
    /// Whose; one's own if `None`.
    pub user: Option<Uuid>,
}

impl Query for GetUserProfile {
    const NAME: &'static str = "user.get-user-profile";
    const VIEWS: &'static [&'static str] = &["users"];
    type Answer = VersionedProfile;
}

/// A profile with the version that its `ETag` names.
#[derive(Debug, Clone, Serialize)]
pub struct VersionedProfile {
    /// The profile.
    #[serde(flatten)]
    pub profile: Profile,
    /// The version of the user's stream. A status changes without it.
    #[serde(skip)]
    pub version: u64,
}

/// Answers [`GetUserProfile`].
pub struct GetUserProfileHandler(pub Users);

#[async_trait]
impl QueryHandler<GetUserProfile> for GetUserProfileHandler {
    async fn handle(&self, cx: &Context, query: GetUserProfile) -> Result<VersionedProfile, Failure> {
        let id = query.user.or(cx.actor.user()).ok_or(NoStanding::NotAUser)?;
        let user = self.0.find_by_id(id).await?.ok_or_else(|| Failure::not_found("there is no such user"))?;
        let own = cx.actor.user() == Some(id);
        Ok(VersionedProfile {
            version: user.version,
            profile: Profile {
                id,
                display_name: user.display_name,
                bio: user.bio,
                avatar_url: user.avatar_url,
                status: user.status,
                status_text: user.status_text,
                email: user.email.filter(|_| own || access::administers(cx)),
                external_id: user.external_id.filter(|_| own || access::makes_users(cx)),
            },
        })
    }
}

/// Somebody's profile.
///
/// `email` is there for the user themselves and for administrators, `externalId` for applications too.
#[utoipa::path(
    get, path = "/v1/users/{id}/profile", tag = "users",
    params(("id" = Uuid, Path, description = "The user.")),
    responses(
        (status = 200, description = "The profile.", body = Profile,
         headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 404, description = "There is no such user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_user_profile(
    State(edge): State<Edge>,
    PathId(user): PathId,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query_versioned(ask.cx, GetUserProfile { user: Some(user) }, |found| Some(found.version)).await
}

/// One's own profile.
#[utoipa::path(
    get, path = "/v1/users/me/profile", tag = "users",
    responses(
        (status = 200, description = "The profile.", body = Profile,
         headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 403, description = "The caller is no user."),
        (status = 404, description = "The profile isn't there yet: ask with register's `Parlor-Position`."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_own_profile(State(edge): State<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query_versioned(ask.cx, GetUserProfile { user: None }, |found| Some(found.version)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::Actor;

    use crate::change_user_status::ChangeUserStatus;
    use crate::delete_user::DeleteUser;
    use crate::testing::World;
    use crate::update_user_profile::UpdateUserProfile;

    #[tokio::test]
    async fn a_profile_shows_what_was_said_last_and_the_address_to_its_owner_only() {
        let world = World::new().await;
        let ann = world
            .user(r#"{"displayName":"Ann","email":"ann@example.org","externalId":"crm-1","bio":"Old"}"#)
            .await;
        let patched = world.send_json::<UpdateUserProfile>(ann, r#"{"bio":"I sail."}"#).await;
        world.send_json::<ChangeUserStatus>(ann, r#"{"status":"busy","text":"at sea"}"#).await;
        let own =
            world.ask(&World::cx(Actor::User(ann), &[]), GetUserProfile { user: None }).await.expect("there");
        let profile = &own.profile;
        assert_eq!(
            (profile.bio.as_deref(), profile.status_text.as_deref()),
            (Some("I sail."), Some("at sea"))
        );
        assert_eq!(profile.email.as_deref(), Some("ann@example.org"));
        // The version is the one that the change answered with: a status changes without it.
        assert_eq!(Some(own.version), patched.version);
        let of_ann = GetUserProfile { user: Some(ann) };
        let seen = world.ask(&World::cx(Actor::User(Uuid::from_u128(9)), &[]), of_ann).await.expect("there");
        assert_eq!((seen.profile.email, seen.profile.external_id), (None, None));
        let seen =
            world.ask(&World::cx(Actor::User(Uuid::from_u128(9)), &["admin"]), of_ann).await.expect("there");
        assert_eq!(seen.profile.email.as_deref(), Some("ann@example.org"));
    }

    #[tokio::test]
    async fn of_who_is_gone_the_name_stays_and_the_rest_goes() {
        let world = World::new().await;
        let ann = world
            .user(r#"{"displayName":"Ann","email":"ann@example.org","bio":"Hi","avatarUrl":"https://example.org/a"}"#)
            .await;
        world.send_json::<ChangeUserStatus>(ann, r#"{"status":"busy","text":"leaving"}"#).await;
        world.send(&World::cx(Actor::User(ann), &[]), DeleteUser).await.expect("deleted");
        let cx = World::cx(Actor::System, &[]);
        let profile = world.ask(&cx, GetUserProfile { user: Some(ann) }).await.expect("there").profile;
        assert_eq!(profile.display_name, "Ann");
        assert_eq!(
            (profile.bio, profile.avatar_url, profile.email, profile.status_text),
            (None, None, None, None)
        );
    }

    #[tokio::test]
    async fn nobody_is_not_found() {
        let world = World::new().await;
        let query = GetUserProfile { user: Some(Uuid::from_u128(404)) };
        let failure = world.ask(&World::cx(Actor::System, &[]), query).await;
        assert!(matches!(failure, Err(Failure::Refused(refused)) if refused.code == "not-found"));
    }
}
