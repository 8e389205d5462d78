-- An older program cannot read what is encrypted: header and detail are text
-- when they are plain, and blobs when they are sealed.
CREATE TABLE sealed (
  n INTEGER CONSTRAINT bodies_are_encrypted_run_server_privacy_reencrypt_with_plain_first CHECK (n = 0)
);
INSERT INTO sealed SELECT count(*) FROM bodies WHERE typeof(header) = 'blob';
INSERT INTO sealed SELECT count(*) FROM rejected WHERE typeof(header) = 'blob';
INSERT INTO sealed SELECT count(*) FROM attempts WHERE typeof(detail) = 'blob';
DROP TABLE sealed;
ALTER TABLE events DROP COLUMN traced;
DROP TABLE traces;
DELETE FROM notes WHERE name = 'trace_salt';
