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

-- The tokens of all that edits of a message said.
CREATE TABLE {p}search_rewordings (
  message BIGINT PRIMARY KEY, -- its position
  tokens INTEGER[] NOT NULL
);

-- The index. rowid: twice the message's position for what it said at first, one more for what its edits said.
CREATE TABLE {p}search_tokens (
  rowid BIGINT PRIMARY KEY,
  bucket INTEGER NOT NULL, -- of the conversation
  tokens INTEGER[] NOT NULL -- of the message, those of its text as its span has them; and of the ranges that the row is in
);
-- The list of what isn't in the index yet, which every search reads, is emptied with each step that fills it.
CREATE INDEX {p}search_tokens_index ON {p}search_tokens USING gin (tokens) WITH (gin_pending_list_limit = 16384);
