-- When somebody was in. added is the position of that event; joined and until are the first and the last event that they hear of, both included; what happened
-- between since and until is theirs to see, the older messages of an open conversation included.
CREATE TABLE {p}feed_stays (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  added INTEGER NOT NULL,
  joined INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, added)
) WITHOUT ROWID;
CREATE INDEX {p}feed_stays_of_person ON {p}feed_stays (person, until);

-- Who is added in one commit with the beginning hears of that, too: opened is the last position of such joinings.
CREATE TABLE {p}feed_openings (
  conversation BLOB PRIMARY KEY,
  created INTEGER NOT NULL,
  correlation BLOB NOT NULL,
  opened INTEGER NOT NULL
) WITHOUT ROWID;

-- What happened where: the events themselves are in the log.
CREATE TABLE {p}feed_events (
  conversation BLOB NOT NULL,
  position INTEGER NOT NULL,
  about INTEGER NOT NULL, -- the position of the message that it changes; 0 if it changes none
  PRIMARY KEY (conversation, position)
) WITHOUT ROWID;

CREATE TABLE {p}feed_deletions (
  position INTEGER PRIMARY KEY, -- the message's
  message BLOB NOT NULL,
  deleted_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX {p}feed_deletions_by_message ON {p}feed_deletions (message);

CREATE TABLE {p}feed_contacts (
  owner BLOB NOT NULL,
  contact BLOB NOT NULL,
  PRIMARY KEY (owner, contact)
) WITHOUT ROWID;
CREATE INDEX {p}feed_contacts_by_contact ON {p}feed_contacts (contact, owner);

CREATE TABLE {p}feed_users (
  position INTEGER PRIMARY KEY,
  person BLOB NOT NULL,
  known_to_others INTEGER NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX {p}feed_users_of_person ON {p}feed_users (person, position);
CREATE INDEX {p}feed_users_by_type ON {p}feed_users (person, type, position);

CREATE TABLE {p}feed_notifications (
  person BLOB NOT NULL,
  position INTEGER NOT NULL,
  conversation BLOB,
  message BLOB,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (person, position)
) WITHOUT ROWID;
