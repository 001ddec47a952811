-- When somebody was in: what happened at a position between the two is theirs to find.
CREATE TABLE {p}search_stays (
  conversation UUID NOT NULL,
  person UUID NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, since)
);
CREATE INDEX {p}search_stays_of_person ON {p}search_stays (person, conversation) WHERE until = 9223372036854775807;

-- Deleted messages leave it.
CREATE TABLE {p}search_messages (
  position BIGINT PRIMARY KEY,
  conversation UUID NOT NULL,
  id UUID NOT NULL,
  sender UUID NOT NULL,
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  reply_to UUID,
  sent_at BIGINT NOT NULL,
  edited_position BIGINT NOT NULL, -- of the last edit; 0 without one
  edited_at BIGINT,
  bucket INTEGER NOT NULL -- of the conversation
);

-- What edited messages said before, for those who were away since.
CREATE TABLE {p}search_wordings (
  message BIGINT NOT NULL, -- its position
  position BIGINT NOT NULL,
  content TEXT NOT NULL,
  edited_at BIGINT,
  PRIMARY KEY (message, position)
);

-- What edits said, until it is in blocks.
CREATE TABLE {p}search_edits (
  event BIGINT PRIMARY KEY, -- its position
  message BIGINT NOT NULL, -- its position
  content TEXT NOT NULL
);

-- The index: which messages have a group of tokens.
CREATE TABLE {p}search_blocks (
  key BIGINT PRIMARY KEY, -- the group, and in the lower 48 bits the position from which on it says so
  data BYTEA NOT NULL
);

-- How far blocks have been made. One row, or none.
CREATE TABLE {p}search_progress (
  id INTEGER PRIMARY KEY,
  closed BIGINT NOT NULL, -- what events before this position said is in blocks
  merged BIGINT NOT NULL -- so many parts of large segments are
);
