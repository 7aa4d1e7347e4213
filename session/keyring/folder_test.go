package keyring_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/keyring/keyringtest"
)

const today session.Day = 20000

func TestFolder(t *testing.T) {
	keyringtest.Run(t, func(t *testing.T) keyringtest.Opener {
		dir, root := newFolder(t)
		return func(t *testing.T) session.Keyring {
			t.Helper()
			return open(t, dir, root)
		}
	})
}

func newFolder(t testing.TB) (string, session.RootSecret) {
	t.Helper()
	return filepath.Join(t.TempDir(), "keys"), session.NewRootSecret()
}

func open(t testing.TB, dir string, root session.RootSecret) *keyring.Folder {
	t.Helper()
	f, err := keyring.OpenFolder(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func mustSalt(t testing.TB, ring session.Keyring, tenant string, day session.Day) []byte {
	t.Helper()
	salt, err := ring.Salt(t.Context(), tenant, day, today)
	if err != nil {
		t.Fatal(err)
	}
	return salt
}

// filled returns a folder with two salts, a signing key and a marker.
func filled(t testing.TB) (string, session.RootSecret) {
	t.Helper()
	dir, root := newFolder(t)
	f := open(t, dir, root)
	mustSalt(t, f, "acme", today)
	mustSalt(t, f, "other", today)
	if _, err := f.EnsureSigningKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DestroySalts(t.Context(), today-1); err != nil {
		t.Fatal(err)
	}
	return dir, root
}

// files returns the names of all files below dir, and checks every mode.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFolderLayout(t *testing.T) {
	dir, _ := filled(t)
	got := strings.Join(files(t, dir), " ")
	want := "destroyed/2024-10-03 keyring salts/2024-10-04/acme salts/2024-10-04/other signing/00000001"
	if got != want {
		t.Errorf("files:\n got %s\nwant %s", got, want)
	}
}

func TestFolderHoldsNothingInClear(t *testing.T) {
	dir, root := newFolder(t)
	f := open(t, dir, root)
	keys, err := f.EnsureSigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{mustSalt(t, f, "acme", today), keys[0].Seed}
	for _, name := range files(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, secret := range secrets {
			if bytes.Contains(content, secret[:8]) {
				t.Errorf("%s holds secret %d in clear", name, i)
			}
		}
	}
}

// TestFolderFlippedBit flips one bit of every byte of every file in turn. Each
// is found, the error names the file, and what lies in other files is as before.
func TestFolderFlippedBit(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	use := map[string]func() error{
		"keyring": func() error {
			again, err := keyring.OpenFolder(dir, root)
			if err == nil {
				_ = again.Close()
			}
			return err
		},
		"salts/2024-10-04/acme":  func() error { _, err := f.Salt(t.Context(), "acme", today, today); return err },
		"salts/2024-10-04/other": func() error { _, err := f.Salt(t.Context(), "other", today, today); return err },
		"signing/00000001":       func() error { _, err := f.EnsureSigningKey(t.Context()); return err },
	}
	for name := range use {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range whole {
			broken := bytes.Clone(whole)
			broken[i] ^= 1 << (i % 8)
			write(t, path, broken)
			checkDamage(t, use, name)
		}
		for _, broken := range [][]byte{{}, whole[:len(whole)-1], append(bytes.Clone(whole), 0)} {
			write(t, path, broken)
			checkDamage(t, use, name)
		}
		write(t, path, whole)
	}
}

func checkDamage(t *testing.T, use map[string]func() error, damaged string) {
	t.Helper()
	for name, try := range use {
		err := try()
		switch {
		case name != damaged && err != nil:
			t.Errorf("with %s damaged, %s: %v", damaged, name, err)
		case name == damaged && (!errors.Is(err, keyring.ErrDamaged) || !strings.Contains(err.Error(), damaged)):
			t.Errorf("damage to %s is not named: %v", damaged, err)
		case name == damaged && name != "keyring" && !errors.Is(err, session.ErrUnavailable):
			t.Errorf("damage to %s is not unavailable: %v", damaged, err)
		}
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolderSwappedFiles(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	mustSalt(t, f, "acme", today+1)
	acme := filepath.Join(dir, "salts/2024-10-04/acme")
	for _, from := range []string{"salts/2024-10-04/other", "salts/2024-10-05/acme", "keyring", "signing/00000001"} {
		content, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			t.Fatal(err)
		}
		write(t, acme, content)
		if _, err := f.Salt(t.Context(), "acme", today, today); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("%s in the place of a salt: %v, want damaged", from, err)
		}
	}
}

func TestFolderUnderAnotherRoot(t *testing.T) {
	dir, _ := filled(t)
	f, err := keyring.OpenFolder(dir, session.NewRootSecret())
	if !errors.Is(err, keyring.ErrWrongRoot) || f != nil {
		t.Errorf("opened under another root secret: %v", err)
	}
	if _, err := keyring.OpenFolder(dir, session.RootSecret{}); err == nil {
		t.Error("opened without a root secret")
	}
}

func TestFolderOpenToOthers(t *testing.T) {
	dir, root := filled(t)
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.OpenFolder(dir, root); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("opened a folder of mode 0750: %v", err)
	}
}

// TestFolderLostPart: a folder that lost its salts says that it cannot answer,
// not that the salts were destroyed; and it does not begin anew.
func TestFolderLostPart(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	if err := os.RemoveAll(filepath.Join(dir, "salts")); err != nil {
		t.Fatal(err)
	}
	for _, now := range []session.Day{today, today + 1} {
		if _, err := f.Salt(t.Context(), "acme", today, now); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("salt: %v, want unavailable", err)
		}
	}
	if _, err := f.DestroySalts(t.Context(), today); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("destroy: %v, want unavailable", err)
	}
	if _, err := keyring.OpenFolder(dir, root); err == nil {
		t.Error("reopened without its salts")
	}
}

func TestFolderIsOneKeyring(t *testing.T) {
	dir, root := newFolder(t)
	var mu sync.Mutex
	seen := map[uuid.UUID]bool{}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			f := open(t, dir, root)
			mu.Lock()
			defer mu.Unlock()
			seen[f.ID()] = true
		})
	}
	wg.Wait()
	if len(seen) != 1 || seen[uuid.Nil] {
		t.Errorf("those who opened at once see %d keyrings", len(seen))
	}
	if f := open(t, dir, root); !seen[f.ID()] {
		t.Error("another keyring after a restart")
	}
}

// TestFolderDestroyOverwrites: whoever still holds the file open, or finds its
// blocks on the disk, finds zeros. That includes what a maker that crashed
// between two steps left under another name.
func TestFolderDestroyOverwrites(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	day := filepath.Join(dir, "salts/2024-10-04")
	if err := os.Link(filepath.Join(day, "acme"), filepath.Join(day, ".tmp-left-behind")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(day, ".tmp-unlinked"), []byte("a salt that nobody got"))
	held := map[string]*os.File{}
	for _, name := range []string{"acme", "other", ".tmp-unlinked"} {
		file, err := os.Open(filepath.Join(day, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		held[name] = file
	}
	if n, err := f.DestroySalts(t.Context(), today+1); n != 2 || err != nil {
		t.Errorf("destroyed %d salts: %v, want 2", n, err)
	}
	for name, file := range held {
		content, err := io.ReadAll(file)
		if err != nil || len(content) == 0 || !bytes.Equal(content, make([]byte, len(content))) {
			t.Errorf("%s still holds %d bytes that are not all zero (%v)", name, len(content), err)
		}
	}
	if _, err := os.Stat(day); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of the day is still there: %v", err)
	}
}

// TestFolderDestroyGoesOn: what cannot be destroyed keeps nothing else alive,
// is named, and is not given out.
func TestFolderDestroyGoesOn(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	stuck := filepath.Join(dir, "salts/2024-10-04/blocked")
	if err := os.Mkdir(stuck, 0o700); err != nil {
		t.Fatal(err)
	}
	n, err := f.DestroySalts(t.Context(), today+1)
	if n != 2 || !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "salts/2024-10-04/blocked") {
		t.Errorf("destroyed %d salts: %v, want 2 and the name of the one that resists", n, err)
	}
	if _, err := f.Salt(t.Context(), "blocked", today, today); !errors.Is(err, session.ErrGone) {
		t.Errorf("salt that resists: %v, want gone", err)
	}
}

// TestFolderDestroyedFileReturns: a salt that comes back after it was destroyed,
// out of a backup or by a maker that was late, is not given out; nor is another
// made in its place.
func TestFolderDestroyedFileReturns(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	day := filepath.Join(dir, "salts/2024-10-04")
	saved, err := os.ReadFile(filepath.Join(day, "acme"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.DestroySalts(t.Context(), today+1); err != nil {
		t.Fatal(err)
	}
	gone := func() {
		t.Helper()
		for _, now := range []session.Day{today, today + 1} {
			if _, err := f.Salt(t.Context(), "acme", today, now); !errors.Is(err, session.ErrGone) {
				t.Errorf("asked on %s: %v, want gone", now, err)
			}
		}
	}
	gone()
	if _, err := os.Stat(day); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made in its place: %v", err)
	}
	if err := os.Mkdir(day, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(day, "acme"), saved)
	gone()
	write(t, filepath.Join(day, "acme"), make([]byte, len(saved))) // overwritten, not yet removed
	gone()
	if n, err := f.DestroySalts(t.Context(), today+1); n != 1 || err != nil {
		t.Errorf("destroyed %d salts: %v, want the one that came back", n, err)
	}
}

func TestFolderLeavesStrangersAlone(t *testing.T) {
	dir, root := filled(t)
	f := open(t, dir, root)
	for _, name := range []string{"salts/README", "salts/2024-1-1", "destroyed/never", "signing/1", "signing/.tmp-X", "signing/00000002.bak"} {
		write(t, filepath.Join(dir, name), []byte("no entry"))
	}
	if keys, err := f.EnsureSigningKey(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%d signing keys: %v", len(keys), err)
	}
	if n, err := f.DestroySalts(t.Context(), today+1); err != nil || n != 2 {
		t.Errorf("destroyed %d salts: %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "salts/README")); err != nil {
		t.Error(err)
	}
}

func BenchmarkFolderSalt(b *testing.B) {
	dir, root := filled(b)
	f := open(b, dir, root)
	for b.Loop() {
		mustSalt(b, f, "acme", today)
	}
}

func BenchmarkFolderSigningKeys(b *testing.B) {
	dir, root := filled(b)
	f := open(b, dir, root)
	for b.Loop() {
		if _, err := f.EnsureSigningKey(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
