package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// P37: a held mission is read as ever while it goes on. Once it is over, every
// view of where its agents were asks for a reason, and records it.
func TestHeldMission(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	mission := "/v1/missions/" + id
	w.ping(id, at(48.84, 2.41), at(48.85, 2.42))
	hold := w.call("POST", mission+"/hold", "operator", `{"reason":"an incident at the gate","until":"2027-01-31T00:00:00Z"}`).want(200, "").json()
	wantKeys(t, "hold", hold, "by copied_at id mission reason released_at set_at until")
	if hold["by"] != "operator" || hold["mission"] != id || hold["until"] != "2027-01-31T00:00:00Z" || hold["copied_at"] != nil {
		t.Errorf("hold %v", hold)
	}
	views := map[string]string{"/track": "platform", "/report": "operator", "/progress": "operator"}
	for view, key := range views {
		w.call("GET", mission+view, key, "").want(200, "")
	}
	w.call("POST", mission+"/end", "operator", "").want(200, "")
	for _, m := range []any{
		w.call("GET", mission, "operator", "").want(200, "").json(),
		first(t, w.call("GET", "/v1/missions", "operator", "").want(200, "").json()["items"]),
	} {
		if until := m.(map[string]any)["held_until"]; until != "2027-01-31T00:00:00Z" {
			t.Errorf("the mission says held_until %v", until)
		}
	}
	why := "réclamation n° 7, " + strings.Repeat("é", 282) // as long as a reason may be
	reason := url.PathEscape(why)
	read := func(when string) {
		t.Helper()
		for view, key := range views {
			w.call("GET", mission+view, key, "").want(403, "reason_required:Access-Reason")
			for _, bad := range []string{"ab", "%zz", "a%0Ab", strings.Repeat("a", 301), "..."} {
				w.call("GET", mission+view, key, "", "Access-Reason", bad).want(422, "invalid:Access-Reason")
			}
		}
		track := w.call("GET", mission+"/track?limit=1", "platform", "", "Access-Reason", reason).want(200, "").json()
		if track["next_cursor"] == nil || first(t, track["items"])["latitude"] != 48.84 {
			t.Errorf("%s: track %v", when, track)
		}
		report := w.call("GET", mission+"/report", "operator", "", "Access-Reason", reason).want(200, "").json()
		if report["track"] != "kept" || first(t, report["agents"])["positions"].(map[string]any)["stored"] != 2.0 {
			t.Errorf("%s: report %v", when, report)
		}
		w.call("GET", mission+"/progress", "operator", "", "Access-Reason", reason)
	}
	sweep := func() {
		t.Helper()
		if _, err := w.service.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read("before it is copied")
	sweep()
	read("copied")
	w.clock.Advance(31 * 24 * time.Hour)
	sweep()
	read("after the originals went")
	log, err := w.store.AccessLog(t.Context(), "acme", session.AccessFilter{Mission: uuid.MustParse(id), Actions: []session.AccessAction{session.AccessArchiveRead}}, uuid.Nil, 100)
	if err != nil || len(log) != 9 {
		t.Errorf("%d readings recorded, %v; want 9", len(log), err)
	}
	for _, a := range log {
		if a.Why != why || a.Object.String() != hold["id"] {
			t.Errorf("recorded %+v", a)
		}
	}
	w.call("DELETE", mission+"/hold", "operator", "").want(200, "")
	w.call("GET", mission+"/track", "platform", "", "Access-Reason", reason).want(410, "gone")
	if r := w.call("GET", mission+"/report", "operator", "").want(200, "").json(); r["track"] != "gone" {
		t.Errorf("once released, the report says %v", r["track"])
	}
	if m := w.call("GET", mission, "operator", "").want(200, "").json(); m["held_until"] != nil {
		t.Errorf("once released, held_until is %v", m["held_until"])
	}
	w.call("POST", mission+"/hold", "operator", `{"reason":"too late for that","until":"2027-01-31T00:00:00Z"}`).want(410, "gone")
}

// P39: an agent has their own part of a mission kept, by a token that
// opens nobody else's; nobody needs a reason to read the mission for that, and nobody else ends it.
func TestHoldOfAgent(t *testing.T) {
	w := newWorld(t)
	id, other := w.mission("begin"), w.mission("begin")
	agent, token := w.agentOf(id), w.agentToken(id)
	hold := func(id string) string { return "/v1/missions/" + id + "/hold" }
	w.ping(id, at(48.84, 2.41), at(48.85, 2.42))
	w.call("POST", "/v1/missions/"+id+"/end", "operator", "").want(200, "")
	w.call("POST", hold(id), token, `{"reason":"my hours of that night","until":"2027-02-20T00:00:00Z"}`).want(422, "invalid:until") // more than 90 days
	asked := w.call("POST", hold(id), token, `{"reason":"my hours of that night","until":"2027-01-31T00:00:00Z"}`).want(200, "").json()
	if asked["by"] != "agent" || asked["mission"] != id {
		t.Errorf("hold %v", asked)
	}
	w.call("POST", hold(other), token, `{"reason":"somebody else's","until":"2027-01-31T00:00:00Z"}`).want(404, "not_found")
	w.call("DELETE", hold(id), "platform", "").want(404, "not_found")
	if m := w.call("GET", "/v1/missions/"+id, "operator", "").want(200, "").json(); m["held_until"] != nil {
		t.Errorf("the mission says held_until %v", m["held_until"])
	}
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "")
	items, _ := w.ledger(agent, token, "")
	wantMembers(t, "hold", first(t, items[0].(map[string]any)["holds"]), map[string]any{"by": "agent", "reason": "my hours of that night"})

	w.clock.Advance(40 * 24 * time.Hour)
	if _, err := w.service.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(410, "gone")
	part := first(t, w.call("GET", "/v1/agents/"+agent+"/export", "platform", "", "Access-Reason", "the%20agent%20asks").want(200, "").json()["missions"])
	wantMembers(t, "hold", first(t, part["mission"].(map[string]any)["holds"]), map[string]any{"by": "agent", "until": "2027-01-31T00:00:00Z"})
	if n := len(part["positions"].([]any)); n != 2 {
		t.Errorf("%d positions are exported, want the 2 that the agent had kept", n)
	}
	w.call("POST", "/v1/agents/"+agent+"/erase", "platform", "").want(409, "held")
	log, err := w.store.AccessLog(t.Context(), "acme", session.AccessFilter{Actions: []session.AccessAction{session.AccessHoldSet}}, uuid.Nil, 10)
	if err != nil || len(log) != 1 || log[0].Role != session.AgentRole || log[0].Agent != w.service.Pseudonym("acme", agent) {
		t.Errorf("recorded %+v, %v", log, err)
	}
}

// Of a held mission that has no position, the track is empty and not gone: as it
// was before it was copied, and beyond the day on which it would have expired.
func TestHeldMissionWithoutPositions(t *testing.T) {
	w := newWorld(t)
	mission := "/v1/missions/" + w.mission("begin")
	w.call("POST", mission+"/hold", "operator", `{"reason":"an incident","until":"2027-01-31T00:00:00Z"}`).want(200, "")
	w.call("POST", mission+"/end", "operator", "").want(200, "")
	for range 2 {
		if _, err := w.service.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if items := w.call("GET", mission+"/track", "platform", "", "Access-Reason", "a claim").want(200, "").json()["items"].([]any); len(items) != 0 {
			t.Errorf("the track has %v", items)
		}
		if r := w.call("GET", mission+"/report", "operator", "", "Access-Reason", "a claim").want(200, "").json(); r["track"] != "kept" {
			t.Errorf("the report says that the track is %v", r["track"])
		}
		w.clock.Advance(31 * 24 * time.Hour)
	}
}

// P37: what is held is read with a reason in an agent's export too, whole or
// after the originals went, and leaves a row for each mission; without one, not a
// byte is given. The agent's own export needs none.
func TestHeldExport(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	mission, agent, token := "/v1/missions/"+id, w.agentOf(id), w.agentToken(id)
	path := "/v1/agents/" + agent + "/export"
	w.ping(id, at(48.84, 2.41), at(48.85, 2.42))
	hold := w.call("POST", mission+"/hold", "operator", `{"reason":"an incident at the gate","until":"2027-01-31T00:00:00Z"}`).want(200, "").json()
	w.call("GET", path, "platform", "").want(200, "") // as ever while the mission goes on
	w.call("POST", mission+"/end", "operator", "").want(200, "")
	recorded := func(action session.AccessAction) []session.LoggedAccess {
		t.Helper()
		log, err := w.store.AccessLog(t.Context(), "acme", session.AccessFilter{Actions: []session.AccessAction{action}}, uuid.Nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	archived := func() []session.LoggedAccess { t.Helper(); return recorded(session.AccessArchiveRead) }
	sweep := func() {
		t.Helper()
		if _, err := w.service.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, when := range []func(){func() {}, sweep, func() { w.clock.Advance(31 * 24 * time.Hour); sweep() }} {
		when()
		exports := len(recorded(session.AccessAgentExport))
		for _, format := range []string{"json", "gpx"} {
			a := w.call("GET", path+"?format="+format, "platform", "").want(403, "reason_required:Access-Reason")
			if a.header.Get("Content-Disposition") != "" {
				t.Errorf("refused as a document: %v", a.header)
			}
			w.call("GET", path+"?format="+format, "platform", "", "Access-Reason", "...").want(422, "invalid:Access-Reason")
		}
		if n := len(archived()); n != 2*i || len(recorded(session.AccessAgentExport)) != exports {
			t.Fatalf("%d readings of the archive recorded, want %d; or an export that was refused", n, 2*i)
		}
		if i < 2 { // the token does not live as long as the hold
			if own := exportOf(t, w.call("GET", path, token, "")); len(own.Missions[0].Positions) != 2 || len(archived()) != 2*i {
				t.Errorf("their own export: %+v; %d readings recorded", own, len(archived()))
			}
		}
		e := exportOf(t, w.call("GET", path, "platform", "", "Access-Reason", "claim%207"))
		rows := e.Missions[0].Access
		if last := rows[len(rows)-1]; len(e.Missions[0].Positions) != 2 || last["action"] != "archive.read" || last["reason"] != "claim 7" {
			t.Errorf("exported %d positions, and %v", len(e.Missions[0].Positions), last)
		}
		gpx := checkGPX(t, string(w.call("GET", path+"?format=gpx", "platform", "", "Access-Reason", "claim%207").want(200, "").body))
		if len(gpx.Tracks) != 1 || len(gpx.Tracks[0].Segments) != 1 || len(gpx.Tracks[0].Segments[0].Points) != 2 {
			t.Errorf("GPX %+v", gpx)
		}
	}
	for _, row := range archived() {
		if row.Why != "claim 7" || row.Role != session.Platform || row.Mission.String() != id || row.Object.String() != hold["id"] || row.Agent != w.service.Pseudonym("acme", agent) {
			t.Errorf("recorded %+v", row)
		}
	}
	w.call("DELETE", mission+"/hold", "operator", "").want(200, "")
	w.call("GET", path, "platform", "").want(200, "")
}

// What a hold must say.
func TestHoldRequest(t *testing.T) {
	w := newWorld(t)
	path := "/v1/missions/" + w.mission("begin") + "/hold"
	for body, code := range map[string]string{
		`{}`:                                  "invalid:until",
		`{"reason":"a dispute"}`:              "invalid:until",
		`{"until":"2026-12-01T00:00:00Z"}`:    "invalid:reason",
		`{"reason":"a dispute","until":null}`: "invalid:until",
		`{"reason":"x","until":"2026-12-01T00:00:00Z"}`:             "invalid:reason",
		`{"reason":"a dispute","until":"2026-11-21T18:30:00Z"}`:     "invalid:until", // now
		`{"reason":"a dispute","until":"2027-11-22T18:30:00.001Z"}`: "invalid:until", // 366 days and a moment
		`{"reason":"a dispute","until":"tomorrow"}`:                 "invalid:until",
	} {
		w.call("POST", path, "operator", body).want(422, code)
	}
	w.call("POST", path, "operator", `{"reason":"a dispute","until":"2026-12-24T00:00:00+01:00"}`).want(200, "")
	longer := w.call("POST", path, "platform", `{"reason":"the same dispute","until":"2027-11-22T18:30:00Z"}`).want(200, "").json()
	if longer["reason"] != "the same dispute" || longer["by"] != "platform" || longer["until"] != "2027-11-22T18:30:00Z" {
		t.Errorf("extended to %v", longer)
	}
	w.call("POST", path, "platform", `{"reason":"a shorter dispute","until":"2026-12-24T00:00:00Z"}`).want(422, "invalid:until")
	w.call("DELETE", "/v1/missions/"+w.mission("begin")+"/hold", "operator", "").want(404, "not_found")
}
