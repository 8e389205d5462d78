DROP TRIGGER waits_end;
DROP TABLE waits;
CREATE INDEX events_waits_for ON events (waits_for) WHERE waiting = 1;
