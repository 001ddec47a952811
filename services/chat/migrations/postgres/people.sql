CREATE TABLE {p}people (
  id UUID PRIMARY KEY,
  display_name TEXT NOT NULL,
  active BOOLEAN NOT NULL
);
