//! `GET /v1/conversations/{id}/participants`: who is in a conversation, by when they joined.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler, Row, RowError, RowExt as _, StoreError, params};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page, PathId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Conversations;
use crate::paging::page;
use crate::values::{Role, caller};

/// Which part of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ParticipantsParams {
    /// How many at most.
    #[serde(default)]
    #[param(required = false)]
    pub limit: Limit,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Asks who is in a conversation.
#[derive(Debug, Clone)]
pub struct GetParticipants {
    /// Which.
    pub conversation: Uuid,
    /// Which part of the list.
    pub params: ParticipantsParams,
}

impl Query for GetParticipants {
    const NAME: &'static str = "chat.get-participants";
    const VIEWS: &'static [&'static str] = &[super::VIEW, crate::people::VIEW];
    type Answer = Page<Participant>;
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Who.
    pub user_id: Uuid,
    /// What they are called; empty while chat hasn't heard of them.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// The position of the newest message they have read, as a decimal string.
    pub read_position: Option<String>,
    /// When they joined.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Timestamp,
}

/// A participant with their place in the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Who.
    pub participant: Participant,
    /// The position of their joining.
    pub joined: u64,
}

impl Listed {
    fn from_row(row: &dyn Row) -> Result<Self, RowError> {
        let read: u64 = row.get(3)?;
        let participant = Participant {
            user_id: row.get(0)?,
            display_name: row.get::<Option<String>>(1)?.unwrap_or_default(),
            role: row.get(2)?,
            read_position: (read > 0).then(|| read.to_string()),
            joined_at: row.get(4)?,
        };
        Ok(Self { participant, joined: row.get(5)? })
    }
}

impl Conversations {
    /// Who is in the conversation, from those on who joined after `after`; nobody unless `viewer` is in it, too.
    pub async fn participants(
        &self,
        viewer: Uuid,
        conversation: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        let sql = "SELECT q.person, n.display_name, q.role, q.read_position, q.joined_at, q.joined_position
            FROM {p}participants q LEFT JOIN {people}people n ON n.id = q.person
            WHERE q.conversation = ?2 AND q.present AND q.joined_position > ?3
              AND EXISTS (SELECT 1 FROM {p}participants mine
                WHERE mine.conversation = ?2 AND mine.person = ?1 AND mine.present)
            ORDER BY q.joined_position LIMIT ?4";
        self.0.rows(sql, params![viewer, conversation, after, limit], Listed::from_row).await
    }

    /// Whether `viewer` is in the conversation.
    pub async fn includes(&self, viewer: Uuid, conversation: Uuid) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM {p}participants WHERE conversation = ?2 AND person = ?1 AND present";
        Ok(!self.0.rows(sql, params![viewer, conversation], |_| Ok(())).await?.is_empty())
    }
}

/// Answers [`GetParticipants`].
pub struct GetParticipantsHandler {
    /// Who is in what.
    pub conversations: Conversations,
    /// Cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<GetParticipants> for GetParticipantsHandler {
    async fn handle(&self, cx: &Context, query: GetParticipants) -> Result<Page<Participant>, Failure> {
        let GetParticipants { conversation, params } = query;
        let me = caller(cx);
        let scope = format!("participants:{conversation}");
        let after = params.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose();
        // A cursor is looked at only once the caller is known to be in: strangers get 404 whatever they send.
        let place = after.as_ref().ok().copied().flatten().unwrap_or(0);
        let listed = self.conversations.participants(me, conversation, place, params.limit.and_one()).await?;
        if listed.is_empty() && !self.conversations.includes(me, conversation).await? {
            return Err(Failure::not_found("there is no such conversation"));
        }
        after?;
        let page = page(listed, params.limit, &self.cursors, &scope, |last: &Listed| last.joined)?;
        Ok(page.map(|listed| listed.participant))
    }
}

/// Who is in a conversation
///
/// By when they joined, with name, role and how far they have read.
#[utoipa::path(get, path = "/v1/conversations/{id}/participants", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"), ParticipantsParams),
    responses(
        (status = 200, description = "A page of participants", body = Page<Participant>),
        (status = 404, description = "No such conversation, or not one of the caller's"),
        (status = 422, description = "An invalid limit or cursor")),
    security(("bearer" = [])))]
pub(crate) async fn get_participants(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    ask: Asking<ParticipantsParams>,
) -> Answer {
    edge.query(ask.cx, GetParticipants { conversation, params: ask.params }).await
}
