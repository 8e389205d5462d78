-- What a waiting event waits for: any one of the keys wakes it. The column
-- waits_for keeps the first of them, for an older program and for people.
CREATE TABLE waits (
  key TEXT    NOT NULL,
  seq INTEGER NOT NULL REFERENCES events (seq),
  PRIMARY KEY (key, seq)
) WITHOUT ROWID;
CREATE INDEX waits_seq ON waits (seq);
INSERT INTO waits SELECT waits_for, seq FROM events WHERE waiting = 1;
DROP INDEX events_waits_for;
-- However a wait ends, by its document, its deadline or a person.
CREATE TRIGGER waits_end AFTER UPDATE OF waiting ON events WHEN old.waiting = 1
BEGIN
  DELETE FROM waits WHERE seq = old.seq;
END;
