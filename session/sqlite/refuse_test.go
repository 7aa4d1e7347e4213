package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/sqlite"
)

// TestRawSQL: not even a hand in the database can store a position outside a
// window, change one, or let windows overlap.
func TestRawSQL(t *testing.T) {
	path := newPath(t)
	s := openAt(t, path, start)
	m := begun(t, s)
	store(t, s, ping(m, start, 1), session.Stored)
	other := *m
	other.ID, other.Agents = session.NewID(), []session.Agent{{ID: "badge-1", Alias: "A1"}}
	if err := s.CreateMission(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	raw := rawDB(t, path)
	id, at := m.ID.String(), start.UnixMilli()
	for _, c := range []struct {
		what, query string
		args        []any
		want        string
	}{
		{"a position before the window", "INSERT INTO positions VALUES ('2026-12-21', ?, 'badge-1', 1, ?, x'00')", []any{id, at - 1}, "must lie in a window"},
		{"of an agent without one", "INSERT INTO positions VALUES ('2026-12-21', ?, 'badge-2', 1, ?, x'00')", []any{id, at}, "must lie in a window"},
		{"of another mission", "INSERT INTO positions VALUES ('2026-12-21', ?, 'badge-1', 1, ?, x'00')", []any{other.ID.String(), at}, "must lie in a window"},
		{"by replacing one", "INSERT OR REPLACE INTO positions SELECT expires_on, mission, agent, slot, at - 1, sealed FROM positions", nil, "must lie in a window"},
		{"by moving one", "UPDATE positions SET at = at - 1", nil, "never changes"},
		{"by changing one", "UPDATE positions SET sealed = x'00'", nil, "never changes"},
		{"a latest position before the window", "INSERT INTO latest VALUES (?, 'badge-1', 1, ?, x'00')", []any{id, at - 1}, "must lie in the open window"},
		{"two slots in one", "INSERT INTO positions SELECT * FROM positions", nil, "UNIQUE"},
		{"an overlapping window", "INSERT INTO windows VALUES ('acme', ?, 'badge-1', ?, NULL)", []any{id, at + 5}, "must not overlap"},
		{"one of another mission", "INSERT INTO windows VALUES ('acme', ?, 'badge-1', ?, ?)", []any{other.ID.String(), at - 5, at + 1}, "must not overlap"},
		{"by widening one", "UPDATE windows SET opened = opened - 1000", nil, "never changed"},
		{"a window under another tenant's name", "INSERT INTO windows VALUES ('other', ?, 'badge-1', ?, ?)", []any{id, at - 50, at - 5}, "FOREIGN KEY"},
		{"an empty window", "INSERT INTO windows VALUES ('acme', ?, 'badge-1', ?, ?)", []any{id, at - 5, at - 5}, "CHECK"},
		{"a row of the access log by changing one", "UPDATE access_log SET why = 'nothing'", nil, "never changes"},
		{"a date of one", "UPDATE access_log SET at = at - 1", nil, "never changes"},
		{"a place of one that has one", "UPDATE access_log SET leaf = 0; UPDATE access_log SET leaf = 1", nil, "keeps its leaf"},
		{"a hash by changing one", "INSERT INTO access_hashes VALUES (0, randomblob(32)); UPDATE access_hashes SET hash = randomblob(32)", nil, "never changes"},
		{"no hash by removing one", "DELETE FROM access_hashes", nil, "never removed"},
		{"a held position without its copy", `INSERT INTO holds (id, tenant, mission, reason, role, subject, set_at, until) VALUES (?1, 'acme', ?1, 'x', 'operator', ?1, ?2, ?2 + 9e10);
			UPDATE expiry SET before = '2027-01-01'; DELETE FROM positions`, []any{id, at}, "waits for its copy"},
		{"an unknown state", "UPDATE missions SET state = 'going'", nil, "CHECK"},
	} {
		_, err := raw.Exec(c.query, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	// A window may touch another.
	if _, err := raw.Exec("INSERT INTO windows VALUES ('acme', ?, 'badge-1', ?, ?)", other.ID.String(), at-5, at); err != nil {
		t.Errorf("a window that ends where another begins: %v", err)
	}
}

// TestClockAfterLock is P2: the clock is read when the write lock is held, not
// before.
func TestClockAfterLock(t *testing.T) {
	path := newPath(t)
	begun(t, openAt(t, path, start))
	raw := rawDB(t, path+"?_busy_timeout=0&")
	reads, unlocked := 0, 0
	locked := func() bool {
		_, err := raw.Exec("BEGIN IMMEDIATE; ROLLBACK")
		return err != nil
	}
	if locked() {
		t.Fatal("the file is locked by nobody")
	}
	s, err := sqlite.Open(t.Context(), path, func() time.Time {
		reads++
		if !locked() {
			unlocked++
		}
		return start.Add(time.Minute)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	list, err := s.Missions(t.Context(), "acme", session.MissionFilter{}, [16]byte{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := list[0]
	reads, unlocked = 0, 0
	store(t, s, ping(m, start, 1), session.Stored)
	apply(t, s, m, session.Command{Action: session.Pause, By: session.ByOperator})
	if reads != 2 || unlocked != 0 {
		t.Errorf("Append and UpdateMission read the clock %d times, %d of them without the lock", reads, unlocked)
	}
}

// TestReadersAreNotHeldUp: while a write is in progress, reads go on and see
// what was there before; who does not want to wait for it need not.
func TestReadersAreNotHeldUp(t *testing.T) {
	s := openAt(t, newPath(t), start)
	m := begun(t, s)
	entered, leave := make(chan struct{}), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		_, err := s.UpdateMission(context.Background(), m.Tenant, m.ID, func(m *session.Mission) error {
			close(entered)
			<-leave
			return m.Apply(session.Command{Action: session.End, By: session.ByPlatform, At: start}, m.ReadAt)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-entered
	got, err := s.Mission(t.Context(), m.Tenant, m.ID)
	if err != nil || got.State != session.Active {
		t.Errorf("read beside a write: %+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := s.Append(ctx, []*session.Submission{ping(m, start, 1)}); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("Append that gave up: %v", err)
		}
	})
	cancel()
	waiting.Wait() // though the write goes on
	close(leave)
	writer.Wait()
	if got, err = s.Mission(t.Context(), m.Tenant, m.ID); err != nil || got.State != session.Ended {
		t.Errorf("read after the write: %+v, %v", got, err)
	}
}

// TestPanicInChange: a change that panics leaves nothing behind and holds
// nothing up.
func TestPanicInChange(t *testing.T) {
	s := openAt(t, newPath(t), start)
	m := begun(t, s)
	func() {
		defer func() { _ = recover() }()
		_, _ = s.UpdateMission(t.Context(), m.Tenant, m.ID, func(m *session.Mission) error {
			_ = m.Apply(session.Command{Action: session.End, By: session.ByPlatform}, m.ReadAt)
			panic("a mistake")
		})
	}()
	store(t, s, ping(m, start, 1), session.Stored)
}
