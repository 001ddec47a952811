CREATE TABLE {p}contacts (
  owner      UUID NOT NULL,
  contact    UUID NOT NULL,
  PRIMARY KEY (owner, contact)
);
