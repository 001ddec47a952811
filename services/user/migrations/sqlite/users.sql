CREATE TABLE {p}users (
  id           BLOB PRIMARY KEY,
  version      BIGINT NOT NULL,  -- of the user's stream; 0 while only auth has spoken of them
  state        TEXT NOT NULL,    -- active, disabled or deleted
  display_name TEXT NOT NULL,
  folded_name  TEXT NOT NULL,    -- as parlor_text::fold makes it
  bio          TEXT,
  avatar_url   TEXT,
  email        TEXT,
  email_key    TEXT,             -- normalised
  external_id  TEXT,
  status       TEXT NOT NULL,
  status_text  TEXT,
  created_at   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX {p}users_by_name ON {p}users (folded_name, id);
CREATE INDEX {p}users_by_email ON {p}users (email_key) WHERE email_key IS NOT NULL;
