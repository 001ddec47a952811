CREATE TABLE {p}preferences (
  user_id  BLOB PRIMARY KEY,
  version  BIGINT NOT NULL,
  document TEXT NOT NULL
) WITHOUT ROWID;
