CREATE TABLE {p}admission_keys (
  kid TEXT PRIMARY KEY,
  x   TEXT NOT NULL
);
CREATE TABLE {p}admission_ended (
  session  UUID PRIMARY KEY,
  ended_at BIGINT NOT NULL,
  until    BIGINT NOT NULL
);
CREATE INDEX {p}admission_ended_until ON {p}admission_ended (until);
CREATE TABLE {p}admission_services (
  id      UUID PRIMARY KEY,
  name    TEXT NOT NULL,
  hash    TEXT NOT NULL,
  revoked BOOLEAN NOT NULL
);
