-- What lies beside the log and is no state of any aggregate.

-- Tickets for live connections. hash finds one and doesn't tell it; token is sealed with it.
CREATE TABLE IF NOT EXISTS tickets (
  hash    BYTEA PRIMARY KEY,
  token   BYTEA NOT NULL,
  expires BIGINT NOT NULL           -- milliseconds since 1970
);
CREATE INDEX IF NOT EXISTS tickets_by_expiry ON tickets (expires);

-- When somebody was last connected.
CREATE TABLE IF NOT EXISTS last_seen (
  person UUID PRIMARY KEY,
  at     BIGINT NOT NULL            -- milliseconds since 1970
);
