CREATE TABLE {p}notifications (
  id              BLOB PRIMARY KEY,
  user_id         BLOB NOT NULL,
  place           BIGINT NOT NULL,  -- in the service's log; the order of lists
  kind            TEXT NOT NULL,
  title           TEXT NOT NULL,
  body            TEXT NOT NULL,
  link            TEXT,
  actor_id        BLOB,
  conversation_id BLOB,
  message_id      BLOB,
  position        BIGINT,           -- of what it comes from, in chat's log
  created_at      BIGINT NOT NULL,
  read_at         BIGINT
) WITHOUT ROWID;
CREATE INDEX {p}notifications_by_user ON {p}notifications (user_id, place);
CREATE INDEX {p}notifications_unread ON {p}notifications (user_id, place) WHERE read_at IS NULL;
-- Who left which conversation last, and where in chat's log: what comes from before is hidden from them.
CREATE TABLE {p}departures (
  user_id         BLOB NOT NULL,
  conversation_id BLOB NOT NULL,
  position        BIGINT NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
CREATE TABLE {p}deleted_messages (message_id BLOB PRIMARY KEY) WITHOUT ROWID;
