//! The view `search`: what was said, by the few neighbouring characters in it, and who may find it.
//!
//! `parlor_text` folds texts and makes their tokens, so that both stores index the same and know nothing of scripts. The
//! index proposes messages that have all tokens of a query; what a caller may see of each decides ([`Search::find`]).
//! Two more tokens of a message name its conversation and its sender, so that a search in few conversations reads little
//! of what all the others say.
//!
//! Stays lie in this view, under its own checkpoint: it can't find a message without knowing who had left before it.

pub mod find;
pub mod search_messages;
mod sql;

use std::collections::BTreeSet;

use cqrs_core::{
    Aggregate as _, CodecError, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, Sql, Value,
    Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use uuid::Uuid;

use crate::membership::{Membership, MembershipEvent};
use crate::message::{Message, MessageEvent};
use crate::touched;
use crate::values::{History, MessageType};

/// The view's name.
pub const VIEW: &str = "search";

/// A message's row, as it is for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedMessage {
    /// Its position.
    pub position: u64,
    /// Where it was said.
    pub conversation: Uuid,
    /// The message.
    pub id: Uuid,
    /// By whom.
    pub sender: Uuid,
    /// What the content is.
    pub message_type: MessageType,
    /// What it says by now.
    pub content: String,
    /// What it replies to.
    pub reply_to: Option<Uuid>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The position of its last edit; 0 without one.
    pub edited_position: u64,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
}

impl Record for IndexedMessage {
    const TABLE: &'static str = "{p}search_messages";
    const COLUMNS: &'static [&'static str] = &[
        "position",
        "conversation",
        "id",
        "sender",
        "type",
        "content",
        "reply_to",
        "sent_at",
        "edited_position",
        "edited_at",
        "bucket",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.position,
            self.conversation,
            self.id,
            self.sender,
            self.message_type.as_str(),
            self.content.as_str(),
            self.reply_to,
            self.sent_at,
            self.edited_position,
            self.edited_at,
            bucket(self.conversation) as u64,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            position: row.get(0)?,
            conversation: row.get(1)?,
            id: row.get(2)?,
            sender: row.get(3)?,
            message_type: row.get(4)?,
            content: row.get(5)?,
            reply_to: row.get(6)?,
            sent_at: row.get(7)?,
            edited_position: row.get(8)?,
            edited_at: row.get(9)?,
        })
    }
}

/// Keeps the view.
pub struct SearchProjection;

impl Projection for SearchProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &[crate::NAME]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 3,
            sqlite: include_str!("../../migrations/sqlite/search.sql"),
            postgres: include_str!("../../migrations/postgres/search.sql"),
            tables: &[
                "search_stays",
                "search_messages",
                "search_wordings",
                "search_rewordings",
                "search_tokens",
            ],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.category() {
            Message::CATEGORY => message(event, event.decode()?, out),
            Membership::CATEGORY => stay(event, &event.decode()?, out),
            _ => {}
        }
        Ok(())
    }
}

fn message(event: &Incoming<'_>, change: MessageEvent, out: &mut Writes) {
    let meta = event.meta;
    match change {
        MessageEvent::Sent { conversation, sender, message_type, content, reply_to, .. } => {
            let content = content.into_inner().unwrap_or_default();
            let tokens = tokens(conversation, sender, &content);
            out.save(&IndexedMessage {
                position: meta.position.0,
                conversation,
                id: meta.stream,
                sender,
                message_type,
                content,
                reply_to,
                sent_at: meta.at,
                edited_position: 0,
                edited_at: None,
            });
            let sql = "INSERT INTO {p}search_tokens (rowid, tokens) VALUES (?1, ?2)";
            out.run(sql, params![first_row(meta.position.0), tokens]);
        }
        MessageEvent::Edited { conversation, sender, position, content, .. } => {
            let content = content.into_inner().unwrap_or_default();
            let tokens = tokens(conversation, sender, &content);
            let sql = "INSERT INTO {p}search_wordings (message, position, content, edited_at)
                SELECT position, CASE WHEN edited_position = 0 THEN position ELSE edited_position END, content, edited_at
                FROM {p}search_messages WHERE position = ?1";
            out.run(sql, params![position]);
            let sql = "UPDATE {p}search_messages SET content = ?2, edited_position = ?3, edited_at = ?4
                WHERE position = ?1";
            out.run(sql, params![position, content, meta.position, meta.at]);
            // All wordings but the first share a row of the index, for each may be the one that somebody sees.
            let sql = "INSERT INTO {p}search_rewordings AS r (message, tokens) VALUES (?1, ?2)
                ON CONFLICT (message) DO UPDATE SET tokens = r.tokens || ' ' || excluded.tokens";
            out.run(sql, params![position, tokens]);
            let sql = Sql::Each {
                sqlite: "INSERT OR REPLACE INTO {p}search_tokens (rowid, tokens)
                    SELECT 2 * message + 1, tokens FROM {p}search_rewordings WHERE message = ?1",
                postgres: "INSERT INTO {p}search_tokens (rowid, tokens)
                    SELECT 2 * message + 1, tokens FROM {p}search_rewordings WHERE message = ?1
                    ON CONFLICT (rowid) DO UPDATE SET tokens = excluded.tokens",
            };
            out.run(sql, params![position]);
        }
        MessageEvent::Deleted { position, .. } => {
            out.run("DELETE FROM {p}search_messages WHERE position = ?1", params![position]);
            out.run("DELETE FROM {p}search_wordings WHERE message = ?1", params![position]);
            out.run("DELETE FROM {p}search_rewordings WHERE message = ?1", params![position]);
            let first = first_row(position);
            out.run("DELETE FROM {p}search_tokens WHERE rowid = ?1", params![first]);
            out.run("DELETE FROM {p}search_tokens WHERE rowid = ?1", params![first + 1]);
        }
    }
}

fn stay(event: &Incoming<'_>, change: &MembershipEvent, out: &mut Writes) {
    let position = event.meta.position;
    touched::membership(change, out);
    match change {
        MembershipEvent::Added { conversation, user, history, .. } => {
            // A membership's first event is the first joining.
            let sees_all = *history == History::All && event.meta.version == 1;
            let since = if sees_all { 0 } else { position.0 };
            let sql = "INSERT INTO {p}search_stays (conversation, person, since, until)
                VALUES (?1, ?2, ?3, 9223372036854775807)";
            out.run(sql, params![*conversation, *user, since]);
        }
        MembershipEvent::Removed { conversation, user } => {
            let sql = "UPDATE {p}search_stays SET until = ?3
                WHERE conversation = ?1 AND person = ?2 AND until = 9223372036854775807";
            out.run(sql, params![*conversation, *user, position]);
        }
        MembershipEvent::RoleChanged { .. } => {}
    }
}

/// The row of the index for what the message at `position` said at first. That of its edits comes right after.
fn first_row(position: u64) -> u64 {
    2 * position
}

/// The token of a conversation. No token of a text is as long.
fn conversation_token(conversation: Uuid) -> String {
    format!("c{}", conversation.simple())
}

/// The token of a sender.
fn sender_token(sender: Uuid) -> String {
    format!("s{}", sender.simple())
}

/// What a message is indexed under, with spaces in between.
fn tokens(conversation: Uuid, sender: Uuid, content: &str) -> String {
    let folded = parlor_text::fold(content);
    let mut tokens = parlor_text::index_tokens(&folded);
    let longer = |letters| folded.split(' ').flat_map(move |word| alphabetic(word, letters));
    let longer: BTreeSet<String> = longer(3).chain(longer(5)).collect();
    tokens.extend(longer);
    tokens.push(conversation_token(conversation));
    tokens.push(sender_token(sender));
    tokens.join(" ")
}

/// What a message must be indexed under to have these words.
fn wanted_tokens(terms: &[String]) -> Vec<String> {
    let mut tokens = BTreeSet::new();
    for term in terms {
        let fives: Vec<_> = alphabetic(term, 5).collect();
        let is_alphabetic = term.chars().all(is_alphabetic);
        // The longest say all that shorter ones say, where a whole word has them.
        if fives.is_empty() || !is_alphabetic {
            let threes: Vec<_> = alphabetic(term, 3).collect();
            if threes.is_empty() || !is_alphabetic {
                tokens.extend(parlor_text::query_tokens(std::slice::from_ref(term)));
            }
            tokens.extend(threes);
        }
        tokens.extend(fives);
    }
    tokens.into_iter().collect()
}

/// The tokens of so many neighbouring letters of a word, in alphabets alone: there, every second message has the pairs of a
/// common word somewhere, and the triples of a rare one are common. Pairs of Han or Hangul tell enough, and longer ones would
/// nearly all be different.
fn alphabetic(word: &str, letters: usize) -> impl Iterator<Item = String> {
    let characters: Vec<char> = word.chars().collect();
    let starts = 0..(characters.len() + 1).saturating_sub(letters);
    starts.filter_map(move |start| {
        let run = &characters[start..start + letters];
        run.iter().copied().all(is_alphabetic).then(|| parlor_text::token(&run.iter().collect::<String>()))
    })
}

/// How many buckets conversations are spread over.
const BUCKETS: usize = 4096;

/// A conversation's bucket: most conversations of others are in others than one's own.
fn bucket(conversation: Uuid) -> usize {
    (conversation.as_u128() % BUCKETS as u128) as usize
}

/// Whether a character lies before the blocks of Chinese, Japanese and Korean, which begin with the radicals at U+2E80.
/// Of Korean, the letters that syllables are made of lie before, and don't occur in folded texts but alone.
fn is_alphabetic(c: char) -> bool {
    c < '\u{2e80}'
}

/// What was said, by what is in it.
#[derive(Clone)]
pub struct Search(SqlReadRepository<IndexedMessage>);

impl Search {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(content: &str) -> Vec<String> {
        let tokens = tokens(Uuid::from_u128(1), Uuid::from_u128(2), content);
        tokens.split(' ').map(str::to_owned).collect()
    }

    fn wanted(q: &str) -> Vec<String> {
        wanted_tokens(&parlor_text::terms(q))
    }

    #[test]
    fn a_text_is_indexed_under_all_that_its_parts_ask_for() {
        for (content, parts) in [
            ("Straße nach Kyōto", &["s", "as", "strasse", "yot", "kyoto nach"][..]),
            ("你好，今天天气很好", &["你", "天气", "今天天气"]),
            ("iPhone手机 x2", &["phone手", "e手机", "one", "x2"]),
            ("안녕하세요 여러분", &["녕", "하세요"]),
            ("नमस्ते दुनिया", &["नमस्ते", "दु"]),
            ("สวัสดีครับ", &["สวัส", "ดี"]),
        ] {
            let indexed = indexed(content);
            for part in parts {
                let missing: Vec<_> =
                    wanted(part).into_iter().filter(|token| !indexed.contains(token)).collect();
                assert_eq!(missing, Vec::<String>::new(), "{part} in {content}");
            }
        }
    }

    #[test]
    fn words_of_alphabets_are_looked_for_by_long_tokens_and_others_by_pairs() {
        assert_eq!(wanted("abcd ef"), ["abc", "bcd", "ef"]);
        assert_eq!(wanted("abcdef"), ["abcde", "bcdef"]);
        assert_eq!(wanted("今天天气"), parlor_text::query_tokens(&["今天天气"]));
    }

    #[test]
    fn no_text_has_the_token_of_a_conversation_or_a_sender() {
        let longest = alphabetic(&"\u{2e7f}".repeat(5), 5).next().map(|token| token.len());
        assert!(longest.is_some_and(|length| length < conversation_token(Uuid::nil()).len()));
        assert_ne!(conversation_token(Uuid::nil()), sender_token(Uuid::nil()));
    }
}
