package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/session"
)

const accessKeys = "action agent at id leaf mission object reason role subject"

// accessLog returns the actions that a query lists, by pages of two.
func (w *world) accessLog(query, key string) (actions []string) {
	w.t.Helper()
	for cursor := ""; ; {
		list := w.call("GET", "/v1/access-log?limit=2&"+query+cursor, key, "").want(200, "").json()
		wantKeys(w.t, "access log", list, "items next_cursor")
		for _, item := range list["items"].([]any) {
			wantKeys(w.t, "row", item, accessKeys)
			actions = append(actions, item.(map[string]any)["action"].(string))
		}
		next, more := list["next_cursor"].(string)
		if !more {
			return actions
		}
		cursor = "&cursor=" + next
	}
}

// A tenant's own people read who did what, filtered and in pages; and that they
// read it is in it.
func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	id := w.call("POST", "/v1/missions", "platform", w.fresh(aMission)).want(201, "").text("id")
	agent := w.agentOf(id)
	w.clock.Advance(time.Second)
	w.call("POST", "/v1/missions/"+id+"/begin", "operator", "", "Access-Reason", "the%20client%20asked").want(200, "")
	w.clock.Advance(time.Second)
	w.asAgent(id, session.PauseAgent)
	w.clock.Advance(time.Second)
	w.call("GET", "/v1/missions/"+id+"/track", "platform", "").want(200, "")
	w.call("POST", "/v1/missions", "platform", w.fresh(aMission)).want(201, "")

	begun := "2026-11-21T18:30:01Z"
	pseudonym := w.service.Pseudonym("acme", agent)
	for query, want := range map[string]string{
		"mission=" + id:                       "track.read agent.pause mission.begin mission.create",
		"mission=" + session.NewID().String(): "",
		"agent=" + agent:                      "agent.pause",
		"pseudonym=" + pseudonym:              "agent.pause",
		"agent=nobody":                        "",
		"action=track.read":                   "track.read",
		"action=mission.begin&action=mission.create&mission=" + id: "mission.begin mission.create",
		"mission=" + id + "&from=" + begun:                         "track.read agent.pause mission.begin",
		"mission=" + id + "&to=" + begun:                           "mission.create",
	} {
		for _, key := range []string{"platform", "operator", "auditor"} {
			if got := strings.Join(w.accessLog(query, key), " "); got != want {
				t.Errorf("%s, %s: %s, want %s", query, key, got, want)
			}
		}
		if got := w.accessLog(query, "foreign"); slices.ContainsFunc(got, func(action string) bool { return action != "log.read" }) {
			t.Errorf("%s: another tenant sees %v", query, got)
		}
	}
	row := first(t, w.call("GET", "/v1/access-log?action=mission.begin", "auditor", "").want(200, "").json()["items"])
	key, _, err := session.ParseAPIKey(w.keys["operator"])
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "the row", row, map[string]any{
		"leaf": nil, "at": begun, "role": "operator", "subject": key.String(), "mission": id, "agent": nil, "object": nil, "reason": "the client asked",
	})
	signer, err := session.NewAccessSigner(w.root, session.NewID())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := session.GrowAccessTree(t.Context(), w.store, signer); err != nil {
		t.Fatal(err)
	}
	row = first(t, w.call("GET", "/v1/access-log?action=mission.create&mission="+id, "auditor", "").want(200, "").json()["items"])
	wantMembers(t, "the first row", row, map[string]any{"leaf": 0.0})
	// Reading the log is recorded, for whoever reads it next.
	if got := w.accessLog("", "auditor"); got[0] != "log.read" || len(w.accessLog("action=log.read", "auditor")) <= len(got)/2 {
		t.Errorf("the whole log: %v", got)
	}
	w.clock.Advance(9 * time.Hour)
	if _, err := w.service.CloseDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	row = first(t, w.call("GET", "/v1/access-log?mission="+id, "auditor", "").want(200, "").json()["items"])
	wantMembers(t, "the deadline's row", row, map[string]any{"action": "mission.deadline", "role": nil, "subject": nil, "reason": nil})
}

func TestAccessLogRefuses(t *testing.T) {
	w := newWorld(t)
	for query, code := range map[string]string{
		"mission=x": "invalid:mission", "mission=": "invalid:mission", "mission=" + strings.ToUpper(session.NewID().String()): "invalid:mission",
		"action=track": "invalid:action", "action=": "invalid:action", "action=track.read&action=x": "invalid:action",
		"agent=": "invalid:agent", "agent=a&pseudonym=b": "invalid:pseudonym", "agent=a&agent=b": "invalid:agent",
		"from=yesterday": "invalid:from", "from=2026-11-21T20:00:00Z&to=2026-11-21T20:00:00Z": "invalid:to",
		"limit=0": "invalid:limit", "limit=1001": "invalid:limit", "cursor=x": "invalid:cursor", "cursor=AAAA": "invalid:cursor", "order=x": "invalid:order",
	} {
		w.call("GET", "/v1/access-log?"+query, "auditor", "").want(422, code)
	}
}
