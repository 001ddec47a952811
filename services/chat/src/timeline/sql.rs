//! The SQL of what is sent, and of what a viewer sees. In all of the latter ?1 is the viewer.

use cqrs_core::{ColumnKind, Sql, Together};

/// Takes messages in: the conversation, the sender, the position, the message, its type, its content, what it replies to, and
/// when it was sent. It gets its number in the conversation and among its sender's there.
pub(super) static SENT: Together = Together {
    columns: &[
        ColumnKind::Uuid,
        ColumnKind::Uuid,
        ColumnKind::Int,
        ColumnKind::Uuid,
        ColumnKind::Text,
        ColumnKind::Text,
        ColumnKind::Uuid,
        ColumnKind::Int,
    ],
    sqlite: &[
        "UPDATE {p}rooms SET messages = messages + 1, newest = ?3 WHERE conversation = ?1",
        "UPDATE {p}tallies SET sent = sent + 1 WHERE conversation = ?1 AND person = ?2",
        "INSERT INTO {p}messages (conversation, position, id, ordinal, sender, sender_ordinal, type, content, reply_to,
           sent_at, edited_position, edited_at, deleted_at)
         SELECT r.conversation, ?3, ?4, r.messages, t.person, t.sent, ?5, ?6, ?7, ?8, 0, NULL, NULL
         FROM {p}rooms r JOIN {p}tallies t ON t.conversation = r.conversation AND t.person = ?2
         WHERE r.conversation = ?1",
    ],
    // The parts of one statement all see how things were before it.
    postgres: &[
        "WITH sent AS MATERIALIZED (SELECT n.*, row_number() OVER (PARTITION BY c1 ORDER BY nth) AS in_room,
             row_number() OVER (PARTITION BY c1, c2 ORDER BY nth) AS of_sender FROM {rows} n),
           in_rooms AS (UPDATE {p}rooms r SET messages = r.messages + s.sent, newest = s.newest
             FROM (SELECT c1, count(*) AS sent, max(c3) AS newest FROM sent GROUP BY c1) s
             WHERE r.conversation = s.c1),
           by_senders AS (UPDATE {p}tallies t SET sent = t.sent + s.sent
             FROM (SELECT c1, c2, count(*) AS sent FROM sent GROUP BY c1, c2) s
             WHERE t.conversation = s.c1 AND t.person = s.c2)
         INSERT INTO {p}messages (conversation, position, id, ordinal, sender, sender_ordinal, type, content, reply_to,
           sent_at, edited_position, edited_at, deleted_at)
         SELECT s.c1, s.c3, s.c4, r.messages + s.in_room, s.c2, t.sent + s.of_sender, s.c5, s.c6, s.c7, s.c8, 0, NULL, NULL
         FROM sent s JOIN {p}rooms r ON r.conversation = s.c1
           JOIN {p}tallies t ON t.conversation = s.c1 AND t.person = s.c2",
    ],
};

/// Whether the viewer was in when something happened at `$position` in the conversation of the message `m`.
macro_rules! was_in_at {
    ($position:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM {timeline}stays w WHERE w.conversation = m.conversation AND w.person = ?1
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
            $crate::timeline::sql::was_in_at!("m.edited_position"),
            " THEN ",
            $now,
            " ELSE (SELECT ",
            $before,
            " FROM {timeline}wordings v WHERE v.message = m.id AND ",
            $crate::timeline::sql::was_in_at!("v.position"),
            " ORDER BY v.position DESC LIMIT 1) END"
        )
    };
}

/// What the message `m` says, as the viewer may see it.
macro_rules! seen_content {
    () => {
        $crate::timeline::sql::as_seen!("m.content", "v.content")
    };
}

/// How many messages the owner of the tally `t` hasn't read, in the room `r` of the same conversation: all since the
/// base, less their own, less the deleted ones. Only the last are counted one by one.
macro_rules! unread {
    () => {
        "(r.messages - t.base_messages) - (t.sent - t.base_sent) -
          CASE WHEN r.deletions = 0 THEN 0 ELSE (SELECT COUNT(*) FROM {timeline}deletions d
            WHERE d.conversation = t.conversation AND d.position > t.base_position AND d.sender <> t.person) END"
    };
}

pub(crate) use {as_seen, seen_content, unread, was_in_at};

/// The viewer's unread messages in all conversations that they are in.
pub(super) const UNREAD: &str = concat!(
    "SELECT t.conversation, ",
    unread!(),
    " FROM {p}tallies t JOIN {p}rooms r ON r.conversation = t.conversation WHERE t.person = ?1 AND t.present"
);

/// The viewer's unread messages in the conversation ?2; no row unless they are in it.
pub(super) const UNREAD_IN: &str = concat!(
    "SELECT t.conversation, ",
    unread!(),
    " FROM {p}tallies t JOIN {p}rooms r ON r.conversation = t.conversation
      WHERE t.person = ?1 AND t.conversation = ?2 AND t.present"
);

/// The position of the message ?3 in the conversation ?2, if the viewer is in and can see it.
pub(super) const POSITION_OF: &str = concat!(
    "SELECT m.position FROM {p}messages m WHERE m.id = ?3 AND m.conversation = ?2
       AND EXISTS (SELECT 1 FROM {p}tallies t WHERE t.conversation = ?2 AND t.person = ?1 AND t.present) AND ",
    was_in_at!("m.position")
);

/// Since when the viewer has been in the conversation ?2; no row unless they are.
pub(super) const SINCE: &str =
    "SELECT since FROM {p}tallies WHERE conversation = ?2 AND person = ?1 AND present";

/// The newest ?3 messages of the conversation ?2 that were sent in the viewer's present stay, which they see as all others do
/// who have been in since before them; with each message's number in the conversation, and since when the viewer has been in.
pub(super) const NEWEST: &str =
    "SELECT m.id, m.position, m.sender, m.type, m.content, m.reply_to, m.sent_at, m.edited_at, m.deleted_at,
      m.ordinal,
      (SELECT t.since FROM {p}tallies t WHERE t.conversation = ?2 AND t.person = ?1 AND t.present)
    FROM {p}messages m WHERE m.conversation = ?2 AND m.position >
      (SELECT t.since FROM {p}tallies t WHERE t.conversation = ?2 AND t.person = ?1 AND t.present)
    ORDER BY m.position DESC LIMIT ?3";

/// Messages of the conversation ?2 on one side of the position ?3: at most ?4, leaving out ?5; ?6 is the sum of both.
/// Each stay is read along the messages' own order, and never further than the page needs, so that what happened in an
/// absence costs nothing. Nothing at all unless the viewer is in now. (To SQLite, CROSS JOIN means: in this order.)
macro_rules! page {
    ($messages:ident, $side:literal, $order:literal) => {
        concat!(
            "SELECT m.id, m.position, m.sender, m.type, ",
            seen_content!(),
            ", m.reply_to, m.sent_at, ",
            as_seen!("m.edited_at", "v.edited_at"),
            ", m.deleted_at FROM {p}stays s ",
            page!(@messages $messages, $side, $order),
            " WHERE s.conversation = ?2 AND s.person = ?1
               AND EXISTS (SELECT 1 FROM {p}tallies t
                 WHERE t.conversation = ?2 AND t.person = ?1 AND t.present)
             ORDER BY m.position ",
            $order,
            " LIMIT ?4 OFFSET ?5"
        )
    };
    (@messages within, $side:literal, $order:literal) => {
        concat!(
            "CROSS JOIN {p}messages m ON m.conversation = s.conversation AND m.position IN (",
            page!(@of_stay "x.position", $side, $order),
            ")"
        )
    };
    (@messages lateral, $side:literal, $order:literal) => {
        concat!("CROSS JOIN LATERAL (", page!(@of_stay "x.*", $side, $order), ") m")
    };
    (@of_stay $columns:literal, $side:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM {p}messages x WHERE x.conversation = s.conversation AND x.position > s.since
               AND x.position < s.until AND x.position ",
            $side,
            " ?3 ORDER BY x.position ",
            $order,
            " LIMIT ?6"
        )
    };
}

/// Those before ?3, newest first.
pub(super) const BEFORE: Sql =
    Sql::Each { sqlite: page!(within, "<", "DESC"), postgres: page!(lateral, "<", "DESC") };

/// Those after ?3, oldest first.
pub(super) const AFTER: Sql =
    Sql::Each { sqlite: page!(within, ">", "ASC"), postgres: page!(lateral, ">", "ASC") };
