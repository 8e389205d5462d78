-- Whom an event mentions, as keyed digests of e-mails, phones and ids, written
-- when an attempt is settled: never before the sender has its answer.
CREATE TABLE traces (
  digest BLOB    NOT NULL,
  seq    INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (digest, seq)
) WITHOUT ROWID;
CREATE INDEX traces_seq ON traces (seq);
-- 0 = no attempt has told whom the event mentions, 1 = its traces do, 2 = it
-- was erased on request.
ALTER TABLE events ADD COLUMN traced INTEGER NOT NULL DEFAULT 0;
