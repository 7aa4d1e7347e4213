package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ronde/configs"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// restorable is an installation whose store can be backed up apart from its keyring.
type restorable struct {
	config  configs.Config
	backup  func()
	restore func() // what was there at the backup; no node runs
}

// newRestorable returns one with nothing in it.
func newRestorable(t *testing.T, store string) *restorable {
	t.Helper()
	data, saved := filepath.Join(t.TempDir(), "data"), t.TempDir()
	in := &restorable{config: embedded(data)}
	if store == "sqlite" {
		// The folder of the database alone: its keyring is backed up apart.
		in.config.Keys = "file:" + filepath.Join(t.TempDir(), "keys")
		in.config.RootSecretFile = filepath.Join(t.TempDir(), "root.secret")
		in.backup = func() { check(t, os.CopyFS(filepath.Join(saved, "data"), os.DirFS(data))) }
		in.restore = func() {
			check(t, os.RemoveAll(data))
			check(t, os.CopyFS(data, os.DirFS(filepath.Join(saved, "data"))))
		}
	} else {
		server := pgtest.StartPrivate(t)
		var restored func(testing.TB) *pgtest.Server
		in.config.Store, in.config.RootSecretFile = newDatabase(t, server), filepath.Join(data, "root.secret")
		// The keys are on another server.
		in.config.Keys = pgtest.Start(t).CreateDB(t)
		check(t, keyring.Migrate(t.Context(), in.config.Keys))
		check(t, os.MkdirAll(data, 0o700))
		name := path.Base(strings.Split(in.config.Store, "?")[0])
		in.backup = func() { restored = server.Backup(t) }
		in.restore = func() { in.config.Store = restored(t).DSN(name) }
	}
	_, err := session.CreateRootSecret(in.config.RootSecretFile)
	check(t, err)
	return in
}

// start starts a node of the installation, with a key of the tenant acme that the store knows already or is given now.
func (in *restorable) start(t *testing.T, key string) *testApp {
	t.Helper()
	log := &logBuffer{}
	a := newApp(in.config, newLogger(streams{err: log}, "debug"), time.Now)
	check(t, a.start(t.Context()))
	ta := &testApp{app: a, t: t, log: log, key: key}
	if key == "" {
		ta.key = ta.newKey("acme", session.Platform)
	}
	return ta
}

// round lets badge-17 walk a short mission, and returns its id.
func (a *testApp) round() (mission string) {
	a.t.Helper()
	now := time.Now()
	mission = a.createMission(now, now.Add(time.Hour), 48.8466, 2.4167, 80, object{"min_interval_ms": 1})
	phone := a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
	phone.until("hello")
	phone.send(object{"type": "begin"})
	phone.until("state")
	at := time.Now().UnixMilli()
	for seq := range 3 {
		phone.send(object{"type": "pings", "pings": []object{{"seq": seq + 1, "timestamp": at, "latitude": 48.8466, "longitude": 2.4167}}})
		phone.until("ack")
		for last := at; at == last; at = time.Now().UnixMilli() {
		} // the next position has a slot of its own, and the end comes after the last
	}
	phone.send(object{"type": "end"})
	for code := 0; code == 0; {
		_, status := phone.next()
		code = int(status)
	}
	return mission
}

// TestRestoredBackup is P38 and P39 for erasure: a backup of the store taken before an erasure and restored after it
// shows nothing of the erased agent, not even in the first answer, and everything of the others; nor anything of a closed
// tenant.
func TestRestoredBackup(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		in := newRestorable(t, store)
		node := in.start(t, "")
		key := node.key
		mission := node.round()
		node.key = node.newKey("globex", session.Platform)
		foreign := node.round()
		node.key = node.newKey("initech", session.Platform)
		closed := node.round()
		keys := map[string]string{"acme": key, "initech": node.key}
		check(t, node.stop())
		in.backup()

		node = in.start(t, key)
		if n := len(node.track(mission)); n != 3 {
			t.Fatalf("%d positions before", n)
		}
		receipt := node.call(200, "POST", "/v1/agents/badge-17/erase", object{"reason": "asked by the agent"})
		if removed := receipt["removed"].(object); removed["positions"] != 3.0 || removed["missions"] != 1.0 {
			t.Errorf("receipt %v", receipt)
		}
		o := ronde(t, "tenant", "close", "initech", "--confirm", "initech", "--json", "--data", in.config.Data, "--store", in.config.Store, "--keys", in.config.Keys, "--root-secret-file", in.config.RootSecretFile)
		var closing receiptInfo
		if err := json.Unmarshal([]byte(o.out), &closing); err != nil || o.code != exitOK || closing.Missions != 1 || closing.Positions != 3 || closing.APIKeys != 1 {
			t.Errorf("closing a tenant: %d, %+v, %s", o.code, closing, o.errors)
		}
		check(t, node.stop())

		in.restore()
		node = in.start(t, key)
		defer func() { check(t, node.stop()) }()
		first := node.call(404, "GET", "/v1/agents/badge-17/export", nil)
		if first["code"] != "not_found" {
			t.Errorf("the first answer %v", first)
		}
		if n := len(node.track(mission)); n != 0 {
			t.Errorf("%d positions of the erased agent are back", n)
		}
		if raw, err := json.Marshal(node.call(200, "GET", "/v1/missions/"+mission, nil)); err != nil || strings.Contains(string(raw), "badge-17") || !strings.Contains(string(raw), "erased-") {
			t.Errorf("the record is %s, %v", raw, err)
		}
		if !strings.Contains(node.log.String(), `"tombstones_replayed","erasures":2`) {
			t.Errorf("the log says nothing of it: %s", node.log)
		}
		node.key = keys["initech"]
		node.call(401, "GET", "/v1/missions/"+closed, nil)
		node.key = node.newKey("globex", session.Platform)
		if n := len(node.track(foreign)); n != 3 {
			t.Errorf("%d positions of another tenant's agent of the same name, want 3", n)
		}
		exported := node.call(200, "GET", "/v1/agents/badge-17/export", nil)
		if missions := exported["missions"].([]any); len(missions) != 1 || exported["complete"] != true {
			t.Errorf("another tenant's export %v", exported)
		}
	})
}

// TestDoctorErasures: what is to be erased again is told before a node does it, and that a keyring has forgotten.
func TestDoctorErasures(t *testing.T) {
	in := newRestorable(t, "sqlite")
	args := idleNode(in.config.Data, "--keys", in.config.Keys, "--root-secret-file", in.config.RootSecretFile)
	node := in.start(t, "")
	node.round()
	check(t, node.stop())
	in.backup()
	diagnose(t, args...).want("erasures", verdictOK, "all 0")
	node = in.start(t, node.key)
	node.call(200, "POST", "/v1/agents/badge-17/erase", nil)
	check(t, node.stop())
	diagnose(t, args...).want("erasures", verdictOK, "all 1")
	_, keys := configs.Split(in.config.Keys)
	check(t, os.Rename(filepath.Join(keys, "tombstones", "00000001"), filepath.Join(keys, "saved")))
	diagnose(t, args...).want("erasures", verdictWarn, "knows of none after 0", "erase again")
	check(t, os.Rename(filepath.Join(keys, "saved"), filepath.Join(keys, "tombstones", "00000001")))
	in.restore()
	diagnose(t, args...).want("erasures", verdictWarn, "1 erasures are to be carried out again", "start a node")
	check(t, in.start(t, node.key).stop())
	diagnose(t, args...).want("erasures", verdictOK, "all 1")
}

// TestErasedSockets: while an agent is erased their socket and that of whoever watched stay or go as they must: the
// relieved agent's is closed as revoked, and no frame names or shows them again.
func TestErasedSockets(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		a := startApp(t, store)
		now := time.Now()
		mission := a.createMission(now, now.Add(time.Hour), 48.8466, 2.4167, 80, nil)
		phone := a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
		phone.until("hello")
		viewer := a.socket("/v1/live", "ronde.live.v1", a.link(mission, "exact"))
		viewer.until("snapshot")
		phone.send(object{"type": "begin"})
		phone.until("state")
		phone.send(object{"type": "pings", "pings": []object{{"seq": 1, "timestamp": time.Now().UnixMilli(), "latitude": 48.8466, "longitude": 2.4167}}})
		phone.until("ack")
		a.call(200, "PATCH", "/v1/missions/"+mission, object{"add_agents": []object{{"agent": "badge-18"}}})
		a.call(409, "POST", "/v1/agents/badge-17/erase", nil)
		a.call(200, "PATCH", "/v1/missions/"+mission, object{"relieve_agents": []string{"badge-17"}})
		a.call(200, "POST", "/v1/agents/badge-17/erase", nil)
		for {
			frame, code := phone.next()
			if code != 0 {
				if code != 4003 {
					t.Errorf("the erased agent's socket closes with %d, want 4003", code)
				}
				break
			}
			if raw, _ := json.Marshal(frame); strings.Contains(string(raw), "erased-") {
				t.Errorf("the agent is told %s", raw)
			}
		}
		a.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
		for ended := false; ; {
			frame, code := viewer.next()
			if code != 0 {
				if code != 4004 || !ended {
					t.Errorf("the viewer's socket closes with %d", code)
				}
				break
			}
			ended = ended || frame["type"] == "ended"
			if raw, _ := json.Marshal(frame); strings.Contains(string(raw), "erased-") || strings.Contains(string(raw), "badge-17") {
				t.Errorf("the viewer is told %s", raw)
			}
		}
		if n := len(a.track(mission)); n != 0 {
			t.Errorf("%d positions are left", n)
		}
	})
}

// TestErasedOnDuty: a tombstone that another node carries out, of an agent who is being located, clears them from every
// screen and closes their socket. It is what finishes an erasure that was interrupted.
func TestErasedOnDuty(t *testing.T) {
	a := startApp(t, "sqlite")
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.8466, 2.4167, 80, nil)
	phone := a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
	phone.until("hello")
	phone.send(object{"type": "begin"})
	phone.until("state")
	phone.send(object{"type": "pings", "pings": []object{{"seq": 1, "timestamp": time.Now().UnixMilli(), "latitude": 48.8466, "longitude": 2.4167}}})
	phone.until("ack")
	viewer := a.socket("/v1/live", "ronde.live.v1", a.link(mission, "exact"))
	if agents := viewer.until("snapshot")["agents"].([]any); len(agents) != 1 {
		t.Fatalf("the snapshot has %v", agents)
	}
	stone := session.Tombstone{Number: 1, At: time.Now(), Tenant: "acme", Agent: "badge-17", Pseudonym: "erased-0000"}
	for done := false; !done; {
		step, err := a.service.Store.Erase(t.Context(), stone)
		check(t, err)
		done = step.Done
	}
	viewer.until("state")
	if agents, ok := a.socket("/v1/live", "ronde.live.v1", a.link(mission, "exact")).until("snapshot")["agents"].([]any); !ok || len(agents) != 0 {
		t.Errorf("a later snapshot has %v", agents)
	}
	for code := 0; code != 4003; {
		frame, status := phone.next()
		if code = int(status); code != 0 && code != 4003 {
			t.Fatalf("the erased agent's socket closes with %d, want 4003; %v", code, frame)
		}
	}
}

func TestTenantCommands(t *testing.T) {
	in := newRestorable(t, "sqlite")
	run := func(args ...string) outcome {
		return ronde(t, append(args, "--data", in.config.Data, "--keys", in.config.Keys, "--root-secret-file", in.config.RootSecretFile)...)
	}
	if o := run("tenant", "list", "--json"); o.code != exitOK || strings.TrimSpace(o.out) != "[]" {
		t.Errorf("no tenants: %+v", o)
	}
	node := in.start(t, "")
	defer func() { check(t, node.stop()) }()
	other := node.newKey("globex", session.Platform)
	if o := run("tenant", "list"); o.code != exitOK || !strings.Contains(o.out, "acme") || !strings.Contains(o.out, "globex") || !strings.HasPrefix(o.out, "NAME") {
		t.Errorf("list: %+v", o)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"tenant", "close", "acme"}, exitUsage, "--confirm"},
		{[]string{"tenant", "close", "acme", "--confirm", "globex"}, exitUsage, "--confirm must be"},
		{[]string{"tenant", "close", "ACME", "--confirm", "ACME"}, exitUsage, "lower-case"},
		{[]string{"tenant", "close", "nobody", "--confirm", "nobody"}, exitRun, "no tenant"},
	} {
		if o := run(c.args...); o.code != c.code || !strings.Contains(o.errors, c.says) {
			t.Errorf("%v: %+v", c.args, o)
		}
	}
	now := time.Now()
	mission := node.createMission(now, now.Add(time.Hour), 48.8466, 2.4167, 80, nil)
	node.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	if o := run("tenant", "close", "acme", "--confirm", "acme"); o.code != exitRun || !strings.Contains(o.errors, mission) || !strings.Contains(o.errors, "--end") {
		t.Errorf("with a mission under way: %+v", o)
	}
	phone := node.socket("/v1/agent", "ronde.agent.v1", node.agentToken(mission))
	phone.until("hello")
	node.call(200, "POST", "/v1/missions/"+mission+"/hold", map[string]any{"reason": "an incident", "until": now.Add(24 * time.Hour)})
	if o := run("tenant", "close", "acme", "--confirm", "acme", "--end"); o.code != exitRun || !strings.Contains(o.errors, mission) || !strings.Contains(o.errors, "--holds") {
		t.Errorf("with a hold that stands: %+v", o)
	}
	node.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	check(t, withStore(t.Context(), in.config, func(store session.Store) error { // a closing that is killed at once
		_, err := store.Bar(t.Context(), session.Tombstone{Tenant: "acme"})
		return err
	}))
	if o := run("apikey", "create", "--tenant", "acme", "--role", "platform"); o.code != exitRun || o.out != "" || !strings.Contains(o.errors, "ronde tenant close acme --confirm acme") {
		t.Errorf("a key of a tenant that is being closed: %+v", o)
	}
	if o := run("tenant", "close", "acme", "--confirm", "acme", "--end", "--holds"); o.code != exitOK || !strings.Contains(o.out, "1 missions, 0 positions") {
		t.Errorf("closing: %+v", o)
	}
	for code := 0; code == 0; { // the node learns of it by itself
		_, status := phone.next()
		code = int(status)
	}
	node.call(401, "GET", "/v1/missions", nil)
	node.key = other
	node.call(200, "GET", "/v1/missions", nil)
	if o := run("apikey", "create", "--tenant", "initech", "--role", "platform"); o.code != exitOK {
		t.Errorf("a key of another tenant: %+v", o)
	}
	if o := run("tenant", "list"); strings.Contains(o.out, "acme") || !strings.Contains(o.out, "globex") {
		t.Errorf("list after closing: %+v", o)
	}
}

// TestExportReachesTheClient: over a real node the export comes whole, and is recorded.
func TestExportReachesTheClient(t *testing.T) {
	a := startApp(t, "sqlite")
	mission := a.round()
	for format, holds := range map[string]string{"json": mission, "gpx": `<trkpt lat="48.8466000"`} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", a.config.PublicURL+"/v1/agents/badge-17/export?format="+format, http.NoBody)
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+a.key)
		resp, err := http.DefaultClient.Do(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		if resp.StatusCode != 200 || !strings.Contains(string(body), holds) {
			t.Errorf("%s: %d %s", format, resp.StatusCode, body)
		}
	}
}
