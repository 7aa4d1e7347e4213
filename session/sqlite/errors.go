package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"ronde/session"
)

var errClosed = errors.New("the store is closed")

// classify returns err as the contract of session.Store names it: errors of
// the domain as they are; a broken constraint as what it stands for; whatever
// may pass by itself (the disk is full, another process holds the lock, the
// caller gave up) as ErrUnavailable around its cause; and a mistake of this
// package as it is, so that nobody retries it for ever.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if domain := (*session.Error)(nil); errors.As(err, &domain) {
		return err
	}
	failure, ok := errors.AsType[sqlite3.Error](err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, errClosed) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)):
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	case !ok:
		return err
	}
	switch failure.Code {
	case sqlite3.ErrConstraint:
		switch failure.ExtendedCode {
		case sqlite3.ErrConstraintPrimaryKey, sqlite3.ErrConstraintUnique:
			return session.ErrExists.Because("an object of this identity exists")
		case sqlite3.ErrConstraintForeignKey:
			return session.ErrNotFound
		}
		return err
	case sqlite3.ErrError, sqlite3.ErrMisuse, sqlite3.ErrMismatch, sqlite3.ErrRange, sqlite3.ErrTooBig, sqlite3.ErrSchema:
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}
