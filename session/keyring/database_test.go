package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/keyring/keyringtest"
	"ronde/session/postgres/pgtest"
)

func TestDatabase(t *testing.T) {
	server := pgtest.Start(t)
	keyringtest.Run(t, func(t *testing.T) keyringtest.Opener {
		db := newDatabase(t, server)
		return func(t *testing.T) session.Keyring {
			t.Helper()
			return db.open(t)
		}
	})
}

// database is a migrated database of its own, with the root secret of its
// keyring.
type database struct {
	dsn   string // for the superuser
	node  string // for a login that may do what serve does
	root  session.RootSecret
	admin *pgx.Conn // as superuser
}

func newDatabase(tb testing.TB, server *pgtest.Server) *database {
	tb.Helper()
	db := &database{dsn: server.CreateDB(tb), root: session.NewRootSecret()}
	db.node = as(db.dsn, "keys_node")
	if err := keyring.Migrate(tb.Context(), db.dsn); err != nil {
		tb.Fatal(err)
	}
	db.connect(tb)
	db.exec(tb, `DO $$ BEGIN
		IF to_regrole('keys_node') IS NULL THEN
			CREATE ROLE keys_node LOGIN IN ROLE ronde_keys;
		END IF;
	END $$`)
	return db
}

// connect gives the test its own connection.
func (db *database) connect(tb testing.TB) {
	tb.Helper()
	var err error
	if db.admin, err = pgx.Connect(tb.Context(), db.dsn); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.admin.Close(context.WithoutCancel(tb.Context())) }) // the server may be gone by now
}

func (db *database) open(tb testing.TB) *keyring.Database {
	tb.Helper()
	return openDatabase(tb, db.node, db.root, 0)
}

func openDatabase(tb testing.TB, dsn string, root session.RootSecret, patience time.Duration) *keyring.Database {
	tb.Helper()
	ring, err := keyring.OpenDatabase(tb.Context(), dsn, root, patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ring.Close() })
	return ring
}

// exec runs SQL as superuser, which may hold several statements if it takes no
// arguments.
func (db *database) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := db.admin.Exec(context.WithoutCancel(tb.Context()), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// sealed returns the bytes that SQL selects.
func (db *database) sealed(tb testing.TB, sql string) (b []byte) {
	tb.Helper()
	if err := db.admin.QueryRow(tb.Context(), sql).Scan(&b); err != nil {
		tb.Fatal(err)
	}
	return b
}

// count returns the number that SQL selects.
func (db *database) count(tb testing.TB, sql string) (n int) {
	tb.Helper()
	if err := db.admin.QueryRow(tb.Context(), sql).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// as returns the address of a database for another login.
func as(dsn, login string) string { return strings.Replace(dsn, "postgres@", login+"@", 1) }

// row is where an entry lies in the database.
type row struct{ table, where string }

func (r row) String() string { return fmt.Sprintf("%s WHERE %s", r.table, r.where) }

// entries are what fillDatabase leaves, by the name that errors give them.
var entries = map[string]row{
	"keyring":                {"keyring", "single"},
	"salts/2024-10-04/acme":  {`salts."2024-10-04"`, "tenant = 'acme'"},
	"salts/2024-10-04/other": {`salts."2024-10-04"`, "tenant = 'other'"},
	"signing/00000001":       {"signing_keys", "number = 1"},
}

// filledDatabase returns a keyring with two salts and a signing key.
func filledDatabase(tb testing.TB, server *pgtest.Server) (*database, *keyring.Database) {
	tb.Helper()
	db := newDatabase(tb, server)
	ring := db.open(tb)
	mustSalt(tb, ring, "acme", today)
	mustSalt(tb, ring, "other", today)
	if _, err := ring.EnsureSigningKey(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db, ring
}

func destroyBefore(tb testing.TB, ring session.Keyring, day session.Day, want int) {
	tb.Helper()
	if n, err := ring.DestroySalts(tb.Context(), day); n != want || err != nil {
		tb.Fatalf("destroyed %d salts, %v: want %d", n, err, want)
	}
}

// TestDatabaseFlippedBit flips one bit of every byte of every entry in turn.
// Each is found, the error names the entry, and the others are as before.
func TestDatabaseFlippedBit(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	use := map[string]func() error{
		"keyring": func() error {
			again, err := keyring.OpenDatabase(t.Context(), db.node, db.root, 0)
			if err == nil {
				_ = again.Close()
			}
			return err
		},
		"salts/2024-10-04/acme":  func() error { _, err := ring.Salt(t.Context(), "acme", today, today); return err },
		"salts/2024-10-04/other": func() error { _, err := ring.Salt(t.Context(), "other", today, today); return err },
		"signing/00000001":       func() error { _, err := ring.EnsureSigningKey(t.Context()); return err },
	}
	for name, r := range entries {
		whole := db.sealed(t, "SELECT sealed FROM "+r.String())
		update := fmt.Sprintf("UPDATE %s SET sealed = $1 WHERE %s", r.table, r.where)
		for i := range whole {
			broken := append([]byte(nil), whole...)
			broken[i] ^= 1 << (i % 8)
			db.exec(t, update, broken)
			checkOne(t, use, name)
		}
		for _, broken := range [][]byte{{}, whole[:len(whole)-1], append(append([]byte(nil), whole...), 0)} {
			db.exec(t, update, broken)
			checkDamage(t, use, name)
		}
		db.exec(t, update, whole)
	}
}

// checkOne checks the damaged entry and, to save time, one that is whole.
func checkOne(t *testing.T, use map[string]func() error, damaged string) {
	t.Helper()
	neighbour := "salts/2024-10-04/acme"
	if damaged == neighbour {
		neighbour = "salts/2024-10-04/other"
	}
	checkDamage(t, map[string]func() error{damaged: use[damaged], neighbour: use[neighbour]}, damaged)
}

func TestDatabaseSwappedRows(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	mustSalt(t, ring, "acme", today+1)
	swapped := []string{`salts."2024-10-05" WHERE tenant = 'acme'`}
	for name, r := range entries {
		if name != "salts/2024-10-04/acme" {
			swapped = append(swapped, r.String())
		}
	}
	for _, from := range swapped {
		db.exec(t, `UPDATE salts."2024-10-04" SET sealed = (SELECT sealed FROM `+from+`) WHERE tenant = 'acme'`)
		_, err := ring.Salt(t.Context(), "acme", today, today)
		if !errors.Is(err, keyring.ErrDamaged) || !strings.Contains(err.Error(), "salts/2024-10-04/acme") {
			t.Errorf("%s in the place of a salt: %v, want damaged", from, err)
		}
	}
}

func TestDatabaseUnderAnotherRoot(t *testing.T) {
	db, _ := filledDatabase(t, pgtest.Start(t))
	ring, err := keyring.OpenDatabase(t.Context(), db.dsn, session.NewRootSecret(), 0)
	if !errors.Is(err, keyring.ErrWrongRoot) || ring != nil {
		t.Errorf("opened under another root secret: %v", err)
	}
	if _, err := keyring.OpenDatabase(t.Context(), db.dsn, session.RootSecret{}, 0); err == nil {
		t.Error("opened without a root secret")
	}
}

// TestDatabaseIsOneKeyring: nodes that open an empty one at once agree on who
// it is.
func TestDatabaseIsOneKeyring(t *testing.T) {
	db := newDatabase(t, pgtest.Start(t))
	var mu sync.Mutex
	seen := map[uuid.UUID]bool{}
	var nodes sync.WaitGroup
	for range 8 {
		nodes.Go(func() {
			ring := db.open(t)
			mu.Lock()
			defer mu.Unlock()
			seen[ring.ID()] = true
		})
	}
	nodes.Wait()
	if len(seen) != 1 || seen[uuid.Nil] {
		t.Errorf("those who opened at once see %d keyrings", len(seen))
	}
	if !seen[db.open(t).ID()] {
		t.Error("another keyring after a restart")
	}
}

// TestDatabaseHoldsNothingInClear looks at every row of every table.
func TestDatabaseHoldsNothingInClear(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	keys, err := ring.EnsureSigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{mustSalt(t, ring, "acme", today), keys[0].Seed}
	for name, r := range entries {
		sealed := db.sealed(t, "SELECT sealed FROM "+r.String())
		for i, secret := range secrets {
			if strings.Contains(string(sealed), string(secret[:8])) {
				t.Errorf("%s holds secret %d in clear", name, i)
			}
		}
	}
}

// TestDatabaseLostPart: a keyring that lost its salts or its marker says that it
// cannot answer, not that salts were destroyed; and it makes none anew.
func TestDatabaseLostPart(t *testing.T) {
	for name, lose := range map[string]string{
		"the schema of salts": "DROP SCHEMA salts CASCADE",
		"the marker":          "DELETE FROM destroyed",
	} {
		t.Run(name, func(t *testing.T) {
			db, ring := filledDatabase(t, pgtest.Start(t))
			db.exec(t, lose)
			for _, tenant := range []string{"acme", "new"} {
				for _, now := range []session.Day{today, today + 1} {
					if _, err := ring.Salt(t.Context(), tenant, today, now); !errors.Is(err, session.ErrUnavailable) {
						t.Errorf("salt of %s on %s: %v, want unavailable", tenant, now, err)
					}
				}
			}
			for _, before := range []session.Day{today, today + 1} { // no salt, and two
				if _, err := ring.DestroySalts(t.Context(), before); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("destroy before %s: %v, want unavailable", before, err)
				}
			}
		})
	}
}

// TestDatabaseLeavesStrangersAlone: what is no day's table is not dropped.
func TestDatabaseLeavesStrangersAlone(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	db.exec(t, `CREATE TABLE salts.notes (n int); CREATE TABLE salts."2024-1-1" (n int); CREATE TABLE salts."2024-00-04" (n int)`)
	destroyBefore(t, ring, today+1, 2)
	if n := db.count(t, "SELECT count(*) FROM pg_class WHERE relnamespace = 'salts'::regnamespace AND relkind = 'r'"); n != 3 {
		t.Errorf("%d tables are left, want the 3 strangers", n)
	}
}

func BenchmarkDatabaseSalt(b *testing.B) {
	_, ring := filledDatabase(b, pgtest.Start(b))
	for b.Loop() {
		mustSalt(b, ring, "acme", today)
	}
}
