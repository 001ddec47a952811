CREATE TABLE {p}conversations (
  id BLOB PRIMARY KEY,
  kind TEXT NOT NULL,
  title TEXT,
  history TEXT NOT NULL,
  created_by BLOB NOT NULL,
  version INTEGER NOT NULL,
  participant_count INTEGER NOT NULL,
  activity INTEGER NOT NULL, -- the position of what happened last; no two conversations share one
  updated_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  named TEXT NOT NULL -- the first 20 who are in it, by when they joined: 32 hexadecimal digits each
) WITHOUT ROWID;

-- Who left stays here, absent, with their read mark.
CREATE TABLE {p}participants (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  present INTEGER NOT NULL,
  role TEXT NOT NULL,
  joined_position INTEGER NOT NULL,
  joined_at INTEGER NOT NULL,
  read_position INTEGER NOT NULL,
  PRIMARY KEY (conversation, person)
) WITHOUT ROWID;
CREATE INDEX {p}participants_of_person ON {p}participants (person, conversation) WHERE present;
CREATE INDEX {p}participants_by_joining ON {p}participants (conversation, joined_position) WHERE present;
