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
-- Tells of most messages of others, by little to read, that they are others'.
CREATE INDEX {p}search_buckets ON {p}search_messages (position, bucket);

-- What edited messages said before, for those who were away since.
CREATE TABLE {p}search_wordings (
  message INTEGER NOT NULL, -- its position
  position INTEGER NOT NULL,
  content TEXT NOT NULL,
  edited_at INTEGER,
  PRIMARY KEY (message, position)
) WITHOUT ROWID;

-- The tokens of all that edits of a message said.
CREATE TABLE {p}search_rewordings (
  message INTEGER PRIMARY KEY, -- its position
  tokens TEXT NOT NULL
);

-- The index. rowid: twice the message's position for what it said at first, one more for what its edits said.
CREATE VIRTUAL TABLE {p}search_tokens USING fts5(
  tokens, tokenize = 'ascii', content = '', contentless_delete = 1, detail = none
);
