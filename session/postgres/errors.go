package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
)

// Codes of PostgreSQL's errors that mean something to the domain. See
// "PostgreSQL Error Codes" in its manual.
const (
	foreignKeyViolation = "23503"
	uniqueViolation     = "23505"
	checkViolation      = "23514"
	exclusionViolation  = "23P01"
	readOnly            = "25006"
	serialization       = "40001"
	deadlock            = "40P01"

	insufficientPrivilege = "42501"

	barred = "RE001" // our own, of ronde_spare
)

// storeError turns an error of the driver into one of the domain.
//
// What the data are at fault for stays an error of its own kind, and repeating
// it would be useless. Everything else (the connection, the server, its limits,
// its configuration) is ErrUnavailable with its cause: waiting, or an
// administrator, can mend it.
func storeError(err error) error {
	var own *session.Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return session.ErrNotFound
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return unavailable(err)
	}
	switch {
	case pg.Code == barred:
		return session.ErrErasing
	case pg.Code == exclusionViolation:
		return session.ErrLocated
	case pg.Code == uniqueViolation:
		return session.ErrExists
	case pg.Code == foreignKeyViolation:
		return session.ErrNotFound
	case noPartition(err):
		return unavailable(err)
	}
	switch pg.Code[:2] {
	case "22", "23": // data exception, integrity constraint violation
		return fmt.Errorf("the database refused the data: %w", err)
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}

// noPartition reports whether a position met no partition for its expiry day.
// PostgreSQL calls that a violated check, like others, but one without a name.
func noPartition(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == checkViolation && pg.TableName == "positions" && pg.ConstraintName == ""
}

// again reports whether a transaction failed only because of another one.
func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serialization || pg.Code == deadlock)
}
