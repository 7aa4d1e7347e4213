package sqlite_test

import (
	"testing"
	"time"

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

// TestAnotherSpelling: ids are text here, and one has a single spelling. Another one
// means the same to whoever reads, and is an edit all the same.
func TestAnotherSpelling(t *testing.T) {
	path := newPath(t)
	f := open(t, path)
	root := session.NewRootSecret()
	signer, err := session.NewAccessSigner(root, session.NewID())
	if err != nil {
		t.Fatal(err)
	}
	key, err := session.NewAccessKey(root)
	if err != nil {
		t.Fatal(err)
	}
	batch := []session.Access{{Tenant: "acme", Action: session.AccessTrackRead, Subject: session.NewID()}}
	if err := key.Store(f.Store).LogAccess(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if _, _, err := session.GrowAccessTree(t.Context(), f.Store, signer); err != nil {
		t.Fatal(err)
	}
	raw := rawDB(t, path)
	for _, text := range []string{"DROP TRIGGER access_log_fixed", "UPDATE access_log SET subject = '{' || subject || '}'"} {
		if _, err := raw.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	r, err := session.VerifyAccessLog(t.Context(), f.Store, &signer.AccessVerifier, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].Fault != session.FaultEdited || r.Findings[0].From != 0 {
		t.Errorf("found %+v", r.Findings)
	}
}
