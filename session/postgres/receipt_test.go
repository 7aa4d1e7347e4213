package postgres_test

import (
	"errors"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestCreateOnceCutOff: a node that loses its database after it made a mission
// and before its receipt is kept has made nothing; asked again, it makes one.
func TestCreateOnceCutOff(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	s := d.open(t, postgres.Options{})
	if err := s.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	m := newMission("badge-1", session.Millis(time.Now()))
	cuts := 1
	c := session.Creation{
		Ref: session.Ref{Tenant: "acme", ID: m.ID}, Mission: m, Receipt: session.ReceiptID{1},
		Seal: func() ([]byte, error) {
			if cuts--; cuts == 0 {
				d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")
			}
			return []byte("answer"), nil
		},
	}
	left := func() int {
		return d.count(t, "SELECT (SELECT count(*) FROM missions) + (SELECT count(*) FROM receipts)")
	}
	if err := s.CreateOnce(t.Context(), c); !errors.Is(err, session.ErrUnavailable) || left() != 0 {
		t.Fatalf("cut off: %v, and %d rows are left", err, left())
	}
	if err := s.CreateOnce(t.Context(), c); err != nil || left() != 2 {
		t.Fatalf("asked again: %v, and there are %d rows", err, left())
	}
	if err := s.CreateOnce(t.Context(), c); !errors.Is(err, session.ErrExists) && !errors.Is(err, session.ErrRepeated) || left() != 2 {
		t.Fatalf("asked once more: %v, and there are %d rows", err, left())
	}
}
