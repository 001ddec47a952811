//! The SQL of what happens, and of the list. The latter reads `timeline` beside its own tables, so that what a member sees of messages is filtered by
//! the stays that `timeline` keeps under its own checkpoint.

use cqrs_core::{ColumnKind, Sql, Together};

use crate::timeline::sql::{seen_content, unread};

/// Something happened in conversations: in which, at which position, and when.
pub(super) static HAPPENED: Together = Together {
    columns: &[ColumnKind::Uuid, ColumnKind::Int, ColumnKind::Int],
    sqlite: &["UPDATE {p}conversations SET activity = ?2, updated_at = ?3 WHERE id = ?1"],
    postgres: &["UPDATE {p}conversations c SET activity = l.c2, updated_at = l.c3
         FROM (SELECT DISTINCT ON (c1) c1, c2, c3 FROM {rows} n ORDER BY c1, nth DESC) l WHERE c.id = l.c1"],
};

/// Columns 0 to 10 are those of `ConversationRow`; then the last message and the unread count. `$page` chooses the
/// conversations before anything dear is computed of them. ?1 is the viewer.
///
/// Whoever has been in since before the newest message sees that one, and its newest wording. What others see is looked for
/// in their stays.
macro_rules! seen {
    ($page:literal) => {
        concat!(
            "WITH page AS (
               SELECT c.* FROM {p}participants p JOIN {p}conversations c ON c.id = p.conversation
               WHERE p.person = ?1 AND p.present AND ",
            $page,
            ")
             SELECT page.id, page.kind, page.title, page.history, page.created_by, page.version,
               page.participant_count, page.activity, page.updated_at, page.created_at, page.named,
               m.id, ",
            seen_content!(),
            ", m.sender, m.type, m.position, m.sent_at, ",
            unread!(),
            " FROM page
             JOIN {timeline}tallies t ON t.conversation = page.id AND t.person = ?1 AND t.present
             JOIN {timeline}rooms r ON r.conversation = page.id
             LEFT JOIN {timeline}messages m ON m.conversation = page.id AND m.position =
               CASE WHEN r.newest = 0 OR t.since < r.newest THEN r.newest ELSE (
                 SELECT MAX((SELECT x.position FROM {timeline}messages x
                   WHERE x.conversation = s.conversation AND x.position > s.since AND x.position < s.until
                     AND x.deleted_at IS NULL
                   ORDER BY x.position DESC LIMIT 1))
                 FROM {timeline}stays s WHERE s.conversation = page.id AND s.person = ?1) END
             ORDER BY page.activity DESC"
        )
    };
}

/// The conversation ?2.
pub(super) const ONE: &str = seen!("p.conversation = ?2");

/// At most ?3 conversations whose last activity came before ?2.
pub(super) const LIST: &str = seen!("c.activity < ?2 ORDER BY c.activity DESC LIMIT ?3");

/// Somebody has left the conversation ?1.
macro_rules! left {
    ($digits:literal, $together:literal) => {
        concat!(
            "UPDATE {p}conversations SET participant_count = participant_count - 1, named = COALESCE((SELECT ",
            $together,
            "(",
            $digits,
            ", '' ORDER BY f.joined_position) FROM (
               SELECT q.person, q.joined_position FROM {p}participants q
               WHERE q.conversation = ?1 AND q.present ORDER BY q.joined_position LIMIT 20) f), '')
             WHERE id = ?1"
        )
    };
}

/// Somebody has left the conversation ?1: who is named of it now?
pub(super) const LEFT: Sql = Sql::Each {
    sqlite: left!("hex(f.person)", "group_concat"),
    postgres: left!("replace(CAST(f.person AS TEXT), '-', '')", "string_agg"),
};
