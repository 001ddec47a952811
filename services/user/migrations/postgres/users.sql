-- Names are compared by code point, whatever the database's locale, so that pages are ordered alike on every store.
CREATE TABLE {p}users (
  id           UUID PRIMARY KEY,
  version      BIGINT NOT NULL,  -- of the user's stream; 0 while only auth has spoken of them
  state        TEXT NOT NULL,    -- active, disabled or deleted
  display_name TEXT NOT NULL,
  folded_name  TEXT COLLATE "C" NOT NULL,  -- as parlor_text::fold makes it
  bio          TEXT,
  avatar_url   TEXT,
  email        TEXT,
  email_key    TEXT,             -- normalised
  external_id  TEXT,
  status       TEXT NOT NULL,
  status_text  TEXT,
  created_at   BIGINT NOT NULL
);
CREATE INDEX {p}users_by_name ON {p}users (folded_name, id);
CREATE INDEX {p}users_by_email ON {p}users (email_key) WHERE email_key IS NOT NULL;
