package web_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// wantKeys compares an object's keys with a golden list (P28).
func wantKeys(t *testing.T, what string, object any, golden string) {
	t.Helper()
	m, ok := object.(map[string]any)
	if !ok {
		t.Fatalf("%s is no object: %v", what, object)
	}
	if got := strings.Join(slices.Sorted(maps.Keys(m)), " "); got != golden {
		t.Errorf("%s has the keys\n%s\nwant\n%s", what, got, golden)
	}
}

const missionKeys = "agents began_at checkpoints created_at deadline early_minutes end_reason ended_at ends_at expires_on held_until id overrun_minutes policy reference revision site starts_at state"

func first(t *testing.T, v any) map[string]any {
	t.Helper()
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		t.Fatalf("no list with anything in it: %v", v)
	}
	return list[0].(map[string]any)
}

func TestMissionIsWhatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	a := w.call("POST", "/v1/missions", "platform", aMission).want(201, "")
	m := a.json()
	wantKeys(t, "mission", m, missionKeys)
	wantKeys(t, "site", m["site"], "name point radius_m")
	wantKeys(t, "point", m["site"].(map[string]any)["point"], "latitude longitude")
	wantKeys(t, "checkpoint", first(t, m["checkpoints"]), "latitude longitude name radius_m")
	wantKeys(t, "agent", first(t, m["agents"]), "agent alias paused relieved windows")
	wantKeys(t, "policy", m["policy"], "agent_controls max_points min_interval_ms purpose retention_days speed track")
	if id, err := uuid.Parse(m["id"].(string)); err != nil || id.Version() != 7 {
		t.Errorf("id %v is no UUIDv7", m["id"])
	}
	for member, want := range map[string]any{
		"reference": "M-1", "state": "scheduled", "starts_at": "2026-11-21T19:00:00Z", "ends_at": "2026-11-22T01:00:00Z",
		"overrun_minutes": 120.0, "early_minutes": 60.0, "deadline": "2026-11-22T03:00:00Z",
		"began_at": nil, "ended_at": nil, "end_reason": nil, "expires_on": nil,
	} {
		if m[member] != want {
			t.Errorf("%s is %v, want %v", member, m[member], want)
		}
	}
	if got := m["agents"].([]any)[1].(map[string]any)["alias"]; got != "A2" {
		t.Errorf("the agent without an alias is %v", got)
	}
	again := w.call("GET", "/v1/missions/"+m["id"].(string), "operator", "").want(200, "")
	if string(again.body) != string(a.body) {
		t.Errorf("reads back as\n%s\nwas made as\n%s", again.body, a.body)
	}
	list := w.call("GET", "/v1/missions", "operator", "").want(200, "").json()
	wantKeys(t, "list", list, "items next_cursor")
	wantKeys(t, "listed mission", first(t, list["items"]), missionKeys)
}

// anArea is a building of two parts, one of them with a courtyard, wound the way
// in which it is answered.
const anArea = `{"type":"MultiPolygon","coordinates":[[[[2.4095,48.8395],[2.411,48.8395],[2.411,48.8405],[2.4095,48.8405],[2.4095,48.8395]],[[2.41,48.8398],[2.41,48.8402],[2.4105,48.8402],[2.4105,48.8398],[2.41,48.8398]]],[[[2.4112,48.8395],[2.4115,48.8395],[2.4115,48.8405],[2.4112,48.8395]]]]}`

// A mission about an area answers with it, wherever it answers with its site, in
// a form that can be sent again.
func TestMissionAboutAnArea(t *testing.T) {
	w := newWorld(t)
	site := `{"name":"Entrepôt","area":` + anArea + `}`
	body := strings.Replace(aMission, `{"name":"Entrepôt","point":{"latitude":48.84,"longitude":2.41},"radius_m":80}`, site, 1)
	made := w.call("POST", "/v1/missions", "platform", body).want(201, "")
	path := "/v1/missions/" + made.text("id")
	for _, answer := range [][]byte{
		made.body, w.call("GET", path, "operator", "").want(200, "").body, w.call("GET", path+"/progress", "operator", "").want(200, "").body,
	} {
		if !strings.Contains(string(answer), `"site":`+site) {
			t.Errorf("the answer lacks the site %s:\n%s", site, answer)
		}
	}
	for _, c := range []struct {
		p    geo.Position
		want float64
	}{
		{at(48.84, 2.4097), 0},
		{at(48.84, 2.41025), 18}, // in the middle of the yard
		{at(48.84, 2.4111), 7},   // between the parts
	} {
		// A mission each: who is thrown from one place to the next is not believed.
		made := w.call("POST", "/v1/missions", "platform", body).want(201, "")
		path := "/v1/missions/" + made.text("id")
		w.call("POST", path+"/begin", "platform", "").want(200, "")
		w.ping(made.text("id"), c.p)
		agent := first(t, w.call("GET", path+"/progress", "operator", "").want(200, "").json()["agents"])
		if agent["distance_m"] != c.want {
			t.Errorf("%v is %v m from the site, want %v", c.p.Point, agent["distance_m"], c.want)
		}
		w.call("POST", path+"/end", "platform", "").want(200, "")
		w.clock.Advance(time.Minute)
	}
}

func TestPolicyIsWhatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"overrun_minutes":0,"early_minutes":10,"policy":{"track":"none","purpose":"proof","retention_days":365,"min_interval_ms":5000,"max_points":50,"speed":true,"agent_controls":false},"agents"`, 1)
	m := w.call("POST", "/v1/missions", "platform", body).want(201, "").json()
	want := map[string]any{"track": "none", "purpose": "proof", "retention_days": 365.0, "min_interval_ms": 5000.0, "max_points": 50.0, "speed": true, "agent_controls": false}
	if got := m["policy"].(map[string]any); !maps.Equal(got, want) {
		t.Errorf("policy %v, want %v", got, want)
	}
	if m["deadline"] != m["ends_at"] || m["early_minutes"] != 10.0 {
		t.Errorf("deadline %v, early %v", m["deadline"], m["early_minutes"])
	}
	body = strings.Replace(aMission, `"agents"`, `"policy":{"max_points":null},"agents"`, 1)
	m = w.call("POST", "/v1/missions", "platform", body).want(201, "").json()
	if got := m["policy"].(map[string]any)["max_points"]; got != nil {
		t.Errorf("null max_points is %v", got)
	}
}

// Every transition, from every state: what it leads to, that repeating it is
// 200, and what is refused.
func TestTransitions(t *testing.T) {
	w := newWorld(t)
	states := map[string][]string{
		"scheduled": nil, "active": {"begin"}, "paused": {"begin", "pause"}, "ended": {"begin", "end"}, "cancelled": {"cancel"},
	}
	leads := map[string]map[string]string{ // action → state before → state after
		"begin":  {"scheduled": "active", "active": "active"},
		"pause":  {"active": "paused", "paused": "paused"},
		"resume": {"paused": "active", "active": "active"},
		"end":    {"active": "ended", "paused": "ended", "ended": "ended"},
		"cancel": {"scheduled": "cancelled", "cancelled": "cancelled"},
	}
	for action, results := range leads {
		for state, path := range states {
			for _, body := range []string{"", "{}"} {
				at := "/v1/missions/" + w.mission(path...) + "/" + action
				after, allowed := results[state]
				if !allowed {
					w.call("POST", at, "operator", body).want(409, "mission_state")
					continue
				}
				once := w.call("POST", at, "operator", body).want(200, "")
				wantKeys(t, action, once.json(), missionKeys)
				if got := once.text("state"); got != after {
					t.Errorf("%s of a mission that is %s: %s, want %s", action, state, got, after)
				}
				if twice := w.call("POST", at, "operator", body).want(200, ""); string(twice.body) != string(once.body) {
					t.Errorf("%s twice:\n%s\n%s", action, once.body, twice.body)
				}
			}
		}
	}
	ended := w.call("GET", "/v1/missions/"+w.mission("begin", "end"), "platform", "").json()
	if ended["end_reason"] != "platform" || ended["began_at"] == nil || ended["ended_at"] == nil || ended["expires_on"] != "2026-12-21" {
		t.Errorf("ended mission: %v", ended)
	}
}

func TestTransitionBodies(t *testing.T) {
	w := newWorld(t)
	at := "/v1/missions/" + w.mission() + "/begin"
	for _, body := range []string{`{"x":1}`, `[]`, `null`, `""`, `0`, ` `, `{}{}`, `{} x`, "\ufeff{}"} {
		w.call("POST", at, "platform", body).want(422, "invalid")
	}
	w.call("POST", at, "platform", `{}`, "Content-Type", "", "Content-Type", "text/plain").want(415, "media_type")
	if got := w.call("GET", strings.TrimSuffix(at, "/begin"), "platform", "").text("state"); got != "scheduled" {
		t.Errorf("a refused body led to %s", got)
	}
}

func TestTooEarly(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"early_minutes":10,"agents"`, 1)
	id := w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(409, "too_early")
	w.clock.Advance(20 * time.Minute)
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
}

func TestOneMissionAtATime(t *testing.T) {
	w := newWorld(t)
	a := w.call("POST", "/v1/missions", "platform", aMission).want(201, "").text("id")
	b := w.call("POST", "/v1/missions", "platform", aMission).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+a+"/begin", "platform", "").want(200, "")
	w.call("POST", "/v1/missions/"+b+"/begin", "platform", "").want(409, "agent_located")
	w.call("POST", "/v1/missions/"+a+"/end", "platform", "").want(200, "")
	w.clock.Advance(time.Second)
	w.call("POST", "/v1/missions/"+b+"/begin", "platform", "").want(200, "")
}

// P6: nobody but the agent ends the agent's own pause.
func TestAgentsOwnPause(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	w.asAgent(id, session.PauseAgent)
	for _, key := range []string{"platform", "operator"} {
		w.call("POST", "/v1/missions/"+id+"/resume", key, "").want(403, "agent_pause")
	}
	w.call("POST", "/v1/missions/"+id+"/pause", "platform", "").want(200, "")
	w.clock.Advance(time.Second)
	m := w.call("POST", "/v1/missions/"+id+"/resume", "platform", "").want(200, "").json()
	agents := m["agents"].([]any)
	if a := agents[0].(map[string]any); a["paused"] != true {
		t.Errorf("resuming the mission ended the agent's own pause: %v", a)
	}
	p := w.call("GET", "/v1/missions/"+id+"/progress", "platform", "").want(200, "").json()
	if a := first(t, p["agents"]); a["duty"] != "paused" || a["signal"] != "paused" || a["position"] != nil {
		t.Errorf("progress of an agent on a break: %v", a)
	}
	w.asAgent(id, session.ResumeAgent)
	w.call("POST", "/v1/missions/"+id+"/resume", "platform", "").want(200, "")
}

func TestDeadlineIsSeenWithoutAnyProcess(t *testing.T) {
	w := newWorld(t)
	missed, active := w.mission(), w.mission("begin")
	w.clock.Advance(9 * time.Hour)
	for id, reason := range map[string]string{missed: "missed", active: "deadline"} {
		m := w.call("GET", "/v1/missions/"+id, "platform", "").want(200, "").json()
		if m["state"] != "ended" || m["end_reason"] != reason || m["ended_at"] != "2026-11-22T03:00:00Z" {
			t.Errorf("past its deadline: %v %v %v", m["state"], m["end_reason"], m["ended_at"])
		}
		w.call("POST", "/v1/missions/"+id+"/pause", "platform", "").want(409, "mission_state")
	}
	for _, m := range w.call("GET", "/v1/missions", "platform", "").want(200, "").json()["items"].([]any) {
		if m.(map[string]any)["state"] != "ended" {
			t.Errorf("listed as %v", m.(map[string]any)["state"])
		}
	}
}

func TestChangeMission(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	at, agent := "/v1/missions/"+id, w.agentOf(id)
	m := w.call("PATCH", at, "operator", `{"ends_at":"2026-11-22T04:00:00+01:00"}`).want(200, "").json()
	if m["ends_at"] != "2026-11-22T03:00:00Z" || m["deadline"] != "2026-11-22T05:00:00Z" {
		t.Errorf("extended to %v, deadline %v", m["ends_at"], m["deadline"])
	}
	w.clock.Advance(time.Second)
	m = w.call("PATCH", at, "platform", `{"relieve_agents":["`+agent+`"],"add_agents":[{"agent":"badge-90","alias":"Zoé"},{"agent":"badge-91"}]}`).want(200, "").json()
	agents := m["agents"].([]any)
	if len(agents) != 4 || agents[0].(map[string]any)["relieved"] != true || agents[2].(map[string]any)["alias"] != "Zoé" || agents[3].(map[string]any)["windows"] != 1.0 {
		t.Errorf("agents after the change: %v", agents)
	}
	before := w.call("GET", at, "platform", "").body
	for body, code := range map[string]string{
		`{}`:                   "invalid",
		`{"add_agents":[]}`:    "invalid",
		`{"ends_at":null}`:     "invalid:ends_at",
		`{"state":"ended"}`:    "invalid:state",
		`{"add_agents":null}`:  "invalid:add_agents",
		`{"add_agents":[{}]}`:  "invalid:add_agents[0].agent",
		`{"add_agents":["x"]}`: "invalid:add_agents[0]",
		`{"add_agents":[{"agent":"badge-92"},{"agent":"b b"}]}`:                          "invalid:add_agents[1].agent",
		`{"add_agents":[{"agent":"badge-92","alias":"Zoé"}]}`:                            "invalid:add_agents[0].alias",
		`{"add_agents":[{"agent":"badge-90","alias":"Léa"}]}`:                            "invalid:add_agents[0].alias",
		`{"add_agents":[{"agent":"badge-90","alias":"!"}]}`:                              "invalid:add_agents[0].alias",
		`{"add_agents":[{"agent":"b-93","alias":"X"},{"agent":"b-93","alias":"Y"}]}`:     "invalid:add_agents[1].alias",
		`{"add_agents":[{"agent":"badge-90"}],"relieve_agents":["badge-90"]}`:            "invalid:add_agents[0]",
		`{"relieve_agents":["badge-90","nobody"]}`:                                       "invalid:relieve_agents[1]",
		`{"relieve_agents":[17]}`:                                                        "invalid:relieve_agents[0]",
		`{"ends_at":"2026-11-21T10:00:00Z"}`:                                             "invalid:ends_at",
		`{"ends_at":"2026-11-29T10:00:00Z"}`:                                             "invalid:ends_at",
		`{"ends_at":"2026-11-22T04:00:00"}`:                                              "invalid:ends_at",
		`{"ends_at":"2026-11-22T04:00:00,5Z"}`:                                           "invalid:ends_at",
		`{"ends_at":"2026-11-22t04:00:00z"}`:                                             "invalid:ends_at",
		`{"ends_at":"2026-11-22T05:00:00+01:00","relieve_agents":["badge-90","nobody"]}`: "invalid:relieve_agents[1]",
	} {
		w.call("PATCH", at, "platform", body).want(422, code)
	}
	w.call("PATCH", at, "platform", `{"add_agents":[{"agent":"badge-90","alias":"Zoé"},{"agent":"badge-90"}]}`).want(200, "") // as it is
	if after := w.call("GET", at, "platform", "").body; string(after) != string(before) {
		t.Errorf("refused changes changed something:\n%s\n%s", before, after)
	}
	w.call("POST", at+"/end", "platform", "").want(200, "")
	w.call("PATCH", at, "platform", `{"ends_at":"2026-11-22T05:00:00+01:00"}`).want(409, "mission_state")
}

// An extension names the member that the request has, whatever rule stops it.
func TestExtensionBeyondTheTrack(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"policy":{"retention_days":2},"agents"`, 1)
	at := "/v1/missions/" + w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
	w.call("PATCH", at, "platform", `{"ends_at":"2026-11-22T22:30:00Z"}`).want(422, "invalid:ends_at")
	w.call("PATCH", at, "platform", `{"ends_at":"2026-11-22T21:30:00Z"}`).want(200, "")
}

func TestNotice(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/v1/notice", "platform", "").want(404, "not_found")
	w.call("POST", "/v1/agents/badge-17/notice", "platform", `{"version":1}`).want(422, "invalid:version")
	text := "Acme locates you during missions.\n\tYour rights: …"
	quoted, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	one := w.call("PUT", "/v1/notice", "platform", string(quoted)).want(200, "").json()
	wantKeys(t, "notice", one, "controller legal_basis published_at purpose recipients retention rights text version")
	if one["version"] != 1.0 || one["text"] != text {
		t.Errorf("published %v", one)
	}
	if got := w.call("GET", "/v1/notice", "auditor", "").want(200, "").json(); !maps.Equal(got, one) {
		t.Errorf("reads back as %v", got)
	}
	w.call("PUT", "/v1/notice", "operator", string(quoted)).want(403, "forbidden")
	w.call("GET", "/v1/notice", "foreign", "").want(404, "not_found")
	for range 2 {
		a := w.call("POST", "/v1/agents/badge-17/notice", "operator", `{"version":1}`).want(200, "").json()
		wantKeys(t, "acknowledgement", a, "agent version")
	}
	for body, code := range map[string]string{
		`{"version":2}`: "invalid:version", `{"version":0}`: "invalid:version", `{"version":-1}`: "invalid:version",
		`{"version":1e18}`: "invalid:version", `{"version":9223372036854775807}`: "invalid:version", `{"version":4294967297}`: "invalid:version",
		`{"version":1.0}`: "invalid:version", `{"version":"1"}`: "invalid:version", `{}`: "invalid:version",
	} {
		w.call("POST", "/v1/agents/badge-17/notice", "platform", body).want(422, code)
	}
	w.call("POST", "/v1/agents/no%20such%0Aname/notice", "platform", `{"version":1}`).want(404, "not_found")
	for _, text := range []string{"", " \n", "a\u202eb", "a\u0000b", "a\u001b[31mb", strings.Repeat("x", 20_001)} {
		body, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		w.call("PUT", "/v1/notice", "platform", string(body)).want(422, "invalid:text")
	}
}

// TestPlanTooFarAhead: no mission is planned for a year that no reply could name.
func TestPlanTooFarAhead(t *testing.T) {
	w := newWorld(t)
	far := strings.NewReplacer("2026-11-21T", "9999-12-30T", "2026-11-22T", "9999-12-31T").Replace(aMission)
	if a := w.call("POST", "/v1/missions", "platform", far).want(422, "invalid"); a.json()["field"] != "starts_at" {
		t.Errorf("%s", a.body)
	}
	w.call("GET", "/v1/missions", "platform", "").want(200, "")
}
