PRAGMA writable_schema = ON;
UPDATE sqlite_schema
  SET sql = replace(sql, 'CHECK (state = ''pending'' OR state = ''done'' OR state = ''ignored'' OR state = ''dead'')',
                         'CHECK (state IN (''pending'', ''done'', ''ignored'', ''dead''))')
  WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;
