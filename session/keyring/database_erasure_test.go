package keyring_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/postgres/pgtest"
)

// TestDatabaseErasure is what is left of destroyed salts on the disk of a real
// server: after the next checkpoint, nothing in any file of its databases. The
// write-ahead log has them for longer, and with the settings that the README
// names forgets them by itself.
func TestDatabaseErasure(t *testing.T) {
	server := pgtest.StartPrivate(t)
	db, ring := filledDatabase(t, server)
	mustSalt(t, ring, "acme", today+1)
	doomed := [][]byte{
		db.sealed(t, `SELECT sealed FROM salts."2024-10-04" WHERE tenant = 'acme'`),
		db.sealed(t, `SELECT sealed FROM salts."2024-10-04" WHERE tenant = 'other'`),
	}
	hold := session.NewID()
	if _, err := ring.HoldSalt(t.Context(), hold, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	doomed = append(doomed, db.sealed(t, `SELECT sealed FROM hold_salts."`+hold.String()+`"`))
	spared := [][]byte{db.sealed(t, `SELECT sealed FROM salts."2024-10-05" WHERE tenant = 'acme'`)}
	db.exec(t, "CHECKPOINT")
	for _, salt := range append(doomed, spared...) {
		if data, wal := holding(t, server.DataDir, salt); len(data) != 1 || len(wal) == 0 {
			t.Fatalf("before: a salt is found in %v and %v; this tests nothing", data, wal)
		}
	}

	destroyBefore(t, ring, today+1, 2)
	if err := ring.DestroyHoldSalt(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	db.exec(t, "CHECKPOINT")
	for _, salt := range doomed {
		data, wal := holding(t, server.DataDir, salt)
		if len(data) != 0 {
			t.Errorf("a destroyed salt still lies in %v", data)
		}
		if len(wal) == 0 {
			t.Error("the write-ahead log forgets at once: the package's documentation is wrong about it")
		}
	}

	db.exec(t, "ALTER SYSTEM SET wal_recycle = off")
	db.exec(t, "ALTER SYSTEM SET archive_timeout = '1s'")
	db.exec(t, "SELECT pg_reload_conf()")
	for end := time.Now().Add(2 * time.Minute); ; {
		db.exec(t, "UPDATE signing_keys SET number = number") // who writes nothing at all needs no other segment
		db.exec(t, "CHECKPOINT")
		var left []string
		for _, salt := range doomed {
			data, wal := holding(t, server.DataDir, salt)
			left = append(append(left, data...), wal...)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("destroyed salts still lie in %v", left)
		}
	}
	if data, _ := holding(t, server.DataDir, spared[0]); len(data) != 1 {
		t.Errorf("a salt that was spared lies in %v", data)
	}
}

// holding returns the files below a cluster's folder that hold the bytes: those
// of the write-ahead log, and all others.
func holding(t *testing.T, dir string, needle []byte) (data, wal []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server is running
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Contains(content, needle) {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		if strings.HasPrefix(name, "pg_wal") {
			wal = append(wal, name)
		} else {
			data = append(data, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return data, wal
}

// TestDatabaseServerLog: a server that writes down every statement with its
// parameters writes down no salt and no signing key, not even sealed.
func TestDatabaseServerLog(t *testing.T) {
	server := pgtest.StartPrivate(t)
	db := newDatabase(t, server)
	db.exec(t, `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET log_min_duration_statement = 0', current_database());
		EXECUTE format('ALTER DATABASE %I SET log_parameter_max_length_on_error = -1', current_database());
	END $$`)
	ring := db.open(t)
	mustSalt(t, ring, "acme", today)
	if _, err := ring.EnsureSigningKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''refused by the test''; END';
		CREATE TRIGGER refuse BEFORE INSERT ON signing_keys FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if _, err := ring.RotateSigningKey(t.Context()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a row that the server refuses: %v, want unavailable", err)
	}
	text, err := os.ReadFile(server.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	log := string(text)
	for _, expected := range []string{"ronde_make_salt", "INSERT INTO signing_keys", "refused by the test"} {
		if !strings.Contains(log, expected) {
			t.Errorf("the log does not hold %q: this tested nothing", expected)
		}
	}
	for _, parameter := range []string{`\x01`, "$1 =", "acme"} { // every sealed entry begins with its version
		if i := strings.Index(log, parameter); i >= 0 {
			t.Errorf("the log holds %q: %s", parameter, log[max(0, i-300):i+50])
		}
	}
}

// TestDatabaseDestroyGoesOn: a day that somebody reads, as a dump does, keeps
// no other alive, is named, and is not given out; nor does it hold up anybody.
func TestDatabaseDestroyGoesOn(t *testing.T) {
	db, _ := filledDatabase(t, pgtest.Start(t))
	ring := openDatabase(t, db.node, db.root, patient)
	for day := today - 2; day <= today+2; day++ {
		if day != today {
			db.seed(t, ring, day)
		}
	}
	release := db.hold(t, `SELECT FROM salts."2024-10-04"`)
	defer release()
	n, err := ring.DestroySalts(t.Context(), today+2)
	if n != 3 || !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "salts/2024-10-04") {
		t.Errorf("destroyed %d salts: %v, want 3 and the name of the day that resists", n, err)
	}
	for _, now := range []session.Day{today, today + 1} {
		if _, err := ring.Salt(t.Context(), "acme", today, now); !errors.Is(err, session.ErrGone) {
			t.Errorf("salt that resists: %v, want gone", err)
		}
	}
	release()
	destroyBefore(t, ring, today+2, 2)
}

// TestDatabaseDestroyedReturns: a salt that comes back after it was destroyed,
// out of a backup, is not given out; nor is another made in its place.
func TestDatabaseDestroyedReturns(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	saved := db.sealed(t, "SELECT sealed FROM "+entries["salts/2024-10-04/acme"].String())
	destroyBefore(t, ring, today+1, 2)
	gone := func() {
		t.Helper()
		for _, now := range []session.Day{today, today + 1} {
			if _, err := ring.Salt(t.Context(), "acme", today, now); !errors.Is(err, session.ErrGone) {
				t.Errorf("asked on %s: %v, want gone", now, err)
			}
		}
	}
	gone()
	if n := db.count(t, "SELECT count(*) FROM pg_class WHERE relnamespace = 'salts'::regnamespace"); n != 0 {
		t.Errorf("%d relations were made in its place", n)
	}
	db.exec(t, `CREATE TABLE salts."2024-10-04" (tenant text PRIMARY KEY, sealed bytea); ALTER TABLE salts."2024-10-04" OWNER TO ronde_keys_owner`)
	db.exec(t, `INSERT INTO salts."2024-10-04" VALUES ('acme', $1)`, saved)
	gone()
	destroyBefore(t, ring, today+1, 1)
}
