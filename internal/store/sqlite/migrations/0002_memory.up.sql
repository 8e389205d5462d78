-- Which ERPNext document a key became, and what later events ask of it.
CREATE TABLE documents (
  doctype    TEXT NOT NULL,
  key        TEXT NOT NULL,
  name       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON object of text
  updated_at TEXT NOT NULL,
  PRIMARY KEY (doctype, key)
) WITHOUT ROWID;
CREATE INDEX documents_key ON documents (key, updated_at);

CREATE TABLE event_documents (
  seq     INTEGER NOT NULL REFERENCES events (seq),
  doctype TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  PRIMARY KEY (seq, doctype, key)
) WITHOUT ROWID;
CREATE INDEX event_documents_key ON event_documents (doctype, key);

-- Small named values: how far a reconciliation got.
CREATE TABLE notes (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
