package keyring

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SchemaVersion is the version of the schema that a Database needs: how many
// steps lead to it.
const SchemaVersion = 3

// migrations holds the schema as steps, in the order of their names. A step
// that was released never changes; a new one is added.
//
//go:embed migrations/*.sql
var migrations embed.FS

//go:embed roles.sql
var rolesSQL string

// Migrate brings the database that dsn names to SchemaVersion, making it from
// nothing if need be, all in one transaction. Repeating it is harmless, and of
// several at once the others wait.
//
// The login must be a superuser. Once ronde_keys_owner and ronde_keys exist,
// the database's owner will do who is a member of ronde_keys_owner.
func Migrate(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return unavailable(err)
	}
	defer conn.Close(ctx)
	// Each statement must see what was committed while the first one waited.
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		return migrate(ctx, tx)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" { // insufficient privilege
		return fmt.Errorf("migrate: this login may not do that; use a superuser, or the database's owner as a member of ronde_keys_owner: %w", err)
	}
	return err
}

func migrate(ctx context.Context, tx pgx.Tx) error {
	if err := script(ctx, tx, "SELECT pg_advisory_xact_lock(hashtextextended('ronde_keys', 0)); SET LOCAL search_path = public, pg_temp"); err != nil {
		return err
	}
	version := 0
	there, err := migrated(ctx, tx)
	if err == nil && there {
		version, err = versionOf(ctx, tx)
	}
	switch {
	case err != nil:
		return err
	case version > SchemaVersion:
		return &SchemaError{Found: version} // of a newer program, which this one must not call up to date
	}
	if err := ensureRoles(ctx, tx); err != nil {
		return err
	}
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, step := range steps[version:] {
		text, err := migrations.ReadFile(step)
		if err != nil {
			return err
		}
		if err := script(ctx, tx, string(text)); err != nil {
			return fmt.Errorf("apply %s: %w", step, err)
		}
	}
	_, err = tx.Exec(ctx, "UPDATE ronde_keys_schema SET version = $1", len(steps))
	return err
}

// script runs several statements.
func script(ctx context.Context, tx pgx.Tx, text string) error {
	_, err := tx.Conn().PgConn().Exec(ctx, text).ReadAll()
	return err
}

// ensureRoles makes the roles if the cluster has none.
func ensureRoles(ctx context.Context, tx pgx.Tx) error {
	var there, super bool
	err := tx.QueryRow(ctx, `SELECT to_regrole('ronde_keys_owner') IS NOT NULL AND to_regrole('ronde_keys') IS NOT NULL, rolsuper
		FROM pg_roles WHERE rolname = current_user`).Scan(&there, &super)
	switch {
	case err != nil || there:
		return err
	case !super:
		return errors.New("the roles ronde_keys_owner and ronde_keys are missing, and to make them takes a superuser: migrate once with a superuser's address")
	}
	return script(ctx, tx, rolesSQL)
}

// Version returns the schema version of the database that dsn names, 0 if it
// was never migrated. It returns session.ErrUnavailable for a database that
// cannot be reached, or that the login has no right to.
func Version(ctx context.Context, dsn string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, unavailable(err)
	}
	defer conn.Close(ctx)
	if there, err := migrated(ctx, conn); err != nil || !there {
		return 0, unavailable(err)
	}
	if _, err := conn.Exec(ctx, "SET ROLE ronde_keys"); err != nil {
		return 0, unavailable(fmt.Errorf("the login must be a member of ronde_keys, by GRANT ronde_keys TO it: %w", err))
	}
	version, err := versionOf(ctx, conn)
	return version, unavailable(err)
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// migrated reports whether the database has Ronde's schema, of whichever
// version.
func migrated(ctx context.Context, q querier) (there bool, err error) {
	err = q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'ronde_keys_schema')").Scan(&there)
	return there, err
}

func versionOf(ctx context.Context, q querier) (version int, err error) {
	err = q.QueryRow(ctx, "SELECT version FROM public.ronde_keys_schema").Scan(&version)
	return version, err
}

// SchemaError says that a database has another schema than SchemaVersion.
type SchemaError struct {
	Found int // 0: none at all
}

func (e *SchemaError) Error() string {
	if e.Found > SchemaVersion {
		return fmt.Sprintf("the keyring has schema version %d and this ronde knows version %d: run a newer ronde (an older one cannot undo what its `ronde migrate` did)", e.Found, SchemaVersion)
	}
	return fmt.Sprintf("the keyring has schema version %d and this ronde needs version %d: run `ronde migrate` with the same --store and --keys", e.Found, SchemaVersion)
}
