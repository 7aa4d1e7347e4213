package postgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// as returns the address of a database for another login.
func as(dsn, login string) string { return strings.Replace(dsn, "postgres@", login+"@", 1) }

func TestMigrate(t *testing.T) {
	ctx := t.Context()
	server := pgtest.StartPrivate(t) // roles belong to the whole server, and this one has none yet
	first := &database{dsn: server.CreateDB(t)}
	first.connect(t)
	first.exec(t, "CREATE ROLE anybody LOGIN; CREATE ROLE administrator LOGIN; CREATE ROLE node LOGIN")

	err := postgres.Migrate(ctx, as(first.dsn, "anybody"))
	if err == nil || !strings.Contains(err.Error(), "ronde_owner") || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("migrating without the right to make roles: %v", err)
	}
	if v, err := postgres.Version(ctx, first.dsn); v != 0 || err != nil {
		t.Errorf("version %d, %v of a database that was never migrated", v, err)
	}

	// Several nodes, of several installations on one server, at once.
	databases := []string{first.dsn, server.CreateDB(t), server.CreateDB(t)}
	var all sync.WaitGroup
	for range 3 {
		for _, dsn := range databases {
			all.Go(func() {
				if err := postgres.Migrate(ctx, dsn); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	for _, dsn := range databases {
		if v, err := postgres.Version(ctx, dsn); v != postgres.SchemaVersion || err != nil {
			t.Errorf("version %d, %v after migrating", v, err)
		}
	}

	t.Run("without a superuser", func(t *testing.T) {
		owned := server.CreateDB(t)
		first.exec(t, fmt.Sprintf("GRANT ronde_owner, ronde_judge TO administrator; ALTER DATABASE %s OWNER TO administrator",
			owned[strings.LastIndex(owned, "/")+1:strings.LastIndex(owned, "?")]))
		if err := postgres.Migrate(ctx, as(owned, "administrator")); err != nil {
			t.Fatal(err)
		}
		if err := postgres.Migrate(ctx, as(owned, "anybody")); err == nil {
			t.Error("anybody migrated")
		}
	})

	t.Run("as a mere member of ronde_app", func(t *testing.T) {
		_, err := postgres.Open(ctx, as(first.dsn, "node"), postgres.Options{})
		if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "GRANT ronde_app") {
			t.Errorf("Open by a login that is not a member: %v", err)
		}
		first.exec(t, "GRANT ronde_app TO node")
		node := &database{dsn: as(first.dsn, "node")}
		if err := node.open(t, postgres.Options{}).EnsureTenant(ctx, "acme"); err != nil {
			t.Error(err)
		}
	})

	t.Run("with a judge who cannot see", func(t *testing.T) {
		first.exec(t, "ALTER ROLE ronde_judge NOBYPASSRLS")
		if err := postgres.Migrate(ctx, as(first.dsn, "administrator")); err == nil || !strings.Contains(err.Error(), "BYPASSRLS") {
			t.Errorf("migrating past a judge without BYPASSRLS: %v", err)
		}
		if err := postgres.Migrate(ctx, first.dsn); err != nil {
			t.Error(err)
		}
		if n := first.count(t, "SELECT count(*) FROM pg_roles WHERE rolname = 'ronde_judge' AND rolbypassrls"); n != 1 {
			t.Error("the superuser's migration left the judge without BYPASSRLS")
		}
	})
}

// TestSchemaVersion: SchemaVersion is that of the last migration.
func TestSchemaVersion(t *testing.T) {
	files, err := fs.Glob(os.DirFS("migrations"), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last := files[len(files)-1]
	if want := fmt.Sprintf("%05d_", postgres.SchemaVersion); !strings.HasPrefix(last, want) || len(files) != int(postgres.SchemaVersion) {
		t.Errorf("%d migrations, the last is %s: want %s", len(files), last, want)
	}
}

// TestOpenRefuses: a database of another schema, with both versions and what to
// do in the error.
func TestOpenRefuses(t *testing.T) {
	const own = postgres.SchemaVersion
	server := pgtest.Start(t)
	for _, c := range []struct {
		name, sql string
		found     int64
		says      []string
	}{
		{"an empty database", "DROP SCHEMA public CASCADE; CREATE SCHEMA public", 0, []string{"version 0", "`ronde migrate`"}},
		{"an older schema", fmt.Sprintf("DELETE FROM ronde_schema WHERE version_id = %d", own), own - 1,
			[]string{fmt.Sprintf("version %d", own-1), "`ronde migrate`"}},
		{"a newer schema", fmt.Sprintf("INSERT INTO ronde_schema (version_id, is_applied) VALUES (%d, true)", own+1), own + 1,
			[]string{fmt.Sprintf("version %d", own+1), "newer ronde", "`ronde migrate`"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatabase(t, server)
			d.exec(t, c.sql)
			_, err := postgres.Open(t.Context(), d.dsn, postgres.Options{})
			var schema *postgres.SchemaError
			if !errors.As(err, &schema) || *schema != (postgres.SchemaError{Found: c.found}) {
				t.Fatalf("Open: %v", err)
			}
			for _, s := range append(c.says, fmt.Sprintf("version %d", own)) {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %s", err, s)
				}
			}
			if migrated := postgres.Migrate(t.Context(), d.dsn); c.found > own && !errors.As(migrated, &schema) {
				t.Errorf("Migrate calls a newer schema up to date: %v", migrated)
			}
		})
	}
	_, err := postgres.Open(t.Context(), "postgres://postgres@127.0.0.1:1/nowhere", postgres.Options{})
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Open of a server that is not there: %v", err)
	}
}
