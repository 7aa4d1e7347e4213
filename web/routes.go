package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ronde/session"
)

// Kind says how a route is reached, which decides what protect checks.
type Kind int8

// The kinds of routes.
const (
	API         Kind = iota // JSON over HTTP
	Stream                  // an answer that may be long, over HTTP
	Page                    // a document for browsers
	AgentSocket             // WebSocket, subprotocol ronde.agent.v1
	LiveSocket              // WebSocket, subprotocol ronde.live.v1
	LiveEvents              // server-sent events, read with fetch
)

// Route declares one route: what it is, and who may use it.
type Route struct {
	Method  string
	Path    string // pattern of http.ServeMux
	Kind    Kind
	Name    string // operationId of the OpenAPI document
	Summary string
	// Roles are those who may use the route. Without any it must be Public.
	Roles  []session.Role
	Public bool
	// Status of success; 0 stands for 200.
	Status int
	// Refusals are the problem codes that follow neither from the roles nor
	// from the path nor from the body.
	Refusals []string

	bind binder
}

// Pattern returns the route as http.ServeMux knows it: "GET /v1/missions/{id}".
func (r *Route) Pattern() string { return r.Method + " " + r.Path }

// Allows reports whether the role may use the route.
func (r *Route) Allows(role session.Role) bool {
	return r.Public || slices.Contains(r.Roles, role)
}

// keyRoles are the roles that come with an API key.
var keyRoles = []session.Role{session.Platform, session.Operator, session.Auditor}

// Who may use a route. Operators run missions; the track and what is published
// in the tenant's name are the platform's; auditors read what the rules are.
var (
	platform = []session.Role{session.Platform}
	staff    = []session.Role{session.Platform, session.Operator}
	anyKey   = keyRoles
	// A doctor may see whether the sockets can be reached, and nothing else.
	agents  = []session.Role{session.AgentRole, session.Doctor}
	viewers = []session.Role{session.Viewer, session.Doctor}
	// Agents may read what is theirs.
	subjects = []session.Role{session.Platform, session.AgentRole}
)

// Routes returns the table of all routes of the public listener.
func Routes() []Route {
	const (
		missions = "/v1/missions"
		mission  = missions + "/{id}"
		token    = mission + "/agents/{agent}/token"
	)
	return []Route{
		{Method: "POST", Path: missions, Name: "createMission", Summary: "Create a mission",
			Roles: staff, Status: http.StatusCreated, bind: operation((*Server).createMission)},
		{Method: "GET", Path: missions, Name: "listMissions", Summary: "List missions, newest first",
			Roles: staff, bind: operation((*Server).listMissions)},
		{Method: "GET", Path: mission, Name: "getMission", Summary: "Read a mission",
			Roles: staff, bind: operation((*Server).getMission)},
		{Method: "PATCH", Path: mission, Name: "changeMission", Summary: "Extend a mission, add or relieve agents: all of it or nothing",
			Roles: staff, Refusals: []string{codeState, codeLocated}, bind: operation((*Server).changeMission)},

		{Method: "POST", Path: mission + "/begin", Name: "beginMission", Summary: "Begin a mission: its agents are located from now on",
			Roles: staff, Refusals: []string{codeState, codeTooEarly, codeLocated}, bind: transition(session.Begin)},
		{Method: "POST", Path: mission + "/pause", Name: "pauseMission", Summary: "Pause a mission: nobody is located",
			Roles: staff, Refusals: []string{codeState}, bind: transition(session.Pause)},
		{Method: "POST", Path: mission + "/resume", Name: "resumeMission", Summary: "Resume a mission; an agent's own pause stays",
			Roles: staff, Refusals: []string{codeState, codeAgentPause, codeLocated}, bind: transition(session.Resume)},
		{Method: "POST", Path: mission + "/end", Name: "endMission", Summary: "End a mission, for good",
			Roles: staff, Refusals: []string{codeState}, bind: transition(session.End)},
		{Method: "POST", Path: mission + "/cancel", Name: "cancelMission", Summary: "Cancel a mission that has not begun",
			Roles: staff, Refusals: []string{codeState}, bind: transition(session.Cancel)},

		{Method: "POST", Path: token, Name: "createAgentToken", Summary: "Make a token for an agent's phone",
			Roles: staff, Status: http.StatusCreated, Refusals: []string{codeState}, bind: operation((*Server).createAgentToken)},
		{Method: "DELETE", Path: token, Name: "revokeAgentTokens", Summary: "Revoke every token of an agent on this mission",
			Roles: staff, Refusals: []string{codeState}, bind: operation((*Server).revokeAgentTokens)},

		{Method: "POST", Path: mission + "/links", Name: "createLink", Summary: "Make a link with which a client watches the mission",
			Roles: staff, Status: http.StatusCreated, Refusals: []string{codeState}, bind: operation((*Server).createLink)},
		{Method: "GET", Path: mission + "/links", Name: "listLinks", Summary: "List the links to a mission, oldest first",
			Roles: staff, bind: operation((*Server).listLinks)},
		{Method: "DELETE", Path: "/v1/links/{id}", Name: "revokeLink", Summary: "Revoke a link and disconnect its viewers",
			Roles: staff, bind: operation((*Server).revokeLink)},

		{Method: "GET", Path: mission + "/progress", Name: "getProgress", Summary: "Read where a mission stands",
			Roles: staff, Refusals: []string{codeGone, codeReason}, bind: operation((*Server).getProgress)},
		{Method: "GET", Path: mission + "/track", Name: "getTrack", Summary: "Read a mission's stored positions",
			Roles: platform, Refusals: []string{codeGone, codeReason}, bind: operation((*Server).getTrack)},
		{Method: "GET", Path: mission + "/report", Name: "getReport", Summary: "Read how a mission went, without coordinates",
			Roles: staff, Refusals: []string{codeReason}, bind: operation((*Server).getReport)},

		{Method: "POST", Path: mission + "/hold", Name: "holdMission", Summary: "Hold a mission's track beyond its expiry, or extend its hold",
			Roles: staff, Refusals: []string{codeState, codeGone}, bind: operation((*Server).holdMission)},
		{Method: "DELETE", Path: mission + "/hold", Name: "releaseMission", Summary: "Release a mission's hold: its copy is deleted",
			Roles: staff, bind: operation((*Server).releaseMission)},

		{Method: "PUT", Path: "/v1/notice", Name: "publishNotice", Summary: "Publish a new version of the privacy notice",
			Roles: platform, bind: operation((*Server).publishNotice)},
		{Method: "GET", Path: "/v1/notice", Name: "getNotice", Summary: "Read the current privacy notice",
			Roles: anyKey, Refusals: []string{codeNotFound}, bind: operation((*Server).getNotice)},
		{Method: "POST", Path: "/v1/agents/{agent}/notice", Name: "acknowledgeNotice", Summary: "Record that an agent acknowledged the privacy notice outside Ronde",
			Roles: staff, bind: operation((*Server).acknowledgeNotice)},
		{Method: "GET", Path: "/v1/agents/{agent}/export", Kind: Stream, Name: "exportAgent", Summary: "Read everything that is stored about an agent",
			Roles: subjects, bind: streamed((*Server).exportAgent, describeExport)},
		{Method: "POST", Path: "/v1/agents/{agent}/erase", Name: "eraseAgent", Summary: "Erase an agent: positions go, a pseudonym stays in the records of missions",
			Roles: platform, Refusals: []string{codeOnDuty, codeHeld}, bind: operation((*Server).eraseAgent)},

		{Method: "GET", Path: "/v1/agent", Kind: AgentSocket, Name: "agentSocket", Summary: "The socket of an agent's phone, subprotocol ronde.agent.v1",
			Roles: agents, Status: http.StatusSwitchingProtocols, bind: socket},
		{Method: "GET", Path: "/v1/live", Kind: LiveSocket, Name: "liveSocket", Summary: "The socket of a client's page, subprotocol ronde.live.v1",
			Roles: viewers, Status: http.StatusSwitchingProtocols, bind: socket},
		{Method: "GET", Path: "/v1/live/events", Kind: LiveEvents, Name: "liveEvents", Summary: "The frames of the live socket as server-sent events",
			Roles: viewers, bind: socket},

		{Method: "GET", Path: "/v1/openapi.json", Name: "getOpenAPI", Summary: "This document",
			Public: true, bind: plain((*Server).serveOpenAPI)},
		{Method: "GET", Path: "/{$}", Kind: Page, Name: "home", Summary: "The home page",
			Public: true, bind: plain((*Server).serveHome)},
		{Method: "GET", Path: "/live", Kind: Page, Name: "livePage", Summary: "The client's page",
			Public: true, bind: built("live.html")},
		{Method: "GET", Path: "/docs", Kind: Page, Name: "docsPage", Summary: "The API, to read",
			Public: true, bind: built("docs.html")},
		{Method: "GET", Path: "/assets/{file}", Kind: Page, Name: "asset", Summary: "A file of the pages",
			Public: true, Refusals: []string{codeNotFound}, bind: plain((*Server).serveAsset)},
		{Method: "GET", Path: "/favicon.svg", Kind: Page, Name: "icon", Summary: "The icon of the pages",
			Public: true, Refusals: []string{codeNotFound}, bind: plain((*Server).serveAsset)},
	}
}

// checkRoutes returns what is wrong with a table: nobody may be able to forget
// to say who a route is for, and no two routes may share a name.
func checkRoutes(routes []Route) error {
	patterns, names := map[string]bool{}, map[string]bool{}
	for i := range routes {
		r := &routes[i]
		switch {
		case r.Public == (len(r.Roles) > 0):
			return fmt.Errorf("route %s declares neither roles nor that it is public, or both", r.Pattern())
		case !strings.HasPrefix(r.Path, "/") || r.bind == nil || r.Name == "" || r.Summary == "":
			return fmt.Errorf("route %s is not complete", r.Pattern())
		case patterns[r.Pattern()] || names[r.Name]:
			return fmt.Errorf("route %s (%s) is declared twice", r.Pattern(), r.Name)
		}
		patterns[r.Pattern()], names[r.Name] = true, true
	}
	return nil
}
