package web_test

import (
	"strings"
	"testing"
	"time"

	"ronde/session"
)

func TestLinks(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	at := "/v1/missions/" + id + "/links"
	made := w.call("POST", at, "operator", `{"expires_in_seconds":600,"max_viewers":2,"label":"Client A"}`).want(201, "").json()
	wantKeys(t, "new link", made, "expires_at id token url")
	if made["url"] != w.url+"/live#"+made["token"].(string) {
		t.Errorf("url %v", made["url"])
	}
	if made["expires_at"] != theTime.Add(10*time.Minute).Format(time.RFC3339) {
		t.Errorf("expires at %v", made["expires_at"])
	}
	p, err := w.service.Tokens.Verify(t.Context(), made["token"].(string), session.Viewer)
	if err != nil || p.Mission.String() != id || p.Subject.String() != made["id"] || p.View.Profile != session.ProfileOnSite || p.View.Trail || p.Viewers != 2 {
		t.Fatalf("the token says %+v, %v", p, err)
	}
	// A link does not outlive its mission by more than an hour, whatever was asked.
	late := w.call("POST", at, "operator", `{"expires_in_seconds":99999999,"profile":"exact","trail":true}`).want(201, "").json()
	if late["expires_at"] != "2026-11-22T04:00:00Z" {
		t.Errorf("capped at %v", late["expires_at"])
	}

	list := w.call("GET", at, "operator", "").want(200, "").json()
	wantKeys(t, "links", list, "items next_cursor")
	if n := len(list["items"].([]any)); n != 2 {
		t.Fatalf("%d links", n)
	}
	l := first(t, list["items"])
	wantKeys(t, "link", l, "created_at expires_at id label last_opened_at max_viewers opened profile revoked_at trail watching")
	if l["id"] != made["id"] || l["label"] != "Client A" || l["max_viewers"] != 2.0 || l["profile"] != "exact_on_site" || l["revoked_at"] != nil ||
		l["opened"] != 0.0 || l["watching"] != 0.0 || l["last_opened_at"] != nil {
		t.Errorf("link %v", l)
	}

	// By pages.
	one := w.call("GET", at+"?limit=1", "operator", "").want(200, "").json()
	two := w.call("GET", at+"?limit=1&cursor="+one["next_cursor"].(string), "operator", "").want(200, "").json()
	if first(t, one["items"])["id"] != made["id"] || first(t, two["items"])["id"] != late["id"] || two["next_cursor"] != nil {
		t.Errorf("pages %v and %v", one, two)
	}
	for query, code := range map[string]string{"limit=0": "invalid:limit", "limit=201": "invalid:limit", "cursor=x": "invalid:cursor", "cursor=": "invalid:cursor"} {
		w.call("GET", at+"?"+query, "operator", "").want(422, code)
	}

	revision := w.call("GET", "/v1/missions/"+id, "platform", "").json()["revision"]
	for range 2 {
		gone := w.call("DELETE", "/v1/links/"+made["id"].(string), "operator", "").want(200, "").json()
		wantKeys(t, "revoked link", gone, "id revoked")
	}
	if l := first(t, w.call("GET", at, "operator", "").json()["items"]); l["revoked_at"] == nil {
		t.Errorf("revoked link %v", l)
	}
	if w.call("GET", "/v1/missions/"+id, "platform", "").json()["revision"] == revision {
		t.Error("no node can learn of the revocation: the mission's revision is the same")
	}
	w.call("DELETE", "/v1/links/"+late["id"].(string), "foreign", "").want(404, "not_found")
	w.call("POST", "/v1/missions/"+id+"/cancel", "platform", "").want(200, "")
	w.call("POST", at, "platform", "").want(409, "mission_state")
	w.call("GET", at, "platform", "").want(200, "")
}

func TestAgentTokens(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	agent := w.agentOf(id)
	at := "/v1/missions/" + id + "/agents/" + agent + "/token"
	made := w.call("POST", at, "operator", "").want(201, "").json()
	wantKeys(t, "agent token", made, "expires_at token")
	if made["expires_at"] != "2026-11-24T20:00:00Z" { // an hour after the latest end that an extension may bring
		t.Errorf("expires at %v", made["expires_at"])
	}
	p, err := w.service.Tokens.Verify(t.Context(), made["token"].(string), session.AgentRole)
	if err != nil || p.Agent != agent || p.Mission.String() != id {
		t.Fatalf("the token says %+v, %v", p, err)
	}
	w.clock.Advance(time.Second)
	wantKeys(t, "revoked", w.call("DELETE", at, "operator", "").want(200, "").json(), missionKeys)
	m, err := w.service.Mission(t.Context(), "acme", p.Mission)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Live(m, w.clock.Now()); err != session.ErrRevoked { //nolint:errorlint // the rule returns it bare
		t.Errorf("a revoked token is %v", err)
	}
	for _, nobody := range []string{"nobody", "badge%2017", strings.Repeat("x", 300), "%00"} {
		w.call("POST", "/v1/missions/"+id+"/agents/"+nobody+"/token", "platform", "").want(404, "not_found")
		w.call("DELETE", "/v1/missions/"+id+"/agents/"+nobody+"/token", "platform", "").want(404, "not_found")
	}
	w.call("PATCH", "/v1/missions/"+id, "platform", `{"relieve_agents":["`+agent+`"]}`).want(200, "")
	w.call("POST", at, "platform", "").want(404, "not_found")
	w.call("POST", "/v1/missions/"+id+"/cancel", "platform", "").want(200, "")
	w.call("DELETE", at, "platform", "").want(409, "mission_state")
}
