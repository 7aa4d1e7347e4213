package sqlite_test

import (
	"testing"

	"ronde/session"
	"ronde/session/sqlite"
	"ronde/session/storetest"
)

// TestAudit is P32, P33 and P34.
func TestAudit(t *testing.T) {
	storetest.Audit(t, storetest.Auditing{Open: func(t *testing.T) storetest.AuditFixture {
		path := newPath(t)
		f := storetest.AuditFixture{Fixture: open(t, path)}
		f.Again = func(t *testing.T) session.Store {
			s, err := sqlite.Open(t.Context(), path, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		}
		raw := rawDB(t, path)
		f.Exec = func(t *testing.T, text string) {
			t.Helper()
			if _, err := raw.Exec(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		for _, trigger := range []string{
			"access_log_fixed", "access_log_leaf_fixed", "access_hashes_fixed", "access_hashes_stay", "access_checkpoints_fixed",
		} {
			f.Exec(t, "DROP TRIGGER "+trigger)
		}
		return f
	}})
}

// TestKillAudit: a process is killed while it records and signs.
func TestKillAudit(t *testing.T) {
	path := newPath(t)
	rounds := 10
	if storetest.Long() {
		rounds = 1000
	}
	storetest.KillAudit(t, storetest.Killing{
		Source: path, Rounds: rounds, Open: func(t *testing.T) storetest.Fixture { return open(t, path) },
	})
}
