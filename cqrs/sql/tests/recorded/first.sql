-- What the first version made on PostgreSQL, in the schemas {log}, {views} and {keys}, with two events, a view and a key.
CREATE TABLE IF NOT EXISTS {log}.meta (key text PRIMARY KEY, value bytea NOT NULL);
CREATE TABLE IF NOT EXISTS {log}.head (one integer PRIMARY KEY CHECK (one = 1), position bigint NOT NULL, at bigint NOT NULL)
  WITH (fillfactor = 10);
INSERT INTO {log}.head (one, position, at) VALUES (1, 0, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS {log}.events (
  position bigint PRIMARY KEY, id uuid NOT NULL, category text NOT NULL, stream uuid NOT NULL,
  version bigint NOT NULL, name text NOT NULL, schema smallint NOT NULL, at bigint NOT NULL,
  actor_kind smallint NOT NULL, actor uuid, correlation uuid NOT NULL, causation uuid, data bytea NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_stream ON {log}.events (stream, category, version);
CREATE TABLE IF NOT EXISTS {log}.claims (
  set_name text NOT NULL, value bytea NOT NULL, owner uuid NOT NULL, until bigint, PRIMARY KEY (set_name, value)
);
CREATE TABLE IF NOT EXISTS {log}.ledger (
  key bytea PRIMARY KEY, content bytea NOT NULL, answer bytea NOT NULL, at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_time ON {log}.ledger (at);
CREATE TABLE IF NOT EXISTS {log}.snapshots (
  stream uuid NOT NULL, category text NOT NULL, version bigint NOT NULL, data bytea NOT NULL,
  PRIMARY KEY (stream, category)
);
CREATE TABLE IF NOT EXISTS {log}.places (
  consumer text NOT NULL, source text NOT NULL, position bigint NOT NULL, PRIMARY KEY (consumer, source)
);
INSERT INTO {log}.meta (key, value) VALUES
  ('format', '\x0000000000000001'), ('name', 'bank'), ('epoch', '\x018f0000000070008000000000000001');
INSERT INTO {log}.events VALUES
  (1, '018f0000-0000-7000-8000-00000000000a', 'account', '00000000-0000-0000-0000-000000000001', 1,
   'account.deposited', 1, 1700000000000, 0, NULL, '018f0000-0000-7000-8000-00000000000b', NULL, '{"cents":500}'),
  (2, '018f0000-0000-7000-8000-00000000000c', 'account', '00000000-0000-0000-0000-000000000001', 2,
   'account.deposited', 1, 1700000000001, 0, NULL, '018f0000-0000-7000-8000-00000000000d', NULL, '{"cents":30}');
UPDATE {log}.head SET position = 2, at = 1700000000001;
INSERT INTO {log}.places (consumer, source, position) VALUES ('reactor', 'other', 7);
CREATE TABLE IF NOT EXISTS {views}.views (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS {views}.view_places (
  name TEXT NOT NULL, generation BIGINT NOT NULL, source TEXT NOT NULL, epoch uuid NOT NULL,
  position BIGINT NOT NULL, PRIMARY KEY (name, generation, source)
);
CREATE TABLE IF NOT EXISTS {keys}.person_keys (person uuid PRIMARY KEY, key bytea);
INSERT INTO {keys}.person_keys VALUES ('00000000-0000-0000-0000-000000000009', decode(repeat('07', 32), 'hex'));
