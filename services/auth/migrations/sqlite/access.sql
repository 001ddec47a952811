CREATE TABLE {p}accounts (
  id                  BLOB PRIMARY KEY,
  email               TEXT,
  email_verified      INTEGER NOT NULL,
  admin               INTEGER NOT NULL,
  created_at          INTEGER NOT NULL,
  password_changed_at INTEGER,
  profile             TEXT NOT NULL,    -- pending, ready or refused
  profile_refusal     TEXT
) WITHOUT ROWID;
CREATE TABLE {p}sessions (
  id           BLOB PRIMARY KEY,
  account      BLOB NOT NULL,
  device       TEXT,
  address      TEXT,
  started_at   INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  expires_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX {p}sessions_of_account ON {p}sessions (account, started_at);
