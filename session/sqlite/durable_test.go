package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
	"ronde/session/sqlite"
)

var start = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// openAt opens a store whose clock stands still.
func openAt(t *testing.T, path string, now time.Time) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// begun makes a tenant and a mission of badge-1 that has begun.
func begun(t *testing.T, store session.Store) *session.Mission {
	t.Helper()
	m := &session.Mission{
		ID: session.NewID(), Tenant: "acme", Reference: "M-1", State: session.Scheduled,
		Site:     geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: start, EndsAt: start.Add(8 * time.Hour), Deadline: start.Add(8 * time.Hour), EarlyBegin: time.Hour,
		Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: "badge-1", Alias: "A1"}},
	}
	err := errors.Join(store.EnsureTenant(t.Context(), "acme"), store.CreateMission(t.Context(), m))
	if err != nil {
		t.Fatal(err)
	}
	return apply(t, store, m, session.Command{Action: session.Begin, By: session.ByPlatform})
}

func apply(t *testing.T, store session.Store, m *session.Mission, c session.Command) *session.Mission {
	t.Helper()
	m, err := store.UpdateMission(t.Context(), m.Tenant, m.ID, func(m *session.Mission) error { return m.Apply(c, m.ReadAt) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ping is a submission of one position; what is sealed is the byte again and
// again.
func ping(m *session.Mission, at time.Time, content byte) *session.Submission {
	return &session.Submission{
		Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: "badge-1",
		Pings:  []session.Ping{{Timestamp: at.UnixMilli(), Position: geo.NewPosition(m.Site.Center)}},
		Sealed: [][]byte{bytes.Repeat([]byte{content}, session.SealedSize)},
	}
}

func store(t *testing.T, s session.Store, sub *session.Submission, want session.Verdict) {
	t.Helper()
	if err := s.Append(t.Context(), []*session.Submission{sub}); err != nil {
		t.Fatal(err)
	}
	if sub.Verdicts[0] != want {
		t.Fatalf("verdict %d, want %d", sub.Verdicts[0], want)
	}
}

func TestPrivateFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a folder", "with ? & # % in it")
	path := filepath.Join(folder, "ronde 100%.db")
	s := openAt(t, path, start)
	begun(t, s)
	for name, want := range map[string]os.FileMode{folder: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // copied by hand
		t.Fatal(err)
	}
	openAt(t, path, start)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("an existing file stays %v, %v", info.Mode(), err)
	}
}

func TestReopen(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, start)
	m := begun(t, s)
	store(t, s, ping(m, start, 1), session.Stored)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"Append":        s.Append(t.Context(), []*session.Submission{ping(m, start, 1)}),
		"EnsureTenant":  s.EnsureTenant(t.Context(), "acme"),
		"Mission":       second(s.Mission(t.Context(), m.Tenant, m.ID)),
		"UpdateMission": second(s.UpdateMission(t.Context(), m.Tenant, m.ID, func(*session.Mission) error { return nil })),
	} {
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s of a closed store: %v", what, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	again := openAt(t, path, start)
	store(t, again, ping(m, start, 1), session.Unchanged)
}

func second[T any](_ T, err error) error { return err }

// TestSchemaVersions: a file of a newer version or of another program is
// refused in plain words, and left as it is.
func TestSchemaVersions(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"PRAGMA user_version = 99", "newer version of Ronde"},
		{"PRAGMA application_id = 7", "another program"},
	} {
		path := newPath(t)
		if err := openAt(t, path, start).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := rawDB(t, path).Exec(c.sql); err != nil {
			t.Fatal(err)
		}
		if s, err := sqlite.Open(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("after %s: %v, %v", c.sql, s, err)
		}
	}
	path := newPath(t)
	if _, err := rawDB(t, path).Exec("CREATE TABLE contacts (name TEXT)"); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("a foreign database: %v, %v", s, err)
	}
	if err := os.WriteFile(path+"2", bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path+"2", nil); err == nil {
		t.Errorf("a text file: %v", s)
	}
}

// TestOpenTogether: processes that open a new file at once make it once.
func TestOpenTogether(t *testing.T) {
	path := newPath(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s, err := sqlite.Open(context.Background(), path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.EnsureTenant(context.Background(), "acme"), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestTwoStores: a command line works beside a server on the same file. What
// one does the other judges by at once.
func TestTwoStores(t *testing.T) {
	path := newPath(t)
	server, cli := openAt(t, path, start.Add(time.Minute)), openAt(t, path, start.Add(time.Minute))
	m := begun(t, server)
	store(t, server, ping(m, start.Add(time.Minute), 1), session.Stored)
	apply(t, cli, m, session.Command{Action: session.Pause, By: session.ByOperator})
	store(t, server, ping(m, start.Add(time.Minute), 2), session.MissionPausedOutside)
	var all sync.WaitGroup
	for i, s := range []*sqlite.Store{server, cli, server, cli} {
		all.Go(func() {
			for n := range 20 {
				s := s
				_, err := s.UpdateMission(context.Background(), "acme", m.ID, func(m *session.Mission) error {
					m.EndsAt = m.EndsAt.Add(time.Second)
					return nil
				})
				if err != nil {
					t.Errorf("store %d, change %d: %v", i, n, err)
				}
			}
		})
	}
	all.Wait()
	got, err := cli.Mission(t.Context(), "acme", m.ID)
	if err != nil || !got.EndsAt.Equal(m.EndsAt.Add(80*time.Second)) {
		t.Errorf("%v, %v: changes were lost", got.EndsAt, err)
	}
}

// TestNothingLingers: what a dated end removed is gone from the file, the log
// included, once the store is closed; and the file is not sealed shut by
// chance: what was not removed is found in it.
func TestNothingLingers(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, start.Add(time.Hour))
	m := begun(t, s)
	m.BeganAt = start // its clock stands still: the window opened at 20:00
	early, late := start.Add(time.Hour), start.Add(time.Hour+30*time.Second)
	for i := range 200 {
		sub := ping(m, late.Add(time.Duration(i%29)*time.Second), 0xA7)
		if err := s.Append(t.Context(), []*session.Submission{sub}); err != nil {
			t.Fatal(err)
		}
	}
	lingers := func() bool {
		found := false
		for _, name := range []string{path, path + "-wal"} {
			content, err := os.ReadFile(name)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			found = found || bytes.Contains(content, bytes.Repeat([]byte{0xA7}, session.SealedSize))
		}
		return found
	}
	if !lingers() {
		t.Fatal("stored positions are not in the file: this test looks for the wrong thing")
	}
	ended := apply(t, s, m, session.Command{Action: session.End, By: session.ByPlatform, At: early})
	if ended.Agents[0].Removed == 0 {
		t.Fatal("nothing was removed")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if lingers() {
		t.Error("removed positions are still in the file")
	}
}
