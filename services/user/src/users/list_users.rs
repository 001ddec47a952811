//! `GET /v1/admin/user/users`: everybody, for administrators, those who are shut out or gone among them.

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::get_user_by_id::AccountState;
use super::repository::WORDS;
use super::{UserRecord, Users};
use crate::access;

/// Asks for everybody, or for those whose name holds every word of a search, or whose address it is.
#[derive(Debug, Clone)]
pub struct ListUsers {
    /// What is looked for, if anything.
    pub search: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: Limit,
}

impl Query for ListUsers {
    const NAME: &'static str = "user.list-users";
    const VIEWS: &'static [&'static str] = &["users"];
    type Answer = Page<ListedUser>;
}

/// Somebody, as administrators see them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedUser {
    /// The user.
    pub id: Uuid,
    /// What they are called.
    pub display_name: String,
    /// Where their mail goes.
    pub email: Option<String>,
    /// What the application that created them calls them.
    pub external_id: Option<String>,
    /// Whether their account stands.
    pub state: AccountState,
    /// Since when they are there.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<UserRecord> for ListedUser {
    fn from(user: UserRecord) -> Self {
        Self {
            id: user.id,
            display_name: user.display_name,
            email: user.email,
            external_id: user.external_id,
            state: user.standing.into(),
            created_at: user.created_at,
        }
    }
}

/// Answers [`ListUsers`].
pub struct ListUsersHandler {
    /// Where it looks.
    pub users: Users,
    /// Makes and reads its cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<ListUsers> for ListUsersHandler {
    async fn handle(&self, cx: &Context, query: ListUsers) -> Result<Page<ListedUser>, Failure> {
        if !access::administers(cx) {
            return Err(Failure::forbidden("only administrators see the list of all users"));
        }
        let search = query.search.unwrap_or_default();
        if search.contains('@') {
            let found = self.users.find_by_email(&search).await?;
            let items = found.into_iter().map(ListedUser::from).collect();
            return Ok(Page { items, next_cursor: None });
        }
        let mut words = parlor_text::terms(&search);
        words.truncate(WORDS);
        // A cursor belongs to its search.
        let scope = format!("all users:{}", words.join(" "));
        let before: Option<Uuid> =
            query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let found = self.users.newest(&words, before, query.limit.and_one()).await?;
        let page =
            Page::cut(found, query.limit, |last| self.cursors.encode(&scope, &last.id).unwrap_or_default());
        Ok(page.map(ListedUser::from))
    }
}

/// What `GET /v1/admin/user/users` can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Words of the display name, or parts of words; or an e-mail address.
    search: Option<String>,
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Everybody, the newest first, for administrators.
#[utoipa::path(
    get, path = "/v1/admin/user/users", operation_id = "admin_users", tag = "admin",
    params(ListParams),
    responses(
        (status = 200, description = "Who was found.", body = Page<ListedUser>),
        (status = 403, description = "The caller is no administrator."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn list_users(State(edge): State<Edge>, ask: Asking<ListParams>) -> Answer {
    let ListParams { search, limit, cursor } = ask.params;
    edge.query(ask.cx, ListUsers { search, cursor, limit }).await
}
