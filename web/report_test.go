package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// report reads a mission's report and checks its keys.
func (w *world) report(id string) map[string]any {
	w.t.Helper()
	r := w.call("GET", "/v1/missions/"+id+"/report", "operator", "").want(200, "").json()
	wantKeys(w.t, "report", r, "agents mission track")
	wantKeys(w.t, "mission", r["mission"], "began_at deadline end_reason ended_at ends_at id reference starts_at state")
	for _, a := range r["agents"].([]any) {
		a := a.(map[string]any)
		wantKeys(w.t, "agent", a, "agent alias arrived_at left_at longest_gap on_site_seconds pauses positions refused relieved windows")
		wantKeys(w.t, "positions", a["positions"], "removed stored")
		wantKeys(w.t, "refused", a["refused"], "future not_active notice_missing outside_window too_frequent")
		for _, window := range a["windows"].([]any) {
			wantKeys(w.t, "window", window, "closed_at opened_at")
		}
		for _, pause := range a["pauses"].([]any) {
			wantKeys(w.t, "pause", pause, "from to")
		}
		if a["longest_gap"] != nil {
			wantKeys(w.t, "gap", a["longest_gap"], "from seconds to")
		}
	}
	return r
}

func wantMembers(t *testing.T, what string, object any, want map[string]any) {
	t.Helper()
	for member, value := range want {
		if got := object.(map[string]any)[member]; got != value {
			t.Errorf("%s: %s is %v, want %v", what, member, got, value)
		}
	}
}

func after(d time.Duration) string { return theTime.Add(d).Format(time.RFC3339) }

// A mission from before its begin to the day on which its track is gone.
func TestReport(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	before := w.report(id)
	wantMembers(t, "before its begin", before["mission"], map[string]any{"state": "scheduled", "began_at": nil, "ended_at": nil, "end_reason": nil})
	wantMembers(t, "before its begin", first(t, before["agents"]), map[string]any{"arrived_at": nil, "left_at": nil, "longest_gap": nil, "on_site_seconds": 0.0, "relieved": false})
	wantMembers(t, "before its begin", first(t, before["agents"])["positions"], map[string]any{"stored": 0.0, "removed": 0.0})

	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	w.clock.Advance(10 * time.Second)
	w.ping(id, at(48.84, 2.41), at(48.84, 2.41)) // at 10 and 11 s
	w.refused(id, session.OutsideWindow, theTime.Add(-time.Hour))
	w.clock.Advance(48 * time.Second)
	w.ping(id, at(48.84, 2.41))      // 60 s
	w.clock.Advance(9 * time.Second) // 70 s
	w.asAgent(id, session.PauseAgent)
	w.clock.Advance(10 * time.Second)
	w.call("POST", "/v1/missions/"+id+"/pause", "platform", "").want(200, "")
	w.clock.Advance(20 * time.Second)
	during := w.report(id)
	a := first(t, during["agents"])
	wantMembers(t, "on a break", a["pauses"].([]any)[0], map[string]any{"from": after(70 * time.Second), "to": nil})

	w.call("POST", "/v1/missions/"+id+"/end", "platform", "").want(200, "")
	r := w.report(id)
	wantMembers(t, "mission", r["mission"], map[string]any{
		"state": "ended", "began_at": after(0), "ended_at": after(100 * time.Second), "end_reason": "platform", "reference": "M-1",
		"starts_at": "2026-11-21T19:00:00Z", "ends_at": "2026-11-22T01:00:00Z", "deadline": "2026-11-22T03:00:00Z",
	})
	agents := r["agents"].([]any)
	a = agents[0].(map[string]any)
	wantMembers(t, "agent", a, map[string]any{"alias": "A1", "arrived_at": after(10 * time.Second), "left_at": nil, "on_site_seconds": 50.0})
	wantMembers(t, "gap", a["longest_gap"], map[string]any{"from": after(11 * time.Second), "to": after(60 * time.Second), "seconds": 49.0})
	wantMembers(t, "positions", a["positions"], map[string]any{"stored": 3.0, "removed": 0.0})
	wantMembers(t, "refused", a["refused"], map[string]any{"outside_window": 1.0, "future": 0.0})
	wantMembers(t, "window", first(t, a["windows"]), map[string]any{"opened_at": after(0), "closed_at": after(70 * time.Second)})
	wantMembers(t, "pause", first(t, a["pauses"]), map[string]any{"from": after(70 * time.Second), "to": after(100 * time.Second)})
	other := agents[1].(map[string]any)
	wantMembers(t, "the other agent", other["positions"], map[string]any{"stored": 0.0})
	wantMembers(t, "the other agent's gap", other["longest_gap"], map[string]any{"seconds": 80.0})
	if body := string(w.call("GET", "/v1/missions/"+id+"/report", "platform", "").body); strings.Contains(body, "48.8") || strings.Contains(body, "latitude") {
		t.Errorf("a coordinate is in the report: %s", body)
	}

	w.destroySalts()
	gone := w.report(id)
	if gone["track"] != "gone" || r["track"] != "kept" {
		t.Errorf("track %v, then %v", r["track"], gone["track"])
	}
	g := first(t, gone["agents"])
	wantMembers(t, "gone", g, map[string]any{"arrived_at": nil, "left_at": nil, "on_site_seconds": nil, "longest_gap": nil})
	wantMembers(t, "gone", g["positions"], map[string]any{"stored": nil, "removed": 0.0})
	wantMembers(t, "gone", g["refused"], map[string]any{"outside_window": 1.0})
	wantMembers(t, "gone", first(t, g["windows"]), map[string]any{"closed_at": after(70 * time.Second)})
	wantMembers(t, "gone", gone["mission"], map[string]any{"end_reason": "platform"})
}

// What a pause that is dated back removed is counted.
func TestReportCountsWhatWasRemoved(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	w.ping(id, at(48.84, 2.41), at(48.84, 2.41), at(48.84, 2.41))
	mission := uuid.MustParse(id)
	p := &session.Principal{Role: session.AgentRole, Tenant: "acme", Mission: mission, Agent: w.agentOf(id)}
	if _, err := w.service.Do(t.Context(), p, mission, session.Command{Action: session.PauseAgent, At: theTime.Add(time.Second)}); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "positions", first(t, w.report(id)["agents"])["positions"], map[string]any{"stored": 1.0, "removed": 2.0})
}

// refused sends a position of a mission's first agent that is to be refused.
func (w *world) refused(id string, want session.Verdict, taken time.Time) {
	w.t.Helper()
	sub := w.submission(id)
	sub.Pings = []session.Ping{{Timestamp: taken.UnixMilli(), Position: geo.NewPosition(geo.Point{Latitude: 48.84, Longitude: 2.41})}}
	w.append(sub)
	if sub.Verdicts[0] != want {
		w.t.Fatalf("verdict %s", sub.Verdicts[0].Code())
	}
}

// What the policy forbids to keep is not known.
func TestReportWithoutTrack(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"policy":{"track":"none"},"agents"`, 1)
	id := w.call("POST", "/v1/missions", "platform", w.fresh(body)).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	w.ping(id, at(48.84, 2.41))
	r := w.report(id)
	if r["track"] != "none" {
		t.Errorf("track %v", r["track"])
	}
	a := first(t, r["agents"])
	wantMembers(t, "agent", a, map[string]any{"arrived_at": nil, "on_site_seconds": nil, "longest_gap": nil})
	wantMembers(t, "agent", a["positions"], map[string]any{"stored": nil, "removed": 0.0})
	wantMembers(t, "agent", first(t, a["windows"]), map[string]any{"opened_at": after(0), "closed_at": nil})
}

// A long track takes longer than other requests may, and less than an answer may
// take as a whole.
func TestReportHasItsOwnBound(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	store := &failingStore{Store: w.store}
	w.service.Store = store
	w.report(id)
	if store.given < 30*time.Second || store.given > time.Minute {
		t.Errorf("the track may take %v to read", store.given)
	}
}

// A track of many pages is read to its end.
func TestReportOfALongTrack(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(aMission, `"agents"`, `"policy":{"min_interval_ms":1},"agents"`, 1)
	id := w.call("POST", "/v1/missions", "platform", w.fresh(body)).want(201, "").text("id")
	w.call("POST", "/v1/missions/"+id+"/begin", "platform", "").want(200, "")
	w.clock.Advance(20 * time.Second)
	const n = 10_001
	sub := w.submission(id)
	for i := range n {
		sub.Pings = append(sub.Pings, session.Ping{Timestamp: theTime.UnixMilli() + int64(i), Position: at(48.84, 2.41)})
	}
	w.append(sub)
	a := first(t, w.report(id)["agents"])
	wantMembers(t, "agent", a["positions"], map[string]any{"stored": float64(n)})
	wantMembers(t, "agent", a, map[string]any{"on_site_seconds": 10.0})
}
