package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
)

func TestStoreError(t *testing.T) {
	for _, c := range []struct {
		what string
		err  error
		want *session.Error // nil: none of the domain
	}{
		{"no row", pgx.ErrNoRows, session.ErrNotFound},
		{"a domain error", fmt.Errorf("wrapped: %w", session.ErrTooEarly), session.ErrTooEarly},
		{"taken", &pgconn.PgError{Code: "23505"}, session.ErrExists},
		{"no such parent", &pgconn.PgError{Code: "23503"}, session.ErrNotFound},
		{"windows overlap", &pgconn.PgError{Code: "23P01"}, session.ErrLocated},
		{"a broken check", &pgconn.PgError{Code: "23514", TableName: "positions", ConstraintName: "c"}, nil},
		{"bad data", &pgconn.PgError{Code: "22021"}, nil},

		{"no partition", &pgconn.PgError{Code: "23514", TableName: "positions"}, session.ErrUnavailable},
		{"connection lost", io.ErrUnexpectedEOF, session.ErrUnavailable},
		{"out of time", context.DeadlineExceeded, session.ErrUnavailable},
		{"caller gone", context.Canceled, session.ErrUnavailable},
		{"cut off", &pgconn.PgError{Code: "57014"}, session.ErrUnavailable},
		{"shut down", &pgconn.PgError{Code: "57P01"}, session.ErrUnavailable},
		{"crashed", &pgconn.PgError{Code: "57P02"}, session.ErrUnavailable},
		{"starting", &pgconn.PgError{Code: "57P03"}, session.ErrUnavailable},
		{"full", &pgconn.PgError{Code: "53300"}, session.ErrUnavailable},
		{"disk full", &pgconn.PgError{Code: "53100"}, session.ErrUnavailable},
		{"out of memory", &pgconn.PgError{Code: "53200"}, session.ErrUnavailable},
		{"lock not given", &pgconn.PgError{Code: "55P03"}, session.ErrUnavailable},
		{"deadlock", &pgconn.PgError{Code: "40P01"}, session.ErrUnavailable},
		{"a replica", &pgconn.PgError{Code: "25006"}, session.ErrUnavailable},
		{"torn page", &pgconn.PgError{Code: "XX001"}, session.ErrUnavailable},
		{"disk error", &pgconn.PgError{Code: "58030"}, session.ErrUnavailable},
		{"rights lost", &pgconn.PgError{Code: "42501"}, session.ErrUnavailable},
		{"protocol", &pgconn.PgError{Code: "08P01"}, session.ErrUnavailable},
	} {
		got := storeError(c.err)
		var own *session.Error
		errors.As(got, &own)
		switch {
		case (own == nil) != (c.want == nil) || own != nil && own.Code != c.want.Code:
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		case (own == nil || own.Code == session.ErrUnavailable.Code) && !errors.Is(got, c.err):
			t.Errorf("%s: %v hides its cause", c.what, got)
		}
	}
	if storeError(nil) != nil {
		t.Error("an error out of nothing")
	}
	// What PostgreSQL says in detail may hold a row.
	detailed := storeError(&pgconn.PgError{Code: "23514", Message: "broken", Detail: "Failing row contains (secret)"})
	if strings.Contains(detailed.Error(), "secret") {
		t.Errorf("%v", detailed)
	}
}
