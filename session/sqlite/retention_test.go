package sqlite_test

import (
	"path/filepath"
	"testing"

	"ronde/session"
	"ronde/session/sqlite"
	"ronde/session/storetest"
)

func TestRetention(t *testing.T) {
	storetest.RunRetention(t, func(t *testing.T) storetest.Installation {
		i, _, _ := newRetention(t)
		return i
	})
}

// newRetention returns a new installation, with the path of its database and the
// folder of its keyring.
func newRetention(t *testing.T) (i storetest.Installation, path, ringDir string) {
	t.Helper()
	path, ringDir = newPath(t), filepath.Join(t.TempDir(), "keyring")
	c := &clock{}
	i.Fixture = openOn(t, path, c)
	i.Root = session.NewRootSecret()
	i.Ring = openFolder(t, ringDir, i.Root)
	i.Another = func(t *testing.T) session.Store {
		t.Helper()
		store, err := sqlite.Open(t.Context(), path, c.now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	raw := rawDB(t, path)
	i.Exec = func(t *testing.T, query string) {
		t.Helper()
		if _, err := raw.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	i.Number = func(t *testing.T, query string) (n int) {
		t.Helper()
		if err := raw.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	return i, path, ringDir
}

// TestColumns: the table of data classes names every column of this database.
func TestColumns(t *testing.T) {
	path := newPath(t)
	open(t, path)
	rows, err := rawDB(t, path).Query(`SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	storetest.Columns(t, rows)
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
