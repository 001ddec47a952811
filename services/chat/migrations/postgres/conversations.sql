CREATE TABLE {p}conversations (
  id UUID PRIMARY KEY,
  kind TEXT NOT NULL,
  title TEXT,
  history TEXT NOT NULL,
  created_by UUID NOT NULL,
  version BIGINT NOT NULL,
  participant_count BIGINT NOT NULL,
  activity BIGINT NOT NULL, -- the position of what happened last; no two conversations share one
  updated_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  named TEXT NOT NULL -- the first 20 who are in it, by when they joined: 32 hexadecimal digits each
) WITH (fillfactor = 80);

-- Who left stays here, absent, with their read mark.
CREATE TABLE {p}participants (
  conversation UUID NOT NULL,
  person UUID NOT NULL,
  present BOOLEAN NOT NULL,
  role TEXT NOT NULL,
  joined_position BIGINT NOT NULL,
  joined_at BIGINT NOT NULL,
  read_position BIGINT NOT NULL,
  PRIMARY KEY (conversation, person)
);
CREATE INDEX {p}participants_of_person ON {p}participants (person, conversation) WHERE present;
CREATE INDEX {p}participants_by_joining ON {p}participants (conversation, joined_position) WHERE present;
