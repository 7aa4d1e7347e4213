package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ronde/session"
	"ronde/session/sqlite"
)

// TestInspect: what a file is, is told without changing it, and before it was
// ever opened.
func TestInspect(t *testing.T) {
	path := newPath(t)
	if _, err := sqlite.Inspect(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("looking at a missing file made %v, %v", left, err)
	}

	s := openAt(t, path, start)
	id := session.NewID()
	if _, err := s.AdoptKeyring(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r, err := sqlite.Inspect(t.Context(), path)
	if err != nil || r.Schema != r.Known || r.Known < 2 || r.KeyringID != id || r.Sealed {
		t.Errorf("an open store: %+v, %v", r, err)
	}

	raw := rawDB(t, path)
	exec := func(sql string) {
		t.Helper()
		if _, err := raw.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	begun(t, s)
	exec("UPDATE missions SET expires_on = '9999-12-31'")
	if r, err := sqlite.Inspect(t.Context(), path); err != nil || !r.Sealed {
		t.Errorf("a store with a track: %+v, %v", r, err)
	}
	exec("PRAGMA user_version = 1")
	if r, err := sqlite.Inspect(t.Context(), path); err != nil || r.Schema != 1 || !r.Sealed {
		t.Errorf("an older file: %+v, %v", r, err)
	}
	exec("PRAGMA user_version = 99")
	if _, err := sqlite.Inspect(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer version of Ronde") {
		t.Errorf("a newer file: %v", err)
	}
}

// TestKeyringStays: the keyring of a store is not exchanged, even by hand.
func TestKeyringStays(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, start)
	id := session.NewID()
	if _, err := s.AdoptKeyring(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	raw := rawDB(t, path)
	for _, sql := range []string{"UPDATE keyring SET id = 'x'", "INSERT INTO keyring VALUES (2, 'x')"} {
		if _, err := raw.Exec(sql); err == nil {
			t.Errorf("%s was done", sql)
		}
	}
	if got, err := s.KeyringID(t.Context()); got != id || err != nil {
		t.Errorf("the store remembers %v, %v; want %v", got, err, id)
	}
}
