//! `GET /v1/conversations/{id}`: one conversation, as a member sees it.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Edge, NoParams, PathId};
use uuid::Uuid;

use super::{ConversationAnswer, Conversations, SeenConversation};
use crate::values::caller;

/// Asks for one conversation.
#[derive(Debug, Clone, Copy)]
pub struct GetConversation {
    /// Which.
    pub conversation: Uuid,
}

impl Query for GetConversation {
    const NAME: &'static str = "chat.get-conversation";
    const VIEWS: &'static [&'static str] = &[super::VIEW, crate::timeline::VIEW];
    type Answer = SeenConversation;
}

/// Answers [`GetConversation`].
pub struct GetConversationHandler(pub Conversations);

#[async_trait]
impl QueryHandler<GetConversation> for GetConversationHandler {
    async fn handle(&self, cx: &Context, query: GetConversation) -> Result<SeenConversation, Failure> {
        let found = self.0.seen_by(caller(cx), query.conversation).await?;
        found.ok_or_else(|| Failure::not_found("there is no such conversation"))
    }
}

// What travels is the answer; version and place in the list are for the edge.
impl serde::Serialize for SeenConversation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.answer.serialize(serializer)
    }
}

/// One conversation
///
/// For its members only.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationAnswer),
        (status = 404, description = "No such conversation, or not one of the caller's")),
    security(("bearer" = [])))]
pub(crate) async fn get_conversation(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    ask: Asking<NoParams>,
) -> Answer {
    edge.query_versioned(ask.cx, GetConversation { conversation }, |seen| Some(seen.version)).await
}
