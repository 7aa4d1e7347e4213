package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// patient is a patience that tests do not wait long for.
const patient = 400 * time.Millisecond

// seed makes a salt on a day of its own.
func (db *database) seed(tb testing.TB, ring session.Keyring, day session.Day) {
	tb.Helper()
	if _, err := ring.Salt(tb.Context(), "acme", day, day); err != nil {
		tb.Fatal(err)
	}
}

// hold runs SQL in a transaction of its own, which it leaves open until release
// is called.
func (db *database) hold(t *testing.T, sql string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; "+sql); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// until waits until SQL counts n.
func (db *database) until(t *testing.T, sql string, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); db.count(t, sql) != n; {
		if time.Now().After(end) {
			t.Fatalf("%s: not %d within a minute", sql, n)
		}
	}
}

// TestDatabaseFrozen is I9: a server that hangs gets ErrUnavailable said of it
// within a bound, and answers as before when it goes on.
func TestDatabaseFrozen(t *testing.T) {
	server := pgtest.StartPrivate(t)
	db, _ := filledDatabase(t, server)
	ring := openDatabase(t, db.node, db.root, patient)
	want := string(mustSalt(t, ring, "acme", today))
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for name, call := range map[string]func() error{
		"Salt":             func() error { _, err := ring.Salt(t.Context(), "acme", today, today); return err },
		"Salt to make":     func() error { _, err := ring.Salt(t.Context(), "new", today, today); return err },
		"SigningKeys":      func() error { _, err := ring.EnsureSigningKey(t.Context()); return err },
		"RotateSigningKey": func() error { _, err := ring.RotateSigningKey(t.Context()); return err },
		"DestroySalts":     func() error { _, err := ring.DestroySalts(t.Context(), today-5); return err },
		"OpenDatabase":     func() error { _, err := keyring.OpenDatabase(t.Context(), db.node, db.root, 0); return err },
		"Locate":           func() error { _, err := keyring.Locate(t.Context(), db.dsn); return err },
	} {
		for range 3 { // more than there are connections
			all.Go(func() {
				begun := time.Now()
				if err := call(); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("%s on a frozen server: %v", name, err)
				}
				if took := time.Since(begun); took > 15*time.Second {
					t.Errorf("%s on a frozen server took %v", name, took)
				}
			})
		}
	}
	all.Wait()
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	if got := string(eventualSalt(t, ring, "acme", today)); got != want {
		t.Error("another salt after the thaw")
	}
}

// eventualSalt asks until the keyring can answer.
func eventualSalt(t *testing.T, ring session.Keyring, tenant string, day session.Day) []byte {
	t.Helper()
	for range 100 {
		salt, err := ring.Salt(t.Context(), tenant, day, day)
		if err == nil {
			return salt
		}
		if !errors.Is(err, session.ErrUnavailable) || errors.Is(err, session.ErrGone) {
			t.Fatal(err)
		}
	}
	t.Fatal("unavailable a hundred times")
	return nil
}

// told is what several nodes were told of salts.
type told struct {
	mu     sync.Mutex
	salts  map[saltOf]string // guarded by mu: what was asked for; "" if nobody has an answer
	failed int               // guarded by mu: calls that were told to ask again
}

type saltOf struct {
	tenant string
	day    session.Day
}

// ask asks for a salt, compares it with what was answered before, and reports
// whether there was an answer.
func (s *told) ask(t *testing.T, ring session.Keyring, name saltOf) bool {
	salt, err := ring.Salt(t.Context(), name.tenant, name.day, name.day)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch known := s.salts[name]; {
	case errors.Is(err, session.ErrUnavailable):
		s.salts[name] = known
		s.failed++
		return false
	case err != nil:
		t.Errorf("%v: %v", name, err)
	case known != "" && known != string(salt):
		t.Errorf("%v has two salts", name)
	default:
		s.salts[name] = string(salt)
	}
	return true
}

// compare asks for everything again.
func (s *told) compare(t *testing.T, ring session.Keyring) {
	t.Helper()
	if s.failed == 0 {
		t.Error("no call was hit: this tested nothing")
	}
	given := 0
	for name, known := range s.salts {
		salt := string(eventualSalt(t, ring, name.tenant, name.day))
		if known == "" {
			continue
		}
		given++
		if salt != known {
			t.Errorf("%v has another salt than was given", name)
		}
	}
	t.Logf("%d salts given of %d, %d calls told to ask again", given, len(s.salts), s.failed)
}

// TestDatabaseKilled kills the server while two nodes make salts. What was
// given is the same afterwards, and whoever had to wait gets a salt.
func TestDatabaseKilled(t *testing.T) {
	server := pgtest.StartPrivate(t)
	db := newDatabase(t, server)
	rings := []session.Keyring{openDatabase(t, db.node, db.root, patient), openDatabase(t, db.node, db.root, patient)}
	answers := &told{salts: map[saltOf]string{}}
	for round := range 3 {
		kill := make(chan struct{})
		var asked atomic.Int64
		var nodes sync.WaitGroup
		for i := range 8 {
			nodes.Go(func() {
				for n := 0; ; n++ {
					if asked.Add(1) == 60 {
						close(kill)
					}
					name := saltOf{fmt.Sprintf("tenant-%d", n%4), today + session.Day(1000*round+n/4)}
					if !answers.ask(t, rings[i%2], name) && asked.Load() >= 60 {
						return // the server is gone
					}
				}
			})
		}
		<-kill
		if err := server.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		nodes.Wait()
		restart(t, server)
	}
	answers.compare(t, db.open(t))
}

// restart starts a server that was killed. What the kernel still clears away of
// the dead can make a start fail, now and then.
func restart(t *testing.T, server *pgtest.Server) {
	t.Helper()
	var err error
	for range 5 {
		if err = server.Restart(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// TestDatabaseTerminated: while two nodes make salts, their sessions are ended
// one after the other.
func TestDatabaseTerminated(t *testing.T) {
	db := newDatabase(t, pgtest.Start(t))
	rings := []session.Keyring{db.open(t), db.open(t)}
	answers := &told{salts: map[saltOf]string{}}
	made := make(chan struct{}, 200)
	var terminator, nodes sync.WaitGroup
	terminator.Go(func() {
		for range made { // for every salt that comes, one session goes
			db.count(t, `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'ronde keys' ORDER BY random() LIMIT 1) x`)
		}
	})
	for i := range 4 {
		nodes.Go(func() {
			for n := range 50 {
				name := saltOf{fmt.Sprintf("tenant-%d", n%5), today + session.Day(n/5)}
				for !answers.ask(t, rings[i%2], name) {
				}
				made <- struct{}{}
			}
		})
	}
	nodes.Wait()
	close(made)
	terminator.Wait()
	answers.compare(t, db.open(t))
}

// TestDatabaseMakerHoldsOffTheMark: a salt that is being made when its day is
// marked as destroyed is waited for and goes with the others.
func TestDatabaseMakerHoldsOffTheMark(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	release := db.hold(t, `SELECT ronde_make_salt('2024-10-04', 'late', '\x01')`)
	defer release()
	done := make(chan int)
	go func() {
		n, err := ring.DestroySalts(t.Context(), today+1)
		if err != nil {
			t.Error(err)
		}
		done <- n
	}()
	db.until(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND wait_event_type = 'Lock' AND query LIKE '%ronde_mark_destroyed%'`, 1)
	if n := db.count(t, `SELECT count(*) FROM salts."2024-10-04"`); n != 2 {
		t.Errorf("%d salts while the mark waits, want 2", n)
	}
	release()
	if n := <-done; n != 2 {
		t.Errorf("destroyed %d salts, want 2: the maker gave up its own", n)
	}
}

// TestDatabaseMarkHoldsOffTheMaker: whoever found no salt before its day was
// marked as destroyed, and comes to make it after, makes none.
func TestDatabaseMarkHoldsOffTheMaker(t *testing.T) {
	db, _ := filledDatabase(t, pgtest.Start(t))
	sweeper, err := pgx.Connect(t.Context(), db.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sweeper.Close(context.WithoutCancel(t.Context())) }()
	mark, err := sweeper.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mark.Exec(t.Context(), "SELECT ronde_mark_destroyed('2024-10-05')"); err != nil {
		t.Fatal(err)
	}
	ring := openDatabase(t, db.node, db.root, time.Minute) // waits for a lock for half of it
	made := make(chan error)
	go func() { _, err := ring.Salt(t.Context(), "late", today, today); made <- err }()
	db.until(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND wait_event_type = 'Lock' AND query LIKE '%ronde_make_salt%'`, 1)
	if err := mark.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-made; !errors.Is(err, session.ErrGone) {
		t.Errorf("a salt whose day was marked meanwhile: %v, want gone", err)
	}
	if n := db.count(t, `SELECT count(*) FROM salts."2024-10-04"`); n != 2 {
		t.Errorf("%d salts on a day that was marked, want the 2 of before", n)
	}
}

// TestDatabaseReaderIsOvertaken: whoever asked for a salt before its day was
// marked as destroyed, and would get it after, gets none.
func TestDatabaseReaderIsOvertaken(t *testing.T) {
	db, _ := filledDatabase(t, pgtest.Start(t))
	waiting := func(function string) {
		t.Helper()
		db.until(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%`+function+`(%'`, 1)
	}
	release := db.hold(t, `LOCK TABLE salts."2024-10-04"`)
	defer release()
	ring := openDatabase(t, db.node, db.root, time.Minute) // waits for a lock for half of it
	asked, destroyed := make(chan error), make(chan error)
	go func() { _, err := ring.Salt(t.Context(), "acme", today, today); asked <- err }()
	waiting("ronde_salt")
	go func() { _, err := ring.DestroySalts(t.Context(), today+1); destroyed <- err }()
	waiting("ronde_drop_salts") // and so the day is marked
	release()
	if err := <-asked; !errors.Is(err, session.ErrGone) {
		t.Errorf("a salt whose day was marked meanwhile: %v, want gone", err)
	}
	if err := <-destroyed; err != nil {
		t.Error(err)
	}
}

// TestDatabaseReadersDoNotWait: while a day's table cannot be dropped, nobody
// who asks for any salt waits for it.
func TestDatabaseReadersDoNotWait(t *testing.T) {
	db, ring := filledDatabase(t, pgtest.Start(t))
	mustSalt(t, ring, "acme", today+1)
	release := db.hold(t, `SELECT FROM salts."2024-10-04"`)
	defer release()
	sweeper := openDatabase(t, db.node, db.root, time.Minute) // waits for the lock for half of it
	done := make(chan error)
	go func() { _, err := sweeper.DestroySalts(t.Context(), today+1); done <- err }()
	db.until(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND wait_event_type = 'Lock' AND query LIKE '%ronde_drop_salts%'`, 1)
	mustSalt(t, ring, "acme", today+1)
	mustSalt(t, ring, "new", today+1)
	mustSalt(t, ring, "acme", today+2)
	if _, err := ring.Salt(t.Context(), "acme", today, today); !errors.Is(err, session.ErrGone) {
		t.Errorf("a salt that is being dropped: %v, want gone", err)
	}
	select {
	case err := <-done:
		t.Fatalf("the drop did not wait: %v", err)
	default:
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
