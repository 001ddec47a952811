CREATE TABLE {p}admission_keys (
  kid TEXT PRIMARY KEY,
  x   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE {p}admission_ended (
  session  BLOB PRIMARY KEY,
  ended_at INTEGER NOT NULL,
  until    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX {p}admission_ended_until ON {p}admission_ended (until);
CREATE TABLE {p}admission_services (
  id      BLOB PRIMARY KEY,
  name    TEXT NOT NULL,
  hash    TEXT NOT NULL,
  revoked INTEGER NOT NULL
) WITHOUT ROWID;
