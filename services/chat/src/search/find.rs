//! Finding: the index proposes, what the viewer may see decides.

mod looked;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cqrs_core::{Row, RowError, RowExt as _, StoreError, Value, params};
use cqrs_sql::AnswerKey;
use parlor_text::Token;
use uuid::Uuid;

use self::looked::looked;
use super::open::{Known, Open, OutOfStep, Reading, Said};
use super::postings::{Hit, LARGE, SMALL};
use super::upkeep::{as_json, working};
use super::{BUCKETS, Search, bucket, sql, tokens};
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

/// How much one request looks at: in messages, of which it reads those that may be the viewer's. A block of the index counts as
/// [`OF_BLOCK`]. Who asks for what hardly anybody may see gets a page with little on it and the place to go on from, and never
/// a request that takes long.
const MOST_LOOKED_AT: usize = 8_000;
const OF_BLOCK: usize = 4;

/// How many tokens are looked for in the index at most. What more of them would leave out is left out when texts are compared.
const MOST_TOKENS: usize = 6;

/// How many blocks the first look reads for each token: where what isn't in blocks shows that few messages are looked for, and where
/// it shows that there are many; and how many blocks any look reads at most.
const BLOCKS: usize = 32;
const FEW_BLOCKS: usize = 8;
const MOST_BLOCKS: usize = 512;

/// There are many where what isn't in blocks has as many times less than is looked for. It is half a segment on average.
const MANY: usize = 8;

/// How many messages the first look goes through where the index says nothing.
const MESSAGES: usize = 500;

/// Each look reads four times as many as the one before, and this many times as many as the first at most.
const MOST_TIMES: usize = 16;

/// How many times as many messages are read at once as are missing, at most.
const MOST_CHUNKS: usize = 64;

/// How many messages' tokens are made on the spot: a millisecond's work or less.
const BREATH: usize = 64;

/// How many times a look is taken whose snapshot isn't that of the others.
const TRIES: usize = 4;

/// How many conversations of one person are told apart by their buckets; who is in more looks at all messages.
const MOST_LISTED: usize = 20_000;

/// How many conversations are named to the index, where it has nothing else to go by.
const MOST_NAMED: usize = 32;

/// After every position there can be.
pub(super) use super::postings::END;

/// What is asked of the index.
struct Asked {
    /// All of these.
    all: Vec<Token>,
    /// And any of these, unless there are none.
    any: Vec<Token>,
    /// Where there may be messages that the viewer sees.
    within: Within,
}

impl Asked {
    /// The groups of its tokens, in small segments and in large ones.
    fn groups(&self) -> (Vec<u64>, Vec<u64>) {
        let groups = |token: &Token| (SMALL.group(*token), LARGE.group(*token));
        self.all.iter().chain(&self.any).map(groups).collect::<BTreeSet<_>>().into_iter().unzip()
    }
}

/// Where somebody is.
struct Stays {
    /// Since when they are in their conversations.
    since: HashMap<Uuid, u64>,
    /// Whether these are all.
    all: bool,
    /// The last message of when that was read.
    upto: u64,
    /// For each bucket, whether one of their conversations is in it.
    buckets: Vec<bool>,
}

/// Where somebody may find something.
#[derive(Clone)]
struct Within {
    stays: Arc<Stays>,
    /// Up to which position that is known to be so.
    upto: u64,
}

/// Whether somebody may see a message.
#[derive(Debug, PartialEq, Eq)]
enum Sees {
    /// As it is by now.
    Now,
    /// The store has to be asked whether, and in which words.
    Maybe,
    /// No.
    Not,
}

impl Stays {
    /// Of conversations, since when, and up to which message that is known.
    fn of(stays: Vec<(Uuid, u64, u64)>) -> Self {
        let all = stays.len() <= MOST_LISTED;
        let mut buckets = vec![!all; BUCKETS];
        for (conversation, ..) in &stays {
            buckets[usize::from(bucket(*conversation))] = true;
        }
        let upto = stays.first().map_or(0, |(.., upto)| *upto);
        Self { since: stays.into_iter().map(|(of, since, _)| (of, since)).collect(), all, upto, buckets }
    }
}

impl Within {
    fn may_have(&self, hit: Hit) -> bool {
        self.stays.buckets.get(usize::from(hit.bucket)).is_some_and(|has| *has)
    }

    /// Whether they see a message in a conversation that was sent, and edited last, at these positions; 0 if it never was. Who left
    /// meanwhile may have seen what was said before; of what came after these stays were read, nothing is known.
    fn sees(&self, conversation: Uuid, sent: u64, edited: u64) -> Sees {
        match self.stays.since.get(&conversation) {
            Some(since) if *since < sent && sent.max(edited) <= self.upto => Sees::Now,
            None if self.stays.all && sent <= self.upto => Sees::Not,
            _ => Sees::Maybe,
        }
    }
}

/// What was read of the index at once.
struct Look {
    /// Where there are messages that may be wanted, newest first.
    positions: Vec<u64>,
    /// Everything from this position on was looked at.
    from: u64,
    /// How much that was, as [`MOST_LOOKED_AT`] counts.
    cost: usize,
}

/// A row of a look.
enum LookRow {
    Closed(u64),
    Said(Said),
    Block(u64, Vec<u8>),
}

impl LookRow {
    fn from_row(row: &dyn Row) -> Result<Self, RowError> {
        Ok(match row.get::<u64>(0)? {
            0 => Self::Closed(row.get(1)?),
            1 => Self::Said(Said {
                event: row.get(1)?,
                message: row.get(2)?,
                conversation: row.get(3)?,
                sender: row.get(4)?,
                content: row.get(5)?,
            }),
            _ => Self::Block(row.get(1)?, row.get(6)?),
        })
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
        let Some(asked) = self.asked(viewer, wanted).await? else {
            return Ok(wanted.conversation.is_none().then(Found::default));
        };
        let wanted = Arc::new(wanted.clone());
        let mut found = Found::default();
        let (mut before, mut looked_at, mut times, mut chunks) = (wanted.before, 0, 1, 1);
        while before > 1 && looked_at < MOST_LOOKED_AT {
            let look = if asked.all.is_empty() && asked.any.is_empty() {
                self.newest(&asked.within, before, MESSAGES * times).await?
            } else {
                let enough = 2 * chunk(limit, &found, chunks);
                self.look(&asked, before, times, enough).await?
            };
            times = (times * 4).min(MOST_TIMES);
            looked_at += look.cost;
            let mut rest = &look.positions[..];
            while !rest.is_empty() {
                let (read, later) = rest.split_at(rest.len().min(chunk(limit, &found, chunks)));
                chunks = (chunks * 2).min(MOST_CHUNKS);
                looked_at += read.len();
                for message in self.seen(viewer, read, &wanted, &asked.within).await? {
                    if found.messages.len() == limit {
                        // There is one more than fits: the next page begins with it.
                        found.next = Some(message.0 + 1);
                        return Ok(Some(found));
                    }
                    found.messages.push(message.1);
                }
                rest = later;
                if looked_at >= MOST_LOOKED_AT
                    && let Some(last) = read.last()
                    && !rest.is_empty()
                {
                    found.next = Some(*last);
                    return Ok(Some(found));
                }
            }
            before = look.from;
        }
        found.next = (before > 1).then_some(before);
        Ok(Some(found))
    }

    /// What to ask the index for; `None` if there is nowhere to search.
    async fn asked(&self, viewer: Uuid, wanted: &Wanted) -> Result<Option<Asked>, StoreError> {
        let within = match wanted.conversation {
            Some(conversation) => {
                let stays = self.0.rows(sql::IS_IN, params![viewer, conversation], stay).await?;
                let stays = Arc::new(Stays::of(stays));
                Within { upto: stays.upto, stays }
            }
            None => self.within(viewer).await?,
        };
        if within.stays.since.is_empty() {
            return Ok(None);
        }
        let mut all: Vec<Token> = parlor_text::query_tokens(&wanted.terms).into_iter().collect();
        if all.len() > MOST_TOKENS {
            self.1.rarest_first(&mut all);
            all.truncate(MOST_TOKENS);
        }
        all.extend(wanted.sender.map(tokens::of_sender));
        let mut any = Vec::new();
        if all.is_empty() && within.stays.since.len() <= MOST_NAMED {
            any = within.stays.since.keys().copied().map(tokens::of_conversation).collect();
        }
        Ok(Some(Asked { all, any, within }))
    }

    /// Where somebody may find something.
    async fn within(&self, viewer: Uuid) -> Result<Within, StoreError> {
        let views = self.0.views();
        let key = AnswerKey { question: "search within", of: Uuid::nil(), by: viewer, limit: 0 };
        // Read first: what is remembered is no older.
        let known = views.known_at(super::VIEW, crate::NAME);
        if let Some(stays) = views.recall::<Stays>(&key) {
            return Ok(Within { upto: stays.upto.max(known.0), stays });
        }
        let mut watch = views.watch();
        if let Some(watch) = &mut watch {
            watch.on([viewer]);
        }
        let stays = self.0.rows(sql::SCOPE, params![viewer, MOST_LISTED + 1], stay).await?;
        let stays = Arc::new(Stays::of(stays));
        if let Some(watch) = watch
            && let Some(settled) = views.settled(&[super::VIEW]).await
        {
            views.remember(&settled, key, watch, stays.clone(), BUCKETS + stays.since.len() * 32);
        }
        Ok(Within { upto: stays.upto, stays })
    }

    /// Looks for the newest `enough` before a position, or a few more, in `times` as many blocks as at first.
    async fn look(
        &self,
        asked: &Asked,
        before: u64,
        times: usize,
        enough: usize,
    ) -> Result<Look, StoreError> {
        let mut first = BLOCKS;
        if asked.any.is_empty() && times == 1 {
            let place = self.place();
            let mut newest = self.1.newest(&asked.all, before);
            newest.hits.retain(|hit| asked.within.may_have(*hit));
            if newest.hits.len() >= enough && place > 0 && newest.read_at >= place {
                newest.hits.sort_unstable_by(|a, b| b.cmp(a));
                let positions = newest.hits.into_iter().map(|hit| hit.position).collect();
                return Ok(Look { positions, from: newest.from, cost: 0 });
            }
            if newest.hits.len() * MANY >= enough {
                first = FEW_BLOCKS;
            }
        }
        let (small, large) = asked.groups();
        let blocks = (first * times).min((MOST_BLOCKS / small.len()).max(first));
        let params = params![as_json(&small), before, blocks, as_json(&large)];
        for tries in 0..TRIES {
            match self.look_once(asked, &params, before).await? {
                Ok((open, mut read)) => {
                    read.sort_unstable_by_key(|(key, _)| *key);
                    read.dedup_by_key(|(key, _)| *key);
                    return looked(asked, &read, &open, before, blocks, enough);
                }
                // Read before others read a segment's end, or after they began anew.
                Err(OutOfStep) if tries == 0 => {}
                // Or the view was filled anew, and has less in segments.
                Err(OutOfStep) => self.1.forget(),
            }
        }
        Err(StoreError::Unavailable("the view search is being put in another's place: try again".to_owned()))
    }

    /// How far the view is, at least, that is read from now on; 0 where that isn't known, for queries read a copy.
    fn place(&self) -> u64 {
        let views = self.0.views();
        views.watch().map_or(0, |_| views.known_at(super::VIEW, crate::NAME).0)
    }

    /// What isn't in blocks, and the blocks.
    async fn look_once(
        &self,
        asked: &Asked,
        params: &[Value],
        before: u64,
    ) -> Result<Result<(Vec<Hit>, Vec<(u64, Vec<u8>)>), OutOfStep>, StoreError> {
        let place = self.place();
        let is_read = |known: Known| place > 0 && known.read_at >= place;
        let mut known = self.1.known();
        let one_reads = if !is_read(known) && (place > 0 || known.upto == 0) {
            let one_reads = self.1.reading.lock().await;
            known = self.1.known();
            Some(one_reads)
        } else {
            None
        };
        let rows = if is_read(known) {
            self.0.rows(sql::BLOCKS_BEFORE, params.to_vec(), LookRow::from_row).await?
        } else {
            let params = [params.to_vec(), params![known.upto]].concat();
            self.0.rows(sql::LOOK, params, LookRow::from_row).await?
        };
        let (mut closed, mut said, mut read) = (0, Vec::new(), Vec::new());
        for row in rows {
            match row {
                LookRow::Closed(position) => closed = position,
                LookRow::Said(one) => said.push(one),
                LookRow::Block(key, data) => read.push((key, data)),
            }
        }
        let much = said.len() > BREATH;
        let add = move |open: &Open| {
            let said = said.iter().map(Said::indexed).collect::<Vec<_>>();
            open.take_in(known, &Reading { closed, place, said })
        };
        let added = if much {
            let open = self.1.clone();
            working(move || Ok(add(&open))).await?
        } else {
            add(&self.1)
        };
        drop(one_reads);
        let found = |tokens: &[Token]| self.1.find(known, closed, tokens, before);
        let open = added.and_then(|()| match &asked.any[..] {
            [] => found(&asked.all),
            any => Ok(any.iter().map(|token| found(&[*token])).collect::<Result<Vec<_>, _>>()?.concat()),
        });
        Ok(open.map(|open| (open, read)))
    }

    /// Goes through the newest messages, whatever they say.
    async fn newest(&self, within: &Within, before: u64, messages: usize) -> Result<Look, StoreError> {
        let row = |row: &dyn Row| Ok(Hit { position: row.get(0)?, bucket: row.get::<u64>(1)? as u16 });
        let rows = self.0.rows(sql::NEWEST, params![before, messages], row).await?;
        let from = rows.last().filter(|_| rows.len() == messages).map_or(0, |last| last.position);
        let positions = rows.iter().filter(|hit| within.may_have(**hit)).map(|hit| hit.position).collect();
        Ok(Look { positions, from, cost: rows.len() })
    }

    /// Those of the messages at these positions, newest first, that the viewer may see, and that have what is looked for; each
    /// with its position.
    async fn seen(
        &self,
        viewer: Uuid,
        positions: &[u64],
        wanted: &Arc<Wanted>,
        within: &Within,
    ) -> Result<Vec<(u64, MessageAnswer)>, StoreError> {
        let (wants, may) = (wanted.clone(), within.clone());
        let by_now = move |row: &dyn Row| {
            let position = row.get(0)?;
            Ok(match may.sees(row.get(1)?, position, row.get(9)?) {
                Sees::Now => (position, message(row, &wants)?, false),
                Sees::Maybe => (position, None, true),
                Sees::Not => (position, None, false),
            })
        };
        let rows = self.0.rows(sql::MESSAGES, params![as_json(positions)], by_now).await?;
        let unsure: Vec<_> = rows.iter().filter(|(.., unsure)| *unsure).map(|(at, ..)| *at).collect();
        let mut seen: Vec<_> =
            rows.into_iter().filter_map(|(position, message, _)| Some((position, message?))).collect();
        if !unsure.is_empty() {
            let wants = wanted.clone();
            let as_seen = move |row: &dyn Row| Ok((row.get(0)?, message(row, &wants)?));
            let rows = self.0.rows(sql::SEEN, params![viewer, as_json(&unsure)], as_seen).await?;
            seen.extend(rows.into_iter().filter_map(|(position, message)| Some((position, message?))));
        }
        seen.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        Ok(seen)
    }
}

/// A conversation that somebody is in, since when, and up to which message that is known.
fn stay(row: &dyn Row) -> Result<(Uuid, u64, u64), RowError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// A message that is seen, if it is one that is wanted.
fn message(row: &dyn Row, wanted: &Wanted) -> Result<Option<MessageAnswer>, RowError> {
    // Of whom and where says the index, too, but by numbers that others may have as well.
    let (conversation, sender) = (row.get(1)?, row.get(3)?);
    if wanted.conversation.is_some_and(|wanted| wanted != conversation)
        || wanted.sender.is_some_and(|wanted| wanted != sender)
    {
        return Ok(None);
    }
    let Some(content) = row.get::<Option<String>>(5)? else { return Ok(None) };
    if !parlor_text::contains_all(&parlor_text::fold(&content), &wanted.terms) {
        return Ok(None);
    }
    Ok(Some(MessageAnswer {
        id: row.get(2)?,
        conversation_id: conversation,
        sender_id: sender,
        r#type: row.get(4)?,
        content,
        reply_to: row.get(6)?,
        position: row.get::<u64>(0)?.to_string(),
        created_at: row.get(7)?,
        edited_at: row.get(8)?,
    }))
}

/// How many messages are read at once: others' conversations may be in the same buckets; and where more than these don't fit, few will.
fn chunk(limit: usize, found: &Found, chunks: usize) -> usize {
    let missing = limit + 1 - found.messages.len();
    (missing + missing / 4 + 4) * chunks
}
