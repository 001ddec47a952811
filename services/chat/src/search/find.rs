//! Finding: the index proposes, what the viewer may see decides.

use std::sync::Arc;

use cqrs_core::{Row, RowError, RowExt as _, StoreError, Value, params};
use cqrs_sql::{AnswerKey, Dialect};
use parlor_text::Token;
use uuid::Uuid;

use super::reach::{Question, Reach, Yield};
use super::{BUCKETS, Search, bucket, first_row, sql, tokens};
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
const MOST_CANDIDATES: usize = 8_000;

/// How many times one request looks at PostgreSQL's index: 16 million positions back for one token, if nothing matches there.
const MOST_LOOKS: usize = 16;

/// How many conversations of one person are told apart by their buckets; who is in more looks at all messages.
const MOST_LISTED: usize = 20_000;

/// How many conversations are named to the index. Who is in more searches in all that was said, and what isn't theirs is
/// left out afterwards: FTS5 compares all alternatives at each step, so that hundreds cost more than they save.
const MOST_NAMED: usize = 32;

/// After every position there can be, and still a row of the index.
pub(super) const END: u64 = i64::MAX as u64 / 4;

/// A row of the index, with its message if the viewer may see that and it is what they look for.
struct Candidate {
    row: u64,
    message: Option<Box<MessageAnswer>>,
}

impl Candidate {
    fn from_row(row: &dyn Row, wanted: &Wanted) -> Result<Self, RowError> {
        let candidate = Self { row: row.get(0)?, message: None };
        let Some(position) = row.get::<Option<u64>>(1)? else { return Ok(candidate) };
        let Some(content) = row.get::<Option<String>>(6)? else { return Ok(candidate) };
        let (conversation, sender) = (row.get(2)?, row.get(4)?);
        // Of whom and where says the index, too, but by numbers that others may have as well.
        let fits = wanted.conversation.is_none_or(|wanted| wanted == conversation)
            && wanted.sender.is_none_or(|wanted| wanted == sender)
            && parlor_text::contains_all(&parlor_text::fold(&content), &wanted.terms);
        if !fits {
            return Ok(candidate);
        }
        let message = Box::new(MessageAnswer {
            id: row.get(3)?,
            conversation_id: conversation,
            sender_id: sender,
            r#type: row.get(5)?,
            content,
            reply_to: row.get(7)?,
            position: position.to_string(),
            created_at: row.get(8)?,
            edited_at: row.get(9)?,
        });
        Ok(Self { message: Some(message), ..candidate })
    }
}

/// What was read of the index at once.
struct Read {
    candidates: Vec<Candidate>,
    /// Everything from this row on was looked at, if the candidates are all that there were.
    from: u64,
    /// And up to before this one.
    to: u64,
    /// How many rows had the tokens, the viewer's and others'.
    matched: usize,
    /// Whether there may be more before the last candidate.
    more: bool,
}

impl Read {
    /// What it brought. Where there is more, only what was taken counts.
    fn brought(&self) -> Yield {
        let (candidates, visible) = (self.candidates.len() as u64, seen(&self.candidates) as u64);
        let all = self.to.saturating_sub(self.from);
        let rows = match self.candidates.last() {
            Some(last) if self.more => (self.from + all).saturating_sub(last.row),
            _ => all,
        };
        let matched = (self.matched as u64).saturating_mul(rows) / all.max(1);
        Yield { rows, matched, candidates, visible }
    }
}

/// What is asked of the index.
struct Tokens {
    /// All of these.
    all: Vec<Token>,
    /// And any of these, unless there are none.
    any: Vec<Token>,
    /// Where there may be messages that the viewer sees.
    within: Arc<Within>,
}

/// Where somebody may find something.
struct Within {
    /// The conversations that they are in, unless these are too many.
    conversations: Vec<Uuid>,
    /// A byte for each bucket: 1 where one of their conversations is in it.
    buckets: Vec<u8>,
    /// How many conversations they are in, as far as they were counted.
    size: usize,
}

impl Within {
    fn of(mut conversations: Vec<Uuid>) -> Self {
        let size = conversations.len();
        let all = size > MOST_LISTED;
        let mut buckets = vec![u8::from(all); BUCKETS];
        for conversation in &conversations {
            buckets[bucket(*conversation)] = 1;
        }
        conversations.truncate(MOST_NAMED + 1);
        Self { conversations, buckets, size }
    }
}

impl Tokens {
    /// As an FTS5 expression: <https://www.sqlite.org/fts5.html#full_text_query_syntax>.
    fn expression(&self) -> String {
        let joined = |tokens: &[Token], between: &str| {
            tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(between)
        };
        let all = joined(&self.all, " AND ");
        match (self.any.is_empty(), all.is_empty()) {
            (true, _) => all,
            (false, true) => joined(&self.any, " OR "),
            (false, false) => format!("({}) AND {all}", joined(&self.any, " OR ")),
        }
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
        let wanted = Arc::new(wanted.clone());
        let question = Question::new(&tokens.all, tokens.within.size);
        let mut reach = self.1.first(question, limit + 1);
        let mut brought = Yield::default();
        let (mut looked_at, mut looks) = (0, 0);
        while looked_at < MOST_CANDIDATES && looks < MOST_LOOKS && before > 1 {
            let missing = limit + 1 - found.messages.len();
            let read = match self.0.views().dialect() {
                Dialect::Sqlite => self.newest(viewer, &tokens, &wanted, before, missing).await?,
                Dialect::Postgres => {
                    let taken = self.1.candidates(question, missing);
                    let read = self.in_ranges(viewer, &tokens, &wanted, before, taken, reach).await;
                    // What it reached for may have been too much by now.
                    let read = read.inspect_err(|_| self.1.forget(question))?;
                    let look = read.brought();
                    brought = brought.and(look);
                    self.1.learn(question, look, brought);
                    read
                }
            };
            looked_at += read.matched;
            looks += 1;
            for candidate in read.candidates {
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
                found.messages.push(*message);
            }
            if !read.more {
                before = read.from;
                reach = self.1.next(question, brought, limit + 1 - found.messages.len());
            }
        }
        found.next = (before > 1).then_some(before / 2);
        Ok(Some(found))
    }

    /// What to ask the index for; `None` if there is nowhere to search.
    async fn tokens(&self, viewer: Uuid, wanted: &Wanted) -> Result<Option<Tokens>, StoreError> {
        let mut all: Vec<Token> = parlor_text::query_tokens(&wanted.terms).into_iter().collect();
        all.extend(wanted.sender.map(tokens::of_sender));
        let within = match wanted.conversation {
            Some(conversation) => {
                let params = params![viewer, conversation];
                Arc::new(Within::of(self.0.rows(sql::IS_IN, params, |row| row.get(0)).await?))
            }
            None => self.within(viewer).await?,
        };
        let mut any: Vec<Token> = within.conversations.iter().copied().map(tokens::of_conversation).collect();
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

    /// The newest candidates on SQLite, which looks for them one by one until `missing` of them are what is wanted.
    async fn newest(
        &self,
        viewer: Uuid,
        tokens: &Tokens,
        wanted: &Arc<Wanted>,
        before: u64,
        missing: usize,
    ) -> Result<Read, StoreError> {
        let expression = tokens.expression();
        let sql = if expression.is_empty() { sql::ANY } else { sql::MATCHING };
        let buckets = tokens.within.buckets.clone();
        let params = params![viewer, expression, before, MOST_CANDIDATES, buckets];
        let wanted = wanted.clone();
        let map = move |row: &dyn Row| Candidate::from_row(row, &wanted);
        let enough = move |found: &[Candidate]| {
            found.len() >= missing
                && found.last().is_some_and(|last| last.message.is_some())
                && seen(found) >= missing
        };
        let candidates = self.0.views().query_until(super::VIEW, sql, params, map, enough).await?;
        let more = candidates.len() == MOST_CANDIDATES || seen(&candidates) >= missing;
        Ok(Read { from: 0, to: before, matched: candidates.len(), more, candidates })
    }

    /// The newest candidates on PostgreSQL, as far back as `reach`: at most `step`.
    async fn in_ranges(
        &self,
        viewer: Uuid,
        tokens: &Tokens,
        wanted: &Arc<Wanted>,
        before: u64,
        step: usize,
        reach: Reach,
    ) -> Result<Read, StoreError> {
        let (text, others): (Vec<Token>, Vec<Token>) =
            tokens.all.iter().partition(|token| tokens::is_of_text(**token));
        let (others, any) = (tokens::written(others), tokens::written(tokens.any.iter().copied()));
        let buckets = tokens.within.buckets.clone();
        let mut params = params![viewer, others, before, step, buckets];
        // What more tokens would leave out is left out when the texts are compared.
        let asked = text.len().min(sql::MOST_TOKENS);
        let sql = if asked == 0 {
            let ranges = reach.ranges();
            params.extend(params![reach.0, u64::from(ranges.bits), u64::from(ranges.base)]);
            if tokens.any.is_empty() {
                sql::IN_RANGES
            } else {
                params.push(any.into());
                sql::IN_RANGES_WITH_ANY
            }
        } else {
            params.push(reach.in_spans(asked).into());
            let texts = match (reach.is_short(), tokens.any.is_empty()) {
                (true, true) => sql::IN_FINE_RANGES,
                (true, false) => sql::IN_FINE_RANGES_WITH_ANY,
                (false, true) => sql::IN_SPANS,
                (false, false) => sql::IN_SPANS_WITH_ANY,
            };
            if !tokens.any.is_empty() {
                params.push(any.into());
            }
            params.extend(text[..asked].iter().map(|token| Value::from(u64::from(*token))));
            texts[asked - 1]
        };
        let wanted = wanted.clone();
        let map = move |row: &dyn Row| {
            let candidate =
                row.get::<Option<u64>>(0)?.map(|_| Candidate::from_row(row, &wanted)).transpose()?;
            Ok((candidate, row.get::<u64>(10)?, row.get::<u64>(11)?, row.get::<u64>(12)? as usize))
        };
        let rows = self.0.views().query(super::VIEW, sql, params, map).await?;
        let (from, to, matched) =
            rows.first().map_or((0, 0, 0), |(_, from, to, matched)| (*from, *to, *matched));
        let candidates: Vec<_> = rows.into_iter().filter_map(|(candidate, ..)| candidate).collect();
        Ok(Read { from, to, matched, more: candidates.len() == step, candidates })
    }
}

/// How many of the candidates have messages.
fn seen(candidates: &[Candidate]) -> usize {
    candidates.iter().filter(|candidate| candidate.message.is_some()).count()
}
