//! Finding: the index proposes, what the viewer may see decides.

use std::sync::Arc;

use cqrs_core::{Row, RowError, RowExt as _, StoreError, params};
use cqrs_sql::{AnswerKey, Dialect};
use uuid::Uuid;

use super::{BUCKETS, Search, bucket, conversation_token, first_row, sender_token, sql, wanted_tokens};
use crate::message::MessageAnswer;

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The words, folded; not empty.
    pub terms: Vec<String>,
    /// Only in this conversation.
    pub conversation: Option<Uuid>,
    /// Only by this sender.
    pub sender: Option<Uuid>,
    /// Only messages before this position.
    pub before: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Messages that have all words, as the viewer sees them, newest first.
    pub messages: Vec<MessageAnswer>,
    /// Where to go on: before this position. `None` if there is nothing more.
    pub next: Option<u64>,
}

/// How many rows of the index one request looks at. Who asks for what hardly anybody may see gets a page with little on
/// it and the place to go on from, and never a request that takes long. SQLite sees of most rows what they are by an index
/// that is small, PostgreSQL has to look at the messages.
fn most_candidates(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Sqlite => 8_000,
        Dialect::Postgres => 2_000,
    }
}

/// How many conversations of one person are told apart by their buckets; who is in more looks at all messages.
const MOST_LISTED: usize = 20_000;

/// How many conversations are named to the index. Who is in more searches in all that was said, and what isn't theirs is
/// left out afterwards: FTS5 compares all alternatives at each step, so that hundreds cost more than they save.
const MOST_NAMED: usize = 32;

/// After every position there can be, and still a row of the index.
pub(super) const END: u64 = i64::MAX as u64 / 4;

/// A row of the index, with its message if the viewer may see that.
struct Candidate {
    row: u64,
    message: Option<MessageAnswer>,
}

impl Candidate {
    /// With its message if that has all of the words.
    fn from_row(row: &dyn Row, terms: &[String]) -> Result<Self, RowError> {
        let said = match row.get::<Option<u64>>(1)? {
            Some(position) => row.get::<Option<String>>(6)?.map(|content| (position, content)),
            None => None,
        };
        let fits = |content: &str| parlor_text::contains_all(&parlor_text::fold(content), terms);
        let message = match said {
            Some((position, content)) if fits(&content) => Some(MessageAnswer {
                id: row.get(3)?,
                conversation_id: row.get(2)?,
                sender_id: row.get(4)?,
                r#type: row.get(5)?,
                content,
                reply_to: row.get(7)?,
                position: position.to_string(),
                created_at: row.get(8)?,
                edited_at: row.get(9)?,
            }),
            _ => None,
        };
        Ok(Self { row: row.get(0)?, message })
    }
}

/// What is asked of the index.
struct Tokens {
    /// All of these.
    all: Vec<String>,
    /// And any of these, unless there are none.
    any: Vec<String>,
    /// Where there may be messages that the viewer sees.
    within: Arc<Within>,
}

/// Where somebody may find something.
struct Within {
    /// The conversations that they are in, unless these are too many.
    conversations: Vec<Uuid>,
    /// A byte for each bucket: 1 where one of their conversations is in it.
    buckets: Vec<u8>,
}

impl Within {
    fn of(mut conversations: Vec<Uuid>) -> Self {
        let all = conversations.len() > MOST_LISTED;
        let mut buckets = vec![u8::from(all); BUCKETS];
        for conversation in &conversations {
            buckets[bucket(*conversation)] = 1;
        }
        conversations.truncate(MOST_NAMED + 1);
        Self { conversations, buckets }
    }
}

impl Tokens {
    /// As an FTS5 expression: <https://www.sqlite.org/fts5.html#full_text_query_syntax>.
    fn expression(&self) -> String {
        let quoted = |tokens: &[String], between: &str| {
            tokens.iter().map(|token| format!("\"{token}\"")).collect::<Vec<_>>().join(between)
        };
        let all = quoted(&self.all, " AND ");
        if self.any.is_empty() { all } else { format!("({}) AND {all}", quoted(&self.any, " OR ")) }
    }
}

impl Search {
    /// The newest messages that `viewer` may see, as they see them, with all the words in them: at most `limit`. `None`
    /// if they aren't in the conversation that is named.
    pub async fn find(
        &self,
        viewer: Uuid,
        wanted: &Wanted,
        limit: usize,
    ) -> Result<Option<Found>, StoreError> {
        let Some(tokens) = self.tokens(viewer, wanted).await? else {
            return Ok(wanted.conversation.is_none().then(Found::default));
        };
        let mut found = Found::default();
        let mut before = first_row(wanted.before);
        let terms: Arc<[String]> = wanted.terms.clone().into();
        let dialect = self.0.views().dialect();
        let most = most_candidates(dialect);
        let mut step = match dialect {
            // It stops by itself where there are enough.
            Dialect::Sqlite => most,
            Dialect::Postgres => limit.max(15) + 1,
        };
        let mut looked_at = 0;
        while looked_at < most {
            let missing = limit + 1 - found.messages.len();
            let candidates = self.candidates(viewer, &tokens, &terms, before, step, missing).await?;
            looked_at += candidates.len();
            let last = candidates.len() < step && seen(&candidates) < missing;
            for candidate in candidates {
                before = candidate.row;
                let Some(message) = candidate.message else { continue };
                // Both rows of a message, that of its edits and its first, give it as it is seen.
                if found.messages.last().is_some_and(|newest| newest.id == message.id) {
                    continue;
                }
                if found.messages.len() == limit {
                    // There is one more than fits: the next page begins with it.
                    found.next = Some(candidate.row / 2 + 1);
                    return Ok(Some(found));
                }
                found.messages.push(message);
            }
            if last {
                return Ok(Some(found));
            }
            step = (step * 4).min(1_000);
        }
        found.next = Some(before / 2);
        Ok(Some(found))
    }

    /// What to ask the index for; `None` if there is nowhere to search.
    async fn tokens(&self, viewer: Uuid, wanted: &Wanted) -> Result<Option<Tokens>, StoreError> {
        let mut all = wanted_tokens(&wanted.terms);
        all.extend(wanted.sender.map(sender_token));
        let within = match wanted.conversation {
            Some(conversation) => {
                let params = params![viewer, conversation];
                Arc::new(Within::of(self.0.rows(sql::IS_IN, params, |row| row.get(0)).await?))
            }
            None => self.within(viewer).await?,
        };
        let mut any: Vec<String> = within.conversations.iter().copied().map(conversation_token).collect();
        match any.len() {
            0 => return Ok(None),
            1 => all.append(&mut any),
            named if named > MOST_NAMED => any.clear(),
            _ => {}
        }
        Ok(Some(Tokens { all, any, within }))
    }

    /// Where somebody may find something.
    async fn within(&self, viewer: Uuid) -> Result<Arc<Within>, StoreError> {
        let views = self.0.views();
        let key = AnswerKey { question: "search within", of: Uuid::nil(), by: viewer, limit: 0 };
        if let Some(within) = views.recall(&key) {
            return Ok(within);
        }
        let mut watch = views.watch();
        if let Some(watch) = &mut watch {
            watch.on([viewer]);
        }
        let rows = self.0.rows(sql::SCOPE, params![viewer, MOST_LISTED + 1], |row| row.get(0)).await?;
        let within = Arc::new(Within::of(rows));
        if let Some(watch) = watch
            && let Some(settled) = views.settled(&[super::VIEW]).await
        {
            views.remember(&settled, key, watch, within.clone(), BUCKETS);
        }
        Ok(within)
    }

    /// At most `step` candidates, among them `enough` that the viewer sees.
    async fn candidates(
        &self,
        viewer: Uuid,
        tokens: &Tokens,
        terms: &Arc<[String]>,
        before: u64,
        step: usize,
        enough: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let views = self.0.views();
        let (sql, params) = match views.dialect() {
            Dialect::Sqlite => {
                let buckets = tokens.within.buckets.clone();
                (sql::MATCHING, params![viewer, tokens.expression(), before, step, buckets])
            }
            Dialect::Postgres if tokens.any.is_empty() => {
                (sql::WITH_ALL, params![viewer, tokens.all.join(" "), before, step])
            }
            Dialect::Postgres => {
                (sql::WITH_ALL_IN, params![viewer, tokens.all.join(" "), before, step, tokens.any.join(" ")])
            }
        };
        let terms = terms.clone();
        let map = move |row: &dyn Row| Candidate::from_row(row, &terms);
        let satisfied = move |found: &[Candidate]| {
            found.last().is_some_and(|last| last.message.is_some()) && seen(found) >= enough
        };
        views.query_until(super::VIEW, sql, params, map, satisfied).await
    }
}

/// How many of the candidates have messages.
fn seen(candidates: &[Candidate]) -> usize {
    candidates.iter().filter(|candidate| candidate.message.is_some()).count()
}
