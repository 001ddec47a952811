CREATE TABLE {p}accounts (
  id                  UUID PRIMARY KEY,
  email               TEXT,
  email_verified      BOOLEAN NOT NULL,
  admin               BOOLEAN NOT NULL,
  created_at          BIGINT NOT NULL,
  password_changed_at BIGINT,
  profile             TEXT NOT NULL,    -- pending, ready or refused
  profile_refusal     TEXT
);
CREATE TABLE {p}sessions (
  id           UUID PRIMARY KEY,
  account      UUID NOT NULL,
  device       TEXT,
  address      TEXT,
  started_at   BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE INDEX {p}sessions_of_account ON {p}sessions (account, started_at);
