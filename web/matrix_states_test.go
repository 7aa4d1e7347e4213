package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ronde/session"
	"ronde/web"
)

// missionStates are what can be asked about, in the order of the table below.
// The last is a mission that is held, asked about with a reason.
var missionStates = []string{"scheduled", "active", "paused", "ended", "cancelled", "held", "expired", "reason"}

// answers is what each route comes to for whoever may use it, about a mission of
// their own in each state. One word stands for all of them: the route is about
// no mission, or does not mind. A route that is not here fails the matrix.
var answers = map[string]string{
	//                    scheduled active paused ended cancelled held expired reason
	"getMission":        "ok",
	"changeMission":     "ok        ok     ok     state state     state state  state",
	"beginMission":      "ok        ok     state  state state     state state  state",
	"pauseMission":      "state     ok     ok     state state     state state  state",
	"resumeMission":     "state     ok     ok     state state     state state  state",
	"endMission":        "state     ok     ok     ok    state     ok    ok     ok",
	"cancelMission":     "ok        state  state  state ok        state state  state",
	"createAgentToken":  "made      made   made   state state     state state  state",
	"revokeAgentTokens": "ok        ok     ok     state state     state state  state",
	"createLink":        "made      made   made   state state     state state  state",
	"listLinks":         "ok",
	"revokeLink":        "ok",
	"getProgress":       "ok        ok     ok     ok    ok        why   ok     ok",
	"getTrack":          "ok        ok     ok     ok    ok        why   gone   ok",
	"getReport":         "ok        ok     ok     ok    ok        why   ok     ok",
	"holdMission":       "state     ok     ok     ok    state     ok    gone   ok",
	"releaseMission":    "none      none   none   none  none      ok    none   ok",
	"eraseAgent":        "duty      duty   duty   ok    ok        held  ok     held",
	"getLedger":         "ok",
	"exportAgent":       "ok        ok     ok     ok    ok        why   ok     ok",
	"acknowledgeNotice": "ok",

	"createMission": "made", "listMissions": "ok", "publishNotice": "ok", "getNotice": "ok", "getAccessLog": "ok", "getPolicy": "ok",
	"agentSocket": "ok", "liveSocket": "ok", "liveEvents": "ok",
	"getOpenAPI": "ok", "policyPage": "ok", "home": "ok", "livePage": "ok", "docsPage": "ok", "asset": "ok", "icon": "ok",
}

// words are the answers' statuses and problem codes.
var words = map[string]struct {
	status int
	code   string
}{
	"ok": {200, ""}, "made": {201, ""}, "state": {409, "mission_state"}, "duty": {409, "agent_on_duty"}, "held": {409, "held"},
	"gone": {410, "gone"}, "why": {403, "reason_required"}, "none": {404, "not_found"},
	"forbidden": {403, "forbidden"}, "token": {401, "token_invalid"}, "revoked": {401, "token_revoked"},
}

// caller is somebody with a credential.
type caller struct {
	name    string
	role    string // "" for nobody
	foreign bool   // what is asked about is not theirs
	token   string
}

// answerTo returns the word for what a caller is told of a mission in a state.
func (c *caller) answerTo(r *web.Route, state int) string {
	row := strings.Fields(answers[r.Name])
	if len(row) == 1 {
		row = slices.Repeat(row, len(missionStates))
	}
	ofMission := strings.Contains(r.Path, "{id}") || strings.Contains(r.Path, "{agent}")
	signed := c.role == "agent" || c.role == "viewer" || c.role == "doctor"
	switch {
	case mayUse[r.Name] == "", r.Kind == web.AgentSocket, r.Kind == web.LiveSocket:
		return "ok" // sockets tell by close code
	case c.name == "revoked key" && strings.Contains(mayUse[r.Name], "platform"):
		return "revoked"
	case !slices.Contains(strings.Fields(mayUse[r.Name]), c.role):
		if signed || c.role == "" || r.Kind == web.LiveEvents {
			return "token"
		}
		return "forbidden"
	case signed && missionStates[state] == "expired":
		return "token" // it expired long ago
	case c.foreign && ofMission && r.Name != "acknowledgeNotice": // who is on no mission yet may have read the notice
		return "none"
	case c.role == "agent" && r.Name == "releaseMission": // their own hold, which they have just set if they could
		if strings.Fields(answers["holdMission"])[state] != "ok" {
			return "none"
		}
		return "ok"
	case c.role == "agent" && r.Name != "holdMission":
		return "ok"
	}
	return row[state]
}

// target is a mission and what belongs to it.
type target struct{ mission, agent, link, agentToken, linkToken string }

// scene is a world with missions in one state, and everybody who might ask.
type scene struct {
	*world
	state   int
	callers []caller
}

// newScene returns one in which nothing has happened yet.
func newScene(t *testing.T, state int) *scene {
	t.Helper()
	s := &scene{world: newWorld(t), state: state}
	s.callers = []caller{{name: "nobody"}, {name: "revoked key", token: s.keys["revoked"]}, {name: "doctor", role: "doctor", token: s.probe()}}
	s.keys["globex"] = s.key("globex", session.Platform)
	for _, key := range []string{"platform", "globex"} {
		s.call("PUT", "/v1/notice", key, s.body("publishNotice", 0)).want(200, "")
	}
	for _, role := range []session.Role{session.Platform, session.Operator, session.Auditor} {
		s.callers = append(s.callers,
			caller{name: "own " + string(role), role: string(role), token: s.key("acme", role)},
			caller{name: "foreign " + string(role), role: string(role), foreign: true, token: s.key("globex", role)})
	}
	for _, key := range []string{"platform", "globex"} {
		mission := s.call("POST", "/v1/missions", key, s.planned()).want(201, "").text("id")
		agent := s.call("GET", "/v1/missions/"+mission, key, "").want(200, "").json()["agents"].([]any)[0].(map[string]any)["agent"].(string)
		s.callers = append(s.callers,
			caller{name: "agent of another mission of " + key, role: "agent", foreign: true, token: s.call("POST", "/v1/missions/"+mission+"/agents/"+agent+"/token", key, "").want(201, "").text("token")},
			caller{name: "link to another mission of " + key, role: "viewer", foreign: true, token: s.call("POST", "/v1/missions/"+mission+"/links", key, "").want(201, "").text("token")})
	}
	return s
}

// key makes an API key.
func (s *scene) key(tenant string, role session.Role) string {
	s.t.Helper()
	if err := s.store.EnsureTenant(s.t.Context(), tenant); err != nil {
		s.t.Fatal(err)
	}
	k, printed, err := session.NewAPIKey(tenant, role, "")
	if err == nil {
		err = s.store.CreateAPIKey(s.t.Context(), k)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return printed
}

// planned is the body of a mission that may begin now.
func (s *scene) planned() string {
	now := s.clock.Now()
	return s.fresh(strings.NewReplacer("2026-11-21T20:00:00+01:00", now.Add(time.Minute).Format(time.RFC3339),
		"2026-11-22T02:00:00+01:00", now.Add(6*time.Hour).Format(time.RFC3339)).Replace(aMission))
}

// target makes a mission that comes into the scene's state once it is settled.
func (s *scene) target() target {
	s.t.Helper()
	mission := s.call("POST", "/v1/missions", "platform", s.planned()).want(201, "").text("id")
	path := "/v1/missions/" + mission
	agent := s.agentOf(mission)
	token := s.call("POST", path+"/agents/"+agent+"/token", "platform", "").want(201, "").text("token")
	link := s.call("POST", path+"/links", "platform", "").want(201, "")
	does := map[string]string{
		"active": "begin", "paused": "begin pause", "ended": "begin end", "cancelled": "cancel",
		"held": "begin hold end", "expired": "begin end", "reason": "begin hold end",
	}
	for _, action := range strings.Fields(does[missionStates[s.state]]) {
		body := ""
		if action == "hold" {
			body = s.body("holdMission", 24*time.Hour)
		}
		s.call("POST", path+"/"+action, "platform", body).want(200, "")
		if action == "begin" {
			s.call("POST", "/v1/agents/"+agent+"/notice", "platform", `{"version":1}`).want(200, "")
			s.ping(mission, at(48.84, 2.41))
		}
	}
	return target{mission, agent, link.text("id"), token, link.text("token")}
}

// settle lets time pass and the sweep work, once all targets are made.
func (s *scene) settle() {
	s.t.Helper()
	if missionStates[s.state] == "expired" {
		s.clock.Advance(31 * 24 * time.Hour)
	}
	if _, err := s.service.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// body is a good one for a route; holds last for a time from now.
func (s *scene) body(route string, hold time.Duration) string {
	switch route {
	case "createMission":
		return s.planned()
	case "changeMission":
		return s.fresh(`{"add_agents":[{"agent":"badge-17"}]}`)
	case "holdMission":
		return fmt.Sprintf(`{"reason":"a dispute","until":%q}`, s.clock.Now().Add(hold).Format(time.RFC3339))
	case "publishNotice":
		return `{"text":"We locate you during missions."}`
	case "acknowledgeNotice":
		return `{"version":1}`
	case "eraseAgent":
		return `{"reason":"asked by the agent"}`
	}
	return ""
}

// ask has a caller use a route on a target.
func (s *scene) ask(r *web.Route, c *caller, on target) *answer {
	s.t.Helper()
	object := on.mission
	if strings.HasPrefix(r.Path, "/v1/links/") {
		object = on.link
	}
	path := strings.NewReplacer("{id}", object, "{agent}", on.agent, "{$}", "").Replace(r.Path)
	if r.Name == "asset" || r.Name == "icon" {
		path = s.assets()[r.Name]
	}
	headers := s.shake(r.Kind)
	if missionStates[s.state] == "reason" {
		headers = append(headers, "Access-Reason", "a claim")
	}
	return s.call(r.Method, path, c.token, s.body(r.Name, 48*time.Hour), headers...)
}

// tally counts the cells of the matrix.
type tally struct{ cells, refused, missing atomic.Int64 }

// cell is one question and the word for its answer.
type cell struct {
	route  *web.Route
	caller *caller
	word   string
}

func (c *cell) String() string { return c.route.Name + ", " + c.caller.name }

// changes reports whether the question is about a mission and changes it, as
// others see it. What an agent has kept of their own part does not.
func (c *cell) changes() bool {
	return words[c.word].status < 300 && c.caller.role != "agent" && c.route.Method != http.MethodGet && strings.Contains(c.route.Path, "{")
}

// cells are all questions about the missions of this scene. A route that is not
// in the table of answers fails the test.
func (s *scene) cells() (all []cell) {
	s.t.Helper()
	for _, route := range web.Routes() {
		if _, declared := answers[route.Name]; !declared {
			s.t.Errorf("%s is not in the table of answers", route.Pattern())
			continue
		}
		for i := range s.callers {
			all = append(all, cell{&route, &s.callers[i], s.callers[i].answerTo(&route, s.state)})
		}
	}
	return all
}

// seen is what a mission's own people see of it.
func (s *scene) seen(of target) string {
	s.t.Helper()
	path := "/v1/missions/" + of.mission
	return string(s.call("GET", path, "platform", "").want(200, "").body) + string(s.call("GET", path+"/links", "platform", "").want(200, "").body)
}

// askAll asks everything: what changes a mission about one of its own, and the rest
// about one that is the same before and after.
func (s *scene) askAll(n *tally) {
	shared := s.target()
	s.callers = append(s.callers,
		caller{name: "its agent", role: "agent", token: shared.agentToken}, caller{name: "its link", role: "viewer", token: shared.linkToken})
	cells := s.cells()
	targets := make([]target, len(cells))
	for i := range cells {
		targets[i] = shared
		if cells[i].changes() {
			targets[i] = s.target()
		}
	}
	s.settle()
	before := s.seen(shared)
	for i := range cells {
		n.cells.Add(1)
		s.check(&cells[i], targets[i], n)
	}
	if after := s.seen(shared); after != before {
		s.t.Errorf("what was refused or read changed the mission:\n%s\n%s", before, after)
	}
}

func (s *scene) check(c *cell, on target, n *tally) {
	s.t.Helper()
	a, want := s.ask(c.route, c.caller, on), words[c.word]
	if a.status != want.status {
		s.t.Errorf("%v: %d %s, want %s", c, a.status, a.body, c.word)
		return
	}
	if want.code == "" {
		return
	}
	n.refused.Add(1)
	a.want(want.status, want.code)
	if c.word != "none" || !c.caller.foreign {
		return
	}
	n.missing.Add(1)
	nowhere := target{mission: session.NewID().String(), agent: "nobody-" + session.NewID().String(), link: session.NewID().String()}
	m := s.ask(c.route, c.caller, nowhere)
	if m.status != a.status || string(m.body) != string(a.body) || fmt.Sprint(headersOf(m)) != fmt.Sprint(headersOf(a)) {
		s.t.Errorf("%v: foreign and missing differ:\n%s\n%s", c, a.body, m.body)
	}
}

// P16, P25, P26: every route, for everybody who might ask, about a mission in
// every state. What is another's looks, byte for byte, like what is missing; and
// what is refused changes nothing.
func TestEveryRouteForEverybodyInEveryState(t *testing.T) {
	var n tally
	t.Run("states", func(t *testing.T) {
		for state, name := range missionStates {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				newScene(t, state).askAll(&n)
			})
		}
	})
	t.Logf("%d routes × %d callers × %d states: %d cells, %d refused, %d of them foreign and compared with missing", len(web.Routes()),
		n.cells.Load()/int64(len(web.Routes())*len(missionStates)), len(missionStates), n.cells.Load(), n.refused.Load(), n.missing.Load())
}
