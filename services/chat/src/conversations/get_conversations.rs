//! `GET /v1/conversations`: the caller's conversations, newest activity first.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page, Rendered};
use cqrs_sql::AnswerKey;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{ConversationAnswer, Conversations, SeenConversation};
use crate::paging::page;
use crate::values::caller;

/// Which part of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GetConversations {
    /// How many at most.
    #[serde(default)]
    #[param(required = false)]
    pub limit: Limit,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for GetConversations {
    const NAME: &'static str = "chat.get-conversations";
    const VIEWS: &'static [&'static str] = &[super::VIEW, crate::timeline::VIEW];
    type Answer = Rendered<Page<ConversationAnswer>>;
}

/// Answers [`GetConversations`].
pub struct GetConversationsHandler {
    /// The list.
    pub conversations: Conversations,
    /// Cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<GetConversations> for GetConversationsHandler {
    async fn handle(
        &self,
        cx: &Context,
        query: GetConversations,
    ) -> Result<Rendered<Page<ConversationAnswer>>, Failure> {
        let me = caller(cx);
        // The first page is what everybody asks for again and again.
        let key =
            AnswerKey { question: GetConversations::NAME, of: Uuid::nil(), by: me, limit: query.limit.get() };
        let views = self.conversations.views();
        if query.cursor.is_none()
            && let Some(kept) = views.recall::<Rendered<_>>(&key)
        {
            return Ok((*kept).clone());
        }
        let watch = if query.cursor.is_none() { self.conversations.watch_list_of(me).await? } else { None };
        // A cursor is somebody's own.
        let scope = format!("conversations:{me}");
        let before = query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let seen = self.conversations.list_of(me, before, query.limit.and_one()).await?;
        let page = page(seen, query.limit, &self.cursors, &scope, |last: &SeenConversation| last.activity)?;
        let answer = Rendered::new(&page.map(|seen| seen.answer))?;
        if let Some(watch) = watch
            && let Some(settled) = views.settled(GetConversations::VIEWS).await
        {
            views.remember(&settled, key, watch, Arc::new(answer.clone()), answer.json().len());
        }
        Ok(answer)
    }
}

/// The caller's conversations
///
/// Newest activity first.
#[utoipa::path(get, path = "/v1/conversations", tag = "chat",
    params(GetConversations),
    responses(
        (status = 200, description = "A page of conversations", body = Page<ConversationAnswer>),
        (status = 422, description = "An invalid limit or cursor")),
    security(("bearer" = [])))]
pub(crate) async fn get_conversations(Shared(edge): Shared<Edge>, ask: Asking<GetConversations>) -> Answer {
    edge.query(ask.cx, ask.params).await
}
