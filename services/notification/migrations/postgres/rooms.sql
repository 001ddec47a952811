-- Who is in which conversation now, since where in chat's log, under which name, and whether they are to be told of
-- everything there.
CREATE TABLE {p}members (
  conversation_id UUID NOT NULL,
  user_id         UUID NOT NULL,
  joined          BIGINT NOT NULL,
  is_group        BOOLEAN NOT NULL,
  folded_name     TEXT COLLATE "C" NOT NULL,    -- empty while it isn't known
  wants_all       BOOLEAN NOT NULL,
  PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX {p}members_by_user ON {p}members (user_id);
CREATE INDEX {p}members_by_name ON {p}members (conversation_id, folded_name);
CREATE INDEX {p}members_wanting_all ON {p}members (conversation_id, wants_all, user_id);
CREATE TABLE {p}people (
  user_id      UUID PRIMARY KEY,
  display_name TEXT NOT NULL,
  folded_name  TEXT NOT NULL
);
-- What people chose other than the defaults: for groups as such, and for single conversations.
CREATE TABLE {p}group_levels (
  user_id   UUID PRIMARY KEY,
  wants_all BOOLEAN NOT NULL
);
CREATE TABLE {p}conversation_levels (
  user_id         UUID NOT NULL,
  conversation_id UUID NOT NULL,
  wants_all       BOOLEAN NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
);
