// Package sqlite keeps missions in one SQLite database file: the store of an
// installation that has one machine.
//
// # How a write runs
//
// One connection writes. A write takes its turn on it, begins with BEGIN
// IMMEDIATE, which takes the database's only write lock, and reads the clock
// and the rows it decides on after that: so no transition can come between a
// judgement and its insert, in this process or in another one on the same file,
// such as the command line beside a running server. Nothing is ever Locked
// here; whoever comes second waits.
//
// Reads have connections of their own and see the last committed state (WAL):
// they wait for no write, and no write waits for them.
//
// # What lies in the file
//
// Everything is readable with the sqlite3 shell but the positions, which are
// sealed. Rows are zeroed when they are deleted. Triggers repeat the rules that
// must never break, for the day on which this package has a mistake.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ronde/session"
)

// Store is a session.Store on a SQLite file. Make it with Open.
type Store struct {
	clock   func() time.Time
	writer  *writer
	readers *sql.DB
}

var _ session.Store = (*Store)(nil)

// maxReaders is how many reads run at once. Beyond it they queue; each holds
// a page cache of its own.
const maxReaders = 8

// Open opens the database file at path, makes it and its folder if there are
// none (readable by their owner alone), and brings its schema up to date. now
// is the store's clock; nil stands for time.Now.
//
// Several stores, in one or several processes, may have one file open. A file
// of another program or of a newer Ronde is refused.
func Open(ctx context.Context, path string, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	if err := prepareFile(path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		clock:   now,
		writer:  newWriter(path),
		readers: sql.OpenDB(connector{dataSource(path, readerSettings)}),
	}
	s.readers.SetMaxOpenConns(maxReaders)
	s.readers.SetMaxIdleConns(maxReaders)
	if err := s.write(ctx, migrate); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Close waits for the write in progress and closes the file. Reads in progress
// fail. Whatever is asked of the store afterwards is ErrUnavailable.
func (s *Store) Close() error {
	return errors.Join(s.readers.Close(), s.writer.close())
}

// Now returns the store's clock.
func (s *Store) Now(context.Context) (time.Time, error) {
	return session.Millis(s.clock()), nil
}

// read lets f ask several things of one state of the database.
func (s *Store) read(ctx context.Context, f func(q queryer) error) error {
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	defer func() { _ = tx.Rollback() }() // it changed nothing
	return classify(f(func(query string, args ...any) (*sql.Rows, error) {
		return tx.QueryContext(ctx, query, args...)
	}))
}

// queryer runs a query in the transaction at hand: a write's or a read's.
type queryer func(query string, args ...any) (*sql.Rows, error)

// each calls scan for every row of a query.
func (q queryer) each(scan func(row *sql.Rows) error, query string, args ...any) error {
	rows, err := q(query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what it could say, rows.Err says
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one scans the only row of a query into dest, or returns ErrNotFound.
func (q queryer) one(dest []any, query string, args ...any) error {
	found := false
	err := q.each(func(row *sql.Rows) error {
		found = true
		return row.Scan(dest...)
	}, query, args...)
	if err == nil && !found {
		return session.ErrNotFound
	}
	return err
}
