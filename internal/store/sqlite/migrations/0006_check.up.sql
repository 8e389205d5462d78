-- The states one by one: for a list of more than two SQLite fills a table of
-- its own, for every row that is put. No row changes, so neither do the rows'
-- pages (SQLite's documentation of ALTER TABLE, "Making Other Kinds Of Table
-- Schema Changes", allows this for a CHECK).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
  SET sql = replace(sql, 'CHECK (state IN (''pending'', ''done'', ''ignored'', ''dead''))',
                         'CHECK (state = ''pending'' OR state = ''done'' OR state = ''ignored'' OR state = ''dead'')')
  WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;
