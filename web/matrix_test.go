package web_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/web"
)

// sample is a good request to a route, on objects of its own.
type sample struct{ path, body string }

// sample prepares a good request to the route of that name. A route that is
// not here fails the matrix: who adds one says how it is used well.
func (w *world) sample(name string) sample {
	w.t.Helper()
	const missions = "/v1/missions/"
	tokenPath := func(id string) string { return missions + id + "/agents/" + w.agentOf(id) + "/token" }
	switch name {
	case "createMission":
		return sample{"/v1/missions", w.fresh(aMission)}
	case "listMissions":
		return sample{"/v1/missions", ""}
	case "getMission":
		return sample{missions + w.mission(), ""}
	case "changeMission":
		return sample{missions + w.mission(), w.fresh(`{"add_agents":[{"agent":"badge-17"}]}`)}
	case "beginMission":
		return sample{missions + w.mission() + "/begin", ""}
	case "pauseMission":
		return sample{missions + w.mission("begin") + "/pause", ""}
	case "resumeMission":
		return sample{missions + w.mission("begin", "pause") + "/resume", ""}
	case "endMission":
		return sample{missions + w.mission("begin") + "/end", ""}
	case "cancelMission":
		return sample{missions + w.mission() + "/cancel", ""}
	case "createAgentToken", "revokeAgentTokens":
		return sample{tokenPath(w.mission()), ""}
	case "createLink", "listLinks":
		return sample{missions + w.mission() + "/links", ""}
	case "revokeLink":
		link, _ := w.link(w.mission())
		return sample{"/v1/links/" + link, ""}
	case "getProgress":
		return sample{missions + w.mission("begin") + "/progress", ""}
	case "getTrack":
		return sample{missions + w.mission("begin") + "/track", ""}
	case "getReport":
		return sample{missions + w.mission("begin") + "/report", ""}
	case "holdMission":
		return sample{missions + w.mission("begin") + "/hold", w.fresh(`{"reason":"a dispute","until":"2026-11-30T00:00:00Z"}`)}
	case "releaseMission":
		id := w.mission("begin")
		w.call("POST", missions+id+"/hold", "platform", `{"reason":"a dispute","until":"2026-11-30T00:00:00Z"}`).want(200, "")
		return sample{missions + id + "/hold", ""}
	case "publishNotice":
		return sample{"/v1/notice", `{"text":"We locate you during missions."}`}
	case "getNotice":
		w.call("PUT", "/v1/notice", "platform", `{"text":"We locate you during missions."}`).want(200, "")
		return sample{"/v1/notice", ""}
	case "acknowledgeNotice":
		w.call("PUT", "/v1/notice", "platform", `{"text":"We locate you during missions."}`).want(200, "")
		return sample{"/v1/agents/badge-17/notice", `{"version":1}`}
	case "getLedger":
		return sample{"/v1/agents/" + w.agentOf(w.mission("begin")) + "/ledger", ""}
	case "getAccessLog":
		return sample{"/v1/access-log", ""}
	case "exportAgent":
		return sample{"/v1/agents/" + w.agentOf(w.mission("begin")) + "/export", ""}
	case "eraseAgent":
		return sample{"/v1/agents/" + w.agentOf(w.mission("begin", "end")) + "/erase", `{"reason":"asked by the agent"}`}
	case "getPolicy":
		return sample{"/v1/policy", ""}
	case "policyPage":
		return sample{"/policy", ""}
	case "agentSocket":
		return sample{"/v1/agent", ""}
	case "liveSocket":
		return sample{"/v1/live", ""}
	case "liveEvents":
		return sample{"/v1/live/events", ""}
	case "getOpenAPI":
		return sample{"/v1/openapi.json", ""}
	case "home":
		return sample{"/", ""}
	case "livePage":
		return sample{"/live", ""}
	case "docsPage":
		return sample{"/docs", ""}
	case "asset", "icon":
		return sample{w.assets()[name], ""}
	}
	w.t.Fatalf("route %s has no sample request", name)
	return sample{}
}

// shake returns the headers of a good handshake for a kind of route.
func (w *world) shake(kind web.Kind) []string {
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	switch kind {
	case web.AgentSocket:
		return append(upgrade, "Sec-WebSocket-Protocol", "ronde.agent.v1")
	case web.LiveSocket:
		return append(upgrade, "Sec-WebSocket-Protocol", "ronde.live.v1", "Origin", w.url)
	case web.LiveEvents:
		return []string{"Sec-Fetch-Site", "same-origin"}
	case web.API, web.Stream, web.Page:
	}
	return nil
}

// credentials of every kind: by name, how to come by one.
func (w *world) credentials() map[string]string {
	id := w.mission()
	_, link := w.link(id)
	agent := w.agentToken(id)
	all := map[string]string{
		"none": "", "garbage": "garbage", "agent token": agent, "link": link, "probe": w.probe(),
		"agent token, last character altered": alterLast(agent), "link, unsigned": link[:strings.LastIndex(link, ".")+1],
		"key, last character altered": alterLast(w.keys["platform"]), "key, cut": w.keys["platform"][:len(w.keys["platform"])-1],
		"key in upper case": strings.ToUpper(w.keys["platform"]),
	}
	for _, name := range keyNames {
		all[name] = w.keys[name]
	}
	return all
}

// alterLast exchanges the last character for one that decodes otherwise.
func alterLast(token string) string {
	last := byte('a')
	if token[len(token)-1] == 'a' {
		last = 'q'
	}
	return token[:len(token)-1] + string(last)
}

// P16, P25: every route, with every kind of credential. What is expected is
// said here by role, and not read from the server.
func TestEveryRouteWithEveryCredential(t *testing.T) {
	w := newWorld(t)
	credentials := w.credentials()
	cells := 0
	for _, route := range web.Routes() {
		for name, credential := range credentials {
			cells++
			if name == "foreign" { // a tenant each: some of them publish notices
				w.addKey(name)
				credential = w.keys[name]
			}
			s := w.sample(route.Name)
			if s.path == "" {
				continue // a file of pages that are not built
			}
			a := w.call(route.Method, s.path, credential, s.body, w.shake(route.Kind)...)
			status, code := expect(&route, name)
			if a.status != status {
				t.Errorf("%s with %s: %d %s, want %d", route.Pattern(), name, a.status, a.body, status)
				continue
			}
			if code != "" {
				a.want(status, code)
			}
			switch route.Kind {
			case web.AgentSocket, web.LiveSocket:
				checkTold(t, &route, name, a)
			case web.API, web.Stream, web.Page, web.LiveEvents:
			}
		}
	}
	t.Logf("%d routes × %d credentials: %d requests", len(web.Routes()), len(credentials), cells)
}

// expect returns how a route answers a kind of credential.
func expect(r *web.Route, credential string) (status int, code string) {
	success := r.Status
	if success == 0 || r.Kind != web.API {
		success = 200
	}
	switch {
	case r.Public, r.Kind == web.AgentSocket, r.Kind == web.LiveSocket:
		return 200, ""
	case r.Kind == web.LiveEvents:
		if credential == "link" || credential == "probe" {
			return 200, ""
		}
		return 401, "token_invalid"
	}
	switch credential {
	case "platform", "operator", "auditor":
		if !slices.Contains(r.Roles, session.Role(credential)) {
			return 403, "forbidden"
		}
		return success, ""
	case "revoked":
		return 401, "token_revoked"
	case "foreign": // a platform key, of a tenant that has nothing
		switch {
		case strings.Contains(r.Path, "{id}"), r.Name == "getNotice", r.Name == "getLedger", r.Name == "exportAgent", r.Name == "eraseAgent":
			return 404, "not_found"
		case r.Name == "acknowledgeNotice":
			return 422, "invalid:version"
		}
		return success, ""
	case "agent token":
		switch {
		case !slices.Contains(r.Roles, session.AgentRole):
		case strings.Contains(r.Path, "{agent}"), strings.Contains(r.Path, "{id}"): // it is that of another agent, and mission
			return 404, "not_found"
		default:
			return success, ""
		}
	}
	return 401, "token_invalid"
}

// checkTold looks at what reached a socket's handler, which tells its peer.
func checkTold(t *testing.T, r *web.Route, credential string, a *answer) {
	t.Helper()
	told := a.json()
	want := map[web.Kind]map[string]string{
		web.AgentSocket: {"agent token": "agent", "probe": "doctor"},
		web.LiveSocket:  {"link": "viewer", "probe": "doctor"},
	}[r.Kind][credential]
	switch role, _ := told["role"].(string); {
	case role != want:
		t.Errorf("%s with %s: the handler sees role %q, want %q", r.Path, credential, role, want)
	case want == "" && told["code"] != "token_invalid":
		t.Errorf("%s with %s: the handler is told %v", r.Path, credential, told["code"])
	case told["authorization"] != "":
		t.Errorf("%s with %s: the handler sees the credential", r.Path, credential)
	}
}

// mayUse says whom each route is for, as the contract has it, a second time: a
// change of the server's table that widens it is to be made here too. Nobody is
// everybody.
var mayUse = map[string]string{
	"createMission": staff, "listMissions": staff, "getMission": staff, "changeMission": staff,
	"beginMission": staff, "pauseMission": staff, "resumeMission": staff, "endMission": staff, "cancelMission": staff,
	"createAgentToken": staff, "revokeAgentTokens": staff, "createLink": staff, "listLinks": staff, "revokeLink": staff,
	"getProgress": staff, "getTrack": "platform", "getReport": staff, "holdMission": staff + " agent", "releaseMission": staff + " agent",
	"publishNotice": "platform", "getNotice": anyKey, "acknowledgeNotice": staff,
	"exportAgent": "platform agent", "eraseAgent": "platform", "getLedger": staff + " agent", "getAccessLog": anyKey,
	"agentSocket": "agent doctor", "liveSocket": "viewer doctor", "liveEvents": "viewer doctor",
	"getPolicy":  anyKey + " agent",
	"getOpenAPI": "", "policyPage": "", "home": "", "livePage": "", "docsPage": "", "asset": "", "icon": "",
}

const (
	staff  = "platform operator"
	anyKey = "platform operator auditor"
)

func TestWhoMayWhat(t *testing.T) {
	for _, r := range web.Routes() {
		var roles []string
		for _, role := range r.Roles {
			roles = append(roles, string(role))
		}
		expected, known := mayUse[r.Name]
		if got := strings.Join(roles, " "); !known || got != expected || r.Public != (expected == "") {
			t.Errorf("%s (%s) is for %q, want %q", r.Pattern(), r.Name, got, expected)
		}
	}
}

// P26, I8: what is another tenant's, what is missing and what is no id at all
// look the same, byte for byte.
func TestForeignIsMissing(t *testing.T) {
	w := newWorld(t)
	for _, route := range web.Routes() {
		if !strings.Contains(route.Path, "{id}") {
			continue
		}
		s := w.sample(route.Name)
		foreign := w.call(route.Method, s.path, "foreign", s.body).want(404, "not_found")
		own := strings.Split(s.path, "/")[3]
		for _, id := range []string{
			session.NewID().String(), "00000000-0000-0000-0000-000000000000", "x", "%7B" + own + "%7D", strings.ToUpper(own),
			strings.ReplaceAll(own, "-", ""), "urn:uuid:" + own, own + "%00", own + "%2F..", "%2e%2e", strings.Repeat("9", 500),
		} {
			missing := w.call(route.Method, strings.Replace(s.path, own, id, 1), "platform", s.body)
			if missing.status != 404 || string(missing.body) != string(foreign.body) || fmt.Sprint(headersOf(missing)) != fmt.Sprint(headersOf(foreign)) {
				t.Errorf("%s: foreign and missing (%s) differ:\n%s\n%s", route.Pattern(), id, foreign.body, missing.body)
			}
		}
		// The object was there all the time.
		w.call(route.Method, s.path, "platform", s.body).want(max(route.Status, 200), "")
	}
}

// headersOf returns all headers but those that differ from answer to answer.
func headersOf(a *answer) map[string][]string {
	h := a.header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	return h
}

// A stream is refused by status once its link holds no longer.
func TestEventsOfALinkThatHoldsNoLonger(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	link, token := w.link(id)
	read := func() *answer { return w.call("GET", "/v1/live/events", token, "") }
	read().want(200, "")
	w.call("DELETE", "/v1/links/"+link, "platform", "").want(200, "")
	if a := read().want(401, "token_revoked"); a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Error("no WWW-Authenticate")
	}
	_, token = w.link(id)
	w.clock.Advance(9*time.Hour + 30*time.Minute)
	read().want(401, "token_invalid")
}

// Every status that the OpenAPI document promises is seen, for each operation.
func TestEveryDocumentedStatus(t *testing.T) {
	w := newWorld(t)
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(w.call("GET", "/v1/openapi.json", "", "").want(200, "").body, &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, route := range web.Routes() {
		for status := range doc.Paths[route.Path][strings.ToLower(route.Method)].Responses {
			if status == "default" {
				continue
			}
			seen++
			if got := w.provoke(&route, status); fmt.Sprint(got.status) != status {
				t.Errorf("%s: %s is documented, seen %d %s", route.Pattern(), status, got.status, got.body)
			}
		}
	}
	t.Logf("%d statuses", seen)
}

// provoke makes a route answer with a status that it documents.
func (w *world) provoke(r *web.Route, status string) *answer {
	w.t.Helper()
	s := w.sample(r.Name)
	key := ""
	switch {
	case r.Kind == web.LiveEvents:
		_, key = w.link(w.mission())
	case len(r.Roles) > 0:
		key = string(r.Roles[0])
	}
	shake := w.shake(r.Kind)
	call := func() *answer { return w.call(r.Method, s.path, key, s.body, shake...) }
	switch status {
	case "101":
		a := call()
		a.status += 101 - 200 // the stub for the tracker does not upgrade
		return a
	case "400":
		return w.call(r.Method, s.path, key, "", append(shake, "Sec-WebSocket-Protocol", "", "Sec-WebSocket-Protocol", "other")...)
	case "401":
		key = ""
	case "403":
		switch r.Kind {
		case web.AgentSocket, web.LiveSocket, web.LiveEvents:
			shake = append(shake, "Origin", "https://evil.example")
		case web.API, web.Stream, web.Page:
			key = "auditor"
		}
	case "404":
		switch r.Name {
		case "getNotice":
			key = "foreign"
		case "acknowledgeNotice":
			s.path = "/v1/agents/no%20one/notice"
		case "liveEvents":
			return refusedStream(w.t, session.ErrNotFound)
		default:
			s.path = strings.Replace(s.path, strings.Split(s.path, "/")[3], session.NewID().String(), 1)
		}
	case "409":
		if r.Name == "createMission" {
			shake = append(shake, "Idempotency-Key", "409")
			w.call(r.Method, s.path, key, w.fresh(aMission), shake...).want(201, "")
			break
		}
		w.conflict(r.Name, &s)
	case "410":
		return w.provokeGone(r, key)
	case "413":
		s.body = strings.Repeat(" ", 1<<20+1)
	case "415":
		s.body = "{}"
		shake = append(shake, "Content-Type", "", "Content-Type", "text/plain")
	case "422":
		s.path += "?surprise=1"
	case "426":
		return w.call(r.Method, s.path, key, "", append(shake, "Upgrade", "", "Upgrade", "h2c")...)
	case "429":
		return refusedStream(w.t, errFull)
	case "503":
		return w.provokeUnavailable(r, s, key, shake)
	}
	return call()
}

// conflict brings the object of a request into a state that forbids it.
func (w *world) conflict(name string, s *sample) {
	w.t.Helper()
	mission := strings.Join(strings.Split(s.path, "/")[:4], "/")
	switch name {
	case "endMission", "pauseMission", "resumeMission": // only what began can end; what ended neither pauses nor resumes
		if name == "endMission" {
			s.path = "/v1/missions/" + w.mission() + "/end"
			return
		}
		w.call("POST", mission+"/end", "platform", "").want(200, "")
	case "eraseAgent":
		s.path = "/v1/agents/" + w.agentOf(w.mission()) + "/erase"
	case "holdMission": // only what began can be held
		s.path = "/v1/missions/" + w.mission() + "/hold"
	case "cancelMission":
		w.call("POST", mission+"/begin", "platform", "").want(200, "")
	default:
		w.call("POST", mission+"/cancel", "platform", "").want(200, "")
	}
}

// provokeGone asks a world whose salts are destroyed about a mission that began
// before.
func (w *world) provokeGone(r *web.Route, key string) *answer {
	w.t.Helper()
	old := newWorld(w.t)
	id := old.mission("begin")
	old.ping(id, at(48.84, 2.41))
	old.destroySalts()
	if r.Name == "holdMission" {
		old.clock.Advance(40 * 24 * time.Hour)
		return old.call(r.Method, strings.Replace(r.Path, "{id}", id, 1), key, `{"reason":"a dispute","until":"2027-03-01T00:00:00Z"}`)
	}
	return old.call(r.Method, strings.Replace(r.Path, "{id}", id, 1), key, "")
}

// provokeUnavailable asks a world whose store does not answer or, for a socket,
// a node that serves none.
func (w *world) provokeUnavailable(r *web.Route, s sample, key string, shake []string) *answer {
	w.t.Helper()
	broken := newWorld(w.t, func(o *web.Options) { o.AgentSocket, o.LiveSocket = nil, nil })
	store := &failingStore{Store: broken.store}
	broken.service.Store = store
	if r.Kind == web.LiveEvents {
		_, key = broken.link(broken.mission())
	}
	store.err = session.ErrUnavailable.Because("connection refused")
	for i := range shake {
		if shake[i] == w.url {
			shake[i] = broken.url
		}
	}
	a := broken.call(r.Method, s.path, key, s.body, shake...).want(503, "store_unavailable")
	if a.header.Get("Retry-After") == "" {
		w.t.Errorf("%s: 503 without Retry-After", r.Pattern())
	}
	return a
}
