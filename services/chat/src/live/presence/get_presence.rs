//! `GET /v1/presence`: how some people are.

use axum::Extension;
use axum::extract::State as Shared;
use cqrs_core::Failure;
use cqrs_http::{Answer, Asking, Edge};
use jiff::Timestamp;
use parlor_contracts::user::Availability;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::super::{Inner, Live, feed};

/// How many can be asked for at once.
const MOST: usize = 100;

/// Of whom.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PresenceParams {
    /// Their ids, separated by commas; 100 at most.
    pub users: String,
}

impl PresenceParams {
    fn ids(&self) -> Result<Vec<Uuid>, Failure> {
        let ids = self.users.split(',').map(|id| Uuid::try_parse(id.trim()));
        let ids: Vec<Uuid> = ids
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::invalid("users", "must be ids of users, separated by commas"))?;
        if ids.len() > MOST {
            return Err(Failure::invalid("users", format_args!("names more than {MOST} users")));
        }
        Ok(ids)
    }
}

/// How somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PresenceItem {
    /// Who.
    pub user_id: Uuid,
    /// `online`, `away` or `busy` while they are connected; `offline` otherwise, or if they chose to seem so.
    pub status: Availability,
    /// When they were last connected, if that is known and they aren't now.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Timestamp>,
}

/// How some people are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PresenceAnswer {
    /// Those of whom the caller may know it, in the order asked for.
    pub items: Vec<PresenceItem>,
}

impl Inner {
    /// How those of `users` are of whom `viewer` may know it.
    pub(in super::super) async fn presence_of(
        &self,
        viewer: Uuid,
        users: &[Uuid],
    ) -> Result<Vec<PresenceItem>, Failure> {
        let mut shown = self.feed.shown_to(viewer, users).await?;
        shown.push(viewer);
        let mut seen = self.last_seen.of(users).await?;
        let item = |user: &Uuid| {
            let status = self.presence.of(*user);
            let last_seen_at = seen.remove(user).filter(|_| status == Availability::Offline);
            PresenceItem { user_id: *user, status, last_seen_at }
        };
        Ok(users.iter().filter(|user| shown.contains(user)).map(item).collect())
    }
}

/// How some people are
///
/// Whether they are connected, how they said they are, and when they were last seen; of those who are in a conversation
/// with the caller, or have the caller among their contacts. Others are left out, as if there were no such users. Live
/// connections are told of changes by `presence` frames.
#[utoipa::path(get, path = "/v1/presence", tag = "live", params(PresenceParams),
    responses(
        (status = 200, description = "How they are", body = PresenceAnswer),
        (status = 403, description = "Not a user"),
        (status = 422, description = "Not a list of ids, or too long")),
    security(("bearer" = [])))]
pub(crate) async fn get_presence(
    Shared(edge): Shared<Edge>,
    Extension(live): Extension<Live>,
    ask: Asking<PresenceParams>,
) -> Answer {
    let viewer = ask.cx.actor.user().ok_or_else(|| Failure::forbidden("only users know others"))?;
    let users = ask.params.ids()?;
    let reading = async { Ok(PresenceAnswer { items: live.0.presence_of(viewer, &users).await? }) };
    edge.read(&ask.cx, &[feed::VIEW], reading).await
}
