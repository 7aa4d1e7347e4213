package postgres_test

import (
	"testing"
	"time"

	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestConnectionsAfterFailover: a standby that had not heard of the latest
// connections, or a backup, turns no numbers for longer than ten seconds; nor
// does a clock that is set back by less.
func TestConnectionsAfterFailover(t *testing.T) {
	d := newClockedDatabase(t, pgtest.Start(t))
	s := d.open(t, postgres.Options{})
	at := func(second float64) {
		d.exec(t, "UPDATE test_clock SET at = '2026-11-21T19:00:00Z'::timestamptz + make_interval(secs => $1)", second)
	}
	last := int64(0)
	rises := func(what string) {
		t.Helper()
		n, err := s.NextConnection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n <= last {
			t.Errorf("%s: %d after %d", what, n, last)
		}
		last = n
	}
	at(9)
	for range 1000 {
		rises("one after the other")
	}
	at(8.5)
	rises("the clock was set back")
	d.exec(t, "ALTER SEQUENCE connections RESTART")
	at(18.5)
	rises("the sequence was set back ten seconds ago")
	d.exec(t, "SELECT setval('connections', 9999999998)")
	rises("the last that fits")
	at(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).Sub(time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)).Seconds())
	rises("in the year 2200")
}
