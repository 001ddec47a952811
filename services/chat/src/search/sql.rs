//! The SQL of searching. In all of it ?1 is the viewer.

/// Conversations that the viewer is in: at most ?2.
pub(super) const SCOPE: &str = "SELECT conversation FROM {p}search_stays
    WHERE person = ?1 AND until = 9223372036854775807 LIMIT ?2";

/// The conversation ?2, if the viewer is in it.
pub(super) const IS_IN: &str = "SELECT conversation FROM {p}search_stays
    WHERE person = ?1 AND conversation = ?2 AND until = 9223372036854775807";

/// Whether the viewer was in when something happened at `$position` in the conversation of the message `m`.
macro_rules! was_in_at {
    ($position:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM {p}search_stays w WHERE w.conversation = m.conversation AND w.person = ?1
               AND w.since < ",
            $position,
            " AND ",
            $position,
            " < w.until)"
        )
    };
}

/// Of the message `m`: `$now`, if the viewer was in at its last edit, or else `$before` of the newest wording that they
/// were in for.
macro_rules! as_seen {
    ($now:literal, $before:literal) => {
        concat!(
            "CASE WHEN m.edited_position = 0 OR ",
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

/// At most ?4 rows of the index before the row ?3 that `$match`, newest first; each with its message as the viewer sees
/// it, or nulls if they don't. `$near` finds out of a row, `c`, whether the message at `$position` may be one of theirs.
macro_rules! candidates {
    ($match:literal, $near:literal, $position:literal, $order:literal) => {
        concat!(
            "SELECT c.rowid, m.position, m.conversation, m.id, m.sender, m.type, ",
            as_seen!("m.content", "v.content"),
            ", m.reply_to, m.sent_at, ",
            as_seen!("m.edited_at", "v.edited_at"),
            " FROM (SELECT i.rowid FROM {p}search_tokens i WHERE ",
            $match,
            " AND i.rowid < ?3 ORDER BY i.rowid DESC LIMIT ?4) c ",
            $near,
            "LEFT JOIN {p}search_messages m ON m.position = ",
            $position,
            " AND EXISTS (SELECT 1 FROM {p}search_stays n WHERE n.conversation = m.conversation AND n.person = ?1
                 AND n.until = 9223372036854775807) AND ",
            was_in_at!("m.position"),
            $order
        )
    };
}

/// On SQLite: ?2 is an FTS5 expression, and ?5 has a byte for each bucket, 1 where a conversation of the viewer's is in it.
/// The rows come in the order of the first table, one by one as they are asked for; sorting them again would find all first.
pub(super) const MATCHING: &str = candidates!(
    "{p}search_tokens MATCH ?2",
    "LEFT JOIN {p}search_messages b INDEXED BY {p}search_buckets ON b.position = c.rowid / 2
      AND substr(?5, b.bucket + 1, 1) = x'01' ",
    "b.position",
    ""
);

/// On PostgreSQL: all of the tokens ?2.
pub(super) const WITH_ALL: &str = candidates!(
    "string_to_array(i.tokens, ' ') @> string_to_array(?2, ' ')",
    "",
    "c.rowid / 2",
    " ORDER BY c.rowid DESC"
);

/// On PostgreSQL: all of the tokens ?2 and any of the tokens ?5.
pub(super) const WITH_ALL_IN: &str = candidates!(
    "string_to_array(i.tokens, ' ') @> string_to_array(?2, ' ')
      AND string_to_array(i.tokens, ' ') && string_to_array(?5, ' ')",
    "",
    "c.rowid / 2",
    " ORDER BY c.rowid DESC"
);
