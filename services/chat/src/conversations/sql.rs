//! The SQL of the list. It reads `timeline` beside its own tables, so that what a member sees of messages is filtered by
//! the stays that `timeline` keeps under its own checkpoint.

use cqrs_core::Sql;

use crate::timeline::sql::{seen_content, unread};

/// Columns 0 to 9 are those of `ConversationRow`; then the last message, the unread count and the first participants.
/// `$page` chooses the conversations before anything dear is computed of them. ?1 is the viewer.
macro_rules! seen {
    ($page:literal, $participants:literal) => {
        concat!(
            "WITH page AS (
               SELECT c.* FROM {p}participants p JOIN {p}conversations c ON c.id = p.conversation
               WHERE p.person = ?1 AND p.present AND ",
            $page,
            ")
             SELECT page.id, page.kind, page.title, page.history, page.created_by, page.version,
               page.participant_count, page.activity, page.updated_at, page.created_at,
               m.id, ",
            seen_content!(),
            ", m.sender, m.type, m.position, m.sent_at, ",
            unread!(),
            ", ",
            $participants,
            "FROM page
             JOIN {timeline}tallies t ON t.conversation = page.id AND t.person = ?1 AND t.present
             JOIN {timeline}rooms r ON r.conversation = page.id
             LEFT JOIN {timeline}messages m ON m.conversation = page.id AND m.position = (
               SELECT MAX((SELECT x.position FROM {timeline}messages x
                 WHERE x.conversation = s.conversation AND x.position > s.since AND x.position < s.until
                   AND x.deleted_at IS NULL
                 ORDER BY x.position DESC LIMIT 1))
               FROM {timeline}stays s WHERE s.conversation = page.id AND s.person = ?1)
             ORDER BY page.activity DESC"
        )
    };
}

macro_rules! on_each {
    ($page:literal) => {
        Sql::Each {
            sqlite: seen!(
                $page,
                "(SELECT group_concat(hex(f.person), ',' ORDER BY f.joined_position) FROM (
                   SELECT q.person, q.joined_position FROM {p}participants q
                   WHERE q.conversation = page.id AND q.present ORDER BY q.joined_position LIMIT 20) f) "
            ),
            postgres: seen!(
                $page,
                "(SELECT string_agg(CAST(f.person AS TEXT), ',' ORDER BY f.joined_position) FROM (
                   SELECT q.person, q.joined_position FROM {p}participants q
                   WHERE q.conversation = page.id AND q.present ORDER BY q.joined_position LIMIT 20) f) "
            ),
        }
    };
}

/// The conversation ?2.
pub(super) const ONE: Sql = on_each!("p.conversation = ?2");

/// At most ?3 conversations whose last activity came before ?2.
pub(super) const LIST: Sql = on_each!("c.activity < ?2 ORDER BY c.activity DESC LIMIT ?3");
