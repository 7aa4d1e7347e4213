package sqlite_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/session/sqlite"
	"ronde/session/storetest"
)

func TestMain(m *testing.M) {
	storetest.Victim(func(ctx context.Context, path string) (session.Store, error) {
		return sqlite.Open(ctx, path, nil)
	})
	os.Exit(m.Run())
}

// clock is a store's clock that a test may stop.
type clock struct{ stopped atomic.Pointer[time.Time] }

func (c *clock) now() time.Time {
	if t := c.stopped.Load(); t != nil {
		return *t
	}
	return time.Now()
}

func (c *clock) set(t time.Time) {
	if t.IsZero() {
		c.stopped.Store(nil)
		return
	}
	c.stopped.Store(&t)
}

// open opens the store at path for the suite.
func open(t *testing.T, path string) storetest.Fixture {
	t.Helper()
	return openOn(t, path, &clock{})
}

// openOn is open with a clock that others may share.
func openOn(t *testing.T, path string, c *clock) storetest.Fixture {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	raw := rawDB(t, path)
	count := func(t *testing.T, query string, args ...any) (n int) {
		t.Helper()
		if err := raw.QueryRow(query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	return storetest.Fixture{
		Store:    store,
		SetClock: c.set,
		Outside: func(t *testing.T) int {
			return count(t, `SELECT count(*) FROM positions p WHERE NOT EXISTS (
				SELECT 1 FROM windows w WHERE w.mission = p.mission AND w.agent = p.agent
					AND w.opened <= p.at AND (w.closed IS NULL OR p.at < w.closed))`)
		},
		Count: func(t *testing.T, mission uuid.UUID) int {
			return count(t, "SELECT count(*) FROM positions WHERE mission = ?", mission.String())
		},
		Latest: func(t *testing.T, mission uuid.UUID) int {
			return count(t, "SELECT count(*) FROM latest WHERE mission = ?", mission.String())
		},
		Rows:      func(t *testing.T) map[string][]string { return rowsOf(t, raw) },
		OneWriter: true,
	}
}

// rowsOf returns all rows of every table, as text.
func rowsOf(t *testing.T, raw *sql.DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range texts(t, raw, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
		columns := texts(t, raw, "SELECT 'quote(' || name || ')' FROM pragma_table_info('"+table+"')")
		all[table] = texts(t, raw, "SELECT "+strings.Join(columns, " || ' ' || ")+" AS row FROM "+table+" ORDER BY row")
	}
	return all
}

// texts returns the one column of a query.
func texts(t *testing.T, raw *sql.DB, query string) (list []string) {
	t.Helper()
	rows, err := raw.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// rawDB opens the file as the sqlite3 shell would.
func rawDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=5000&_foreign_keys=on")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "ronde.db") }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Fixture { return open(t, newPath(t)) })
}

// TestKill is P41: acknowledged means on the disk.
func TestKill(t *testing.T) {
	path := newPath(t)
	rounds := 5
	if storetest.Long() {
		rounds = 1000
	}
	storetest.Kill(t, storetest.Killing{
		Source: path,
		Open:   func(t *testing.T) storetest.Fixture { return open(t, path) },
		Rounds: rounds,
	})
}
