package keyring_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// TestMigrateAtOnce: nodes of several installations on one server, which has
// none of the roles yet, migrate at the same moment.
func TestMigrateAtOnce(t *testing.T) {
	server := pgtest.StartPrivate(t)
	databases := []string{server.CreateDB(t), server.CreateDB(t), server.CreateDB(t)}
	for _, dsn := range databases {
		if v, err := keyring.Version(t.Context(), dsn); v != 0 || err != nil {
			t.Errorf("version %d, %v of a database that was never migrated", v, err)
		}
		db := &database{dsn: dsn}
		db.connect(t)
		db.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$")
	}
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			if err := keyring.Migrate(t.Context(), databases[n%3]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, dsn := range databases {
		if v, err := keyring.Version(t.Context(), dsn); v != keyring.SchemaVersion || err != nil {
			t.Errorf("version %d, %v after migrating", v, err)
		}
		ring := openDatabase(t, dsn, session.NewRootSecret(), 0)
		before := string(mustSalt(t, ring, "acme", today))
		if err := keyring.Migrate(t.Context(), dsn); err != nil {
			t.Error(err)
		}
		if string(mustSalt(t, ring, "acme", today)) != before {
			t.Error("migrating again changed a salt")
		}
	}
}

// TestMigrateRights: roles take a superuser, once; then the database's owner
// will do, and nobody less.
func TestMigrateRights(t *testing.T) {
	server := pgtest.StartPrivate(t)
	db := &database{dsn: server.CreateDB(t), root: session.NewRootSecret()}
	db.connect(t)
	db.exec(t, "CREATE ROLE anybody LOGIN; CREATE ROLE owner LOGIN")
	refused := func(login, says string) {
		t.Helper()
		if err := keyring.Migrate(t.Context(), as(db.dsn, login)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("migrating as %s: %v, want a word of %s", login, err, says)
		}
	}
	refused("owner", "superuser")
	if err := keyring.Migrate(t.Context(), server.CreateDB(t)); err != nil { // another installation's
		t.Fatal(err)
	}
	db.exec(t, "GRANT ronde_keys_owner TO owner")
	refused("owner", "the database's owner")
	db.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO owner', current_database()); END $$")
	refused("anybody", "the database's owner")
	if n := db.count(t, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables are left of what was refused", n)
	}
	if err := keyring.Migrate(t.Context(), as(db.dsn, "owner")); err != nil {
		t.Fatal(err)
	}
	refused("anybody", "the database's owner")
	if _, err := keyring.OpenDatabase(t.Context(), as(db.dsn, "anybody"), db.root, 0); !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "GRANT ronde_keys") {
		t.Errorf("opened by a login that is not a member: %v", err)
	}
	db.exec(t, "GRANT ronde_keys TO anybody")
	mustSalt(t, openDatabase(t, as(db.dsn, "anybody"), db.root, 0), "acme", today)
}

// TestSchemaVersion: SchemaVersion is how many steps there are.
func TestSchemaVersion(t *testing.T) {
	steps, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(steps) != keyring.SchemaVersion {
		t.Errorf("%d steps, %v: want %d", len(steps), err, keyring.SchemaVersion)
	}
}

// TestOpenRefusesAnotherSchema, with both versions and what to do in the error.
func TestOpenRefusesAnotherSchema(t *testing.T) {
	server := pgtest.Start(t)
	for _, c := range []struct {
		name, sql string
		found     int
	}{
		{"an empty database", "DROP SCHEMA salts CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public", 0},
		{"a newer schema", "UPDATE ronde_keys_schema SET version = 99", 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, server)
			db.exec(t, c.sql)
			_, err := keyring.OpenDatabase(t.Context(), db.node, db.root, 0)
			var schema *keyring.SchemaError
			if !errors.As(err, &schema) || schema.Found != c.found {
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
		"SELECT ronde_gone('2024-10-04')", "UPDATE ronde_keys_schema SET version = 0", "SET ROLE ronde_keys_owner",
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
