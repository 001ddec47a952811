-- State that is stored as rows, beside the log. What a notification says lies in its event and its view, not here.
CREATE TABLE IF NOT EXISTS notifications (
  id              UUID PRIMARY KEY,
  version         BIGINT NOT NULL,
  user_id         UUID NOT NULL,
  conversation_id UUID,
  position        BIGINT,           -- of what it comes from, in chat's log
  read            BOOLEAN NOT NULL
);
CREATE INDEX IF NOT EXISTS notifications_of_conversation
  ON notifications (user_id, conversation_id, read, position);
CREATE TABLE IF NOT EXISTS inboxes (
  user_id     UUID PRIMARY KEY,
  version     BIGINT NOT NULL,
  read_before BIGINT NOT NULL       -- milliseconds since 1970
);
CREATE TABLE IF NOT EXISTS preferences (
  user_id  UUID PRIMARY KEY,
  version  BIGINT NOT NULL,
  document TEXT NOT NULL            -- JSON
);
