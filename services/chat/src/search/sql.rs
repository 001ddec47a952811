//! The SQL of the index and of searching. In all of the latter ?1 is the viewer.

use cqrs_core::{ColumnKind, Together};

/// Rows that lie next to each other and share a token, on PostgreSQL.
///
/// A GIN index finds all rows that have the tokens asked for, in no order, and of a frequent word these are most of the log. So
/// each row has a token for each of its ranges beside those of its message, and a search without text asks for the newest ranges
/// first. A token of the text is another one in each span of 16,384 positions: a search asks for those of the newest spans, and
/// the index has nothing older, and nothing else, to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Each is this power of two rows long.
    pub(super) bits: u32,
    /// Its token is its number above this. No token of a message is as large.
    pub(super) base: u32,
}

/// 8,192 positions.
pub(super) const FINE: Range = Range { bits: 14, base: 1 << 29 };
/// 131,072 positions.
pub(super) const COARSE: Range = Range { bits: 18, base: 1 << 30 };

/// The tokens of the ranges in which the row `$row` lies. Numbers begin anew after half a billion ranges, so that rows are
/// compared, too.
macro_rules! ranges {
    ($row:literal) => {
        concat!(
            "ARRAY[(536870912 + ((",
            $row,
            " >> 14) & 536870911))::int, (1073741824 + ((",
            $row,
            " >> 18) & 536870911))::int]"
        )
    };
}
pub(super) use ranges;

/// What the tokens of a text are joined with (exclusive or) in the span `$span`, on PostgreSQL: another number for each span, of as
/// many bits as a token. The first span has 0.
macro_rules! mixed_with {
    ($span:expr) => {
        // Odd, so that no two of the first 2^28 spans have the same number.
        concat!("((((", $span, ") & 268435455) * 40503073) & 268435455)::int")
    };
}

/// How many rows a span has, as a power of two.
pub(super) const SPAN_BITS: u32 = 15;
pub(super) use mixed_with;

/// On PostgreSQL: the tokens `$tokens` as the row `$row` has them. Those of conversations and senders, which no text has, stay.
macro_rules! as_indexed {
    ($tokens:literal, $row:literal) => {
        concat!(
            "(SELECT array_agg(CASE WHEN t < 268435456 THEN t # k ELSE t END) FROM (SELECT ",
            $crate::search::sql::mixed_with!(concat!($row, " >> 15")),
            " AS k OFFSET 0) span, unnest(",
            $tokens,
            ") t) || ",
            $crate::search::sql::ranges!($row)
        )
    };
}
pub(super) use as_indexed;

/// Takes messages in: the columns of [`super::IndexedMessage`], and the tokens.
pub(super) static SENT: Together = Together {
    columns: &[
        ColumnKind::Int,
        ColumnKind::Uuid,
        ColumnKind::Uuid,
        ColumnKind::Uuid,
        ColumnKind::Text,
        ColumnKind::Text,
        ColumnKind::Uuid,
        ColumnKind::Int,
        ColumnKind::Int,
        ColumnKind::Int,
        ColumnKind::Int,
        ColumnKind::Text,
    ],
    sqlite: &[
        "INSERT INTO {p}search_messages (position, conversation, id, sender, type, content, reply_to, sent_at, edited_position,
           edited_at, bucket) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        "INSERT INTO {p}search_tokens (rowid, tokens) VALUES (2 * ?1, ?12)",
    ],
    postgres: &[
        concat!(
            "WITH sent AS MATERIALIZED (SELECT * FROM {rows} n),
           messages AS (
             INSERT INTO {p}search_messages (position, conversation, id, sender, type, content, reply_to, sent_at,
               edited_position, edited_at, bucket) SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 FROM sent)
         INSERT INTO {p}search_tokens (rowid, bucket, tokens) SELECT 2 * c1, c11, ",
            as_indexed!("c12::int[]", "(2 * c1)"),
            " FROM sent ORDER BY c1"
        ),
        // What was just inserted waits in a list that every search would read, and goes from there into the index with much less
        // work than each row by itself.
        "SELECT gin_clean_pending_list('{p}search_tokens_index')",
    ],
};

/// Conversations that the viewer is in: at most ?2.
pub(super) const SCOPE: &str = "SELECT conversation FROM {p}search_stays
    WHERE person = ?1 AND until = 9223372036854775807 LIMIT ?2";

/// The conversation ?2, if the viewer is in it.
pub(super) const IS_IN: &str = "SELECT conversation FROM {p}search_stays
    WHERE person = ?1 AND conversation = ?2 AND until = 9223372036854775807";

/// Whether the viewer was in when something happened at `$position` in the conversation of the message `m`, where `n` is their
/// stay there now.
macro_rules! was_in_at {
    ($position:literal) => {
        concat!(
            "(n.since < ",
            $position,
            " OR EXISTS (SELECT 1 FROM {p}search_stays w WHERE w.conversation = m.conversation AND w.person = ?1
               AND w.since < ",
            $position,
            " AND ",
            $position,
            " < w.until))"
        )
    };
}

/// Of the message `m`: `$now`, if the viewer was in at its last edit, or else `$before` of the newest wording that they
/// were in for; null if they may not see it.
macro_rules! as_seen {
    ($now:literal, $before:literal) => {
        concat!(
            "CASE WHEN n.since IS NULL THEN NULL WHEN m.edited_position = 0 OR ",
            was_in_at!("m.edited_position"),
            " THEN ",
            $now,
            " ELSE (SELECT ",
            $before,
            " FROM {p}search_wordings v WHERE v.message = m.position AND ",
            was_in_at!("v.position"),
            " ORDER BY v.position DESC LIMIT 1) END"
        )
    };
}

/// What is read of a message.
macro_rules! message {
    () => {
        concat!(
            "m.position, m.conversation, m.id, m.sender, m.type, ",
            as_seen!("m.content", "v.content"),
            ", m.reply_to, m.sent_at, ",
            as_seen!("m.edited_at", "v.edited_at")
        )
    };
}

/// The message `m` at `$position`.
macro_rules! message_at {
    ($position:literal) => {
        concat!(" LEFT JOIN {p}search_messages m ON m.position = ", $position)
    };
}

/// What the viewer's stay `n` in the conversation of the message `m` is, if they are in and were when it was sent.
macro_rules! stay {
    () => {
        concat!(
            "n.conversation = m.conversation AND n.person = ?1 AND n.until = 9223372036854775807 AND ",
            was_in_at!("m.position")
        )
    };
}

/// On SQLite: at most ?4 rows `$found`, newest first; each with its message as the viewer sees it. ?5 has a byte for each bucket,
/// 1 where a conversation of the viewer's is in it: most messages of others are passed over unread. The rows come in the order
/// of the first table, one by one as they are asked for; sorting them again would find all first.
macro_rules! newest {
    ($found:literal) => {
        concat!(
            "SELECT c.line, ",
            message!(),
            " FROM (SELECT ",
            $found,
            " LIMIT ?4) c LEFT JOIN {p}search_messages b INDEXED BY {p}search_buckets
               ON b.position = c.line / 2 AND substr(?5, b.bucket + 1, 1) = x'01'",
            message_at!("b.position"),
            " LEFT JOIN {p}search_stays n ON ",
            stay!()
        )
    };
}

/// On SQLite: of the rows before ?3 that match ?2, an FTS5 expression.
pub(super) const MATCHING: &str = newest!(
    "i.rowid AS line FROM {p}search_tokens i WHERE {p}search_tokens MATCH ?2 AND i.rowid < ?3 ORDER BY i.rowid DESC"
);

/// On SQLite: of all messages before the row ?3.
pub(super) const ANY: &str = newest!(
    "2 * i.position AS line FROM {p}search_messages i INDEXED BY {p}search_buckets WHERE i.position < (?3 + 1) / 2
       ORDER BY i.position DESC"
);

/// On PostgreSQL: the newest ?4 rows before the row ?3 that have all of the tokens ?2 `$and`, in the ?6 rows before ?3 or before
/// the end, or in the same ranges as these, of `$bits` bits. ?5 is as it is on SQLite; what it leaves out is only counted. Each
/// row says where the ranges begin and end, and how many rows in them have the tokens; there is one row at least.
///
/// What is asked for stands in subqueries, so that the planner, which can't know it then, makes the same plan each time and
/// soon makes it no more. Rows aren't compared by their key, lest it reads the newest and looks for the tokens in each; and each
/// message's stay is a subquery of its own, lest it reads all of the viewer's for each.
macro_rules! newest_before {
    ($bits:expr, $($and:expr),+) => {
        concat!(
            "WITH b AS MATERIALIZED (
               SELECT hi, (GREATEST(hi - ?6::bigint, 0) >> ",
            $bits,
            ") << ",
            $bits,
            " AS lo FROM (
                 SELECT LEAST(?3::bigint, COALESCE((SELECT max(rowid) + 1 FROM {p}search_tokens), 0)) AS hi) newest),
             c AS MATERIALIZED (
               SELECT i.rowid, i.bucket FROM {p}search_tokens i
               WHERE i.tokens @> (SELECT ?2::int[])",
            $($and,)+
            "    AND i.rowid + 0 < (SELECT hi FROM b) AND i.rowid + 0 >= (SELECT lo FROM b))
             SELECT c.rowid, ",
            message!(),
            ", b.lo, b.hi, (SELECT count(*) FROM c) FROM b LEFT JOIN (
               SELECT c.rowid FROM c WHERE get_byte((SELECT ?5::bytea), c.bucket) = 1
               ORDER BY c.rowid DESC LIMIT (SELECT ?4::bigint)) c ON true",
            message_at!("c.rowid / 2"),
            " LEFT JOIN LATERAL (SELECT n.since FROM {p}search_stays n WHERE ",
            stay!(),
            " LIMIT 1) n ON true ORDER BY c.rowid DESC"
        )
    };
}

/// In ranges of ?7 bits and the base ?8.
macro_rules! in_ranges {
    ($and_any:literal) => {
        newest_before!(
            "?7::int",
            " AND i.tokens && (SELECT array_agg((?8::bigint + (range & 536870911))::int)
                FROM b, generate_series(b.lo >> ?7::int, (b.hi - 1) >> ?7::int) range)",
            $and_any
        )
    };
}

/// Without a text, of all conversations.
pub(super) const IN_RANGES: &str = in_ranges!("");

/// Without a text, of those with any of the tokens ?9.
pub(super) const IN_RANGES_WITH_ANY: &str = in_ranges!(" AND i.tokens && (SELECT ?9::int[])");

/// With the token `$token` of a text in any of the spans.
macro_rules! with_token {
    ($token:literal) => {
        concat!(
            " AND i.tokens && (SELECT array_agg((",
            $token,
            "::bigint # ",
            mixed_with!("span"),
            ")::int) FROM b, generate_series(b.lo >> 15, (b.hi - 1) >> 15) span)"
        )
    };
}

/// In one of the conversations whose tokens are ?7.
macro_rules! with_any {
    () => {
        " AND i.tokens && (SELECT ?7::int[])"
    };
}

/// In the fine ranges, whose tokens are in the lists of all rows: worth it where these are few.
macro_rules! in_fine_ranges {
    () => {
        " AND i.tokens && (SELECT array_agg((536870912 + (range & 536870911))::int)
            FROM b, generate_series(b.lo >> 14, (b.hi - 1) >> 14) range)"
    };
}

/// With these tokens of a text.
macro_rules! with_tokens {
    ($bits:literal, $and:expr, $($token:literal),+) => {
        newest_before!($bits, $and, $(with_token!($token)),+)
    };
}

/// With one of a text's tokens, with two, and so on.
macro_rules! by_tokens {
    ($bits:literal, $and:expr, $one:literal $two:literal $three:literal $four:literal $five:literal $six:literal) => {
        [
            with_tokens!($bits, $and, $one),
            with_tokens!($bits, $and, $one, $two),
            with_tokens!($bits, $and, $one, $two, $three),
            with_tokens!($bits, $and, $one, $two, $three, $four),
            with_tokens!($bits, $and, $one, $two, $three, $four, $five),
            with_tokens!($bits, $and, $one, $two, $three, $four, $five, $six),
        ]
    };
}

/// How many of a text's tokens are looked for in the index at most.
pub(super) const MOST_TOKENS: usize = 6;

/// Statements by how many tokens of a text they are about, from one on.
type ByTokens = [&'static str; MOST_TOKENS];

/// With the tokens ?7 and on of a text, in whole spans. Of all conversations.
pub(super) const IN_SPANS: ByTokens = by_tokens!("15", "", "?7" "?8" "?9" "?10" "?11" "?12");

/// The same, in fine ranges: of the frequent, a span has more than a page needs.
pub(super) const IN_FINE_RANGES: ByTokens =
    by_tokens!("14", in_fine_ranges!(), "?7" "?8" "?9" "?10" "?11" "?12");

/// In whole spans, with any of the tokens ?7; those of the text from ?8 on.
pub(super) const IN_SPANS_WITH_ANY: ByTokens =
    by_tokens!("15", with_any!(), "?8" "?9" "?10" "?11" "?12" "?13");

/// The same, in fine ranges.
pub(super) const IN_FINE_RANGES_WITH_ANY: ByTokens =
    by_tokens!("14", concat!(with_any!(), in_fine_ranges!()), "?8" "?9" "?10" "?11" "?12" "?13");
