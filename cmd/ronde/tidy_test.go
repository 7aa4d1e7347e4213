package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session/postgres/pgtest"
)

// TestReceiptsArePurged: a node removes the receipts whose day is over, those of other nodes too, and no others.
func TestReceiptsArePurged(t *testing.T) {
	dsn := newDatabase(t, pgtest.Start(t))
	conn, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	receipts := func() (n int) {
		check(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM receipts").Scan(&n))
		return n
	}
	now := time.Now()
	first := startAppOn(t, dsn)
	mission := first.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, nil)
	setPostgresClock(t, dsn, now.Add(2*time.Hour))
	first.link(mission, "exact")
	if n := receipts(); n != 2 {
		t.Fatalf("%d receipts of two creations", n)
	}
	setPostgresClock(t, dsn, now.Add(25*time.Hour))
	other := first.config // the keys are the installation's
	other.Listen, other.OpsListen, other.PublicURL = "127.0.0.1:0", "127.0.0.1:0", ""
	startConfigured(t, other)
	poll(t, "the end of the receipts", func() error {
		if n := receipts(); n != 1 {
			return fmt.Errorf("%d receipts are left, want the one that is not a day old", n)
		}
		return nil
	})
}
