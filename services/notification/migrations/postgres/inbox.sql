CREATE TABLE {p}notifications (
  id              UUID PRIMARY KEY,
  user_id         UUID NOT NULL,
  place           BIGINT NOT NULL,  -- in the service's log; the order of lists
  kind            TEXT NOT NULL,
  title           TEXT NOT NULL,
  body            TEXT NOT NULL,
  link            TEXT,
  actor_id        UUID,
  conversation_id UUID,
  message_id      UUID,
  position        BIGINT,           -- of what it comes from, in chat's log
  created_at      BIGINT NOT NULL,
  read_at         BIGINT
);
CREATE INDEX {p}notifications_by_user ON {p}notifications (user_id, place);
CREATE INDEX {p}notifications_unread ON {p}notifications (user_id, place) WHERE read_at IS NULL;
-- Who left which conversation last, and where in chat's log: what comes from before is hidden from them.
CREATE TABLE {p}departures (
  user_id         UUID NOT NULL,
  conversation_id UUID NOT NULL,
  position        BIGINT NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
);
CREATE TABLE {p}deleted_messages (message_id UUID PRIMARY KEY);
