-- What operators need: why events died, who did what about it, what was
-- refused at the door, and what is held by hand.

ALTER TABLE events ADD COLUMN doctype TEXT NOT NULL DEFAULT ''; -- what the failed call was about

-- Groups the dead letters without touching the table.
CREATE INDEX events_causes ON events (class, reason, doctype, source, topic, settled_at, seq) WHERE state = 'dead';
-- Finds what is due next of one source while another is paused.
CREATE INDEX events_due_of ON events (source, due_at, seq) WHERE state = 'pending' AND ordered = 1 AND blocked = 0;

-- The calls to ERPNext of an attempt; they go with the body.
CREATE TABLE exchanges (
  seq    INTEGER NOT NULL REFERENCES events (seq),
  number INTEGER NOT NULL, -- of the attempt
  calls  TEXT    NOT NULL, -- JSON array
  PRIMARY KEY (seq, number)
) WITHOUT ROWID;

CREATE TABLE pauses (
  source TEXT PRIMARY KEY, -- '' = all of them
  since  TEXT NOT NULL,
  actor  TEXT NOT NULL,    -- JSON object, as everywhere here
  reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE runs (
  id            TEXT    PRIMARY KEY,
  action        TEXT    NOT NULL,
  state         TEXT    NOT NULL,
  filter        TEXT    NOT NULL, -- JSON object
  reason        TEXT    NOT NULL,
  rate          INTEGER NOT NULL, -- events per second
  actor         TEXT    NOT NULL,
  plan          TEXT    NOT NULL, -- JSON array: how many of which cause
  total         INTEGER NOT NULL,
  done          INTEGER NOT NULL,
  skipped       INTEGER NOT NULL,
  planned_at    TEXT    NOT NULL,
  started_at    TEXT    NOT NULL,
  ended_at      TEXT    NOT NULL,
  carrier       TEXT    NOT NULL, -- the process that carries it on
  carried_until TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_planned ON runs (planned_at);
CREATE INDEX runs_state ON runs (state, started_at);

-- What is left of a run: its events leave as they are done.
CREATE TABLE run_events (
  run   TEXT    NOT NULL,
  seq   INTEGER NOT NULL,
  state TEXT    NOT NULL, -- when it was planned; an event that moved on is skipped
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY,
  at     TEXT NOT NULL,
  actor  TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  note   TEXT NOT NULL
);
CREATE INDEX audit_target ON audit (target, seq);

-- How many events were put back, by what asked for it; since the inbox was made.
CREATE TABLE replays (
  asked TEXT    PRIMARY KEY,
  n     INTEGER NOT NULL
) WITHOUT ROWID;

-- Refused at the door; bounded, the newest stay.
CREATE TABLE rejected (
  seq         INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL,
  source      TEXT    NOT NULL,
  class       TEXT    NOT NULL,
  reason      TEXT    NOT NULL,
  client      TEXT    NOT NULL,
  received_at TEXT    NOT NULL,
  header      TEXT    NOT NULL, -- JSON object of arrays
  body        BLOB    NOT NULL,
  size        INTEGER NOT NULL, -- of the whole body
  whole       INTEGER NOT NULL, -- body is all of it
  bytes       INTEGER NOT NULL  -- of header and body, as kept
);
CREATE UNIQUE INDEX rejected_id ON rejected (id);
CREATE INDEX rejected_source ON rejected (source, seq, bytes);
CREATE INDEX rejected_age ON rejected (received_at);
