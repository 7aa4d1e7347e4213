package web_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// ledger reads the ledger of an agent and checks its keys.
func (w *world) ledger(agent, key, query string) (items []any, next any) {
	w.t.Helper()
	list := w.call("GET", "/v1/agents/"+agent+"/ledger"+query, key, "").want(200, "").json()
	wantKeys(w.t, "ledger", list, "items next_cursor")
	for _, item := range list["items"].([]any) {
		item := item.(map[string]any)
		wantKeys(w.t, "item", item, "holds mission pauses reads refused watched windows")
		wantKeys(w.t, "mission", item["mission"], "began_at ended_at ends_at id reference site starts_at state")
		wantKeys(w.t, "refused", item["refused"], "future not_active notice_missing outside_window too_frequent")
		for _, watch := range item["watched"].([]any) {
			wantKeys(w.t, "watch", watch, "connections from link to")
			wantKeys(w.t, "link", watch.(map[string]any)["link"], "id label profile trail")
		}
		for _, read := range item["reads"].([]any) {
			wantKeys(w.t, "read", read, "action count first_at last_at role")
		}
		for _, hold := range item["holds"].([]any) {
			wantKeys(w.t, "hold", hold, "by from id reason released_at until")
		}
	}
	return list["items"].([]any), list["next_cursor"]
}

// watches has a viewer come and go, as the tracker records it.
func (w *world) watches(mission, link string, stays time.Duration) {
	w.t.Helper()
	p := &session.Principal{Role: session.Viewer, Tenant: "acme", Subject: uuid.MustParse(link), Mission: uuid.MustParse(mission)}
	connection := session.NewID()
	for _, action := range []session.AccessAction{session.AccessLiveOpen, session.AccessLiveClose} {
		if err := w.service.Record(w.t.Context(), p, session.Access{Action: action, Object: connection}); err != nil {
			w.t.Fatal(err)
		}
		if action == session.AccessLiveOpen {
			w.clock.Advance(stays)
		}
	}
}

func (w *world) now() string { return w.clock.Now().Format(time.RFC3339) }

// P35: an agent sees who watched, when and through which link, who read, and each
// pause and refusal, of all missions they had.
func TestLedger(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	agent, token := w.agentOf(id), w.agentToken(id)
	link := w.call("POST", "/v1/missions/"+id+"/links", "platform", `{"profile":"cell:8","trail":true,"label":"Agence Söhne"}`).want(201, "").text("id")
	began := w.now()
	w.watches(id, link, 5*time.Minute)
	watched := w.now()
	paused := w.now()
	w.asAgent(id, session.PauseAgent)
	w.clock.Advance(10 * time.Minute)
	w.asAgent(id, session.ResumeAgent)
	resumed := w.now()
	sub := w.submission(id)
	sub.Pings = append(sub.Pings, session.Ping{Timestamp: w.clock.Now().Add(-time.Minute).UnixMilli(), Position: at(48.84, 2.41)}) // of the pause
	w.append(sub)
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "")
	w.clock.Advance(time.Minute)
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "")
	elsewhere := w.mission("begin")
	w.watches(elsewhere, link, 0) // which says nothing of this mission
	w.call("GET", "/v1/missions/"+elsewhere+"/report", "platform", "").want(200, "")
	w.call("POST", "/v1/missions/"+id+"/end", "platform", "").want(200, "")

	items, next := w.ledger(agent, token, "")
	if len(items) != 1 || next != nil {
		t.Fatalf("%d items, then %v", len(items), next)
	}
	l := items[0].(map[string]any)
	if len(l["holds"].([]any)) != 0 || len(l["watched"].([]any)) != 1 || len(l["reads"].([]any)) != 1 || len(l["pauses"].([]any)) != 1 {
		t.Errorf("more than there was: %v", l)
	}
	wantMembers(t, "mission", l["mission"], map[string]any{"id": id, "reference": "M-1", "site": "Entrepôt", "state": "ended", "began_at": began, "ended_at": w.now()})
	wantMembers(t, "watch", first(t, l["watched"]), map[string]any{"from": began, "to": watched, "connections": 1.0})
	wantMembers(t, "link", first(t, l["watched"])["link"], map[string]any{"id": link, "label": "Agence Söhne", "profile": "cell:8", "trail": true})
	wantMembers(t, "pause", first(t, l["pauses"]), map[string]any{"from": paused, "to": resumed})
	wantMembers(t, "window", first(t, l["windows"]), map[string]any{"opened_at": began, "closed_at": paused})
	wantMembers(t, "refused", l["refused"], map[string]any{"outside_window": 1.0, "future": 0.0})
	wantMembers(t, "read", first(t, l["reads"]), map[string]any{"action": "track.read", "role": "platform", "count": 2.0, "first_at": resumed, "last_at": w.now()})
}

// P35: an agent sees every hold on their missions, whether it stands or has ended,
// and each reading of what it keeps.
func TestLedgerOfHolds(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	agent, token := w.agentOf(id), w.agentToken(id)
	hold := "/v1/missions/" + id + "/hold"
	w.ping(id, at(48.84, 2.41))
	w.call("POST", "/v1/missions/"+id+"/end", "operator", "").want(200, "")
	from := w.now()
	w.call("POST", hold, "operator", `{"reason":"an incident at the gate","until":"2027-01-31T00:00:00Z"}`).want(200, "")
	w.clock.Advance(time.Hour)
	released := w.now()
	w.call("DELETE", hold, "operator", "").want(200, "")
	w.clock.Advance(time.Hour)
	again := w.now()
	w.call("POST", hold, "platform", `{"reason":"a dispute","until":"2026-12-31T00:00:00Z"}`).want(200, "")
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "", "Access-Reason", "asked for").want(200, "")

	items, _ := w.ledger(agent, token, "")
	l := items[0].(map[string]any)
	holds := l["holds"].([]any)
	if len(holds) != 2 {
		t.Fatalf("holds %v", holds)
	}
	wantMembers(t, "the one released", holds[0], map[string]any{
		"reason": "an incident at the gate", "by": "operator", "from": from, "until": "2027-01-31T00:00:00Z", "released_at": released,
	})
	wantMembers(t, "the one that stands", holds[1], map[string]any{
		"reason": "a dispute", "by": "platform", "from": again, "until": "2026-12-31T00:00:00Z", "released_at": nil,
	})
	wantMembers(t, "read", first(t, l["reads"]), map[string]any{"action": "archive.read", "role": "platform", "count": 1.0, "first_at": again})
}

// P35: whoever exports all there is of an agent has read each mission that there was
// by then; an agent's own export is no reading of others.
func TestLedgerOfExports(t *testing.T) {
	w := newWorld(t)
	body := `{"reference":"M-1","site":{"name":"Entrepôt","point":{"latitude":48.84,"longitude":2.41},"radius_m":80},
		"starts_at":"2026-11-21T20:00:00+01:00","ends_at":"2026-11-22T02:00:00+01:00","agents":[{"agent":"badge-17"}]}`
	create := func() string {
		return w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
	}
	export := func(agent, key string) { w.call("GET", "/v1/agents/"+agent+"/export", key, "").want(200, "") }
	early := create()
	w.clock.Advance(time.Minute)
	exported := w.now()
	export("badge-17", "platform")
	w.clock.Advance(time.Minute)
	read := w.now()
	w.call("GET", "/v1/missions/"+early+"/report", "operator", "").want(200, "")
	export("badge-17", w.agentToken(early))
	export(w.agentOf(w.mission()), "platform")
	late := create()
	w.clock.Advance(time.Minute)
	export("badge-17", "platform")

	items, _ := w.ledger("badge-17", "operator", "")
	row := func(action, role string, count float64, from, to string) map[string]any {
		return map[string]any{"action": action, "role": role, "count": count, "first_at": from, "last_at": to}
	}
	for id, want := range map[string][]map[string]any{
		late:  {row("agent.export", "platform", 1, w.now(), w.now())},
		early: {row("agent.export", "platform", 2, exported, w.now()), row("report.read", "operator", 1, read, read)},
	} {
		i := slices.IndexFunc(items, func(item any) bool { return item.(map[string]any)["mission"].(map[string]any)["id"] == id })
		reads := items[i].(map[string]any)["reads"].([]any)
		if len(reads) != len(want) {
			t.Errorf("reads %v, want %v", reads, want)
			continue
		}
		for n := range want {
			wantMembers(t, "read", reads[n], want[n])
		}
	}
}

// I8: the ledger of another agent, of another tenant's and of nobody look the
// same; and an agent's own token opens one ledger alone.
func TestLedgerOfOthers(t *testing.T) {
	w := newWorld(t)
	id := w.mission("begin")
	agent, token := w.agentOf(id), w.agentToken(id)
	other := w.agentOf(w.mission())
	path := func(agent string) string { return "/v1/agents/" + agent + "/ledger" }
	missing := w.call("GET", path("nobody"), "platform", "").want(404, "not_found")
	for name, a := range map[string]*answer{
		"another agent's, by token": w.call("GET", path(other), token, ""),
		"nobody's, by token":        w.call("GET", path("nobody"), token, ""),
		"another tenant's":          w.call("GET", path(agent), "foreign", ""),
		"no name":                   w.call("GET", path("%00"), "platform", ""),
	} {
		if a.status != 404 || string(a.body) != string(missing.body) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	w.ledger(agent, token, "")
	w.ledger(other, "operator", "")
	w.call("GET", path(agent), "auditor", "").want(403, "forbidden")
	_, link := w.link(id)
	w.call("GET", path(agent), link, "").want(401, "token_invalid")
	// The token holds no longer.
	w.call("DELETE", "/v1/missions/"+id+"/agents/"+agent+"/token", "platform", "").want(200, "")
	w.call("GET", path(agent), token, "").want(401, "token_revoked")
}

// The ledger covers all missions of an agent, the newest first.
func TestLedgerPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for range 3 {
		body := `{"reference":"M-1","site":{"name":"Entrepôt","point":{"latitude":48.84,"longitude":2.41},"radius_m":80},
			"starts_at":"2026-11-21T20:00:00+01:00","ends_at":"2026-11-22T02:00:00+01:00","agents":[{"agent":"badge-17"}]}`
		id := w.call("POST", "/v1/missions", "platform", body).want(201, "").text("id")
		want = append([]string{id}, want...)
	}
	query := "?limit=2"
	for i := 0; i < len(want); {
		items, next := w.ledger("badge-17", "operator", query)
		for _, item := range items {
			if got := item.(map[string]any)["mission"].(map[string]any)["id"]; got != want[i] {
				t.Errorf("mission %d is %v, want %s", i, got, want[i])
			}
			i++
		}
		cursor, more := next.(string)
		if more != (i < len(want)) {
			t.Fatalf("after %d missions the next cursor is %v", i, next)
		}
		query = "?limit=2&cursor=" + cursor
	}
	w.call("GET", "/v1/agents/badge-17/ledger?cursor=x", "operator", "").want(422, "invalid:cursor")
}
