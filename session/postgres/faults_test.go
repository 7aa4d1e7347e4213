package postgres_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestTerminated: sessions of the database are ended while they append. Every
// caller is told ErrUnavailable or the truth, and after sending again each ping
// is stored once.
func TestTerminated(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	f := newFleet(t, d, 8)
	s := d.open(t, postgres.Options{})
	const batches, size = 40, 50
	var ended atomic.Int64
	appended := make(chan struct{}, len(f.missions)*batches)
	var terminator, nodes sync.WaitGroup
	terminator.Go(func() {
		for range appended { // for every batch that gets through, one session goes
			ended.Add(int64(d.count(t, `SELECT count(pg_terminate_backend(pid)) FROM (
				SELECT pid FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'ronde' AND state = 'active' ORDER BY random() LIMIT 1) x`)))
		}
	})
	var failed atomic.Int64
	for i := range f.missions {
		own := &fleet{database: d, missions: f.missions[i : i+1], sealed: f.sealed}
		nodes.Go(func() {
			for range batches {
				batch := own.batch(1, size)
				err := s.Append(t.Context(), batch)
				for ; err != nil; err = s.Append(t.Context(), batch) {
					failed.Add(1)
					if !errors.Is(err, session.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
				appended <- struct{}{}
				for _, v := range batch[0].Verdicts {
					if v != session.Stored && v != session.Unchanged {
						t.Errorf("verdict %d", v)
					}
				}
			}
		})
	}
	nodes.Wait()
	close(appended)
	terminator.Wait()
	for _, m := range f.missions {
		if n := d.count(t, "SELECT count(*) FROM positions WHERE mission = $1", m.ID); n != batches*size {
			t.Errorf("%d positions stored, want %d", n, batches*size)
		}
	}
	t.Logf("%d sessions ended, %d calls failed", ended.Load(), failed.Load())
	if failed.Load() == 0 {
		t.Error("no call was hit: this tested nothing")
	}
}

// TestFrozen is I9: whatever hangs, every call ends within a bound and says
// that the store cannot answer; when it goes on, so does everything.
func TestFrozen(t *testing.T) {
	server := pgtest.StartPrivate(t)
	f := newFleet(t, newDatabase(t, server), 2)
	s := f.open(t, postgres.Options{Patience: 500 * time.Millisecond, Writers: 2, Readers: 4})
	batch := f.batch(2, 10)
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	next := f.batch(2, 10)
	var all sync.WaitGroup
	for name, call := range callsOf(t, s, f.dsn, next) {
		for range 3 { // more than there are connections
			all.Go(func() {
				begun := time.Now()
				if err := call(); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("%s on a frozen server: %v", name, err)
				}
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("%s on a frozen server took %v", name, took)
				}
			})
		}
	}
	all.Wait()
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return s.Append(t.Context(), next) })
	for _, sub := range next {
		for _, v := range sub.Verdicts {
			if v != session.Stored && v != session.Unchanged {
				t.Errorf("after the thaw: verdict %d", v)
			}
		}
	}
	if n := f.count(t, "SELECT count(*) FROM positions"); n != 40 {
		t.Errorf("%d positions stored, want 40", n)
	}
}

// callsOf returns one call of each kind.
func callsOf(t *testing.T, s *postgres.Store, dsn string, batch []*session.Submission) map[string]func() error {
	return map[string]func() error{
		"Append": func() error { return s.Append(t.Context(), batch) },
		"Mission": func() error {
			_, err := s.Mission(t.Context(), "acme", batch[0].ID)
			return err
		},
		"UpdateMission": func() error {
			_, err := s.UpdateMission(t.Context(), "acme", batch[0].ID, func(*session.Mission) error { return nil })
			return err
		},
		"News": func() error {
			_, err := s.News(t.Context(), []session.Known{{Ref: batch[0].Ref}})
			return err
		},
		"Track": func() error {
			_, err := s.Track(t.Context(), "acme", batch[0].ID, session.Cursor{}, 10)
			return err
		},
		"Due": func() error {
			_, err := s.Due(t.Context(), 1)
			return err
		},
		"Open": func() error {
			_, err := postgres.Open(t.Context(), dsn, postgres.Options{})
			return err
		},
	}
}

// eventually calls f until it no longer says that the store is unavailable.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	for range 100 {
		err := f()
		if err == nil {
			return
		}
		if !errors.Is(err, session.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	t.Fatal("unavailable a hundred times")
}

// hold runs SQL in a transaction of its own, which it leaves open until release
// is called.
func (d *database) hold(t *testing.T, sql string, args ...any) (release func()) {
	t.Helper()
	tx, err := d.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestLockedMission: a mission whose lock is held is skipped, and the rest of
// the batch is judged while the lock is still held.
func TestLockedMission(t *testing.T) {
	f := newFleet(t, newDatabase(t, pgtest.Start(t)), 3)
	s := f.open(t, postgres.Options{})
	release := f.hold(t, "SELECT FROM missions WHERE id = $1 FOR UPDATE", f.missions[1].ID)
	defer release()
	batch := f.batch(3, 2)
	if err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, sub := range batch {
		want := session.Stored
		if sub.ID == f.missions[1].ID {
			want = session.Locked
		}
		if !slices.Equal(sub.Verdicts, []session.Verdict{want, want}) {
			t.Errorf("verdicts %v, want %d", sub.Verdicts, want)
		}
	}
}

// TestTransitionsGetThrough: a mission that is in every batch of several
// writers, so that its lock is shared by somebody at any moment, can still be
// paused and resumed.
func TestTransitionsGetThrough(t *testing.T) {
	f := newFleet(t, newDatabase(t, pgtest.Start(t)), 4)
	s := f.open(t, postgres.Options{Patience: time.Minute})
	over := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 4 {
		own := &fleet{database: f.database, missions: f.missions, sealed: f.sealed, next: int64(i) * 1_000_000}
		writers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := s.Append(t.Context(), own.batch(4, 5)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		for _, a := range []session.Action{session.Pause, session.Resume} {
			apply(t, s, f.missions[0], a)
		}
	}
	close(over)
	writers.Wait()
}

// TestCutOff: the server cuts off a statement that waits too long, and neither
// that nor a caller who leaves costs the connection.
func TestCutOff(t *testing.T) {
	f := newFleet(t, newDatabase(t, pgtest.Start(t)), 1)
	s := f.open(t, postgres.Options{Patience: time.Second, Writers: 1, Readers: 1})
	sessions := func() []int {
		rows, _ := f.admin.Query(t.Context(), `SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'ronde' ORDER BY pid`)
		pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			t.Fatal(err)
		}
		return pids
	}
	before := sessions()
	release := f.hold(t, "LOCK TABLE missions, windows")
	defer release()
	batch := f.batch(1, 3)
	if err := s.Append(t.Context(), batch); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Append against a locked table: %v", err)
	}
	if _, err := s.Mission(t.Context(), "acme", batch[0].ID); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Mission against a locked table: %v", err)
	}
	leaving, leave := context.WithCancel(t.Context())
	var call sync.WaitGroup
	call.Go(func() {
		if _, err := s.Mission(leaving, "acme", batch[0].ID); err != nil {
			t.Errorf("Mission for a caller who left: %v", err)
		}
	})
	f.until(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", 1)
	leave()
	release()
	call.Wait()
	if err := s.Append(t.Context(), batch); err != nil {
		t.Error(err)
	}
	if after := sessions(); len(before) != 2 || !slices.Equal(before, after) {
		t.Errorf("sessions %v became %v", before, after)
	}
}

// until waits until SQL counts n.
func (d *database) until(t *testing.T, sql string, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); d.count(t, sql) != n; {
		if time.Now().After(end) {
			t.Fatalf("%s: not %d within a minute", sql, n)
		}
	}
}

// TestTooManyConnections: a server that is full cannot answer, which is no
// answer to the question.
func TestTooManyConnections(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	d.exec(t, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 1; GRANT ronde_app TO crowded")
	t.Cleanup(func() { d.exec(t, "DROP ROLE crowded") })
	if _, err := postgres.Open(t.Context(), as(d.dsn, "crowded"), postgres.Options{}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Open of a full server: %v", err)
	}
}
