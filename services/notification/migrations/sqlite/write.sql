-- State that is stored as rows, beside the log. What a notification says lies in its event and its view, not here.
CREATE TABLE IF NOT EXISTS notifications (
  id              BLOB PRIMARY KEY,
  version         BIGINT NOT NULL,
  user_id         BLOB NOT NULL,
  conversation_id BLOB,
  position        BIGINT,           -- of what it comes from, in chat's log
  read            BOOLEAN NOT NULL
);
CREATE INDEX IF NOT EXISTS notifications_of_conversation
  ON notifications (user_id, conversation_id, read, position);
CREATE TABLE IF NOT EXISTS inboxes (
  user_id     BLOB PRIMARY KEY,
  version     BIGINT NOT NULL,
  read_before BIGINT NOT NULL       -- milliseconds since 1970
);
CREATE TABLE IF NOT EXISTS preferences (
  user_id  BLOB PRIMARY KEY,
  version  BIGINT NOT NULL,
  document TEXT NOT NULL            -- JSON
);
