package keyring_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

func TestMigrate(t *testing.T) {
	ctx := t.Context()
	server := pgtest.StartPrivate(t) // roles belong to the whole server, and this one has none yet
	first := &database{dsn: server.CreateDB(t), root: session.NewRootSecret()}
	first.connect(t)
	first.exec(t, "CREATE ROLE anybody LOGIN; CREATE ROLE administrator LOGIN; CREATE ROLE node LOGIN")

	err := keyring.Migrate(ctx, as(first.dsn, "anybody"))
	if err == nil || !strings.Contains(err.Error(), "ronde_keys_owner") || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("migrating without the right to make roles: %v", err)
	}
	if v, err := keyring.Version(ctx, first.dsn); v != 0 || err != nil {
		t.Errorf("version %d, %v of a database that was never migrated", v, err)
	}

	// Several nodes, of several installations on one server, at once.
	databases := []string{first.dsn, server.CreateDB(t), server.CreateDB(t)}
	var all sync.WaitGroup
	for range 3 {
		for _, dsn := range databases {
			all.Go(func() {
				if err := keyring.Migrate(ctx, dsn); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	for _, dsn := range databases {
		if v, err := keyring.Version(ctx, dsn); v != keyring.SchemaVersion || err != nil {
			t.Errorf("version %d, %v after migrating", v, err)
		}
	}

	t.Run("without a superuser", func(t *testing.T) {
		owned := server.CreateDB(t)
		first.exec(t, fmt.Sprintf("GRANT ronde_keys_owner TO administrator; ALTER DATABASE %s OWNER TO administrator",
			owned[strings.LastIndex(owned, "/")+1:strings.LastIndex(owned, "?")]))
		if err := keyring.Migrate(ctx, as(owned, "anybody")); err == nil || !strings.Contains(err.Error(), "owner") {
			t.Errorf("anybody migrated: %v", err)
		}
		if err := keyring.Migrate(ctx, as(owned, "administrator")); err != nil {
			t.Fatal(err)
		}
		mustSalt(t, openDatabase(t, owned, session.NewRootSecret(), 0), "acme", today)
	})

	t.Run("as a mere member of ronde_keys", func(t *testing.T) {
		node := as(first.dsn, "node")
		if _, err := keyring.OpenDatabase(ctx, node, first.root, 0); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("opened by a login that is not a member: %v", err)
		}
		first.exec(t, "GRANT ronde_keys TO node")
		mustSalt(t, openDatabase(t, node, first.root, 0), "acme", today)
	})

	t.Run("again with salts in it", func(t *testing.T) {
		ring := openDatabase(t, first.dsn, first.root, 0)
		before := string(mustSalt(t, ring, "acme", today))
		if err := keyring.Migrate(ctx, first.dsn); err != nil {
			t.Fatal(err)
		}
		if string(mustSalt(t, ring, "acme", today)) != before {
			t.Error("migrating again changed a salt")
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
	if want := fmt.Sprintf("%05d_", keyring.SchemaVersion); !strings.HasPrefix(last, want) || len(files) != int(keyring.SchemaVersion) {
		t.Errorf("%d migrations, the last is %s: want %s", len(files), last, want)
	}
}

// TestOpenRefusesAnotherSchema, with both versions and what to do in the error.
func TestOpenRefusesAnotherSchema(t *testing.T) {
	server := pgtest.Start(t)
	for _, c := range []struct {
		name, sql string
		found     int64
	}{
		{"an empty database", "DROP SCHEMA salts CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public", 0},
		{"a newer schema", "INSERT INTO ronde_keys_schema (version_id, is_applied) VALUES (2, true)", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, server)
			db.exec(t, c.sql)
			_, err := keyring.OpenDatabase(t.Context(), db.node, db.root, 0)
			var schema *keyring.SchemaError
			if !errors.As(err, &schema) || *schema != (keyring.SchemaError{Found: c.found, Want: keyring.SchemaVersion}) {
				t.Fatalf("OpenDatabase: %v", err)
			}
			for _, s := range []string{fmt.Sprintf("version %d", c.found), fmt.Sprintf("version %d", keyring.SchemaVersion), "`ronde migrate`"} {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %s", err, s)
				}
			}
			if migrated := keyring.Migrate(t.Context(), db.dsn); c.found > keyring.SchemaVersion && !errors.As(migrated, &schema) {
				t.Errorf("Migrate calls a newer schema up to date: %v", migrated)
			}
		})
	}
	_, err := keyring.OpenDatabase(t.Context(), "postgres://postgres@127.0.0.1:1/nowhere", session.NewRootSecret(), 0)
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("opened a server that is not there: %v", err)
	}
}

// TestDatabaseRights is what a login that may serve can and cannot do with SQL
// of its own, and that others can do nothing.
func TestDatabaseRights(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	db.exec(t, "CREATE ROLE keys_stranger LOGIN")
	t.Cleanup(func() { db.exec(t, "DROP ROLE keys_stranger") })
	const denied = "42501"
	try := func(login, sql string) string {
		conn, err := pgx.Connect(t.Context(), as(db.dsn, login))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			return pg.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	for _, sql := range []string{
		"SELECT sealed FROM keyring", "SELECT sealed FROM signing_keys", "SELECT ronde_salt('2024-10-04', 'acme')",
		"SELECT ronde_make_salt('2024-10-04', 'acme', '')", "SELECT ronde_mark_destroyed('2024-10-01')",
	} {
		if code := try("keys_node", sql); code != "" {
			t.Errorf("a node is refused %s: %s", sql, code)
		}
		if code := try("keys_stranger", sql); code != denied {
			t.Errorf("a stranger does %s: %q", sql, code)
		}
	}
	for _, sql := range []string{
		`SELECT sealed FROM salts."2024-10-04"`, `DELETE FROM salts."2024-10-04"`, `DROP TABLE salts."2024-10-04"`,
		"CREATE TABLE salts.more (n int)", "CREATE TABLE more (n int)", "SELECT before FROM destroyed", "UPDATE destroyed SET before = '-infinity'",
		"UPDATE keyring SET sealed = ''", "DELETE FROM keyring", "TRUNCATE signing_keys", "UPDATE signing_keys SET sealed = ''", "DELETE FROM signing_keys",
		"SELECT ronde_gone('2024-10-04')", "UPDATE ronde_keys_schema SET version_id = 0", "SET ROLE ronde_keys_owner",
	} {
		if code := try("keys_node", sql); code != denied {
			t.Errorf("a node does %s: %q", sql, code)
		}
	}
	if code := try("keys_node", "SELECT ronde_drop_salts('2024-10-04')"); code != "55000" {
		t.Errorf("a day is dropped that was not marked: %q", code)
	}
	mustSalt(t, ring, "acme", today)
}

// TestLocate: however an address is written, it is known where it leads.
func TestLocate(t *testing.T) {
	shared, private := pgtest.Start(t), pgtest.StartPrivate(t)
	one, two := shared.CreateDB(t), shared.CreateDB(t)
	place := func(dsn string) keyring.Place {
		t.Helper()
		p, err := keyring.Locate(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name         string
		a, b         string
		server, same bool
	}{
		{"one address twice", one, one, true, true},
		{"one database by two names of the host", one, strings.Replace(one, "127.0.0.1", "localhost", 1), true, true},
		{"one database for two logins", one, as(one, "keys_node"), true, true},
		{"two databases on a server", one, two, true, false},
		{"two servers, with databases of the same number", shared.DSN("postgres"), private.DSN("postgres"), false, false},
	} {
		a, b := place(c.a), place(c.b)
		if (a == b) != c.same || a.SameServer(b) != c.server {
			t.Errorf("%s: same database %v, same server %v", c.name, a == b, a.SameServer(b))
		}
	}
	if _, err := keyring.Locate(t.Context(), "postgres://postgres@127.0.0.1:1/nowhere"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a database that is not there: %v", err)
	}
}
