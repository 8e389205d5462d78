CREATE TABLE arrivals (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  ordered_to INTEGER NOT NULL
);
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
CREATE TABLE bodies (
  seq    INTEGER PRIMARY KEY,
  header TEXT NOT NULL, -- JSON object
  body   BLOB NOT NULL
);
CREATE TABLE counts (
  source TEXT    NOT NULL,
  state  TEXT    NOT NULL,
  n      INTEGER NOT NULL,
  PRIMARY KEY (source, state)
) WITHOUT ROWID;
CREATE TABLE deliveries (
  source      TEXT    NOT NULL,
  delivery_id TEXT    NOT NULL,
  seq         INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (source, delivery_id)
) WITHOUT ROWID;
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
CREATE TABLE pulse (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at  TEXT NOT NULL
);
CREATE INDEX events_due ON events (due_at, seq) WHERE state = 'pending' AND ordered = 1 AND blocked = 0;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_leased ON events (source, subject) WHERE leased_until <> '';
CREATE INDEX events_listing ON events (source, state, seq);
CREATE INDEX events_settled ON events (settled_at) WHERE swept = 0 AND state IN ('done', 'ignored');
CREATE INDEX events_subject ON events (source, subject, waiting, blocked, seq) WHERE state = 'pending' AND ordered = 1 AND subject <> '';
CREATE INDEX events_waits_for ON events (waits_for) WHERE waiting = 1;
CREATE TRIGGER events_counted AFTER UPDATE OF state ON events WHEN OLD.state <> NEW.state
BEGIN
  UPDATE counts SET n = n - 1 WHERE source = OLD.source AND state = OLD.state;
  INSERT INTO counts (source, state, n) VALUES (NEW.source, NEW.state, 1)
    ON CONFLICT (source, state) DO UPDATE SET n = n + 1;
END;
-- rows
INSERT INTO arrivals (one, ordered_to) VALUES (1, 4);
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (1, 1, '2026-11-28T19:31:58.607450Z', 0, 'done', 'rejected', 'why', '', 'said');
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (2, 1, '2026-11-28T19:31:58.612312Z', 0, 'dead', 'rejected', 'why', '', 'said');
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (3, 1, '2026-11-28T19:31:58.614262Z', 0, 'waiting', 'rejected', 'why', '', 'said');
INSERT INTO bodies (seq, header, body) VALUES (1, '{}', X'7B226964223A307D');
INSERT INTO bodies (seq, header, body) VALUES (2, '{}', X'7B226964223A317D');
INSERT INTO bodies (seq, header, body) VALUES (3, '{}', X'7B226964223A327D');
INSERT INTO bodies (seq, header, body) VALUES (4, '{}', X'7B226964223A337D');
INSERT INTO bodies (seq, header, body) VALUES (5, '{}', X'7B226964223A347D');
INSERT INTO counts (source, state, n) VALUES ('shop', 'dead', 1);
INSERT INTO counts (source, state, n) VALUES ('shop', 'done', 1);
INSERT INTO counts (source, state, n) VALUES ('shop', 'pending', 3);
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint) VALUES (1, 'ev_phruskhuwlr46m6qp5i4fs37', 'shop', 'shopify', 'evt-0', '', 'orders/create', 'order/0', '', '', '2026-11-28T19:31:58.606636Z', '2026-11-28T19:31:58.610328Z', X'F0D9DC55ADF56C34697A435BFF3E62DB6D2B6C7714793B4A497C640DB382FEF7', 'done', 1, 0, 0, '', 1, 1, 1, '', '2026-11-28T19:31:58.607450Z', '2026-11-28T19:31:58.610328Z', 0, 'rejected', 'why', '');
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint) VALUES (2, 'ev_apwwqyqwug4rkltqjywa5iso', 'shop', 'shopify', 'evt-1', '', 'orders/create', 'order/1', '', '', '2026-11-28T19:31:58.611763Z', '2026-11-28T19:31:58.613071Z', X'037C9214EEF74CC3887F3A4F085B4E17D76280DAFD273B0EE160C09C4BA1CFD4', 'dead', 1, 0, 0, '', 1, 1, 1, '', '2026-11-28T19:31:58.612312Z', '2026-11-28T19:31:58.613071Z', 0, 'rejected', 'why', '');
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint) VALUES (3, 'ev_5boqlnz5n4j3xaiewuwhyozk', 'shop', 'shopify', 'evt-2', '', 'orders/create', 'order/2', '', '', '2026-11-28T19:31:58.613758Z', '2026-11-28T20:31:58.614930Z', X'9E7E65453739BBC64BA155EED18A37BD5FB1196C7F29DED1DA660B94414D7AD8', 'pending', 1, 0, 1, 'order/9', 1, 1, 1, '', '2026-11-28T19:31:58.614262Z', '', 0, 'rejected', 'why', '');
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint) VALUES (4, 'ev_nscwihunwbayflpud5bnkhua', 'shop', 'shopify', 'evt-3', '', 'orders/create', 'order/3', '', '', '2026-11-28T19:31:58.615900Z', '2026-11-28T20:31:58.616453Z', X'A22883E93273FA52419F3F34BB7E1125F2CD14A1F32561E419ADC15324916C4B', 'pending', 1, 0, 0, '', 1, 1, 1, '2026-11-28T20:31:58.616453Z', '2026-11-28T19:31:58.616453Z', '', 0, '', '', '');
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint) VALUES (5, 'ev_uej73yyv7kpht64aecud47cs', 'shop', 'shopify', 'evt-4', '', 'orders/create', 'order/4', '', '', '2026-11-28T19:31:58.617042Z', '2026-11-28T19:31:58.617042Z', X'FE94CCBD074BB18B213F513152E3E3D0503E3746292DF1D92BDD30AA4AAAEE76', 'pending', 0, 0, 0, '', 0, 0, 0, '', '', '', 0, '', '', '');
INSERT INTO pulse (one, at) VALUES (1, '');
