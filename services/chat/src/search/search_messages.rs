//! `GET /v1/messages/search`: messages by what they say, newest first, in any script.

use std::ops::Range;

use async_trait::async_trait;
use axum::extract::State as Shared;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use cqrs_http::{Answer, Asking, Cursors, Edge, Limit, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Search;
use super::find::{END, Wanted};
use crate::message::MessageAnswer;
use crate::values::caller;

/// What to look for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchMessages {
    /// Words or parts of words, all of which a message must have; case and accents don't matter. At most 16 words and 200
    /// characters count.
    #[param(example = "kyoto 你好")]
    pub q: String,
    /// Only in this conversation.
    #[serde(default)]
    pub conversation_id: Option<Uuid>,
    /// Only by this sender.
    #[serde(default)]
    pub sender_id: Option<Uuid>,
    /// How many at most.
    #[serde(default)]
    #[param(required = false)]
    pub limit: Limit,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for SearchMessages {
    const NAME: &'static str = "chat.search-messages";
    const VIEWS: &'static [&'static str] = &[super::VIEW];
    type Answer = Page<FoundMessage>;
}

/// A message that was found, as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundMessage {
    /// The message.
    #[serde(flatten)]
    pub message: MessageAnswer,
    /// Where in `content` the words are: ascending, apart from each other.
    pub highlights: Vec<Highlight>,
}

/// A part of a text, counted in UTF-16 code units, as JavaScript, Java, Kotlin and Swift's `NSRange` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Highlight {
    /// Where it begins.
    pub start: usize,
    /// Where it ends; the unit there is no longer part of it.
    pub end: usize,
}

/// Byte ranges of `text`, ascending and apart, as ranges of UTF-16 code units.
fn in_utf16(text: &str, ranges: Vec<Range<usize>>) -> Vec<Highlight> {
    let (mut byte, mut unit) = (0, 0);
    let mut unit_at = |to: usize| {
        unit += text[byte..to].encode_utf16().count();
        byte = to;
        unit
    };
    ranges
        .into_iter()
        .map(|range| Highlight { start: unit_at(range.start), end: unit_at(range.end) })
        .collect()
}

/// Answers [`SearchMessages`].
pub struct SearchMessagesHandler {
    /// What was said.
    pub search: Search,
    /// Cursors.
    pub cursors: Cursors,
}

#[async_trait]
impl QueryHandler<SearchMessages> for SearchMessagesHandler {
    async fn handle(&self, cx: &Context, query: SearchMessages) -> Result<Page<FoundMessage>, Failure> {
        let terms = parlor_text::terms(&query.q);
        if terms.is_empty() {
            return Err(Failure::invalid("q", "must have a letter, digit or symbol to look for"));
        }
        let scope = format!("search:{}", caller(cx));
        let before = query.cursor.map(|cursor| self.cursors.decode(&scope, &cursor)).transpose()?;
        let wanted = Wanted {
            terms,
            conversation: query.conversation_id,
            sender: query.sender_id,
            before: before.map_or(END, |before: u64| before.min(END)),
        };
        let found = self.search.find(caller(cx), &wanted, query.limit.get()).await?;
        let found = found.ok_or_else(|| Failure::not_found("there is no such conversation"))?;
        let next_cursor = found.next.map(|next| self.cursors.encode(&scope, &next)).transpose()?;
        let highlighted = |message: MessageAnswer| {
            let hits = parlor_text::find_terms(&message.content, &wanted.terms);
            FoundMessage { highlights: in_utf16(&message.content, hits), message }
        };
        Ok(Page { items: found.messages.into_iter().map(highlighted).collect(), next_cursor })
    }
}

/// Searches messages
///
/// Newest first, in what the caller may read, with where to highlight. Finds words and parts of words in any script,
/// whatever their case and accents. A page may have fewer items than `limit`, even none, and still a `nextCursor`: the
/// search goes on there.
#[utoipa::path(get, path = "/v1/messages/search", tag = "chat",
    params(SearchMessages),
    responses(
        (status = 200, description = "A page of messages", body = Page<FoundMessage>),
        (status = 404, description = "`conversationId` is no conversation, or not one of the caller's"),
        (status = 422, description = "Nothing to look for, or an invalid value")),
    security(("bearer" = [])))]
pub(crate) async fn search_messages(Shared(edge): Shared<Edge>, ask: Asking<SearchMessages>) -> Answer {
    edge.query(ask.cx, ask.params).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highlights_count_as_javascript_does() {
        let text = "🙂 Zoë, zoe";
        let hits = parlor_text::find(text, "zoe");
        assert_eq!(
            in_utf16(text, hits),
            [Highlight { start: 3, end: 6 }, Highlight { start: 8, end: 11 }],
            "the emoji has two units"
        );
    }
}
