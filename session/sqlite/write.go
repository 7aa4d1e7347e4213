package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// writer is the one connection that writes, and whose turn it is.
type writer struct {
	db *sql.DB
	// turn holds a token while a write is in progress. It is a channel, not a
	// mutex, so that a caller who gives up stops waiting.
	turn chan struct{}

	// Owned by whoever holds the turn:

	closed bool
	conn   *sql.Conn            // nil until the first write and after a failure
	kept   map[string]*sql.Stmt // prepared on conn, by their text
}

func newWriter(path string) *writer {
	w := &writer{db: sql.OpenDB(connector{dataSource(path, writerSettings)}), turn: make(chan struct{}, 1)}
	w.db.SetMaxOpenConns(1)
	return w
}

func (w *writer) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.closed = true
	w.discard()
	return w.db.Close()
}

// tx is the write transaction in progress. It holds the database's write
// lock, so nothing that it reads can change before it commits.
type tx struct {
	w *writer
	// now is the store's clock, read after the lock: milliseconds since the
	// epoch.
	now int64
}

// write runs f in a transaction that is committed if f returns nil and undone
// otherwise, even by a panic. Once it runs, ctx is asked only whether to
// commit: the statements are short, and an interrupted one would have to be
// undone all the same.
func (s *Store) write(ctx context.Context, f func(tx *tx) error) error {
	w := s.writer
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return classify(ctx.Err())
	}
	defer func() { <-w.turn }()
	if err := ctx.Err(); err != nil {
		return classify(err)
	}
	if err := w.begin(); err != nil {
		return classify(err)
	}
	committed := false
	defer func() {
		if !committed {
			w.rollback()
		}
	}()
	t := &tx{w: w, now: s.clock().UnixMilli()}
	if err := f(t); err != nil {
		return classify(err)
	}
	if err := ctx.Err(); err != nil {
		return classify(err)
	}
	if _, err := t.exec("COMMIT"); err != nil {
		return classify(err)
	}
	committed = true
	return nil
}

// begin takes the write lock. It waits for writes of other processes, at most
// as long as the busy timeout.
func (w *writer) begin() error {
	if w.closed {
		return errClosed
	}
	if w.conn == nil {
		conn, err := w.db.Conn(context.Background())
		if err != nil {
			return err
		}
		w.conn, w.kept = conn, map[string]*sql.Stmt{}
	}
	_, err := (&tx{w: w}).exec("BEGIN IMMEDIATE")
	return err
}

// rollback undoes the transaction. If that fails, as it does when SQLite has
// undone it by itself, the connection is given up: a new one is in no
// transaction for sure.
func (w *writer) rollback() {
	if _, err := (&tx{w: w}).exec("ROLLBACK"); err != nil {
		w.discard()
	}
}

// discard closes the connection; the next write opens another.
func (w *writer) discard() {
	if w.conn == nil {
		return
	}
	for _, stmt := range w.kept {
		_ = stmt.Close() // the connection goes with it
	}
	// Without ErrBadConn it would go back to the pool as it is.
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn, w.kept = nil, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	stmt, err := t.w.prepared(query) //nolint:sqlclosecheck // it stays prepared: discard closes it
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query is the queryer of the transaction.
func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.w.prepared(query) //nolint:sqlclosecheck // it stays prepared: discard closes it
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// prepared returns a statement that stays prepared on the connection: texts of
// queries are constants, so there are few.
func (w *writer) prepared(query string) (*sql.Stmt, error) {
	if stmt := w.kept[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w.kept[query] = stmt
	return stmt, nil
}
