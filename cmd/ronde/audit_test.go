package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/postgres/pgtest"
)

// audited is a node whose access log holds what two tenants did, and the command line beside it.
type audited struct {
	*testApp
	store string
	args  []string
}

func startAudited(t *testing.T, store string) *audited {
	t.Helper()
	a := &audited{testApp: startApp(t, store), store: store}
	c := a.config
	a.args = []string{"--data", c.Data, "--store", c.Store, "--root-secret-file", c.RootSecretFile}
	now := time.Now()
	m := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, nil)
	for _, action := range []string{"begin", "pause", "resume", "end"} {
		a.call(http.StatusOK, http.MethodPost, "/v1/missions/"+m+"/"+action, nil)
	}
	check(t, a.service.Record(t.Context(), nil, session.Access{Tenant: "other", Action: session.AccessTrackRead, Why: "plainte"}))
	a.signed()
	return a
}

// signed waits until everything recorded is signed, in the database and outside it.
func (a *audited) signed() {
	a.t.Helper()
	a.waitUntil("all is signed and kept outside", func() bool {
		st, err := a.service.Store.AccessState(a.t.Context())
		check(a.t, err)
		outside, err := readCheckpoints(a.config.Checkpoints)
		check(a.t, err)
		return st.Pending.IsZero() && st.Size > 0 && slices.ContainsFunc(outside, func(c session.NamedCheckpoint) bool { return c.Text == st.Checkpoint })
	})
}

// waitUntil asks until the answer is yes.
func (a *audited) waitUntil(what string, ok func() bool) {
	a.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(testPatience); !ok(); <-again.C {
		if time.Now().After(end) {
			a.t.Fatalf("never: %s", what)
		}
	}
}

// shows waits until the node's metrics have such a line.
func (a *audited) shows(line string) {
	a.t.Helper()
	pattern := regexp.MustCompile(`(?m)^` + line + `$`)
	a.waitUntil(line, func() bool { return pattern.Match(a.metrics()) })
}

// logs waits until the node has logged that event.
func (a *audited) logs(event string) {
	a.t.Helper()
	a.waitUntil(event, func() bool { return strings.Contains(a.log.String(), event) })
}

// damage runs SQL past the program, as somebody whom no trigger stops.
func (a *audited) damage(statements ...string) {
	a.t.Helper()
	if a.store == "postgres" {
		execSQL(a.t, a.config.Store, statements...)
		return
	}
	db, err := sql.Open("sqlite3", strings.TrimPrefix(a.config.Store, "sqlite:"))
	check(a.t, err)
	defer db.Close()
	for _, text := range append([]string{"DROP TRIGGER IF EXISTS access_log_fixed", "DROP TRIGGER IF EXISTS access_log_leaf_fixed"}, statements...) {
		_, err := db.Exec(text)
		check(a.t, err)
	}
}

func (a *audited) verify(code int, args ...string) (report verifyReport) {
	a.t.Helper()
	o := ronde(a.t, append(append([]string{"audit", "verify", "--json"}, args...), a.args...)...)
	if o.code != code {
		a.t.Errorf("exit code %d, want %d: %s%s", o.code, code, o.out, o.errors)
	}
	check(a.t, json.Unmarshal([]byte(o.out), &report))
	if report.OK != (code == exitOK) {
		a.t.Errorf("exit code %d and %+v", code, report)
	}
	return report
}

// TestAuditVerify is P32 and P33 from the command line: beside a running server and without one.
func TestAuditVerify(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		r := a.verify(exitOK)
		if r.Rows < 5 || r.Outside == 0 || r.Size != r.Rows {
			t.Errorf("report %+v", r)
		}
		o := ronde(t, append([]string{"audit", "verify"}, a.args...)...)
		if o.code != exitOK || !strings.Contains(o.out, fmt.Sprintf("is what was recorded: %d rows", r.Rows)) {
			t.Errorf("exit code %d: %s%s", o.code, o.out, o.errors)
		}
		check(t, a.stop())
		a.verify(exitOK)

		a.damage("UPDATE access_log SET why = 'nothing' WHERE leaf = 1")
		o = ronde(t, append([]string{"audit", "verify"}, a.args...)...)
		if o.code != exitRun || !strings.Contains(o.out, "row 1 edited") {
			t.Errorf("exit code %d: %s%s", o.code, o.out, o.errors)
		}
		a.damage("UPDATE access_log SET why = '' WHERE leaf = 1", "DELETE FROM access_log WHERE leaf = 2")
		if r := a.verify(exitRun); len(r.Findings) != 1 || r.Findings[0].Fault != session.FaultMissing || r.Findings[0].From != 2 {
			t.Errorf("found %+v", r.Findings)
		}

		o = ronde(t, "audit", "verify", "--data", t.TempDir())
		if o.code != exitRun || !strings.Contains(o.errors, "--store") {
			t.Errorf("a store that is not there: exit code %d: %s", o.code, o.errors)
		}
	})
}

// TestAuditRollback is P33: an old copy of the database is found by the checkpoints outside it, also by a node that
// starts on it.
func TestAuditRollback(t *testing.T) {
	a := startAudited(t, "sqlite")
	path := strings.TrimPrefix(a.config.Store, "sqlite:")
	check(t, a.stop())
	old, err := os.ReadFile(path)
	check(t, err)
	b := startConfigured(t, a.config)
	check(t, b.service.Record(t.Context(), nil, session.Access{Action: session.AccessKeysRotate}))
	(&audited{testApp: b}).signed()
	check(t, b.stop())
	a.verify(exitOK)
	check(t, os.WriteFile(path, old, 0o600))
	if r := a.verify(exitRun); len(r.Findings) != 1 || r.Findings[0].Fault != session.FaultRolledBack {
		t.Errorf("found %+v", r.Findings)
	}
	log := &logBuffer{}
	c := newApp(a.config, newLogger(streams{err: log}, "error"), time.Now)
	check(t, c.start(t.Context()))
	check(t, c.stop())
	if !strings.Contains(log.String(), "access_log_rolled_back") {
		t.Errorf("a node on the old copy says nothing: %s", log)
	}
}

// TestAuditExport: a tenant's auditor verifies their part with the file and the key alone.
func TestAuditExport(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		key := strings.TrimSpace(ronde(t, append([]string{"audit", "key"}, a.args...)...).out)
		nowhere := []string{"--data", t.TempDir(), "--key", key}
		for tenant, others := range map[string]string{"": "", "acme": `"tenant":"other"`} {
			export := []string{"audit", "export"}
			if tenant != "" {
				export = append(export, "--tenant", tenant)
			}
			o := ronde(t, append(export, a.args...)...)
			if o.code != exitOK {
				t.Fatalf("exit code %d: %s", o.code, o.errors)
			}
			if others != "" && strings.Contains(o.out, others) {
				t.Errorf("%s's part shows others: %s", tenant, o.out)
			}
			file := filepath.Join(t.TempDir(), "log.jsonl")
			verified := func(text string) outcome {
				check(t, os.WriteFile(file, []byte(text), 0o600))
				return ronde(t, append([]string{"audit", "verify", "--file", file}, nowhere...)...)
			}
			if o := verified(o.out); o.code != exitOK || !strings.Contains(o.out, "is what was recorded") {
				t.Errorf("tenant %q: exit code %d: %s%s", tenant, o.code, o.out, o.errors)
			}
			for what, edited := range map[string]string{
				"an action":    strings.Replace(o.out, `"mission.pause"`, `"mission.begin"`, 1),
				"a checkpoint": strings.Replace(o.out, `ronde-access-log/`, `ronde-access-log/0`, 2),
			} {
				if edited == o.out {
					t.Fatalf("%s is not there to be edited: %s", what, o.out)
				}
				if o := verified(edited); o.code != exitRun {
					t.Errorf("tenant %q with %s edited: exit code %d: %s%s", tenant, what, o.code, o.out, o.errors)
				}
			}
			lines := strings.SplitAfter(o.out, "\n")
			if cut := verified(strings.Join(append(lines[:4:4], lines[5:]...), "")); tenant == "" && cut.code != exitRun {
				t.Errorf("a whole log without a line: exit code %d: %s", cut.code, cut.out)
			}
		}
		// The exports are recorded themselves.
		a.signed()
		list, err := a.service.Store.AccessLog(t.Context(), "acme", session.AccessFilter{Actions: []session.AccessAction{session.AccessLogExport}}, mustID(t, "00000000-0000-0000-0000-000000000000"), 10)
		check(t, err)
		if len(list) != 1 {
			t.Errorf("%d exports are recorded, want 1", len(list))
		}
	})
}

// TestCheckpointsOutside: while the folder cannot be written to, the node serves and signs; what it could not write, it
// writes later.
func TestCheckpointsOutside(t *testing.T) {
	a := startAudited(t, "sqlite")
	folder := a.config.Checkpoints
	check(t, os.Rename(folder, folder+".away"))
	check(t, a.service.Record(t.Context(), nil, session.Access{Action: session.AccessKeysRotate}))
	a.logs("checkpoint_not_kept_outside")
	st, err := a.service.Store.AccessState(t.Context())
	check(t, err)
	if !st.Pending.IsZero() {
		t.Errorf("nothing is signed while the folder is away: %+v", st)
	}
	a.shows(`ronde_access_log_outside_lag_seconds 0*[1-9.].*`)
	a.shows(`ronde_access_log_failures_total\{step="file"\} [1-9].*`)
	a.shows(`ronde_access_log_failures_total\{step="tree"\} 0`)
	a.shows(fmt.Sprintf("ronde_access_log_leaves %d", st.Size))
	check(t, os.Rename(folder+".away", folder))
	a.signed()
	a.logs("checkpoint_kept_outside_again")
	a.shows("ronde_access_log_outside_lag_seconds 0")
	a.verify(exitOK)
}

// TestAccessLogNotSigned: rows that cannot be signed are kept, and their age is there for all to see; once the cause
// is mended they are signed.
func TestAccessLogNotSigned(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startAudited(t, store)
		a.damage("ALTER TABLE access_hashes RENAME TO away")
		check(t, a.service.Record(t.Context(), nil, session.Access{Action: session.AccessKeysRotate}))
		a.logs("access_log_not_signed")
		a.shows(`ronde_access_log_unsigned_age_seconds ([1-9]|0\.[5-9]).*`)
		a.damage("ALTER TABLE away RENAME TO access_hashes")
		a.signed()
		a.verify(exitOK)
	})
}

// TestCheckpointsRefused: a folder that was named must be there, and writable.
func TestCheckpointsRefused(t *testing.T) {
	refuses(t, []string{"--data", t.TempDir(), "--checkpoints", "/nowhere/witness"}, "--checkpoints", "/nowhere/witness", "mkdir")
	refuses(t, []string{"--data", t.TempDir(), "--checkpoints", writeFile(t, "no folder")}, "--checkpoints", "is no folder")
}

// TestCheckpointFolder: of past days the last checkpoint stays, of days long past nothing; what was cut short is no
// checkpoint, and spoils no other.
func TestCheckpointFolder(t *testing.T) {
	signer, err := session.NewAccessSigner(session.NewRootSecret(), session.NewID())
	check(t, err)
	f := checkpointFolder{t.TempDir()}
	text := func(n int) string {
		return fmt.Sprintf("ronde-access-log/x\n%d\nroot\ntime\n\n— ronde-access-log/x signature\n", n)
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for n, days := range []int{500, 401, 399, 3, 3, 3, 1, 1, 0, 0} {
		check(t, f.append(text(n), now.AddDate(0, 0, -days)))
	}
	torn, err := os.OpenFile(filepath.Join(f.dir, "checkpoints-2026-11-25.txt"), os.O_APPEND|os.O_WRONLY, 0o600)
	check(t, err)
	for _, cut := range []int{22, 50, 59} { // within the text, the signature, at its end
		whole := session.JoinCheckpoint(text(12))
		_, err = torn.WriteString(whole[:min(cut, len(whole)-3)])
		check(t, err)
		check(t, f.append(text(10), now))
	}
	_, err = torn.WriteString("\n" + strings.TrimSuffix(text(12), "\n"))
	check(t, err)
	check(t, torn.Close())
	for range 2 {
		check(t, f.tidy(now))
		all, err := readCheckpoints(f.dir)
		check(t, err)
		var got []string
		for _, c := range all {
			got = append(got, strings.Split(c.Text, "\n")[1])
		}
		if want := []string{"2", "5", "6", "7", "8", "9", "10", "10", "10"}; !slices.Equal(got, want) {
			t.Errorf("checkpoints %v are left, want %v", got, want)
		}
	}
	if n, err := f.newestOf(&signer.AccessVerifier); n != 0 || err != nil {
		t.Errorf("what nobody signed vouches for %d rows, %v", n, err)
	}
}

// TestTwoNodesSign: whichever node signs, both keep what was signed, and the tree has no gap.
func TestTwoNodesSign(t *testing.T) {
	dsn := newDatabase(t, pgtest.Start(t))
	first := startAppOn(t, dsn)
	other := first.config
	other.Listen, other.OpsListen, other.PublicURL, other.Checkpoints = "127.0.0.1:0", "127.0.0.1:0", "", t.TempDir()
	second := startConfigured(t, other)
	for range 50 {
		for _, node := range []*testApp{first, second} {
			check(t, node.service.Record(t.Context(), nil, session.Access{Tenant: "acme", Action: session.AccessTrackRead}))
		}
	}
	for _, node := range []*testApp{first, second} {
		(&audited{testApp: node}).signed()
	}
	a := &audited{testApp: first, args: []string{"--data", first.config.Data, "--store", dsn, "--root-secret-file", first.config.RootSecretFile}}
	if r := a.verify(exitOK, "--checkpoint", other.Checkpoints); r.Rows < 100 {
		t.Errorf("report %+v", r)
	}
}
