package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// faults returns what a verification finds, each as fault:row.
func (a *audited) faults(code int, args ...string) (found []string) {
	a.t.Helper()
	for _, f := range a.verify(code, args...).Findings {
		found = append(found, fmt.Sprintf("%s:%d", f.Fault, f.From))
	}
	return found
}

// TestAuditForged is P32: who may write everything to the database of a node that runs cannot make a row that passes.
func TestAuditForged(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		st, err := a.service.Store.AccessState(t.Context())
		check(t, err)
		ago := "at - 1728000000" // 20 days
		if store == "postgres" {
			ago = "at - interval '20 days'"
		}
		a.damage(`INSERT INTO access_log (id, at, tenant, role, subject, action, mission, agent, object, why, salt, mac)
			SELECT '01a21336-48cf-7e36-995e-2beab5c5e0ff', ` + ago + `, tenant, role, subject, 'track.read', mission, agent, object, 'forged', salt, mac
			FROM access_log WHERE leaf = 3`)
		a.logs("access_log_row_forged")
		a.shows("ronde_access_log_forged_rows_total 1")
		a.signed()
		if got, want := a.faults(exitRun), []string{fmt.Sprintf("row_forged:%d", st.Size)}; !slices.Equal(got, want) {
			t.Errorf("found %v, want %v", got, want)
		}
		key := strings.TrimSpace(ronde(t, append([]string{"audit", "key"}, a.args...)...).out)
		if got, want := a.faults(exitRun, "--key", key), []string{fmt.Sprintf("row_backdated:%d", st.Size)}; !slices.Equal(got, want) {
			t.Errorf("with the public key: found %v, want %v", got, want)
		}
		check(t, a.stop())
	})
}

// TestAuditWithoutSecret: whoever verifies with the public key is told what that leaves open.
func TestAuditWithoutSecret(t *testing.T) {
	a := startAudited(t, "sqlite")
	file := filepath.Join(t.TempDir(), "log.jsonl")
	key := strings.TrimSpace(ronde(t, append([]string{"audit", "key"}, a.args...)...).out)
	check(t, os.WriteFile(file, []byte(ronde(t, append([]string{"audit", "export"}, a.args...)...).out), 0o600))
	const unchecked = "MACs of the rows were not checked"
	if o := ronde(t, "audit", "verify", "--file", file, "--key", key, "--data", t.TempDir()); o.code != exitOK || !strings.Contains(o.out, unchecked) {
		t.Errorf("with the key: exit code %d: %s%s", o.code, o.out, o.errors)
	}
	if o := ronde(t, append([]string{"audit", "verify", "--file", file}, a.args...)...); o.code != exitOK || strings.Contains(o.out, unchecked) {
		t.Errorf("with the root secret: exit code %d: %s%s", o.code, o.out, o.errors)
	}
	if a.verify(exitOK, "--key", key).MACsChecked || !a.verify(exitOK).MACsChecked {
		t.Error("the report is wrong about what was checked")
	}
}

// TestCommandsSign: what a command records while no node runs is signed before it exits, in the database and outside,
// and so cannot be removed unseen; beside a node it is signed too.
func TestCommandsSign(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		size := func() int64 { t.Helper(); return a.verify(exitOK).Size }
		before := size()
		run := func(args ...string) {
			t.Helper()
			if o := ronde(t, slices.Concat(args, a.args)...); o.code != exitOK {
				t.Fatalf("%v: %s", args, o.errors)
			}
		}
		run("keys", "rotate")
		if got := size(); got <= before {
			t.Errorf("beside a node: %d rows are signed, want more than %d", got, before)
		}
		a.createMission(a.now(), a.now().Add(time.Hour), 48.85, 2.34, 100, nil)
		check(t, a.stop())
		before = size()
		outside, err := readCheckpoints(a.config.Checkpoints)
		check(t, err)
		for i, command := range [][]string{{"keys", "rotate"}, {"audit", "export"}} {
			run(command...)
			if got := size(); got != before+int64(i)+1 {
				t.Errorf("%v: %d rows are signed, want %d", command, got, before+int64(i)+1)
			}
		}
		kept, err := readCheckpoints(a.config.Checkpoints)
		check(t, err)
		if len(kept) != len(outside)+2 {
			t.Errorf("%d checkpoints more are outside, want 2", len(kept)-len(outside))
		}
		a.damage("DELETE FROM access_log WHERE leaf IS NULL")
		if got := size(); got != before+2 {
			t.Errorf("%d rows are signed, want %d", got, before+2)
		}
		a.damage("DELETE FROM access_log WHERE action = 'keys.rotate'")
		a.verify(exitRun)
	})
}

// TestAuditEmptied: a log of which nothing is left, here or outside, is missed where there are missions.
func TestAuditEmptied(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		check(t, a.stop())
		if store == "sqlite" {
			a.damage("DROP TRIGGER access_hashes_stay")
		}
		a.damage("DELETE FROM access_checkpoints")
		if got := a.faults(exitRun); len(got) == 0 || slices.ContainsFunc(got, func(f string) bool { return f != "checkpoint_missing:-1" }) {
			t.Errorf("without checkpoints: found %v", got)
		}
		a.damage("DELETE FROM access_log", "DELETE FROM access_hashes")
		check(t, os.RemoveAll(a.config.Checkpoints))
		if got := a.faults(exitRun); !slices.Equal(got, []string{"emptied:-1"}) {
			t.Errorf("found %v", got)
		}
	})
}

// TestEveryRowIsAuthentic: what a node and its commands record passes for their own, whichever way it is recorded: a
// change of a mission, a deadline, a hold, a read.
func TestEveryRowIsAuthentic(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		m := a.running()
		a.call(http.StatusOK, http.MethodPost, "/v1/missions/"+m+"/hold", object{"reason": "plainte n° 7", "until": a.now().Add(48 * time.Hour)})
		a.call(http.StatusOK, http.MethodGet, "/v1/missions/"+m+"/report", nil)
		a.setClock(a.now().Add(24 * time.Hour))
		_, err := a.service.CloseDue(t.Context())
		check(t, err)
		rows, err := a.service.Store.AccessLog(t.Context(), "acme", session.AccessFilter{}, uuid.Nil, 100)
		check(t, err)
		for _, want := range []session.AccessAction{session.AccessHoldSet, session.AccessReportRead, session.AccessDeadline} {
			if !slices.ContainsFunc(rows, func(row session.LoggedAccess) bool { return row.Action == want }) {
				t.Errorf("no row %s: the test proves nothing of it", want)
			}
		}
		a.signed()
		a.verify(exitOK)
	})
}
