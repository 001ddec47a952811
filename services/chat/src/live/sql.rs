//! The SQL of the feed. In what somebody missed ?1 is the viewer, ?2 the position after which, ?3 that up to which, ?4 how
//! many at most; oldest first.

use cqrs_core::{ColumnKind, Sql, Together};

/// Something happened in conversations: in which, at which position, and the position of the message that it changes.
pub(super) static HAPPENED: Together = Together {
    columns: &[ColumnKind::Uuid, ColumnKind::Int, ColumnKind::Int],
    sqlite: &["INSERT INTO {p}feed_events (conversation, position, about) VALUES (?1, ?2, ?3)"],
    postgres: &["INSERT INTO {p}feed_events (conversation, position, about) SELECT c1, c2, c3 FROM {rows} n"],
};

/// All stays of ?1, oldest first.
pub(super) const STAYS: &str = "SELECT conversation, added, since, until FROM {p}feed_stays
    WHERE person = ?1 ORDER BY added";

/// Of each stay at most a page of events, along the conversation's own order, so that a page costs what the viewer's
/// conversations have, whatever happened in all the others. An event about a message that they may not see isn't theirs.
/// Each event with the time at which the message that it tells of was deleted, if it was.
macro_rules! missed {
    (@of_stay) => {
        "SELECT x.position, x.about FROM {p}feed_events x
         WHERE x.conversation = s.conversation AND x.position > ?2 AND x.position <= ?3
           AND x.position >= s.joined AND x.position <= s.until
           AND (x.about = 0 OR EXISTS (SELECT 1 FROM {p}feed_stays w
             WHERE w.conversation = s.conversation AND w.person = ?1 AND w.since < x.about AND x.about < w.until))
         ORDER BY x.position LIMIT ?4"
    };
    ($($from:tt)+) => {
        concat!(
            "SELECT e.position, (SELECT d.deleted_at FROM {p}feed_deletions d
               WHERE d.position = CASE WHEN e.about = 0 THEN e.position ELSE e.about END)
             FROM {p}feed_stays s ",
            $($from)+,
            " WHERE s.person = ?1 AND s.until > ?2 ORDER BY e.position LIMIT ?4"
        )
    };
}

/// Positions in chat's log.
pub(super) const CHAT: Sql = Sql::Each {
    sqlite: missed!(concat!(
        "JOIN {p}feed_events e ON e.conversation = s.conversation AND e.position IN (SELECT y.position FROM (",
        missed!(@of_stay),
        ") y)"
    )),
    postgres: missed!(concat!("CROSS JOIN LATERAL (", missed!(@of_stay), ") e")),
};

/// Those whom the viewer knows, themselves included: who is among their contacts, or with them in a conversation.
macro_rules! known {
    ($viewer:literal) => {
        concat!(
            "WITH known AS (SELECT ",
            $viewer,
            " AS person
               UNION SELECT c.contact FROM {p}feed_contacts c WHERE c.owner = ?1
               UNION SELECT theirs.person FROM {p}feed_stays mine
                 JOIN {p}feed_stays theirs ON theirs.conversation = mine.conversation
                   AND theirs.until = 9223372036854775807
                 WHERE mine.person = ?1 AND mine.until = 9223372036854775807) "
        )
    };
}
/// Of each of them at most a page of events, along their own order, so that a page costs what the viewer's acquaintances
/// did, whatever all the others did.
macro_rules! of_known {
    ($columns:literal) => {
        concat!(
            "(SELECT ",
            $columns,
            " FROM {p}feed_users x WHERE x.person = k.person AND x.position > ?2 AND x.position <= ?3
               AND (x.known_to_others OR x.person = ?1) ORDER BY x.position LIMIT ?4)"
        )
    };
}

/// What happened to the viewer and to those whom they know. SQLite is kept to this order of the tables: along the
/// positions it would look at everybody's events.
pub(super) const USERS: Sql = Sql::Each {
    sqlite: concat!(
        known!("?1"),
        "SELECT u.position, u.type, u.at, u.data FROM known k CROSS JOIN {p}feed_users u
         WHERE u.position IN (SELECT y.position FROM ",
        of_known!("x.position"),
        " y) ORDER BY u.position LIMIT ?4"
    ),
    postgres: concat!(
        known!("?1::uuid"),
        "SELECT u.position, u.type, u.at, u.data FROM known k CROSS JOIN LATERAL ",
        of_known!("x.position, x.type, x.at, x.data"),
        " u ORDER BY u.position LIMIT ?4"
    ),
};

/// The same where little happened at all: it is cheaper to ask of each event whose it is than each acquaintance for theirs.
pub(super) const USERS_LATELY: &str = "SELECT u.position, u.type, u.at, u.data FROM {p}feed_users u
    WHERE u.position > ?2 AND u.position <= ?3 AND (u.person = ?1 OR (u.known_to_others AND (
      EXISTS (SELECT 1 FROM {p}feed_contacts c WHERE c.owner = ?1 AND c.contact = u.person)
      OR EXISTS (SELECT 1 FROM {p}feed_stays mine
        JOIN {p}feed_stays theirs ON theirs.conversation = mine.conversation AND theirs.person = u.person
          AND theirs.until = 9223372036854775807
        WHERE mine.person = ?1 AND mine.until = 9223372036854775807))))
    ORDER BY u.position LIMIT ?4";

/// The viewer's notifications, but for those that come from where they aren't any more, or of a message that is gone.
pub(super) const NOTIFICATIONS: &str = "SELECT n.position, n.type, n.at, n.data FROM {p}feed_notifications n
    WHERE n.person = ?1 AND n.position > ?2 AND n.position <= ?3
      AND (n.conversation IS NULL OR EXISTS (SELECT 1 FROM {p}feed_stays s
        WHERE s.conversation = n.conversation AND s.person = ?1 AND s.until = 9223372036854775807))
      AND (n.message IS NULL OR NOT EXISTS (SELECT 1 FROM {p}feed_deletions d WHERE d.message = n.message))
    ORDER BY n.position LIMIT ?4";

/// The conversations that ?1 is in.
pub(super) const CONVERSATIONS_OF: &str = "SELECT conversation FROM {p}feed_stays
    WHERE person = ?1 AND until = 9223372036854775807";

/// Those who have ?1 among their contacts.
pub(super) const OWNERS_OF: &str = "SELECT owner FROM {p}feed_contacts WHERE contact = ?1";

/// What ?1 last said of their availability.
pub(super) const SAID: &str = "SELECT data FROM {p}feed_users
    WHERE person = ?1 AND type = 'user.status-changed' ORDER BY position DESC LIMIT 1";

/// Those whom ?1 has among their contacts.
pub(super) const CONTACTS_OF: &str = "SELECT contact FROM {p}feed_contacts WHERE owner = ?1";

/// Those who let ?1 know how they are: who is in a conversation with them, or has them among their contacts. ?2 at most.
pub(super) const ACQUAINTED: &str = "SELECT DISTINCT a.person FROM (
      SELECT theirs.person FROM {p}feed_stays mine
        JOIN {p}feed_stays theirs ON theirs.conversation = mine.conversation AND theirs.until = 9223372036854775807
        WHERE mine.person = ?1 AND mine.until = 9223372036854775807
      UNION ALL SELECT c.owner FROM {p}feed_contacts c WHERE c.contact = ?1) a
    WHERE a.person <> ?1 LIMIT ?2";

/// The same, of those in ?2, a JSON array of ids in hexadecimal digits.
macro_rules! acquainted_among {
    ($among:literal) => {
        concat!(
            "SELECT w.person FROM (",
            $among,
            ") w WHERE EXISTS (SELECT 1 FROM {p}feed_contacts c WHERE c.owner = w.person AND c.contact = ?1)
               OR EXISTS (SELECT 1 FROM {p}feed_stays theirs
                 JOIN {p}feed_stays mine ON mine.conversation = theirs.conversation AND mine.person = ?1
                   AND mine.until = 9223372036854775807
                 WHERE theirs.person = w.person AND theirs.until = 9223372036854775807)"
        )
    };
}
pub(super) const ACQUAINTED_AMONG: Sql = Sql::Each {
    sqlite: acquainted_among!("SELECT DISTINCT unhex(value) AS person FROM json_each(?2)"),
    postgres: acquainted_among!(
        "SELECT DISTINCT value::uuid AS person FROM jsonb_array_elements_text(?2::jsonb)"
    ),
};
