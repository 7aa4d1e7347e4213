package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// SchemaVersion is the version of the schema that this program needs: that of
// the last of its migrations.
const SchemaVersion int64 = 15

// versionTable says which migrations a database has had.
const versionTable = "ronde_schema"

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed roles.sql
var rolesSQL string

// Migrate brings the database that dsn names to SchemaVersion, making it from
// nothing if need be. Repeating it is harmless, and of several at once the
// others wait.
//
// The login must be a superuser. Once ronde_owner, ronde_app and ronde_judge
// exist, the database's owner will do who is a member of ronde_owner and
// ronde_judge.
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
		return migrateError(err)
	}
	found, err := provider.GetDBVersion(ctx)
	if err == nil && found > SchemaVersion {
		return &SchemaError{Found: found} // of a newer program, which this one must not call up to date
	}
	return err
}

// ensureRoles makes the roles that are missing in the cluster.
func ensureRoles(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return storeError(err)
	}
	defer conn.Close(ctx)
	var missing []string
	var super bool
	err = conn.QueryRow(ctx, `SELECT
			ARRAY(SELECT r FROM unnest($1::text[]) AS r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r)),
			(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`,
		[]string{"ronde_owner", "ronde_app", "ronde_judge"}).Scan(&missing, &super)
	switch {
	case err != nil:
		return storeError(err)
	case len(missing) == 0:
		return checkJudge(ctx, conn, super)
	case !super:
		return fmt.Errorf("the roles %s are missing and user %s may not make them, which takes a superuser: migrate once with a superuser's address",
			strings.Join(missing, ", "), config.User)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Conn().PgConn().Exec(ctx, rolesSQL).ReadAll()
		return err
	})
}

// checkJudge makes sure that a judge that somebody else made can judge.
func checkJudge(ctx context.Context, conn *pgx.Conn, super bool) error {
	var bypasses bool
	err := conn.QueryRow(ctx, "SELECT rolbypassrls FROM pg_roles WHERE rolname = 'ronde_judge'").Scan(&bypasses)
	if err != nil || bypasses {
		return storeError(err)
	}
	if !super {
		return errors.New("the role ronde_judge lacks BYPASSRLS: a superuser must ALTER ROLE ronde_judge BYPASSRLS")
	}
	_, err = conn.Exec(ctx, "ALTER ROLE ronde_judge BYPASSRLS")
	return err
}

// migrateError says what to do about an error of a migration.
func migrateError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == insufficientPrivilege {
		return fmt.Errorf("migrate: this login may not do that; use a superuser, or the database's owner as a member of ronde_owner and ronde_judge: %w", err)
	}
	return fmt.Errorf("migrate: %w", err)
}

// Version returns the schema version of the database that dsn names, 0 if it
// was never migrated. It returns ErrUnavailable for a database that cannot be
// reached.
func Version(ctx context.Context, dsn string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, storeError(err)
	}
	defer conn.Close(ctx)
	version, err := versionOf(ctx, conn)
	return version, storeError(err)
}

// versionOf returns the schema version of a database, 0 if it was never
// migrated, and otherwise makes the connection act as ronde_app: a member may
// have to become it to see its tables. Its errors are the driver's.
func versionOf(ctx context.Context, conn *pgx.Conn) (int64, error) {
	var known bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('public."+versionTable+"') IS NOT NULL").Scan(&known); err != nil || !known {
		return 0, err
	}
	if _, err := conn.Exec(ctx, "SET ROLE ronde_app"); err != nil {
		return 0, fmt.Errorf("the login must be a member of ronde_app, by GRANT ronde_app TO it: %w", err)
	}
	var version sql.NullInt64
	err := conn.QueryRow(ctx, "SELECT max(version_id) FROM public."+versionTable+" WHERE is_applied").Scan(&version)
	return version.Int64, err
}
