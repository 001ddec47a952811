//! Finding: the index proposes, what the viewer may see decides.

use cqrs_core::{Row, RowError, RowExt as _, StoreError, params};
use cqrs_sql::Dialect;
use uuid::Uuid;

use super::{Search, conversation_token, first_row, sender_token, sql, wanted_tokens};
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
/// it and the place to go on from, and never a request that takes long.
const MOST_CANDIDATES: usize = 2_000;

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
    fn from_row(row: &dyn Row) -> Result<Self, RowError> {
        let position: Option<u64> = row.get(1)?;
        let message = match (position, row.get::<Option<String>>(6)?) {
            (Some(position), Some(content)) => Some(MessageAnswer {
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
        let (mut looked_at, mut step) = (0, limit.max(15) + 1);
        while looked_at < MOST_CANDIDATES {
            let candidates = self.candidates(viewer, &tokens, before, step).await?;
            let last = candidates.len() < step;
            looked_at += candidates.len();
            for candidate in candidates {
                before = candidate.row;
                let Some(message) = candidate.message else { continue };
                // Both rows of a message, that of its edits and its first, give it as it is seen.
                let repeated = found.messages.last().is_some_and(|newest| newest.id == message.id);
                if repeated || !parlor_text::contains_all(&parlor_text::fold(&message.content), &wanted.terms)
                {
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
        let (sql, params) = match wanted.conversation {
            Some(conversation) => (sql::IS_IN, params![viewer, conversation]),
            None => (sql::SCOPE, params![viewer, MOST_NAMED + 1]),
        };
        let scope: Vec<Uuid> = self.0.rows(sql, params, |row| row.get(0)).await?;
        let mut any: Vec<String> = scope.into_iter().map(conversation_token).collect();
        match any.len() {
            0 => return Ok(None),
            1 => all.append(&mut any),
            named if named > MOST_NAMED => any.clear(),
            _ => {}
        }
        Ok(Some(Tokens { all, any }))
    }

    async fn candidates(
        &self,
        viewer: Uuid,
        tokens: &Tokens,
        before: u64,
        step: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let (sql, params) = match self.0.views().dialect() {
            Dialect::Sqlite => (sql::MATCHING, params![viewer, tokens.expression(), before, step]),
            Dialect::Postgres if tokens.any.is_empty() => {
                (sql::WITH_ALL, params![viewer, tokens.all.join(" "), before, step])
            }
            Dialect::Postgres => {
                (sql::WITH_ALL_IN, params![viewer, tokens.all.join(" "), before, step, tokens.any.join(" ")])
            }
        };
        self.0.rows(sql, params, Candidate::from_row).await
    }
}
