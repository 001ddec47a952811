CREATE TABLE {p}preferences (
  user_id  UUID PRIMARY KEY,
  version  BIGINT NOT NULL,
  document TEXT NOT NULL
);
