package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/storetest"
)

// TestRestore: the backup is a copy of the database's folder, made beside the
// running server: file, log and all.
func TestRestore(t *testing.T) {
	i, path, ringDir := newRetention(t)
	storetest.Restore(t, storetest.Restoring{
		Installation: i,
		Backup: func(t *testing.T) func(t *testing.T) storetest.Fixture {
			kept := t.TempDir()
			copyFolder(t, kept, filepath.Dir(path))
			return func(t *testing.T) storetest.Fixture { return open(t, filepath.Join(kept, filepath.Base(path))) }
		},
		BackupKeys: func(t *testing.T) func(t *testing.T) session.Keyring {
			kept := filepath.Join(t.TempDir(), "keyring")
			copyFolder(t, kept, ringDir)
			return func(t *testing.T) session.Keyring { return openFolder(t, kept, i.Root) }
		},
	})
}

func openFolder(t *testing.T, dir string, root session.RootSecret) session.Keyring {
	t.Helper()
	ring, err := keyring.OpenFolder(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Close() })
	return ring
}

func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
}
