package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
)

// Report is what Inspect finds in a database, as far as its login may see it.
type Report struct {
	Server  string // the server's version: "15.6"
	Login   string
	Durable bool // the server syncs what it commits (fsync)

	Superuser bool
	Owned     []string // tables that the login may do anything to
	Migrated  bool     // Ronde's schema is there, of whichever version
	Member    bool     // the login may become ronde_app, as every node's must

	// Known to members only:

	Schema    int64
	Now       time.Time // the store's clock; zero unless Schema is SchemaVersion
	KeyringID uuid.UUID // the keyring that the store has adopted; zero if none
	// LastErasure is the highest number of a tombstone that was carried out.
	LastErasure int64
	// Sealed reports whether tracks are in it that have not expired.
	Sealed bool
}

// Inspect looks at the database that dsn names and changes nothing. It returns
// ErrUnavailable for one that cannot be reached.
func Inspect(ctx context.Context, dsn string) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return Report{}, storeError(err)
	}
	defer conn.Close(ctx)
	var r Report
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_user, current_setting('fsync')::boolean, rolsuper,
			ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
				AND NOT relispartition AND pg_has_role(relowner, 'MEMBER') ORDER BY relname),
			to_regclass('public.' || $1) IS NOT NULL
		FROM pg_roles WHERE rolname = current_user`, versionTable).Scan(&r.Server, &r.Login, &r.Durable, &r.Superuser, &r.Owned, &r.Migrated)
	if err != nil || !r.Migrated {
		return r, storeError(err)
	}
	if r.Schema, err = versionOf(ctx, conn); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == insufficientPrivilege {
			return r, nil // no member, and so nothing more to see
		}
		return Report{}, storeError(err)
	}
	r.Member = true
	if r.Schema != SchemaVersion {
		return r, nil
	}
	if err := conn.QueryRow(ctx, "SELECT public.ronde_now()").Scan(&r.Now); err != nil {
		return Report{}, storeError(err)
	}
	r.Now = session.Millis(r.Now)
	if r.KeyringID, err = adopted(ctx, conn); err != nil {
		return r, err
	}
	if r.LastErasure, err = lastErasure(ctx, conn); err != nil {
		return r, err
	}
	r.Sealed, err = hasSealed(ctx, conn)
	return r, err
}
