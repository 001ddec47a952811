//! `GET /v1/conversations/{id}/messages`: what was said, newest first, as the caller may see it.
//!
//! By cursor or offset, or around a message: `before` and `after` leave it out, `around` has it in its middle.

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler, Row, RowError, RowExt as _, StoreError, params};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page, PathId, Rendered};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Timeline, sql};
use crate::message::MessageAnswer;
use crate::values::caller;

/// Which part of what was said. At most one of `cursor`, `offset`, `before`, `after` and `around`.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessagesParams {
    /// How many at most.
    #[serde(default)]
    #[param(required = false)]
    pub limit: Limit,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// How many of the newest to leave out.
    #[serde(default)]
    pub offset: Option<u32>,
    /// Those sent before this message.
    #[serde(default)]
    pub before: Option<Uuid>,
    /// Those sent after this message; the page holds the first of them, newest first.
    #[serde(default)]
    pub after: Option<Uuid>,
    /// This message and those next to it on both sides.
    #[serde(default)]
    pub around: Option<Uuid>,
}

/// Asks what was said.
#[derive(Debug, Clone)]
pub struct GetConversationMessages {
    /// Where.
    pub conversation: Uuid,
    /// Which part.
    pub params: MessagesParams,
}

impl Query for GetConversationMessages {
    const NAME: &'static str = "chat.get-conversation-messages";
    const VIEWS: &'static [&'static str] = &[super::VIEW];
    type Answer = Rendered<Page<MessageItem>>;
}

/// A message, or what is left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum MessageItem {
    /// One that was deleted.
    Deleted(DeletedMessage),
    /// One that wasn't.
    Said(MessageAnswer),
}

/// What is left of a deleted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedMessage {
    /// The message.
    pub id: Uuid,
    /// Orders messages: a decimal number as a string.
    pub position: String,
    /// Who had said it.
    pub sender_id: Uuid,
    /// When it was deleted.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    pub deleted_at: Timestamp,
}

/// A message with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMessage {
    /// Its position.
    pub position: u64,
    /// What is shown of it.
    pub item: MessageItem,
}

impl SeenMessage {
    pub(super) fn from_row(row: &dyn Row, conversation: Uuid) -> Result<Self, RowError> {
        let (id, position, sender_id): (Uuid, u64, Uuid) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let item = match row.get(8)? {
            Some(deleted_at) => MessageItem::Deleted(DeletedMessage {
                id,
                position: position.to_string(),
                sender_id,
                deleted_at,
            }),
            None => MessageItem::Said(MessageAnswer {
                id,
                conversation_id: conversation,
                sender_id,
                r#type: row.get(3)?,
                content: row.get(4)?,
                reply_to: row.get(5)?,
                position: position.to_string(),
                created_at: row.get(6)?,
                edited_at: row.get(7)?,
            }),
        };
        Ok(Self { position, item })
    }
}

/// Where a page begins, and which way it goes. Also what a cursor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// What was sent before this position, newest first.
    Before(u64),
    /// What was sent after it, oldest first.
    After(u64),
}

impl Timeline {
    /// Messages that `viewer` may see, in the direction of `place`, leaving out the first `offset`. None unless they are
    /// in the conversation.
    pub async fn messages(
        &self,
        viewer: Uuid,
        conversation: Uuid,
        place: Place,
        limit: usize,
        offset: u32,
    ) -> Result<Vec<SeenMessage>, StoreError> {
        let (sql, position) = match place {
            Place::Before(position) => (sql::BEFORE, position),
            Place::After(position) => (sql::AFTER, position),
        };
        let reach = limit.saturating_add(offset as usize);
        let params = params![viewer, conversation, position, limit, offset, reach];
        self.0.rows(sql, params, move |row| SeenMessage::from_row(row, conversation)).await
    }

    /// The position of a message that `viewer` may see.
    pub async fn position_of(
        &self,
        viewer: Uuid,
        conversation: Uuid,
        message: Uuid,
    ) -> Result<Option<u64>, StoreError> {
        let params = params![viewer, conversation, message];
        Ok(self.0.rows(sql::POSITION_OF, params, |row| row.get(0)).await?.into_iter().next())
    }
}

/// What a cursor of a conversation's messages is for.
pub(super) fn scope(conversation: Uuid) -> String {
    format!("messages:{conversation}")
}

/// After every position there can be.
const END: u64 = i64::MAX as u64;

/// Answers [`GetConversationMessages`].
pub struct GetConversationMessagesHandler {
    /// What was said.
    pub timeline: Timeline,
    /// Cursors.
    pub cursors: Cursors,
}

impl GetConversationMessagesHandler {
    async fn position_of(&self, me: Uuid, conversation: Uuid, message: Uuid) -> Result<u64, Failure> {
        let found = self.timeline.position_of(me, conversation, message).await?;
        found.ok_or_else(|| Failure::not_found("there is no such message"))
    }

    async fn page(&self, me: Uuid, query: &GetConversationMessages) -> Result<Page<SeenMessage>, Failure> {
        let GetConversationMessages { conversation, params } = query;
        let (conversation, limit) = (*conversation, params.limit);
        let scope = scope(conversation);
        let place = match (&params.cursor, params.before, params.after, params.around) {
            (Some(cursor), ..) => self.cursors.decode(&scope, cursor)?,
            (_, Some(message), ..) => Place::Before(self.position_of(me, conversation, message).await?),
            (_, _, Some(message), _) => Place::After(self.position_of(me, conversation, message).await?),
            (_, _, _, Some(message)) => return self.around(me, conversation, message, limit).await,
            _ => Place::Before(END),
        };
        let offset = params.offset.unwrap_or(0);
        let found = self.timeline.messages(me, conversation, place, limit.and_one(), offset).await?;
        let next = |last: &SeenMessage| match place {
            Place::Before(_) => Place::Before(last.position),
            Place::After(_) => Place::After(last.position),
        };
        let mut page = crate::paging::page(found, limit, &self.cursors, &scope, next)?;
        if matches!(place, Place::After(_)) {
            page.items.reverse();
        }
        Ok(page)
    }

    /// The message in the middle, as far as there are enough on both sides; the cursor goes on with older ones.
    async fn around(
        &self,
        me: Uuid,
        conversation: Uuid,
        message: Uuid,
        limit: Limit,
    ) -> Result<Page<SeenMessage>, Failure> {
        let middle = self.position_of(me, conversation, message).await?;
        let newer = (limit.get() - 1) / 2;
        let older = limit.get() - newer;
        let mut items = self.timeline.messages(me, conversation, Place::After(middle), newer, 0).await?;
        items.reverse();
        let rest = self.timeline.messages(me, conversation, Place::Before(middle + 1), older + 1, 0).await?;
        let more = rest.len() > older;
        items.extend(rest.into_iter().take(older));
        let last = items.last().filter(|_| more);
        let scope = scope(conversation);
        let next_cursor =
            last.map(|last| self.cursors.encode(&scope, &Place::Before(last.position))).transpose()?;
        Ok(Page { items, next_cursor })
    }
}

#[async_trait]
impl QueryHandler<GetConversationMessages> for GetConversationMessagesHandler {
    async fn handle(
        &self,
        cx: &Context,
        query: GetConversationMessages,
    ) -> Result<Rendered<Page<MessageItem>>, Failure> {
        let (me, params) = (caller(cx), &query.params);
        let ways = [
            params.cursor.is_some(),
            params.offset.is_some(),
            params.before.is_some(),
            params.after.is_some(),
            params.around.is_some(),
        ];
        if !ways.contains(&true)
            && let Some(newest) =
                self.timeline.newest(me, query.conversation, params.limit, &self.cursors).await?
        {
            return Ok(newest);
        }
        let page = if ways.iter().filter(|way| **way).count() > 1 {
            let detail = "takes at most one of cursor, offset, before, after and around";
            Err(Failure::invalid("cursor", detail))
        } else {
            self.page(me, &query).await
        };
        // Strangers get 404 whatever they ask for; members of an empty conversation, an empty page.
        let nothing = page.as_ref().map_or(true, |page| page.items.is_empty());
        if nothing && !self.timeline.includes(me, query.conversation).await? {
            return Err(Failure::not_found("there is no such conversation"));
        }
        Rendered::new(&page?.map(|seen| seen.item))
    }
}

/// What was said in a conversation
///
/// Newest first, by `position`. Deleted messages stay as `{id, position, senderId, deletedAt}`.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "chat",
    params(("id" = Uuid, Path, description = "The conversation"), MessagesParams),
    responses(
        (status = 200, description = "A page of messages", body = Page<MessageItem>),
        (status = 404, description = "No such conversation or message, or not one of the caller's"),
        (status = 422, description = "An invalid limit, cursor or combination")),
    security(("bearer" = [])))]
pub(crate) async fn get_conversation_messages(
    Shared(edge): Shared<Edge>,
    PathId(conversation): PathId,
    ask: Asking<MessagesParams>,
) -> Answer {
    edge.query(ask.cx, GetConversationMessages { conversation, params: ask.params }).await
}
