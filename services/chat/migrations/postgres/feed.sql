-- When somebody was in. added is the position of that event; joined and until are the first and the last event that they hear of, both included; what happened
-- between since and until is theirs to see, the older messages of an open conversation included.
CREATE TABLE {p}feed_stays (
  conversation UUID NOT NULL,
  person UUID NOT NULL,
  added BIGINT NOT NULL,
  joined BIGINT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT NOT NULL, -- 9223372036854775807 while they are in
  PRIMARY KEY (conversation, person, added)
);
CREATE INDEX {p}feed_stays_of_person ON {p}feed_stays (person, until);

-- Who is added in one commit with the beginning hears of that, too: opened is the last position of such joinings.
CREATE TABLE {p}feed_openings (
  conversation UUID PRIMARY KEY,
  created BIGINT NOT NULL,
  correlation UUID NOT NULL,
  opened BIGINT NOT NULL
);

-- What happened where: the events themselves are in the log.
CREATE TABLE {p}feed_events (
  conversation UUID NOT NULL,
  position BIGINT NOT NULL,
  about BIGINT NOT NULL, -- the position of the message that it changes; 0 if it changes none
  PRIMARY KEY (conversation, position)
);

CREATE TABLE {p}feed_deletions (
  position BIGINT PRIMARY KEY, -- the message's
  message UUID NOT NULL,
  deleted_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX {p}feed_deletions_by_message ON {p}feed_deletions (message);

CREATE TABLE {p}feed_contacts (
  owner UUID NOT NULL,
  contact UUID NOT NULL,
  PRIMARY KEY (owner, contact)
);
CREATE INDEX {p}feed_contacts_by_contact ON {p}feed_contacts (contact, owner);

CREATE TABLE {p}feed_users (
  position BIGINT PRIMARY KEY,
  person UUID NOT NULL,
  known_to_others BOOLEAN NOT NULL,
  type TEXT NOT NULL,
  at BIGINT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX {p}feed_users_of_person ON {p}feed_users (person, position);
CREATE INDEX {p}feed_users_by_type ON {p}feed_users (person, type, position);

CREATE TABLE {p}feed_notifications (
  person UUID NOT NULL,
  position BIGINT NOT NULL,
  conversation UUID,
  message UUID,
  type TEXT NOT NULL,
  at BIGINT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (person, position)
);
