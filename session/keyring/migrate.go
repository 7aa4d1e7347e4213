package keyring

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// SchemaVersion is the version of the schema that a Database needs: that of
// the last of its migrations.
const SchemaVersion int64 = 1

// versionTable says which migrations a database has had.
const versionTable = "ronde_keys_schema"

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed roles.sql
var rolesSQL string

// Migrate brings the database that dsn names to SchemaVersion, making it from
// nothing if need be. Repeating it is harmless, and of several at once the
// others wait.
//
// The login must be a superuser. Once ronde_keys_owner and ronde_keys exist,
// the database's owner will do who is a member of ronde_keys_owner.
func Migrate(ctx context.Context, dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	if err := ensureRoles(ctx, config); err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", explain(err))
	}
	found, err := provider.GetDBVersion(ctx)
	if err == nil && found > SchemaVersion {
		return &SchemaError{Found: found, Want: SchemaVersion} // of a newer program, which this one must not call up to date
	}
	return err
}

// ensureRoles makes the roles that are missing in the cluster.
func ensureRoles(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return unavailable(err)
	}
	defer conn.Close(ctx)
	var there, super bool
	err = conn.QueryRow(ctx, `SELECT to_regrole('ronde_keys_owner') IS NOT NULL AND to_regrole('ronde_keys') IS NOT NULL,
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`).Scan(&there, &super)
	switch {
	case err != nil:
		return unavailable(err)
	case there:
		return nil
	case !super:
		return fmt.Errorf("the roles ronde_keys_owner and ronde_keys are missing and user %s may not make them, which takes a superuser: migrate once with a superuser's address",
			config.User)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Conn().PgConn().Exec(ctx, rolesSQL).ReadAll()
		return err
	})
}

// explain says what to do about a migration that the login may not do.
func explain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" { // insufficient privilege
		return fmt.Errorf("this login may not do that; use a superuser, or the database's owner as a member of ronde_keys_owner: %w", err)
	}
	return err
}

// Version returns the schema version of the database that dsn names, 0 if it
// was never migrated. It returns session.ErrUnavailable for a database that
// cannot be reached.
func Version(ctx context.Context, dsn string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, unavailable(err)
	}
	defer conn.Close(ctx)
	var known bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = '"+versionTable+"')").Scan(&known); err != nil || !known {
		return 0, unavailable(err)
	}
	// A member of ronde_keys may have to become it to see its tables.
	if _, err := conn.Exec(ctx, "SET ROLE ronde_keys"); err != nil {
		return 0, unavailable(fmt.Errorf("the login must be a member of ronde_keys, by GRANT ronde_keys TO it: %w", err))
	}
	var version sql.NullInt64
	err = conn.QueryRow(ctx, "SELECT max(version_id) FROM public."+versionTable+" WHERE is_applied").Scan(&version)
	return version.Int64, unavailable(err)
}

// SchemaError says that a database has another schema than this program needs.
type SchemaError struct {
	Found int64 // 0: none at all
	Want  int64
}

func (e *SchemaError) Error() string {
	if e.Found > e.Want {
		return fmt.Sprintf("the keyring has schema version %d and this ronde knows version %d: run a newer ronde (an older one cannot undo what its `ronde migrate` did)", e.Found, e.Want)
	}
	return fmt.Sprintf("the keyring has schema version %d and this ronde needs version %d: run `ronde migrate` with the same --store and --keys", e.Found, e.Want)
}
