package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

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
	// Access says how the access log knows of its uses, or why it does not.
	Access Access
	// Status of success; 0 stands for 200.
	Status int
	// Bound is how long the store may take; 0 stands for requestTimeout.
	Bound time.Duration
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
	// An agent's own token reads what concerns that agent.
	ownAgent = []session.Role{session.Platform, session.Operator, session.AgentRole}
	// An agent has a right to the policy.
	readers = append(slices.Clone(anyKey), session.AgentRole)
	// A doctor may see whether the sockets can be reached, and nothing else.
	agents  = []session.Role{session.AgentRole, session.Doctor}
	viewers = []session.Role{session.Viewer, session.Doctor}
	// Agents may read what is theirs.
	subjects = []session.Role{session.Platform, session.AgentRole}
)

// missionsPath begins the paths whose {id} is a mission's.
const missionsPath = "/v1/missions"

// Why uses of a route are not recorded.
var (
	ofPlan   = unrecorded("the plan of missions says nothing of where anybody is")
	ofNotice = unrecorded("the notice is what every agent is shown")
	ofPublic = unrecorded("it is everybody's to read")
)

// Routes returns the table of all routes of the public listener.
func Routes() []Route {
	const (
		missions = missionsPath
		mission  = missions + "/{id}"
		token    = mission + "/agents/{agent}/token"
	)
	return []Route{
		{Method: "POST", Path: missions, Name: "createMission", Summary: "Create a mission",
			Roles: staff, Access: creates(session.AccessMissionCreate),
			Status: http.StatusCreated, bind: operation((*Server).createMission)},
		{Method: "GET", Path: missions, Name: "listMissions", Summary: "List missions, newest first",
			Roles: staff, Access: ofPlan, bind: operation((*Server).listMissions)},
		{Method: "GET", Path: mission, Name: "getMission", Summary: "Read a mission",
			Roles: staff, Access: ofPlan, bind: operation((*Server).getMission)},
		{Method: "PATCH", Path: mission, Name: "changeMission", Summary: "Extend a mission, add or relieve agents: all of it or nothing",
			Roles: staff, Access: within(session.AccessExtend, session.AccessAgentRelieve, session.AccessAgentAdd),
			Refusals: []string{codeState, codeLocated}, bind: operation((*Server).changeMission)},

		{Method: "POST", Path: mission + "/begin", Name: "beginMission", Summary: "Begin a mission: its agents are located from now on",
			Roles: staff, Access: within(session.AccessBegin),
			Refusals: []string{codeState, codeTooEarly, codeLocated}, bind: transition(session.Begin)},
		{Method: "POST", Path: mission + "/pause", Name: "pauseMission", Summary: "Pause a mission: nobody is located",
			Roles: staff, Access: within(session.AccessPause),
			Refusals: []string{codeState}, bind: transition(session.Pause)},
		{Method: "POST", Path: mission + "/resume", Name: "resumeMission", Summary: "Resume a mission; an agent's own pause stays",
			Roles: staff, Access: within(session.AccessResume),
			Refusals: []string{codeState, codeAgentPause, codeLocated}, bind: transition(session.Resume)},
		{Method: "POST", Path: mission + "/end", Name: "endMission", Summary: "End a mission, for good",
			Roles: staff, Access: within(session.AccessEnd),
			Refusals: []string{codeState}, bind: transition(session.End)},
		{Method: "POST", Path: mission + "/cancel", Name: "cancelMission", Summary: "Cancel a mission that has not begun",
			Roles: staff, Access: within(session.AccessCancel),
			Refusals: []string{codeState}, bind: transition(session.Cancel)},

		{Method: "POST", Path: token, Name: "createAgentToken", Summary: "Make a token for an agent's phone",
			Roles: staff, Access: creates(session.AccessTokenIssue),
			Status: http.StatusCreated, Refusals: []string{codeState}, bind: operation((*Server).createAgentToken)},
		{Method: "DELETE", Path: token, Name: "revokeAgentTokens", Summary: "Revoke every token of an agent on this mission",
			Roles: staff, Access: within(session.AccessTokenRevoke),
			Refusals: []string{codeState}, bind: operation((*Server).revokeAgentTokens)},

		{Method: "POST", Path: mission + "/links", Name: "createLink", Summary: "Make a link with which a client watches the mission",
			Roles: staff, Access: creates(session.AccessLinkCreate),
			Status: http.StatusCreated, Refusals: []string{codeState}, bind: operation((*Server).createLink)},
		{Method: "GET", Path: mission + "/links", Name: "listLinks", Summary: "List the links to a mission, oldest first",
			Roles: staff, Access: unrecorded("it says who may watch, not what anybody saw"), bind: operation((*Server).listLinks)},
		{Method: "DELETE", Path: "/v1/links/{id}", Name: "revokeLink", Summary: "Revoke a link and disconnect its viewers",
			Roles: staff, Access: changes(session.AccessLinkRevoke), bind: operation((*Server).revokeLink)},

		{Method: "GET", Path: mission + "/progress", Name: "getProgress", Summary: "Read where a mission stands",
			Roles: staff, Access: reads(session.AccessProgressRead, session.AccessArchiveRead),
			Refusals: []string{codeGone, codeReason}, bind: operation((*Server).getProgress)},
		{Method: "GET", Path: mission + "/track", Name: "getTrack", Summary: "Read a mission's stored positions",
			Roles: platform, Access: reads(session.AccessTrackRead, session.AccessArchiveRead),
			Refusals: []string{codeGone, codeReason}, bind: operation((*Server).getTrack)},
		{Method: "GET", Path: mission + "/report", Name: "getReport", Summary: "Read how a mission went, without coordinates",
			Roles: staff, Access: reads(session.AccessReportRead, session.AccessArchiveRead), Bound: reportTimeout,
			Refusals: []string{codeReason}, bind: operation((*Server).getReport)},

		{Method: "POST", Path: mission + "/hold", Name: "holdMission", Summary: "Hold a mission's track beyond its expiry, or extend its hold",
			Roles: staff, Access: within(session.AccessHoldSet),
			Refusals: []string{codeState, codeGone}, bind: operation((*Server).holdMission)},
		{Method: "DELETE", Path: mission + "/hold", Name: "releaseMission", Summary: "Release a mission's hold: its copy is deleted",
			Roles: staff, Access: within(session.AccessHoldRelease), bind: operation((*Server).releaseMission)},

		{Method: "PUT", Path: "/v1/notice", Name: "publishNotice", Summary: "Publish a new version of the privacy notice",
			Roles: platform, Access: changes(session.AccessNoticePublish), bind: operation((*Server).publishNotice)},
		{Method: "GET", Path: "/v1/notice", Name: "getNotice", Summary: "Read the current privacy notice",
			Roles: anyKey, Access: ofNotice,
			Refusals: []string{codeNotFound}, bind: operation((*Server).getNotice)},
		{Method: "POST", Path: "/v1/agents/{agent}/notice", Name: "acknowledgeNotice", Summary: "Record that an agent acknowledged the privacy notice outside Ronde",
			Roles: staff, Access: changes(session.AccessNoticeAccept), bind: operation((*Server).acknowledgeNotice)},

		{Method: "GET", Path: "/v1/agents/{agent}/ledger", Name: "getLedger", Summary: "Read who watched an agent, when and through which link, mission by mission",
			Roles: ownAgent, Access: reads(session.AccessAgentLedger), bind: operation((*Server).getLedger)},

		{Method: "GET", Path: "/v1/access-log", Name: "getAccessLog", Summary: "Read the tenant's access log, newest first",
			Roles: anyKey, Access: reads(session.AccessLogRead), bind: operation((*Server).getAccessLog)},
		{Method: "GET", Path: "/v1/agents/{agent}/export", Kind: Stream, Name: "exportAgent", Summary: "Read everything that is stored about an agent",
			Roles: subjects, Access: reads(session.AccessAgentExport, session.AccessArchiveRead), bind: streamed((*Server).exportAgent, describeExport)},
		{Method: "POST", Path: "/v1/agents/{agent}/erase", Name: "eraseAgent", Summary: "Erase an agent: positions go, a pseudonym stays in the records of missions",
			Roles: platform, Access: within(session.AccessAgentErase),
			Refusals: []string{codeOnDuty, codeHeld}, bind: operation((*Server).eraseAgent)},

		{Method: "GET", Path: "/v1/policy", Name: "getPolicy", Summary: "Read what is done with people's data here: made from the running configuration",
			Roles: readers, Access: unrecorded("it says what is done with data, and nothing of anybody"), bind: operation((*Server).getPolicy)},

		{Method: "GET", Path: "/v1/agent", Kind: AgentSocket, Name: "agentSocket", Summary: "The socket of an agent's phone, subprotocol ronde.agent.v1",
			Roles: agents, Access: unrecorded("it shows nobody where anybody is; what the agent does there is recorded with the change"),
			Status: http.StatusSwitchingProtocols, bind: socket},
		{Method: "GET", Path: "/v1/live", Kind: LiveSocket, Name: "liveSocket", Summary: "The socket of a client's page, subprotocol ronde.live.v1",
			Roles: viewers, Access: connects(session.AccessLiveOpen, session.AccessLiveClose),
			Status: http.StatusSwitchingProtocols, bind: socket},
		{Method: "GET", Path: "/v1/live/events", Kind: LiveEvents, Name: "liveEvents", Summary: "The frames of the live socket as server-sent events",
			Roles: viewers, Access: connects(session.AccessLiveOpen, session.AccessLiveClose), bind: socket},

		{Method: "GET", Path: "/v1/openapi.json", Name: "getOpenAPI", Summary: "This document",
			Public: true, Access: ofPublic, bind: plain((*Server).serveOpenAPI)},
		{Method: "GET", Path: "/{$}", Kind: Page, Name: "home", Summary: "The home page",
			Public: true, Access: ofPublic, bind: plain((*Server).serveHome)},
		{Method: "GET", Path: "/live", Kind: Page, Name: "livePage", Summary: "The client's page",
			Public: true, Access: ofPublic, bind: built("live.html")},
		{Method: "GET", Path: "/policy", Kind: Page, Name: "policyPage", Summary: "The privacy policy, to read and print",
			Public: true, Access: ofPublic, bind: plain((*Server).servePolicy)},
		{Method: "GET", Path: "/docs", Kind: Page, Name: "docsPage", Summary: "The API, to read",
			Public: true, Access: ofPublic, bind: built("docs.html")},
		{Method: "GET", Path: "/assets/{file}", Kind: Page, Name: "asset", Summary: "A file of the pages",
			Public: true, Access: ofPublic, Refusals: []string{codeNotFound}, bind: plain((*Server).serveAsset)},
		{Method: "GET", Path: "/favicon.svg", Kind: Page, Name: "icon", Summary: "The icon of the pages",
			Public: true, Access: ofPublic, Refusals: []string{codeNotFound}, bind: plain((*Server).serveAsset)},
	}
}

// checkRoutes returns what is wrong with a table: nobody may be able to forget
// to say who a route is for or how it is recorded, and no two routes may share a
// name.
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
		if err := r.Access.check(r); err != nil {
			return fmt.Errorf("route %s %w", r.Pattern(), err)
		}
		patterns[r.Pattern()], names[r.Name] = true, true
	}
	return nil
}
