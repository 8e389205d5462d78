package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	sqlitedriver "modernc.org/sqlite"
)

// conn is the writer's one connection, without database/sql between: the
// intake binds a thousand values per commit, and each of them would be
// converted by reflection. It belongs to the writer's goroutine alone.
type conn struct {
	c     driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // reused from call to call
}

func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlitedriver.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: make(map[string]driver.Stmt)}, nil
}

func (c *conn) close() error {
	errs := make([]error, 0, 1)
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}

// stmt prepares query once per connection; SQLite plans it again by itself
// when the schema has changed.
func (c *conn) stmt(query string) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.c.Prepare(query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs one statement and tells how many rows it changed. Values are
// int64, string, []byte or nil.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	s, err := c.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// script runs statements that are used once, such as a migration.
func (c *conn) script(text string) error {
	_, err := c.c.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// query gives every row to scan, which may keep nothing of it but strings,
// numbers and blobs. It may not use the connection.
func (c *conn) query(query string, args []driver.Value, scan func(row)) error {
	s, err := c.stmt(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	values := make(row, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return rows.Close()
		case err != nil:
			return errors.Join(err, rows.Close())
		}
		scan(values)
	}
}

// number asks for one number; 0 when there is no row or it is NULL.
func (c *conn) number(query string, args ...driver.Value) (int64, error) {
	var n int64
	err := c.query(query, args, func(r row) { n = r.int(0) })
	return n, err
}

// row is one row of an answer.
type row []driver.Value

func (r row) int(i int) int64 {
	n, _ := r[i].(int64)
	return n
}

func (r row) text(i int) string {
	s, _ := r[i].(string)
	return s
}

func (r row) blob(i int) []byte {
	b, _ := r[i].([]byte)
	return b
}

// setVersion and version keep the schema's number in the file's header, where
// any tool can read it and where it changes together with the schema. SQLite's
// own number, by which other connections see that they must read the schema
// anew, grows with it: SQLite does not notice that sqlite_schema was written to.
func (c *conn) setVersion(n int) error {
	own, err := c.number("PRAGMA schema_version")
	if err != nil {
		return err
	}
	return c.script(fmt.Sprintf("PRAGMA user_version = %d; PRAGMA schema_version = %d", n, own+1))
}

func (c *conn) version() (int, error) {
	n, err := c.number("PRAGMA user_version")
	return int(n), err
}
