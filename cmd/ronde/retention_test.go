package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ronde/configs"
	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
)

// past is an embedded installation as it was some time ago, whose sweeps never came.
type past struct {
	t       *testing.T
	config  configs.Config
	now     time.Time
	service *session.Service
	signer  *session.AccessSigner
}

// daysAgo returns an installation so many days ago. It is closed with the test, and commands may open it beside that.
func daysAgo(t *testing.T, days int) *past {
	t.Helper()
	c := embedded(filepath.Join(t.TempDir(), "data"))
	p := &past{t: t, config: c.Resolve(), now: session.Millis(time.Now().AddDate(0, 0, -days))}
	root, err := rootSecret(p.config)
	check(t, err)
	store, err := openStore(t.Context(), p.config, func() time.Time { return p.now })
	check(t, err)
	t.Cleanup(func() { check(t, store.Close()) })
	ring, err := openSealingKeyring(t.Context(), p.config, root, store, false)
	check(t, err)
	t.Cleanup(func() { check(t, ring.Close()) })
	check(t, store.EnsureTenant(t.Context(), "acme"))
	p.signer, err = session.NewAccessSigner(root, ring.ID())
	check(t, err)
	p.service = &session.Service{Store: store, Sealer: session.NewSealer(root, ring), Log: slog.New(slog.DiscardHandler)}
	return p
}

func (p *past) file() string { _, path := configs.Split(p.config.Store); return path }

// mission returns one that ended with a few positions.
func (p *past) mission(retention int) *session.Mission {
	p.t.Helper()
	m := &session.Mission{
		ID: session.NewID(), Tenant: "acme", Reference: "M-1", State: session.Scheduled,
		Site:     geo.Site{Name: "Depot", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: p.now, EndsAt: p.now.Add(time.Hour), Deadline: p.now.Add(time.Hour), EarlyBegin: time.Hour,
		Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: "badge-1", Alias: "A1"}},
	}
	m.Policy.RetentionDays = retention
	ctx, staff := p.t.Context(), &session.Principal{Role: session.Platform, Tenant: "acme", Subject: session.NewID()}
	check(p.t, p.service.Store.CreateMission(ctx, m))
	begun, err := p.service.Do(ctx, staff, m.ID, session.Command{Action: session.Begin})
	check(p.t, err)
	key, err := p.service.Sealer.Key(ctx, begun)
	check(p.t, err)
	p.now = p.now.Add(time.Minute)
	s := &session.Submission{Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: "badge-1"}
	for i := range 5 {
		s.Pings = append(s.Pings, session.Ping{Timestamp: begun.BeganAt.UnixMilli() + int64(i)*1000, Position: geo.NewPosition(m.Site.Center)})
	}
	key.SealAll(s)
	check(p.t, p.service.Store.Append(ctx, []*session.Submission{s}))
	ended, err := p.service.Do(ctx, staff, m.ID, session.Command{Action: session.End})
	check(p.t, err)
	_, _, err = session.GrowAccessTree(ctx, p.service.Store, p.signer) // as a node does within a second
	check(p.t, err)
	return ended
}

// retention runs a retention command on the installation.
func (p *past) retention(args ...string) outcome {
	p.t.Helper()
	return ronde(p.t, append(append([]string{"retention"}, args...), "--data", p.config.Data)...)
}

// overdue returns what ronde retention check --json counts.
func (p *past) overdue() map[string]int64 {
	p.t.Helper()
	o := p.retention("check", "--json")
	var list []struct {
		Class string `json:"class"`
		Rows  int64  `json:"rows"`
	}
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) == 0 {
		p.t.Fatalf("%q, %v", o.out, err)
	}
	counts, total := map[string]int64{}, int64(0)
	for _, c := range list {
		total += c.Rows
		if c.Rows > 0 {
			counts[c.Class] = c.Rows
		}
	}
	if want := map[bool]int{true: exitRun, false: exitOK}[total > 0]; o.code != want {
		p.t.Errorf("exit code %d with %d rows overdue: %s", o.code, total, o.errors)
	}
	return counts
}

// TestRetentionCommands (P40): check counts what the sweeps that never came have left, and not which; sweep removes it.
func TestRetentionCommands(t *testing.T) {
	p := daysAgo(t, 400)
	m := p.mission(30)
	got := p.overdue()
	if got["positions"] != 5 || got["salts"] != 1 || got["mission_records"] != 1 || got["access_log"] != 2 || len(got) != 4 {
		t.Errorf("overdue: %v, want 5 positions, 1 salt, 1 record and 2 rows of the access log", got)
	}
	text := p.retention("check")
	if text.code != exitRun || !strings.Contains(text.out, "positions") || strings.Contains(text.out+text.errors, m.ID.String()) || strings.Contains(text.out+text.errors, "acme") {
		t.Errorf("check: %+v", text)
	}
	if o := p.retention("sweep", "--json"); o.code != exitOK || !strings.Contains(o.out, `"destroyed_salts": 1`) || !strings.Contains(o.out, `"anonymous_missions": 1`) {
		t.Errorf("sweep: %+v", o)
	}
	if got := p.overdue(); len(got) != 0 {
		t.Errorf("overdue after a sweep: %v", got)
	}
	if o := p.retention("sweep"); o.code != exitOK || !strings.Contains(o.out, "salts destroyed") {
		t.Errorf("sweep: %+v", o)
	}
	read, err := p.service.Store.Mission(t.Context(), "acme", m.ID)
	if err != nil || read.Reference != "" || read.BeganAt.IsZero() {
		t.Errorf("the record reads %+v, %v", read, err)
	}
}

// TestRetentionTerm: the term is shown and set by tenant, within bounds.
func TestRetentionTerm(t *testing.T) {
	p := daysAgo(t, 100)
	p.mission(30)
	if o := p.retention("term", "--tenant", "acme"); o.code != exitOK || o.out != "12 months\n" {
		t.Errorf("term: %+v", o)
	}
	if o := p.retention("sweep"); o.code != exitOK {
		t.Fatal(o.errors)
	}
	if got := p.overdue(); len(got) != 0 {
		t.Errorf("overdue within the term: %v", got)
	}
	if o := p.retention("term", "--tenant", "acme", "--months", "2", "--json"); o.code != exitOK || !strings.Contains(o.out, `"months": 2`) {
		t.Errorf("term: %+v", o)
	}
	if got := p.overdue(); got["mission_records"] != 1 {
		t.Errorf("overdue after a shorter term: %v", got)
	}
	for _, months := range []string{"0", "61", "-1"} {
		if o := p.retention("term", "--tenant", "acme", "--months="+months); o.code != exitUsage {
			t.Errorf("%s months: %+v", months, o)
		}
	}
	if o := p.retention("term", "--tenant", "nobody"); o.code != exitRun || !strings.Contains(o.errors, "no tenant nobody") {
		t.Errorf("a missing tenant: %+v", o)
	}
}

// TestCheckFindsPlantedRows (P40): rows that outlive their limit, planted past the program, are counted; so is a salt
// whose tracks are gone.
func TestCheckFindsPlantedRows(t *testing.T) {
	p := daysAgo(t, 0)
	p.mission(30)
	if got := p.overdue(); len(got) != 0 {
		t.Fatalf("overdue before: %v", got)
	}
	execSQLite(t, p.file(), "INSERT INTO positions SELECT '2020-01-01', mission, agent, slot, at, sealed FROM positions LIMIT 2")
	if got := p.overdue(); got["positions"] != 2 || len(got) != 1 {
		t.Errorf("overdue: %v, want 2 positions", got)
	}
	if o := p.retention("sweep"); o.code != exitOK {
		t.Fatal(o.errors)
	}
	if got := p.overdue(); len(got) != 0 {
		t.Errorf("overdue after a sweep: %v", got)
	}

	p = daysAgo(t, 3)
	m := p.mission(1)
	execSQLite(t, p.file(), "DELETE FROM positions")
	if got := p.overdue(); got["salts"] != 1 || len(got) != 1 {
		t.Errorf("overdue: %v, want the salt of %s", got, m.ExpiresOn)
	}
}

// TestNodeSweeps: a node removes at its start what has outlived its limit, and tells what is left in a metric.
func TestNodeSweeps(t *testing.T) {
	p := daysAgo(t, 400)
	p.mission(30)
	a := startConfigured(t, p.config)
	deadline := time.Now().Add(testPatience)
	for {
		text := string(a.metrics())
		if strings.Contains(text, `ronde_retention_overdue_rows{class="positions"} 0`) && strings.Contains(text, `ronde_retention_overdue_rows{class="salts"} 0`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no sweep in the metrics:\n%s", text)
		}
	}
	if got := p.overdue(); len(got) != 0 {
		t.Errorf("overdue beside a node that has swept: %v", got)
	}
}

// TestUntilSweep: a sweep comes every ten minutes, and as a day begins.
func TestUntilSweep(t *testing.T) {
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for now, want := range map[time.Time]time.Duration{
		midnight.Add(-time.Hour): tidyEvery, midnight.Add(-3 * time.Minute): 3 * time.Minute,
		midnight.Add(-time.Millisecond): time.Millisecond, midnight: tidyEvery,
	} {
		if got := untilSweep(now); got != want {
			t.Errorf("at %v: %v, want %v", now, got, want)
		}
	}
}

// TestEmptyKeyringIsRefused: a store of before it remembered its keyring, with tracks in it, adopts no empty one unless
// it is told; and ronde doctor foresees it.
func TestEmptyKeyringIsRefused(t *testing.T) {
	p := daysAgo(t, 1)
	p.mission(30)
	execSQLite(t, p.file(), "DELETE FROM keyring")
	_, keys := configs.Split(p.config.Keys)
	check(t, os.Rename(keys, keys+"-unmounted"))
	refused := func(state string) {
		t.Helper()
		diagnose(t, idleNode(p.config.Data)...).want("keys", verdictFail, "empty keyring", "--new-keyring")
		err := newApp(p.config, newLogger(streams{err: t.Output()}, "error"), time.Now).start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "--new-keyring") || !strings.Contains(err.Error(), "--keys") {
			t.Errorf("%s: %v", state, err)
		}
	}
	refused("no keyring")
	if there, err := keyring.FolderExists(keys); there || err != nil {
		t.Errorf("a keyring was made: %v, %v", there, err)
	}
	root, err := rootSecret(p.config)
	check(t, err)
	empty, err := keyring.OpenFolder(keys, root)
	check(t, err)
	check(t, empty.Close())
	refused("an empty keyring")
	store, err := sqlite.Open(t.Context(), p.file(), nil)
	check(t, err)
	if id, err := store.KeyringID(t.Context()); id != [16]byte{} || err != nil {
		t.Errorf("it was adopted: %v, %v", id, err)
	}
	check(t, store.Close())

	check(t, os.Rename(keys, keys+"-empty"))
	check(t, os.Rename(keys+"-unmounted", keys))
	a := newApp(p.config, newLogger(streams{err: t.Output()}, "error"), time.Now)
	check(t, a.start(t.Context()))
	check(t, a.stop())

	execSQLite(t, p.file(), "DELETE FROM keyring")
	check(t, os.RemoveAll(keys))
	check(t, os.Rename(keys+"-empty", keys))
	told := newApp(p.config, newLogger(streams{err: t.Output()}, "error"), time.Now)
	told.newKeyring = true
	check(t, told.start(t.Context()))
	check(t, told.stop())
}

// TestForgottenHoldSalt (I7): the salt of a hold that the store does not know is found and destroyed.
func TestForgottenHoldSalt(t *testing.T) {
	p := daysAgo(t, 3)
	root, err := rootSecret(p.config)
	check(t, err)
	ring, err := openKeyring(t.Context(), p.config, root)
	check(t, err)
	t.Cleanup(func() { check(t, ring.Close()) })
	_, err = ring.HoldSalt(t.Context(), session.NewID(), time.Now().AddDate(0, 0, -2))
	check(t, err)
	_, err = ring.HoldSalt(t.Context(), session.NewID(), time.Now().AddDate(0, 0, 2))
	check(t, err)
	look := func() finding {
		t.Helper()
		var salts finding
		d := newDoctor(p.config, doctorCmd{Wait: time.Second})
		d.url = "" // no server is looked for
		check(t, d.examine(t.Context(), func(f finding) error {
			if f.Check == "salts" {
				salts = f
			}
			return nil
		}))
		return salts
	}
	if f := look(); f.Verdict != verdictFail || !strings.Contains(f.Found, "1 holds") {
		t.Errorf("doctor: %+v", f)
	}
	if got := p.overdue(); got["hold_salts"] != 1 || len(got) != 1 {
		t.Errorf("overdue: %v, want one salt of a hold", got)
	}
	if o := p.retention("sweep", "--json"); o.code != exitOK || !strings.Contains(o.out, `"destroyed_hold_salts": 1`) {
		t.Errorf("sweep: %+v", o)
	}
	if got, f := p.overdue(), look(); len(got) != 0 || f.Verdict != verdictOK {
		t.Errorf("after a sweep: %v, %+v", got, f)
	}
}

// TestSweepNamesWhatItKeeps (P40): a hold whose copy cannot be made keeps its track, and the sweep says which and why.
func TestSweepNamesWhatItKeeps(t *testing.T) {
	p := daysAgo(t, 3)
	m := p.mission(1)
	h, err := p.service.SetHold(t.Context(), &session.Principal{Role: session.Platform, Tenant: "acme", Subject: session.NewID()}, m.ID, "an incident", p.now.AddDate(0, 1, 0))
	check(t, err)
	_, keys := configs.Split(p.config.Keys)
	salt := filepath.Join(keys, "salts", m.ExpiresOn.String(), "acme")
	whole, err := os.ReadFile(salt)
	check(t, err)
	check(t, os.WriteFile(salt, []byte("damaged"), 0o600))
	o := p.retention("sweep")
	if o.code != exitRun || !strings.Contains(o.errors, h.ID.String()) || !strings.Contains(o.errors, "expired_track_kept") || !strings.Contains(o.errors, "is damaged") {
		t.Errorf("a sweep that could not copy: %+v", o)
	}
	if got := p.overdue(); got["positions"] != 5 || got["salts"] != 1 {
		t.Errorf("overdue: %v", got)
	}
	check(t, os.WriteFile(salt, whole, 0o600))
	if o := p.retention("sweep"); o.code != exitOK {
		t.Errorf("sweep: %+v", o)
	}
	if got := p.overdue(); len(got) != 0 {
		t.Errorf("overdue: %v", got)
	}
}

// TestDoctorNamesKeysBeyondTheirDay (P38): in the keyring, and in copies of it.
func TestDoctorNamesKeysBeyondTheirDay(t *testing.T) {
	p := daysAgo(t, 3)
	m := p.mission(1)
	kept := p.mission(60)
	_, keys := configs.Split(p.config.Keys)
	backups := t.TempDir()
	check(t, os.CopyFS(filepath.Join(backups, "monday", "keyring"), os.DirFS(keys)))
	look := func() map[string]finding {
		t.Helper()
		d := newDoctor(p.config, doctorCmd{Wait: time.Second, KeyringBackups: backups})
		found := map[string]finding{}
		d.url = "" // no server is looked for
		check(t, d.examine(t.Context(), func(f finding) error { found[f.Check] = f; return nil }))
		return found
	}
	found := look()
	for _, f := range []finding{found["salts"], found["key backups"]} {
		if f.Verdict != verdictFail || !strings.Contains(f.Found, m.ExpiresOn.String()) || strings.Contains(f.Found, kept.ExpiresOn.String()) {
			t.Errorf("%+v", f)
		}
	}
	if o := p.retention("sweep"); o.code != exitOK {
		t.Fatal(o.errors)
	}
	found = look()
	if found["salts"].Verdict != verdictOK || found["key backups"].Verdict != verdictFail || !strings.Contains(found["key backups"].Found, "monday") {
		t.Errorf("after a sweep: %+v, %+v", found["salts"], found["key backups"])
	}
	check(t, os.RemoveAll(filepath.Join(backups, "monday")))
	check(t, os.CopyFS(filepath.Join(backups, "tuesday"), os.DirFS(keys)))
	dump := filepath.Join(backups, "keys.dump")
	check(t, os.WriteFile(dump, []byte("x"), 0o600))
	if f := look()["key backups"]; f.Verdict != verdictOK {
		t.Errorf("a copy that brings nothing back: %+v", f)
	}
	week := time.Now().AddDate(0, 0, -session.KeyBackupDays).Add(-time.Minute)
	check(t, os.Chtimes(dump, week, week))
	if f := look()["key backups"]; f.Verdict != verdictFail || !strings.Contains(f.Found, dump) {
		t.Errorf("a dump of more than a week: %+v", f)
	}
}
