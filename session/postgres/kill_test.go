package postgres_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/storetest"
)

func TestMain(m *testing.M) {
	storetest.Victim(func(ctx context.Context, source string) (session.Store, error) {
		return postgres.Open(ctx, source, postgres.Options{})
	})
	os.Exit(m.Run())
}

// rounds returns how often a process is killed, in the short form and in the
// long one.
func rounds(short, long int) int {
	if storetest.Long() {
		return long
	}
	return short
}

// TestKill is I3 and P41: a node is killed while it appends.
func TestKill(t *testing.T) {
	d := newClockedDatabase(t, pgtest.Start(t))
	storetest.Kill(t, storetest.Killing{
		Source: d.dsn, Open: d.fixture, Rounds: rounds(3, 1000),
		Strike: func(t *testing.T, victim *os.Process) { d.bury(t, victim) },
	})
}

// TestKillServer is the same for the database: stopped at once, or its first
// process killed.
func TestKillServer(t *testing.T) {
	server := pgtest.StartPrivate(t)
	d := newClockedDatabase(t, server)
	round := 0
	storetest.Kill(t, storetest.Killing{
		Source: d.dsn, Open: d.fixture, Rounds: rounds(2, 100),
		Strike: func(t *testing.T, victim *os.Process) {
			strike := func() error { return server.Stop(pgtest.Immediate) }
			if round++; round%2 == 0 {
				strike = func() error { return server.Signal(syscall.SIGKILL) }
			}
			if err := strike(); err != nil {
				t.Error(err)
			}
			// What the kernel still clears away of the dead can make a start
			// fail, now and then.
			err := server.Restart()
			for range 5 {
				if err == nil {
					break
				}
				err = server.Restart()
			}
			if err != nil {
				t.Error(err)
			}
			d.bury(t, victim)
		},
	})
}

// bury kills a node and waits until the database has finished what the node
// asked for last.
func (d *database) bury(t *testing.T, node *os.Process) {
	t.Helper()
	if err := node.Kill(); err != nil {
		t.Error(err)
	}
	d.until(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ronde'", 0)
}
