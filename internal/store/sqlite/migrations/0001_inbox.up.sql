-- What was received. The bodies lie apart, so that leasing and settling an
-- event rewrites some three hundred bytes and not the whole order.
CREATE TABLE events (
  seq           INTEGER PRIMARY KEY, -- order of receipt
  id            TEXT    NOT NULL,    -- derived from source and provider_id, so its uniqueness is theirs
  source        TEXT    NOT NULL,
  provider      TEXT    NOT NULL,
  provider_id   TEXT    NOT NULL,
  delivery_id   TEXT    NOT NULL,
  topic         TEXT    NOT NULL,
  subject       TEXT    NOT NULL,    -- '' = about nothing else, never blocked
  secret_slot   TEXT    NOT NULL,
  occurred_at   TEXT    NOT NULL,    -- times are UTC text of fixed width, '' = none
  received_at   TEXT    NOT NULL,
  due_at        TEXT    NOT NULL,    -- not to be claimed before; while leased, the end of the lease
  body_sum      BLOB    NOT NULL,    -- SHA-256; outlives the body
  state         TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'ignored', 'dead')),
  ordered       INTEGER NOT NULL DEFAULT 0, -- was taken into the order of its subject; see arrivals
  blocked       INTEGER NOT NULL DEFAULT 0, -- an older event of the subject must be settled first
  waiting       INTEGER NOT NULL DEFAULT 0, -- waits_for is set: does not block younger events
  waits_for     TEXT    NOT NULL DEFAULT '',
  token         INTEGER NOT NULL DEFAULT 0, -- fencing token, grows with every claim
  tries         INTEGER NOT NULL DEFAULT 0, -- attempts since the last replay
  attempts      INTEGER NOT NULL DEFAULT 0, -- attempts ever
  leased_until  TEXT    NOT NULL DEFAULT '',
  claimed_at    TEXT    NOT NULL DEFAULT '',
  settled_at    TEXT    NOT NULL DEFAULT '',
  swept         INTEGER NOT NULL DEFAULT 0, -- retention took the body
  class         TEXT    NOT NULL DEFAULT '',
  reason        TEXT    NOT NULL DEFAULT '',
  hint          TEXT    NOT NULL DEFAULT ''
);

CREATE UNIQUE INDEX events_id ON events (id);
-- Claim walks this one; it holds only what may be claimed now or later.
CREATE INDEX events_due ON events (due_at, seq) WHERE state = 'pending' AND ordered = 1 AND blocked = 0;
-- Finds who blocks a subject, and whom a settled event frees, in one step each.
CREATE INDEX events_subject ON events (source, subject, waiting, blocked, seq) WHERE state = 'pending' AND ordered = 1 AND subject <> '';
CREATE INDEX events_leased ON events (source, subject) WHERE leased_until <> '';
CREATE INDEX events_waits_for ON events (waits_for) WHERE waiting = 1;
CREATE INDEX events_listing ON events (source, state, seq);
CREATE INDEX events_settled ON events (settled_at) WHERE swept = 0 AND state IN ('done', 'ignored');

-- Events are put without regard to their subjects: that would rewrite a page
-- of an index for each, before the sender has its answer. Whoever claims takes
-- them into the order first, up to this one by now.
CREATE TABLE arrivals (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  ordered_to INTEGER NOT NULL
);
INSERT INTO arrivals (one, ordered_to) VALUES (1, 0);

CREATE TABLE bodies (
  seq    INTEGER PRIMARY KEY,
  header TEXT NOT NULL, -- JSON object
  body   BLOB NOT NULL
);

-- Every delivery id that was ever verified, also those of repeats.
CREATE TABLE deliveries (
  source      TEXT    NOT NULL,
  delivery_id TEXT    NOT NULL,
  seq         INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (source, delivery_id)
) WITHOUT ROWID;

CREATE TABLE attempts (
  seq        INTEGER NOT NULL REFERENCES events (seq),
  number     INTEGER NOT NULL,
  started_at TEXT    NOT NULL,
  took_us    INTEGER NOT NULL, -- microseconds
  result     TEXT    NOT NULL,
  class      TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  hint       TEXT    NOT NULL,
  detail     TEXT    NOT NULL, -- the far side's words; may hold customer data
  PRIMARY KEY (seq, number)
) WITHOUT ROWID;

-- How many events there are, so that metrics never count a million rows. The
-- writer adds new events once per commit; the trigger follows each change.
CREATE TABLE counts (
  source TEXT    NOT NULL,
  state  TEXT    NOT NULL,
  n      INTEGER NOT NULL,
  PRIMARY KEY (source, state)
) WITHOUT ROWID;

CREATE TRIGGER events_counted AFTER UPDATE OF state ON events WHEN OLD.state <> NEW.state
BEGIN
  UPDATE counts SET n = n - 1 WHERE source = OLD.source AND state = OLD.state;
  INSERT INTO counts (source, state, n) VALUES (NEW.source, NEW.state, 1)
    ON CONFLICT (source, state) DO UPDATE SET n = n + 1;
END;

-- One row, rewritten to prove that the inbox is writable.
CREATE TABLE pulse (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at  TEXT NOT NULL
);
INSERT INTO pulse (one, at) VALUES (1, '');
