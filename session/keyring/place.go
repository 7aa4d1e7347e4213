package keyring

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Place is where a PostgreSQL database really is: two addresses lead to one
// database exactly if their Places are equal, however they are written.
//
// A keyring must not be in the database of its store: a backup of one would be a
// backup of the other.
type Place struct {
	// When the server started, in microseconds since the epoch, tells it from
	// any other. Its system identifier would not: servers made from one image
	// share it.
	server   int64
	database uint32 // its number on the server
}

// Locate returns where the database is that dsn names. It returns
// session.ErrUnavailable if that cannot be reached.
func Locate(ctx context.Context, dsn string) (Place, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return Place{}, unavailable(err)
	}
	defer conn.Close(ctx)
	var started time.Time
	var p Place
	err = conn.QueryRow(ctx, "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()").
		Scan(&started, &p.database)
	p.server = started.UnixMicro()
	return p, unavailable(err)
}

// SameServer reports whether both databases are on one server. Then a backup of
// the whole server, such as pg_basebackup and the archived log, is one of both.
func (p Place) SameServer(other Place) bool { return p.server == other.server }
