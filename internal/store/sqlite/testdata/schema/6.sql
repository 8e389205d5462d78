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
CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY,
  at     TEXT NOT NULL,
  actor  TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  note   TEXT NOT NULL
);
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
CREATE TABLE documents (
  doctype    TEXT NOT NULL,
  key        TEXT NOT NULL,
  name       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON object of text
  updated_at TEXT NOT NULL,
  PRIMARY KEY (doctype, key)
) WITHOUT ROWID;
CREATE TABLE event_documents (
  seq     INTEGER NOT NULL REFERENCES events (seq),
  doctype TEXT    NOT NULL,
  key     TEXT    NOT NULL,
  PRIMARY KEY (seq, doctype, key)
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
  state         TEXT    NOT NULL DEFAULT 'pending' CHECK (state = 'pending' OR state = 'done' OR state = 'ignored' OR state = 'dead'),
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
, doctype TEXT NOT NULL DEFAULT '', traced INTEGER NOT NULL DEFAULT 0);
CREATE TABLE exchanges (
  seq    INTEGER NOT NULL REFERENCES events (seq),
  number INTEGER NOT NULL, -- of the attempt
  calls  TEXT    NOT NULL, -- JSON array
  PRIMARY KEY (seq, number)
) WITHOUT ROWID;
CREATE TABLE notes (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pauses (
  source TEXT PRIMARY KEY, -- '' = all of them
  since  TEXT NOT NULL,
  actor  TEXT NOT NULL,    -- JSON object, as everywhere here
  reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pulse (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at  TEXT NOT NULL
);
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
CREATE TABLE replays (
  asked TEXT    PRIMARY KEY,
  n     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE run_events (
  run   TEXT    NOT NULL,
  seq   INTEGER NOT NULL,
  state TEXT    NOT NULL, -- when it was planned; an event that moved on is skipped
  PRIMARY KEY (run, seq)
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
CREATE TABLE traces (
  digest BLOB    NOT NULL,
  seq    INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (digest, seq)
) WITHOUT ROWID;
CREATE TABLE waits (
  key TEXT    NOT NULL,
  seq INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (key, seq)
) WITHOUT ROWID;
CREATE INDEX audit_target ON audit (target, seq);
CREATE INDEX documents_key ON documents (key, updated_at);
CREATE INDEX event_documents_key ON event_documents (doctype, key);
CREATE INDEX events_causes ON events (class, reason, doctype, source, topic, settled_at, seq) WHERE state = 'dead';
CREATE INDEX events_due ON events (due_at, seq) WHERE state = 'pending' AND ordered = 1 AND blocked = 0;
CREATE INDEX events_due_of ON events (source, due_at, seq) WHERE state = 'pending' AND ordered = 1 AND blocked = 0;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_leased ON events (source, subject) WHERE leased_until <> '';
CREATE INDEX events_listing ON events (source, state, seq);
CREATE INDEX events_settled ON events (settled_at) WHERE swept = 0 AND state IN ('done', 'ignored');
CREATE INDEX events_subject ON events (source, subject, waiting, blocked, seq) WHERE state = 'pending' AND ordered = 1 AND subject <> '';
CREATE INDEX rejected_age ON rejected (received_at);
CREATE UNIQUE INDEX rejected_id ON rejected (id);
CREATE INDEX rejected_source ON rejected (source, seq, bytes);
CREATE INDEX runs_planned ON runs (planned_at);
CREATE INDEX runs_state ON runs (state, started_at);
CREATE INDEX traces_seq ON traces (seq);
CREATE INDEX waits_seq ON waits (seq);
CREATE TRIGGER events_counted AFTER UPDATE OF state ON events WHEN OLD.state <> NEW.state
BEGIN
  UPDATE counts SET n = n - 1 WHERE source = OLD.source AND state = OLD.state;
  INSERT INTO counts (source, state, n) VALUES (NEW.source, NEW.state, 1)
    ON CONFLICT (source, state) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER waits_end AFTER UPDATE OF waiting ON events WHEN old.waiting = 1
BEGIN
  DELETE FROM waits WHERE seq = old.seq;
END;
-- rows
INSERT INTO arrivals (one, ordered_to) VALUES (1, 4);
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (1, 1, '2026-11-28T22:27:36.671066Z', 0, 'done', 'rejected', 'why', '', 'said');
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (2, 1, '2026-11-28T22:27:36.676938Z', 0, 'dead', 'rejected', 'why', '', 'said');
INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (3, 1, '2026-11-28T22:27:36.679718Z', 0, 'waiting', 'rejected', 'why', '', 'said');
INSERT INTO audit (seq, at, actor, action, target, note) VALUES (1, '2026-11-28T22:27:36.687402Z', '{"name":"service","via":"service"}', 'plan', 'run_35i6x4ip7up2xsuo', 'replay');
INSERT INTO audit (seq, at, actor, action, target, note) VALUES (2, '2026-11-28T22:27:36.687861Z', '{"name":"service","via":"service"}', 'pause', 'held', 'by hand');
INSERT INTO bodies (seq, header, body) VALUES (1, '{}', X'7B226964223A307D');
INSERT INTO bodies (seq, header, body) VALUES (2, '{}', X'7B226964223A317D');
INSERT INTO bodies (seq, header, body) VALUES (3, '{}', X'7B226964223A327D');
INSERT INTO bodies (seq, header, body) VALUES (4, '{}', X'7B226964223A337D');
INSERT INTO bodies (seq, header, body) VALUES (5, '{}', X'7B226964223A347D');
INSERT INTO counts (source, state, n) VALUES ('shop', 'dead', 1);
INSERT INTO counts (source, state, n) VALUES ('shop', 'done', 1);
INSERT INTO counts (source, state, n) VALUES ('shop', 'pending', 3);
INSERT INTO documents (doctype, key, name, data, updated_at) VALUES ('Sales Order', 'dead', 'SO', '{"currency":"EUR"}', '2026-11-28T22:27:36.678054Z');
INSERT INTO documents (doctype, key, name, data, updated_at) VALUES ('Sales Order', 'done', 'SO', '{"currency":"EUR"}', '2026-11-28T22:27:36.674361Z');
INSERT INTO documents (doctype, key, name, data, updated_at) VALUES ('Sales Order', 'waiting', 'SO', '{"currency":"EUR"}', '2026-11-28T22:27:36.680589Z');
INSERT INTO event_documents (seq, doctype, key) VALUES (1, 'Sales Order', 'done');
INSERT INTO event_documents (seq, doctype, key) VALUES (2, 'Sales Order', 'dead');
INSERT INTO event_documents (seq, doctype, key) VALUES (3, 'Sales Order', 'waiting');
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint, doctype, traced) VALUES (1, 'ev_phruskhuwlr46m6qp5i4fs37', 'shop', 'shopify', 'evt-0', '', 'orders/create', 'order/0', '', '', '2026-11-28T22:27:36.669136Z', '2026-11-28T22:27:36.674361Z', X'F0D9DC55ADF56C34697A435BFF3E62DB6D2B6C7714793B4A497C640DB382FEF7', 'done', 1, 0, 0, '', 1, 1, 1, '', '2026-11-28T22:27:36.671066Z', '2026-11-28T22:27:36.674361Z', 0, 'rejected', 'why', '', '', 1);
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint, doctype, traced) VALUES (2, 'ev_apwwqyqwug4rkltqjywa5iso', 'shop', 'shopify', 'evt-1', '', 'orders/create', 'order/1', '', '', '2026-11-28T22:27:36.676284Z', '2026-11-28T22:27:36.678054Z', X'037C9214EEF74CC3887F3A4F085B4E17D76280DAFD273B0EE160C09C4BA1CFD4', 'dead', 1, 0, 0, '', 1, 1, 1, '', '2026-11-28T22:27:36.676938Z', '2026-11-28T22:27:36.678054Z', 0, 'rejected', 'why', '', '', 1);
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint, doctype, traced) VALUES (3, 'ev_5boqlnz5n4j3xaiewuwhyozk', 'shop', 'shopify', 'evt-2', '', 'orders/create', 'order/2', '', '', '2026-11-28T22:27:36.679068Z', '2026-11-28T23:27:36.680531Z', X'9E7E65453739BBC64BA155EED18A37BD5FB1196C7F29DED1DA660B94414D7AD8', 'pending', 1, 0, 1, 'order/9', 1, 1, 1, '', '2026-11-28T22:27:36.679718Z', '', 0, 'rejected', 'why', '', '', 1);
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint, doctype, traced) VALUES (4, 'ev_nscwihunwbayflpud5bnkhua', 'shop', 'shopify', 'evt-3', '', 'orders/create', 'order/3', '', '', '2026-11-28T22:27:36.681502Z', '2026-11-28T23:27:36.682109Z', X'A22883E93273FA52419F3F34BB7E1125F2CD14A1F32561E419ADC15324916C4B', 'pending', 1, 0, 0, '', 1, 1, 1, '2026-11-28T23:27:36.682109Z', '2026-11-28T22:27:36.682109Z', '', 0, '', '', '', '', 0);
INSERT INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum, state, ordered, blocked, waiting, waits_for, token, tries, attempts, leased_until, claimed_at, settled_at, swept, class, reason, hint, doctype, traced) VALUES (5, 'ev_uej73yyv7kpht64aecud47cs', 'shop', 'shopify', 'evt-4', '', 'orders/create', 'order/4', '', '', '2026-11-28T22:27:36.682959Z', '2026-11-28T22:27:36.682959Z', X'FE94CCBD074BB18B213F513152E3E3D0503E3746292DF1D92BDD30AA4AAAEE76', 'pending', 0, 0, 0, '', 0, 0, 0, '', '', '', 0, '', '', '', '', 0);
INSERT INTO exchanges (seq, number, calls) VALUES (1, 1, '[{"op":"erpnext.create Sales Order","method":"","started_at":"0001-01-01T00:00:00Z","took":0,"status":200,"response":"{\"docstatus\":1}"}]');
INSERT INTO exchanges (seq, number, calls) VALUES (2, 1, '[{"op":"erpnext.create Sales Order","method":"","started_at":"0001-01-01T00:00:00Z","took":0,"status":200,"response":"{\"docstatus\":1}"}]');
INSERT INTO exchanges (seq, number, calls) VALUES (3, 1, '[{"op":"erpnext.create Sales Order","method":"","started_at":"0001-01-01T00:00:00Z","took":0,"status":200,"response":"{\"docstatus\":1}"}]');
INSERT INTO notes (name, value) VALUES ('note', 'kept');
INSERT INTO notes (name, value) VALUES ('trace_salt', '0b04d9d62518cee5f96d24384325b45cb72c26337b4e4dc369284a6ec18b3f1b');
INSERT INTO pauses (source, since, actor, reason) VALUES ('held', '2026-11-28T22:27:36.687861Z', '{"name":"service","via":"service"}', 'by hand');
INSERT INTO pulse (one, at) VALUES (1, '');
INSERT INTO rejected (seq, id, source, class, reason, client, received_at, header, body, size, whole, bytes) VALUES (1, 'rj_1', 'shop', 'bad_signature', '', '', '2026-11-28T22:27:36.683581Z', '{"X":["ada@canary.example"]}', X'7B22656D61696C223A226164614063616E6172792E6578616D706C65227D', 0, 1, 58);
INSERT INTO run_events (run, seq, state) VALUES ('run_35i6x4ip7up2xsuo', 2, 'dead');
INSERT INTO runs (id, action, state, filter, reason, rate, actor, plan, total, done, skipped, planned_at, started_at, ended_at, carrier, carried_until) VALUES ('run_35i6x4ip7up2xsuo', 'replay', 'planned', '{"state":"dead"}', '', 5, '{"name":"service","via":"service"}', '[{"class":"rejected","reason":"why","state":"dead","count":1}]', 1, 0, 0, '2026-11-28T22:27:36.684681Z', '', '', '', '');
INSERT INTO traces (digest, seq) VALUES (X'AAB281AFA32687436FD23695D67B11B5', 1);
INSERT INTO traces (digest, seq) VALUES (X'B08751BABDEB536C7AA4ED371E28DA95', 2);
INSERT INTO traces (digest, seq) VALUES (X'CF1240BCDB0DC7D9E2F25AD4B5A781C9', 3);
INSERT INTO waits (key, seq) VALUES ('order/9', 3);
