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
-- Webhooks; what is deleted stays as a row, for its stream's version. How far each has come stands in places.
CREATE TABLE IF NOT EXISTS webhooks (
  id          BLOB PRIMARY KEY,
  version     BIGINT NOT NULL,
  url         TEXT NOT NULL,
  events      TEXT NOT NULL,        -- JSON
  description TEXT NOT NULL,
  enabled     BOOLEAN NOT NULL,
  secrets     TEXT NOT NULL,        -- JSON, sealed with the instance's key
  starts      TEXT NOT NULL,        -- JSON
  replays     BIGINT NOT NULL,
  retries     BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,      -- milliseconds since 1970
  deleted     BOOLEAN NOT NULL
);
CREATE TABLE IF NOT EXISTS webhook_standings (
  webhook       BLOB PRIMARY KEY,
  version       BIGINT NOT NULL,
  retries       BIGINT NOT NULL,
  state         TEXT NOT NULL,
  problem       TEXT,
  tries         BIGINT NOT NULL,
  failing_since BIGINT,
  next_try      BIGINT
);
-- Browsers that are pushed to, by what their push service knows them as.
CREATE TABLE IF NOT EXISTS push_subscriptions (
  id         BLOB PRIMARY KEY,
  version    BIGINT NOT NULL,
  user_id    BLOB NOT NULL,
  session_id BLOB,
  sealed     TEXT NOT NULL,         -- address and keys, sealed with the instance's key
  since      BIGINT NOT NULL,       -- a place in the service's log
  created_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS push_subscriptions_of_user ON push_subscriptions (user_id);
CREATE INDEX IF NOT EXISTS push_subscriptions_of_session ON push_subscriptions (session_id);
