CREATE TABLE {p}contacts (
  owner      BLOB NOT NULL,
  contact    BLOB NOT NULL,
  PRIMARY KEY (owner, contact)
) WITHOUT ROWID;
