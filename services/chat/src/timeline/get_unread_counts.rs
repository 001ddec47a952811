//! `GET /v1/conversations/{id}/unread-count` and `GET /v1/unread-count`: how much the caller hasn't read.
//!
//! Unread is what others sent after the later of one's read mark and one's last joining, and what isn't deleted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler, RowExt as _, StoreError, params};
use cqrs_http::{Answer, Asking, Edge, NoParams, PathId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Timeline, sql};
use crate::values::caller;

/// Asks for the unread messages of one conversation.
#[derive(Debug, Clone, Copy)]
pub struct GetUnreadMessagesCount {
    /// Which.
    pub conversation: Uuid,
}

impl Query for GetUnreadMessagesCount {
    const NAME: &'static str = "chat.get-unread-messages-count";
    const VIEWS: &'static [&'static str] = &[super::VIEW];
    type Answer = UnreadCount;
}

/// Asks for the unread messages of all conversations.
#[derive(Debug, Clone, Copy)]
pub struct GetUnreadMessagesCounts;

impl Query for GetUnreadMessagesCounts {
    const NAME: &'static str = "chat.get-unread-messages-counts";
    const VIEWS: &'static [&'static str] = &[super::VIEW];
    type Answer = UnreadCounts;
}

/// One conversation's unread messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnreadMessages)]
pub struct UnreadCount {
    /// How many.
    pub count: u64,
}

/// All conversations' unread messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnreadMessagesByConversation)]
pub struct UnreadCounts {
    /// How many in all.
    pub total: u64,
    /// How many in each conversation that has any.
    pub conversations: BTreeMap<Uuid, u64>,
}

impl Timeline {
    /// How many messages `viewer` hasn't read in a conversation; `None` if they aren't in it.
    pub async fn unread_in(&self, viewer: Uuid, conversation: Uuid) -> Result<Option<u64>, StoreError> {
        let counts = self.0.rows(sql::UNREAD_IN, params![viewer, conversation], |row| row.get(1)).await?;
        Ok(counts.into_iter().next())
    }

    /// How many messages `viewer` hasn't read in each conversation that they are in.
    pub async fn unread(&self, viewer: Uuid) -> Result<Vec<(Uuid, u64)>, StoreError> {
        self.0.rows(sql::UNREAD, params![viewer], |row| Ok((row.get(0)?, row.get(1)?))).await
    }
}

/// Answers both.
pub struct GetUnreadCountsHandler(pub Timeline);

#[async_trait]
impl QueryHandler<GetUnreadMessagesCount> for GetUnreadCountsHandler {
    async fn handle(&self, cx: &Context, query: GetUnreadMessagesCount) -> Result<UnreadCount, Failure> {
        let count = self.0.unread_in(caller(cx), query.conversation).await?;
        let count = count.ok_or_else(|| Failure::not_found("there is no such conversation"))?;
        Ok(UnreadCount { count })
    }
}

#[async_trait]
impl QueryHandler<GetUnreadMessagesCounts> for GetUnreadCountsHandler {
    async fn handle(&self, cx: &Context, _: GetUnreadMessagesCounts) -> Result<UnreadCounts, Failure> {
        let counts = self.0.unread(caller(cx)).await?;
        let conversations: BTreeMap<_, _> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        Ok(UnreadCounts { total: conversations.values().sum(), conversations })
    }
}

/// Unread messages of a conversation
///
/// What others sent since the caller read or joined, without what was deleted.
#[utoipa::path(get, path = "/v1/conversations/{id}/unread-count", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation")),
    responses(
        (status = 200, description = "How many", body = UnreadCount),
        (status = 404, description = "No such conversation, or not one of the caller's")),
    security(("bearer" = [])))]
pub(crate) async fn get_unread_messages_count(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query(ask.cx, GetUnreadMessagesCount { conversation }).await
}

/// Unread messages of all conversations
///
/// The total, and the conversations that have any.
#[utoipa::path(get, path = "/v1/unread-count", tag = "chat",
    responses((status = 200, description = "How many", body = UnreadCounts)),
    security(("bearer" = [])))]
pub(crate) async fn get_unread_messages_counts(Shared(edge): Shared<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query(ask.cx, GetUnreadMessagesCounts).await
}
