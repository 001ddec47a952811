//! `GET /v1/admin/auth/accounts/{id}`: an administrator looks at somebody's account and sessions.

use async_trait::async_trait;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::requires_role;
use uuid::Uuid;

use crate::access_view;
use crate::get_user_auth_info::{ReadsAuthInfo, UserAuthInfo};
use crate::tokens::access::Role;

/// Asks for somebody's account.
#[derive(Debug, Clone, Copy)]
pub struct GetAccount {
    /// Whose.
    pub user: Uuid,
}

impl Query for GetAccount {
    const NAME: &'static str = "auth.get-account";
    const VIEWS: &'static [&'static str] = &[access_view::NAME];
    type Answer = UserAuthInfo;
}

#[async_trait]
impl QueryHandler<GetAccount> for ReadsAuthInfo {
    async fn handle(&self, cx: &Context, query: GetAccount) -> Result<UserAuthInfo, Failure> {
        requires_role(cx, Role::Admin.as_str())?;
        self.info(cx, query.user).await?.ok_or_else(|| Failure::not_found("there is no such account"))
    }
}
