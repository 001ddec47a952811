-- How many messages were sent, deleted ones too; how many of them were deleted; and the position of the newest that wasn't
-- (0 without one).
CREATE TABLE {p}rooms (
  conversation UUID PRIMARY KEY,
  messages BIGINT NOT NULL,
  deletions BIGINT NOT NULL,
  newest BIGINT NOT NULL
);

-- What unread messages are counted by. base_… is how things stood at the later of read mark and last joining; since is
-- that of the last stay.
CREATE TABLE {p}tallies (
  conversation UUID NOT NULL,
  person UUID NOT NULL,
  present BOOLEAN NOT NULL,
  sent BIGINT NOT NULL,
  base_position BIGINT NOT NULL,
  base_messages BIGINT NOT NULL,
  base_sent BIGINT NOT NULL,
  since BIGINT NOT NULL,
  PRIMARY KEY (conversation, person)
);
CREATE INDEX {p}tallies_of_person ON {p}tallies (person, conversation) WHERE present;

-- When somebody was in: what happened at a position between the two is theirs to see.
CREATE TABLE {p}stays (
  conversation UUID NOT NULL,
  person UUID NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, since)
);

CREATE TABLE {p}messages (
  conversation UUID NOT NULL,
  position BIGINT NOT NULL,
  id UUID NOT NULL,
  ordinal BIGINT NOT NULL,        -- its number in the conversation, from 1
  sender UUID NOT NULL,
  sender_ordinal BIGINT NOT NULL, -- its number among its sender's there, from 1
  type TEXT NOT NULL,
  content TEXT NOT NULL,
  reply_to UUID,
  sent_at BIGINT NOT NULL,
  edited_position BIGINT NOT NULL, -- of the last edit; 0 without one
  edited_at BIGINT,
  deleted_at BIGINT,
  PRIMARY KEY (conversation, position)
);
CREATE UNIQUE INDEX {p}messages_by_id ON {p}messages (id);
CREATE INDEX {p}messages_by_sender ON {p}messages (conversation, sender, position);

-- Which messages were deleted, for those who hadn't read them. A table, for a planner may take no partial index.
CREATE TABLE {p}deletions (
  conversation UUID NOT NULL,
  position BIGINT NOT NULL,
  sender UUID NOT NULL,
  PRIMARY KEY (conversation, position)
);

-- What edited messages said before, for those who were away since.
CREATE TABLE {p}wordings (
  message UUID NOT NULL,
  position BIGINT NOT NULL,
  content TEXT NOT NULL,
  edited_at BIGINT,
  PRIMARY KEY (message, position)
);
