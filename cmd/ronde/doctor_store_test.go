package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

func TestDoctorEmbeddedStore(t *testing.T) {
	data := served(t)
	file := filepath.Join(data, "ronde.db")
	diagnose(t, idleNode(data)...).green("public-url url files")
	execSQLite(t, file, "PRAGMA user_version = 1")
	diagnose(t, idleNode(data)...).want("store", verdictOK, "schema 1", "next start")
	execSQLite(t, file, "PRAGMA user_version = 99")
	diagnose(t, idleNode(data)...).want("store", verdictFail, "newer version of Ronde")
	execSQLite(t, file, "PRAGMA application_id = 7")
	diagnose(t, idleNode(data)...).want("store", verdictFail, "another program")
}

func TestDoctorKeys(t *testing.T) {
	data, empty := served(t), t.TempDir()
	keys := filepath.Join(data, "keys")
	diagnose(t, idleNode(data)...).want("keys", verdictOK, "opens under the root secret")
	diagnose(t, idleNode(data, "--keys", "file:"+empty)...).want("keys", verdictFail, "holds no keyring", "mount its disk")

	root, err := session.LoadRootSecret(filepath.Join(data, "root.secret"))
	check(t, err)
	other := filepath.Join(t.TempDir(), "keys")
	ring, err := keyring.OpenFolder(other, root)
	check(t, err)
	check(t, ring.Close())
	diagnose(t, idleNode(data, "--keys", "file:"+other)...).want("keys", verdictFail, ring.ID().String(), "was sealed with")

	secret := filepath.Join(t.TempDir(), "root.secret")
	_, err = session.CreateRootSecret(secret)
	check(t, err)
	diagnose(t, idleNode(data, "--root-secret-file", secret)...).want("keys", verdictFail, "another root secret")

	check(t, os.Chmod(filepath.Join(keys, "keyring"), 0o644))
	diagnose(t, idleNode(data)...).want("keys", verdictWarn, filepath.Join(keys, "keyring"), "chmod -R go=")
	check(t, os.Chmod(filepath.Join(keys, "keyring"), 0o600))
	check(t, os.Chmod(keys, 0o755))
	diagnose(t, idleNode(data)...).want("keys", verdictFail, "chmod 700")
	check(t, os.Chmod(keys, 0o700))

	for _, name := range []string{"signing/00000001", "keyring"} {
		sealed := readFile(t, filepath.Join(keys, name))
		sealed[len(sealed)-1] ^= 1
		check(t, os.WriteFile(filepath.Join(keys, name), sealed, 0o600))
		diagnose(t, idleNode(data)...).want("keys", verdictFail, name+" is damaged")
	}
}

func TestDoctorBus(t *testing.T) {
	data := t.TempDir()
	diagnose(t, idleNode(data, "--bus", "redis://127.0.0.1:1")...).want("bus", verdictWarn, "root secret first")
	_, err := session.CreateRootSecret(filepath.Join(data, "root.secret"))
	check(t, err)
	diagnose(t, idleNode(data, "--bus", "redis://127.0.0.1:1")...).want("bus", verdictFail, "--bus")
	diagnose(t, idleNode(data, "--bus", "redis://"+redistest.Start(t).Addr())...).want("bus", verdictOK, "redis: works")
	dsn := newDatabase(t, pgtest.Start(t))
	diagnose(t, idleNode(t.TempDir(), "--store", dsn)...).want("bus", verdictWarn, "inside one node", "Redis")
}

// asLogin returns the address of a database for another login.
func asLogin(t testing.TB, dsn, login string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	check(t, err)
	u.User = url.User(login)
	return u.String()
}

func TestDoctorPostgres(t *testing.T) {
	server := pgtest.StartPrivate(t) // with settings and roles of its own
	secret := filepath.Join(t.TempDir(), "root.secret")
	_, err := session.CreateRootSecret(secret)
	check(t, err)
	examine := func(dsn string) *diagnosis {
		t.Helper()
		return diagnose(t, idleNode(t.TempDir(), "--store", dsn, "--root-secret-file", secret)...)
	}
	nowhere := examine("postgres://nobody@127.0.0.1:1/ronde")
	nowhere.want("store", verdictFail, "pg_hba.conf")
	oneLineEach(t, nowhere, idleNode(t.TempDir(), "--store", "postgres://nobody@127.0.0.1:1/ronde", "--root-secret-file", secret))
	dsn := server.CreateDB(t)
	examine(dsn).want("store", verdictFail, "without Ronde's schema", "ronde migrate")

	check(t, postgres.Migrate(t.Context(), dsn))
	execSQL(t, dsn, "CREATE ROLE stranger LOGIN", "CREATE ROLE node LOGIN", "CREATE ROLE owner LOGIN",
		"GRANT ronde_app TO node, owner", "GRANT ronde_owner TO owner")
	node := asLogin(t, dsn, "node")
	d := examine(node)
	d.green("bus public-url url files")
	d.want("store", verdictOK, fmt.Sprintf("schema %d", postgres.SchemaVersion))
	d.want("role", verdictOK, "node is a member of ronde_app")
	d.want("clock", verdictOK)
	examine(asLogin(t, dsn, "stranger")).want("role", verdictFail, "no member of ronde_app", "GRANT ronde_app")
	examine(asLogin(t, dsn, "owner")).want("role", verdictFail, "owns", "positions")
	examine(dsn).want("role", verdictFail, "superuser", "CREATE ROLE")

	real := setPostgresClockTo(t, dsn, time.Hour)
	examine(node).want("clock", verdictFail, "ahead of", "NTP")
	setPostgresClockTo(t, dsn, -10*time.Second)
	examine(node).want("clock", verdictWarn, "behind", "NTP")
	execSQL(t, dsn, real)

	execSQL(t, dsn, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
	check(t, server.Restart())
	examine(node).want("store", verdictFail, "fsync = on")
	execSQL(t, dsn, "ALTER SYSTEM RESET fsync")
	check(t, server.Restart())

	execSQL(t, dsn, fmt.Sprintf("DELETE FROM ronde_schema WHERE version_id = %d", postgres.SchemaVersion))
	examine(node).want("store", verdictFail, "run `ronde migrate`")
	execSQL(t, dsn, "INSERT INTO ronde_schema (version_id, is_applied) VALUES (9999, true)")
	examine(node).want("store", verdictFail, "run a newer ronde")
}

// setPostgresClockTo lets the store's clock run that far ahead, and returns the
// statement that undoes it.
func setPostgresClockTo(t *testing.T, dsn string, ahead time.Duration) (undo string) {
	t.Helper()
	const replace = `CREATE OR REPLACE FUNCTION ronde_now() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS $$ SELECT date_trunc('milliseconds', clock_timestamp()) + interval '%d seconds' $$`
	execSQL(t, dsn, fmt.Sprintf(replace, int(ahead.Seconds())))
	return fmt.Sprintf(replace, 0)
}

func TestDriftOf(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	for _, c := range []struct{ reading, want time.Duration }{
		{0, 0}, {5 * time.Second, 0}, {10 * time.Second, 0}, {11 * time.Second, time.Second}, {-time.Second, 0}, {-3 * time.Second, -2 * time.Second},
	} {
		if got := driftOf(at, at.Add(10*time.Second), at.Add(c.reading), time.Second); got != c.want {
			t.Errorf("read %v after the first moment: %v, want %v", c.reading, got, c.want)
		}
	}
}
