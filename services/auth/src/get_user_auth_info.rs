//! `GET /v1/auth/me`: one's own account, with its sessions.

use async_trait::async_trait;
use cqrs_core::{BaseRepository as _, Context, Failure, Query, QueryHandler};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access_view::{self, Accounts, ProfileState, SessionRow, Sessions};
use crate::service::NotAUser;
use crate::tokens::access::Role;

/// Asks for one's own account.
#[derive(Debug, Clone, Copy)]
pub struct GetUserAuthInfo;

impl Query for GetUserAuthInfo {
    const NAME: &'static str = "auth.get-user-auth-info";
    const VIEWS: &'static [&'static str] = &[access_view::NAME];
    type Answer = UserAuthInfo;
}

/// One's own account.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserAuthInfo {
    /// The user's id.
    pub user_id: Uuid,
    /// Their address; null for users that an application signs in.
    pub email: Option<String>,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    /// What they may do beyond what everyone may.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Whether there is a profile: `pending` from registration on for moments, or while the user service is down; `refused`
    /// if none can be made, for good. Such an account can only be deleted (`DELETE /v1/users/me`), which frees its address.
    pub profile: ProfileState,
    /// Why it was refused: the code of the refusal; null otherwise.
    pub profile_refusal: Option<String>,
    /// Live sessions, newest first.
    pub sessions: Vec<SessionInfo>,
    /// When the account was made.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the password was chosen; null where there is none.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub password_changed_at: Option<Timestamp>,
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// Its id.
    pub id: Uuid,
    /// What the client called the device.
    pub device: Option<String>,
    /// The address from which it began.
    pub address: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it began.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was last refreshed.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Timestamp,
    /// When it ends by itself.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Answers [`GetUserAuthInfo`].
pub struct ReadsAuthInfo {
    accounts: Accounts,
    sessions: Sessions,
}

impl ReadsAuthInfo {
    /// From the view `access` of this store.
    pub fn new(views: &Views) -> Self {
        Self {
            accounts: SqlReadRepository::new(views.clone(), access_view::NAME),
            sessions: Sessions::new(views.clone()),
        }
    }
}

#[async_trait]
impl QueryHandler<GetUserAuthInfo> for ReadsAuthInfo {
    async fn handle(&self, cx: &Context, _: GetUserAuthInfo) -> Result<UserAuthInfo, Failure> {
        let user = cx.actor.user().ok_or(NotAUser)?;
        // Whoever is signed in has an account: one that isn't here is only not here yet.
        self.info(cx, user).await?.ok_or(Failure::ViewBehind)
    }
}

impl ReadsAuthInfo {
    /// What is known of somebody's account; nothing if there is none.
    pub(crate) async fn info(&self, cx: &Context, user: Uuid) -> Result<Option<UserAuthInfo>, Failure> {
        let Some(account) = self.accounts.find_by_id(user).await? else { return Ok(None) };
        let sessions = self.sessions.live_of(user, cx.now).await?;
        Ok(Some(UserAuthInfo {
            user_id: account.id,
            email: account.email,
            email_verified: account.email_verified,
            roles: account.admin.then_some(Role::Admin).into_iter().collect(),
            profile: account.profile,
            profile_refusal: account.profile_refusal,
            sessions: sessions.into_iter().map(|session| SessionInfo::of(session, cx.session)).collect(),
            created_at: account.created_at,
            password_changed_at: account.password_changed_at,
        }))
    }
}

impl SessionInfo {
    fn of(session: SessionRow, current: Option<Uuid>) -> Self {
        Self {
            current: current == Some(session.id),
            id: session.id,
            device: session.device,
            address: session.address,
            started_at: session.started_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
        }
    }
}
