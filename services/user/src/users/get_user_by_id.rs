//! `GET /v1/users/{id}`: somebody, in short.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{BaseRepository as _, Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams, PathId};
use jiff::Timestamp;
use parlor_contracts::user::Availability;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{UserRecord, Users};
use crate::user::Standing;

/// Asks who somebody is.
#[derive(Debug, Clone, Copy)]
pub struct GetUserById {
    /// Whom it is about.
    pub user: Uuid,
}

impl Query for GetUserById {
    const NAME: &'static str = "user.get-user-by-id";
    const VIEWS: &'static [&'static str] = &["users"];
    type Answer = UserCard;
}

/// Whether an account stands, as others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    /// It stands.
    Active,
    /// An administrator shut them out.
    Disabled,
    /// They ended it; their name and messages stay.
    Deleted,
}

impl From<Standing> for AccountState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Active | Standing::Unknown => Self::Active,
            Standing::Disabled => Self::Disabled,
            Standing::Deleted | Standing::Refused => Self::Deleted,
        }
    }
}

/// Somebody, as lists show them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCard {
    /// The user.
    pub id: Uuid,
    /// What they are called.
    pub display_name: String,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// What they say of their availability.
    pub status: Availability,
    /// In their own words.
    pub status_text: Option<String>,
    /// Whether their account stands.
    pub state: AccountState,
    /// Since when they are there.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<UserRecord> for UserCard {
    fn from(user: UserRecord) -> Self {
        Self {
            id: user.id,
            display_name: user.display_name,
            avatar_url: user.avatar_url,
            status: user.status,
            status_text: user.status_text,
            state: user.standing.into(),
            created_at: user.created_at,
        }
    }
}

/// Answers [`GetUserById`].
pub struct GetUserByIdHandler(pub Users);

#[async_trait]
impl QueryHandler<GetUserById> for GetUserByIdHandler {
    async fn handle(&self, _: &Context, query: GetUserById) -> Result<UserCard, Failure> {
        let found = self.0.find_by_id(query.user).await?;
        found.map(UserCard::from).ok_or_else(|| Failure::not_found("there is no such user"))
    }
}

/// Somebody, in short.
///
/// Also of who is disabled or has ended their account: their messages are still there, and so is their name.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "users",
    params(("id" = Uuid, Path, description = "The user.")),
    responses(
        (status = 200, description = "Who they are.", body = UserCard),
        (status = 404, description = "There is no such user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_user_by_id(
    State(edge): State<Edge>,
    PathId(user): PathId,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query(ask.cx, GetUserById { user }).await
}
