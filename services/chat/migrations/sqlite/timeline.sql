-- How many messages were sent, deleted ones too; how many of them were deleted; and the position of the newest that wasn't
-- (0 without one).
CREATE TABLE {p}rooms (
  conversation BLOB PRIMARY KEY,
  messages INTEGER NOT NULL,
  deletions INTEGER NOT NULL,
  newest INTEGER NOT NULL
) WITHOUT ROWID;

-- What unread messages are counted by. base_… is how things stood at the later of read mark and last joining; since is
-- that of the last stay.
CREATE TABLE {p}tallies (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  present INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  base_position INTEGER NOT NULL,
  base_messages INTEGER NOT NULL,
  base_sent INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (conversation, person)
) WITHOUT ROWID;
CREATE INDEX {p}tallies_of_person ON {p}tallies (person, conversation) WHERE present;

-- When somebody was in: what happened at a position between the two is theirs to see.
CREATE TABLE {p}stays (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, since)
) WITHOUT ROWID;

CREATE TABLE {p}messages (
  conversation BLOB NOT NULL,
  position INTEGER NOT NULL,
  id BLOB NOT NULL,
  ordinal INTEGER NOT NULL,        -- its number in the conversation, from 1
  sender BLOB NOT NULL,
  sender_ordinal INTEGER NOT NULL, -- its number among its sender's there, from 1
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  reply_to BLOB,
  sent_at INTEGER NOT NULL,
  edited_position INTEGER NOT NULL, -- of the last edit; 0 without one
  edited_at INTEGER,
  deleted_at INTEGER,
  PRIMARY KEY (conversation, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX {p}messages_by_id ON {p}messages (id);
CREATE INDEX {p}messages_by_sender ON {p}messages (conversation, sender, position);

-- Which messages were deleted, for those who hadn't read them. A table, for a planner may take no partial index.
CREATE TABLE {p}deletions (
  conversation BLOB NOT NULL,
  position INTEGER NOT NULL,
  sender BLOB NOT NULL,
  PRIMARY KEY (conversation, position)
) WITHOUT ROWID;

-- What edited messages said before, for those who were away since.
CREATE TABLE {p}wordings (
  message BLOB NOT NULL,
  position INTEGER NOT NULL,
  content TEXT NOT NULL,
  edited_at INTEGER,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;
