-- Who is in which conversation now, since where in chat's log, under which name, and whether they are to be told of
-- everything there.
CREATE TABLE {p}members (
  conversation_id BLOB NOT NULL,
  user_id         BLOB NOT NULL,
  joined          BIGINT NOT NULL,
  is_group        BOOLEAN NOT NULL,
  folded_name     TEXT NOT NULL,    -- empty while it isn't known
  wants_all       BOOLEAN NOT NULL,
  PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX {p}members_by_user ON {p}members (user_id);
CREATE INDEX {p}members_by_name ON {p}members (conversation_id, folded_name);
CREATE INDEX {p}members_wanting_all ON {p}members (conversation_id, wants_all, user_id);
CREATE TABLE {p}people (
  user_id      BLOB PRIMARY KEY,
  display_name TEXT NOT NULL,
  folded_name  TEXT NOT NULL
) WITHOUT ROWID;
-- What people chose other than the defaults: for groups as such, and for single conversations.
CREATE TABLE {p}group_levels (
  user_id   BLOB PRIMARY KEY,
  wants_all BOOLEAN NOT NULL
) WITHOUT ROWID;
CREATE TABLE {p}conversation_levels (
  user_id         BLOB NOT NULL,
  conversation_id BLOB NOT NULL,
  wants_all       BOOLEAN NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
