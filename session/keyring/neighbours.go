package keyring

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// place is where a database is: two addresses that lead to one place lead to
// one database. Not the server's system identifier, which all servers made from
// one image share.
type place struct {
	started  time.Time // the server, to the microsecond
	database uint32    // its number on the server
}

// Neighbours tells whether two addresses, however they are written, lead to the
// same PostgreSQL server, and if so whether to the same database. It returns
// session.ErrUnavailable if one of them cannot be reached.
//
// A keyring must not be in the database of its store, because whoever restores
// a backup of one would have the other. On the same server that still holds of
// backups of the whole server, such as pg_basebackup and archived WAL.
func Neighbours(ctx context.Context, keys, store string) (server, database bool, err error) {
	var places [2]place
	for i, dsn := range []string{keys, store} {
		if places[i], err = locate(ctx, dsn); err != nil {
			return false, false, err
		}
	}
	return places[0].started.Equal(places[1].started), places[0] == places[1], nil
}

func locate(ctx context.Context, dsn string) (p place, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return p, unavailable(err)
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()").
		Scan(&p.started, &p.database)
	return p, unavailable(err)
}
