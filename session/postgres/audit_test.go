package postgres_test

import (
	"os"
	"testing"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/storetest"
)

// TestAudit is P32, P33 and P34.
func TestAudit(t *testing.T) {
	server := pgtest.Start(t)
	storetest.Audit(t, storetest.Auditing{Open: func(t *testing.T) storetest.AuditFixture {
		d := newClockedDatabase(t, server)
		return storetest.AuditFixture{
			Fixture: d.fixture(t),
			Again:   func(t *testing.T) session.Store { return d.open(t, postgres.Options{}) },
			Exec:    func(t *testing.T, sql string) { t.Helper(); d.exec(t, sql) },
		}
	}})
}

// TestKillAudit: a node is killed while it records and signs.
func TestKillAudit(t *testing.T) {
	d := newClockedDatabase(t, pgtest.Start(t))
	storetest.KillAudit(t, storetest.Killing{
		Source: d.dsn, Open: d.fixture, Rounds: rounds(5, 1000),
		Strike: func(t *testing.T, victim *os.Process) { d.bury(t, victim) },
	})
}
