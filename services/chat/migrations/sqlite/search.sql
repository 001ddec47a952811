-- When somebody was in: what happened at a position between the two is theirs to find.
CREATE TABLE {p}search_stays (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, since)
) WITHOUT ROWID;
CREATE INDEX {p}search_stays_of_person ON {p}search_stays (person, conversation) WHERE until = 9223372036854775807;

-- Deleted messages leave it.
CREATE TABLE {p}search_messages (
  position INTEGER PRIMARY KEY,
  conversation BLOB NOT NULL,
  id BLOB NOT NULL,
  sender BLOB NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  reply_to BLOB,
  sent_at INTEGER NOT NULL,
  edited_position INTEGER NOT NULL, -- of the last edit; 0 without one
  edited_at INTEGER,
  bucket INTEGER NOT NULL -- of the conversation
);
-- What edited messages said before, for those who were away since.
CREATE TABLE {p}search_wordings (
  message INTEGER NOT NULL, -- its position
  position INTEGER NOT NULL,
  content TEXT NOT NULL,
  edited_at INTEGER,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;

-- What edits said, until it is in blocks.
CREATE TABLE {p}search_edits (
  event INTEGER PRIMARY KEY, -- its position
  message INTEGER NOT NULL, -- its position
  content TEXT NOT NULL
);

-- The index: which messages have a group of tokens.
CREATE TABLE {p}search_blocks (
  key INTEGER PRIMARY KEY, -- the group, and in the lower 48 bits the position from which on it says so
  data BLOB NOT NULL
);

-- How far blocks have been made. One row, or none.
CREATE TABLE {p}search_progress (
  id INTEGER PRIMARY KEY,
  closed INTEGER NOT NULL, -- what events before this position said is in blocks
  merged INTEGER NOT NULL -- so many parts of large segments are
);
