//! The SQL of the index and of searching.
//!
//! What is asked for on PostgreSQL stands in subqueries, which the planner can't look into: the plan that it makes for any value is
//! the plan for each, and it soon makes none anew. Lists of numbers are written as JSON has them.

use cqrs_core::{ColumnKind, Sql, Together};

/// Takes messages in: the columns of [`super::IndexedMessage`].
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
    ],
    sqlite: &[
        "INSERT INTO {p}search_messages (position, conversation, id, sender, type, content, reply_to, sent_at, edited_position,
           edited_at, bucket) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    ],
    postgres: &[
        "INSERT INTO {p}search_messages (position, conversation, id, sender, type, content, reply_to, sent_at,
           edited_position, edited_at, bucket) SELECT c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 FROM {rows} n ORDER BY c1",
    ],
};

/// How far segments have been made, and the last event that said something.
pub(super) const PROGRESS: &str =
    "SELECT p.closed, p.merged, CASE WHEN m.last > e.last THEN m.last ELSE e.last END FROM
    (SELECT COALESCE(max(closed), 0) AS closed, COALESCE(max(merged), 0) AS merged FROM {p}search_progress) p,
    (SELECT COALESCE(max(position), 0) AS last FROM {p}search_messages) m,
    (SELECT COALESCE(max(event), 0) AS last FROM {p}search_edits) e";

/// What events from ?1 on, and before ?2, said: event, message, conversation, sender, words. An edited message comes with all its
/// wordings.
pub(super) const LOOSE: &str =
    "SELECT position, position, conversation, sender, content FROM {p}search_messages
      WHERE position >= ?1 AND position < ?2
    UNION ALL SELECT m.position, m.position, m.conversation, m.sender, w.content FROM {p}search_wordings w
      JOIN {p}search_messages m ON m.position = w.message WHERE w.message >= ?1 AND w.message < ?2
    UNION ALL SELECT e.event, m.position, m.conversation, m.sender, e.content FROM {p}search_edits e
      JOIN {p}search_messages m ON m.position = e.message WHERE e.event >= ?1 AND e.event < ?2";

/// What the messages ?1 say, and what they said before they were edited.
pub(super) const WORDINGS: Sql = Sql::Each {
    sqlite: "SELECT m.position, m.conversation, m.sender, m.content FROM json_each(?1) j
          JOIN {p}search_messages m ON m.position = j.value
        UNION ALL SELECT m.position, m.conversation, m.sender, w.content FROM json_each(?1) j
          JOIN {p}search_messages m ON m.position = j.value JOIN {p}search_wordings w ON w.message = m.position",
    postgres: "WITH j AS (SELECT unnest(string_to_array(btrim(?1, '[]'), ',')::bigint[]) AS message)
        SELECT m.position, m.conversation, m.sender, m.content FROM j
          JOIN {p}search_messages m ON m.position = j.message
        UNION ALL SELECT m.position, m.conversation, m.sender, w.content FROM j
          JOIN {p}search_messages m ON m.position = j.message JOIN {p}search_wordings w ON w.message = m.position",
};

/// For each of the keys ?1: the last block of its group that begins there or before.
pub(super) const BLOCKS_AT: Sql = Sql::Each {
    sqlite: "SELECT j.value, b.key, b.data FROM json_each(?1) j JOIN {p}search_blocks b ON b.key = (
          SELECT max(key) FROM {p}search_blocks WHERE key <= j.value AND key >= j.value >> 48 << 48)",
    postgres: "SELECT j.at, b.key, b.data FROM
        (SELECT unnest(string_to_array(btrim(?1, '[]'), ',')::bigint[]) AS at) j, LATERAL (
          SELECT key, data FROM {p}search_blocks WHERE key <= j.at AND key >= j.at >> 48 << 48
          ORDER BY key DESC LIMIT 1) b",
};

/// The blocks of the groups ?1 that begin at ?2 or later, and before ?3.
pub(super) const BLOCKS_OF: Sql = Sql::Each {
    sqlite: "SELECT b.key, b.data FROM json_each(?1) j
        JOIN {p}search_blocks b ON b.key >= (j.value << 48) + ?2 AND b.key < (j.value << 48) + ?3",
    postgres: "SELECT b.key, b.data FROM
        (SELECT unnest(string_to_array(btrim(?1, '[]'), ',')::bigint[]) AS of) j, LATERAL (
          SELECT key, data FROM {p}search_blocks WHERE key >= (j.of << 48) + ?2 AND key < (j.of << 48) + ?3 OFFSET 0) b",
};

/// Writes a block: its key, and what is in it.
pub(super) static BLOCK: Together = Together {
    columns: &[ColumnKind::Int, ColumnKind::Bytes],
    sqlite: &["INSERT INTO {p}search_blocks (key, data) VALUES (?1, ?2)
        ON CONFLICT (key) DO UPDATE SET data = excluded.data"],
    postgres: &["INSERT INTO {p}search_blocks (key, data) SELECT c1, c2 FROM {rows} n
        ON CONFLICT (key) DO UPDATE SET data = excluded.data"],
};

/// Drops the blocks from a key on, and before another.
pub(super) static DROPPED: Together = Together {
    columns: &[ColumnKind::Int, ColumnKind::Int],
    sqlite: &["DELETE FROM {p}search_blocks WHERE key >= ?1 AND key < ?2"],
    postgres: &["DELETE FROM {p}search_blocks b USING {rows} n WHERE b.key >= n.c1 AND b.key < n.c2"],
};

/// How far segments have been made from now on.
pub(super) const MADE: &str = "INSERT INTO {p}search_progress (id, closed, merged) VALUES (1, ?1, ?2)
    ON CONFLICT (id) DO UPDATE SET closed = excluded.closed, merged = excluded.merged";

/// What isn't in segments of what events after `$after` said. That all is before the end, which goes without saying, tells PostgreSQL's
/// planner that it is little: what is only larger than something, it takes for a third of the table.
macro_rules! loose_after {
    ($after:literal) => {
        concat!(
            "SELECT 1, position, position, conversation, sender, content, NULL
               FROM {p}search_messages WHERE position < (SELECT 281474976710655) AND position > ",
            $after,
            " UNION ALL SELECT 1, m.position, m.position, m.conversation, m.sender, w.content, NULL
               FROM {p}search_wordings w JOIN {p}search_messages m ON m.position = w.message
               WHERE w.message < (SELECT 281474976710655) AND w.message > ",
            $after,
            " UNION ALL SELECT 1, e.event, m.position, m.conversation, m.sender, e.content, NULL
               FROM {p}search_edits e JOIN {p}search_messages m ON m.position = e.message
               WHERE e.event < (SELECT 281474976710655) AND e.event > ",
            $after
        )
    };
}

/// How far segments have been made (0, closed).
macro_rules! closed {
    () => {
        "SELECT 0, (SELECT COALESCE(max(closed), 0) FROM {p}search_progress)"
    };
}

/// Of each of the groups ?1 in small segments and, at the same place in the list, ?4 in large ones: the last ?3 blocks that begin
/// before ?2 (2, key, and in the end the data). Small segments are the newer ones: large ones are read where these aren't enough.
macro_rules! blocks_before {
    (sqlite) => {
        concat!(
            " UNION ALL SELECT 2, b.key, 0, NULL, NULL, NULL, b.data FROM json_each(?1) s JOIN json_each(?4) l ON l.key = s.key
              JOIN {p}search_blocks b ON b.key IN (",
            blocks_before!(sqlite, "s.value"),
            " UNION ALL ",
            blocks_before!(sqlite, "l.value"),
            " LIMIT ?3)"
        )
    };
    (sqlite, $group:literal) => {
        concat!(
            "SELECT key FROM (SELECT key FROM {p}search_blocks WHERE key >= ",
            $group,
            " << 48 AND key < (",
            $group,
            " << 48) + ?2 ORDER BY key DESC LIMIT ?3)"
        )
    };
    (postgres) => {
        concat!(
            " UNION ALL SELECT 2, b.key, 0, NULL, NULL, NULL, b.data FROM
              unnest((SELECT string_to_array(btrim(?1, '[]'), ',')::bigint[]),
                (SELECT string_to_array(btrim(?4, '[]'), ',')::bigint[])) AS j (small, large), LATERAL (",
            blocks_before!(postgres, "j.small"),
            " UNION ALL ",
            blocks_before!(postgres, "j.large"),
            " LIMIT (SELECT ?3::bigint)) b"
        )
    };
    (postgres, $group:literal) => {
        concat!(
            "SELECT key, data FROM (SELECT key, data FROM {p}search_blocks WHERE key >= ",
            $group,
            " << 48 AND key < (",
            $group,
            " << 48) + (SELECT ?2::bigint) ORDER BY key DESC LIMIT (SELECT ?3::bigint)) of_group"
        )
    };
}

/// What a look at the index needs, in one snapshot, where all that isn't in segments is known.
pub(super) const BLOCKS_BEFORE: Sql = Sql::Each {
    sqlite: concat!(closed!(), ", 0, NULL, NULL, NULL, NULL", blocks_before!(sqlite)),
    postgres: concat!(
        closed!(),
        ", 0::bigint, NULL::uuid, NULL::uuid, NULL, NULL::bytea",
        blocks_before!(postgres)
    ),
};

/// The same, and what events after ?5 said, unless it is in segments (1, event, message, conversation, sender, words).
pub(super) const LOOK: Sql = Sql::Each {
    sqlite: concat!(
        closed!(),
        ", 0, NULL, NULL, NULL, NULL UNION ALL ",
        loose_after!("(SELECT max(?5, COALESCE(max(closed) - 1, 0)) FROM {p}search_progress)"),
        blocks_before!(sqlite)
    ),
    postgres: concat!(
        closed!(),
        ", 0::bigint, NULL::uuid, NULL::uuid, NULL, NULL::bytea UNION ALL ",
        loose_after!("(SELECT GREATEST(?5::bigint, max(closed) - 1) FROM {p}search_progress)"),
        blocks_before!(postgres)
    ),
};

/// The ?2 newest messages before ?1: where, and their buckets.
pub(super) const NEWEST: &str =
    "SELECT position, bucket FROM {p}search_messages WHERE position < ?1 ORDER BY position DESC LIMIT ?2";

/// Conversations that the viewer is in, at most ?2: since when, and up to which message that is known.
pub(super) const SCOPE: &str =
    "SELECT conversation, since, (SELECT COALESCE(max(position), 0) FROM {p}search_messages)
    FROM {p}search_stays WHERE person = ?1 AND until = 9223372036854775807 LIMIT ?2";

/// The same of the conversation ?2 alone.
pub(super) const IS_IN: &str =
    "SELECT conversation, since, (SELECT COALESCE(max(position), 0) FROM {p}search_messages)
    FROM {p}search_stays WHERE person = ?1 AND conversation = ?2 AND until = 9223372036854775807";

/// The messages ?1, as they are by now.
pub(super) const MESSAGES: Sql = Sql::Each {
    sqlite: "SELECT m.position, m.conversation, m.id, m.sender, m.type, m.content, m.reply_to, m.sent_at, m.edited_at, m.edited_position
        FROM json_each(?1) j CROSS JOIN {p}search_messages m ON m.position = j.value",
    postgres: "SELECT position, conversation, id, sender, type, content, reply_to, sent_at, edited_at, edited_position
        FROM {p}search_messages WHERE position = ANY ((SELECT string_to_array(btrim(?1, '[]'), ',')::bigint[])::bigint[])",
};

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

/// What the viewer's stay `n` in the conversation of the message `m` is, if they are in and were when it was sent.
macro_rules! stay {
    () => {
        concat!(
            "n.conversation = m.conversation AND n.person = ?1 AND n.until = 9223372036854775807 AND ",
            was_in_at!("m.position")
        )
    };
}

/// Of the messages ?2 those that the viewer, ?1, may see, as they see them. On PostgreSQL message and stay are subqueries of their
/// own: joined, they were now and then planned as all there are, for each message.
pub(super) const SEEN: Sql = Sql::Each {
    sqlite: concat!(
        "SELECT ",
        message!(),
        " FROM json_each(?2) j CROSS JOIN {p}search_messages m ON m.position = j.value JOIN {p}search_stays n ON ",
        stay!()
    ),
    postgres: concat!(
        "SELECT ",
        message!(),
        " FROM (SELECT unnest((SELECT string_to_array(btrim(?2, '[]'), ',')::bigint[])) AS at) j,
           LATERAL (SELECT * FROM {p}search_messages m WHERE m.position = j.at LIMIT 1) m,
           LATERAL (SELECT n.since FROM {p}search_stays n WHERE ",
        stay!(),
        " LIMIT 1) n"
    ),
};
