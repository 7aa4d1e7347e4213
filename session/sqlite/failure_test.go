package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"ronde/session"
)

func TestClassify(t *testing.T) {
	failure := func(code sqlite3.ErrNo, extended sqlite3.ErrNoExtended) error {
		return fmt.Errorf("append: %w", sqlite3.Error{Code: code, ExtendedCode: extended})
	}
	own := session.ErrState.Because("no")
	for _, c := range []struct{ err, is error }{
		{failure(sqlite3.ErrBusy, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrLocked, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrFull, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrIoErr, sqlite3.ErrIoErrFsync), session.ErrUnavailable},
		{failure(sqlite3.ErrCantOpen, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrReadonly, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrCorrupt, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrNomem, 0), session.ErrUnavailable},
		{failure(sqlite3.ErrInterrupt, 0), session.ErrUnavailable},
		{context.DeadlineExceeded, session.ErrUnavailable},
		{sql.ErrConnDone, session.ErrUnavailable},
		{failure(sqlite3.ErrConstraint, sqlite3.ErrConstraintPrimaryKey), session.ErrExists},
		{failure(sqlite3.ErrConstraint, sqlite3.ErrConstraintUnique), session.ErrExists},
		{failure(sqlite3.ErrConstraint, sqlite3.ErrConstraintForeignKey), session.ErrNotFound},
		{own, own},
	} {
		if got := classify(c.err); !errors.Is(got, c.is) {
			t.Errorf("%v became %v, want %v", c.err, got, c.is)
		}
	}
	// Whoever asks why finds out.
	if got := classify(failure(sqlite3.ErrFull, 0)); !isFull(got) {
		t.Errorf("the cause is lost: %v", got)
	}
	// A mistake of ours is not worth a retry.
	for _, err := range []error{
		failure(sqlite3.ErrError, 0), failure(sqlite3.ErrConstraint, sqlite3.ErrConstraintTrigger),
		failure(sqlite3.ErrConstraint, sqlite3.ErrConstraintCheck), errors.New("a column is missing"),
	} {
		if got := classify(err); got == nil || errors.Is(got, session.ErrUnavailable) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func isFull(err error) bool {
	failure, ok := errors.AsType[sqlite3.Error](err)
	return ok && failure.Code == sqlite3.ErrFull
}

// TestFullDisk: a database that cannot grow refuses, keeps what it has, and
// works again once there is room: on a new connection, because SQLite has
// undone the transaction by itself.
func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "ronde.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	setting := func(pragma string) {
		t.Helper()
		if s.writer.conn == nil {
			return // the setting went with the connection
		}
		if _, err := s.writer.conn.ExecContext(ctx, pragma); err != nil {
			t.Fatal(err)
		}
	}
	setting("PRAGMA max_page_count = 1") // as large as it is
	full, kept := error(nil), 0
	for full == nil {
		if full = s.EnsureTenant(ctx, fmt.Sprintf("tenant-%d", kept)); full == nil {
			kept++
		}
	}
	if !errors.Is(full, session.ErrUnavailable) || !isFull(full) {
		t.Errorf("a full database says %v", full)
	}
	count := func() (n int) {
		t.Helper()
		if err := s.readers.QueryRowContext(ctx, "SELECT count(*) FROM tenants").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != kept {
		t.Errorf("%d tenants in a full database, want %d", n, kept)
	}
	setting("PRAGMA max_page_count = 100000")
	if err := s.EnsureTenant(ctx, "room-again"); err != nil {
		t.Error(err)
	}
	if n := count(); n != kept+1 {
		t.Errorf("%d tenants, want %d", n, kept+1)
	}
}
