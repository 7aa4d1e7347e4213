package web

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"ronde/session"
)

// apiConfig sets up huma: JSON only, refusals as ours, no routes beside the
// table (its own page for the document loads a third party's script).
func apiConfig(version string) huma.Config {
	format := huma.Format{Marshal: marshal, Unmarshal: nil} // operations decode their bodies themselves
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Ronde",
				Version:     version,
				Description: "Live progress of missions, and of nothing outside of them. Times are RFC 3339 with a zone; timestamps of positions are milliseconds since the epoch.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			// The server that serves the document, whatever it is called there.
			Servers:    []*huma.Server{{URL: "/"}},
			Tags:       tags,
			Extensions: map[string]any{"x-problems": documentProblems()},
			Components: &huma.Components{
				Schemas:         huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: securitySchemes,
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// marshal writes v as JSON. That the client is gone is no failure of ours,
// and huma would panic over it.
func marshal(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, _ = w.Write(b)
	}
	return err
}

// schemaName names the schema of a Go type: missionReply is Mission.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	name = strings.ReplaceAll(name, "Reply", "")
	if inner, ok := strings.CutPrefix(name, "Page"); ok {
		return inner + "Page"
	}
	return name
}

// tags are the groups of operations: see tagOf.
var tags = []*huma.Tag{
	tag("missions", "Missions", "A mission is one job at one site. While it is active, and at no other time, its agents are located."),
	tag("links", "Links", "What a client watches one mission through."),
	tag("agents", "Agents", "By the tenant's own names for them."),
	tag("notice", "Privacy notice", "What agents acknowledge before anything of theirs is stored."),
	tag("access-log", "Access log", "Who read or changed what, and when. What cannot be recorded is not answered."),
	tag("policy", "Privacy policy", "What is kept of people, why and for how long, made from the running configuration."),
	tag("agent", "Agent's socket", "How a phone sends positions."),
	tag("live", "Live view", "How a client's page watches a mission."),
	tag("openapi", "This document", "For programs."),
}

func tag(name, title, description string) *huma.Tag {
	return &huma.Tag{Name: name, Description: description, Extensions: map[string]any{"x-displayName": title}}
}

// documentProblems returns what the document says of the codes of problems.
func documentProblems() map[string]any {
	all := map[string]any{}
	for code, kind := range problems {
		all[code] = map[string]any{"status": kind.status, "meaning": kind.meaning}
	}
	return all
}

var securitySchemes = map[string]*huma.SecurityScheme{
	"apiKey":     {Type: "http", Scheme: "bearer", Description: "A key of the tenant, made by ronde apikey create"},
	"agentToken": {Type: "http", Scheme: "bearer", Description: "The token of an agent's phone; on a socket also as the subprotocol bearer.<token>"},
	"link":       {Type: "http", Scheme: "bearer", Description: "The token of a link; on a socket also as the subprotocol bearer.<token>"},
	"probe":      {Type: "http", Scheme: "bearer", Description: "The token that ronde doctor makes for itself to see whether a socket can be reached: the connection stays silent"},
}

// schemeOf names the kind of credential that a role comes with.
func schemeOf(role session.Role) string {
	switch role {
	case session.AgentRole:
		return "agentToken"
	case session.Viewer:
		return "link"
	case session.Doctor:
		return "probe"
	default:
		return "apiKey"
	}
}

// document completes what huma knows of its operations with the routes that are
// not huma's, who may use each, and how each refuses; and returns it as JSON.
func document(o *huma.OpenAPI, routes []Route) []byte {
	problem := o.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for i := range routes {
		r := &routes[i]
		if r.Kind == Page {
			continue
		}
		op := operationOf(o, r)
		if op == nil {
			op = &huma.Operation{
				OperationID: r.Name, Method: r.Method, Path: r.Path, Summary: r.Summary,
				Responses: map[string]*huma.Response{strconv.Itoa(r.status()): {Description: http.StatusText(r.status())}},
			}
			o.AddOperation(op)
		}
		op.Tags = []string{tagOf(r)}
		describeRoles(op, r)
		describeAccess(op, r)
		for status, codes := range r.refusals(op) {
			response := refusalOf(http.StatusText(status)+": "+strings.Join(codes, ", "), problem)
			response.Extensions = map[string]any{"x-codes": codes}
			op.Responses[strconv.Itoa(status)] = response
		}
		op.Responses["default"] = refusalOf("Any other refusal", problem)
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic("web: OpenAPI document: " + err.Error())
	}
	return b
}

func refusalOf(description string, problem *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{problemType: {Schema: problem}}}
}

// operationOf returns what the document says of a route, or nil.
func operationOf(o *huma.OpenAPI, r *Route) *huma.Operation {
	path := o.Paths[r.Path]
	if path == nil {
		return nil
	}
	return map[string]*huma.Operation{
		http.MethodGet: path.Get, http.MethodPost: path.Post, http.MethodPut: path.Put,
		http.MethodPatch: path.Patch, http.MethodDelete: path.Delete,
	}[r.Method]
}

// tagOf groups the routes: the segment after /v1.
func tagOf(r *Route) string {
	segment, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/v1/"), "/")
	return strings.TrimSuffix(segment, ".json")
}

func describeRoles(op *huma.Operation, r *Route) {
	if r.Public {
		op.Security = []map[string][]string{}
		return
	}
	op.Extensions = map[string]any{"x-roles": r.Roles}
	for _, role := range r.Roles {
		scheme := map[string][]string{schemeOf(role): {}}
		if !slices.ContainsFunc(op.Security, func(m map[string][]string) bool { return reflect.DeepEqual(m, scheme) }) {
			op.Security = append(op.Security, scheme)
		}
	}
}

// refusals returns the codes with which a route may refuse, by their status: those
// that follow from its kind, its roles, its path and its body, and those it
// declares.
func (r *Route) refusals(op *huma.Operation) map[int][]string {
	codes := slices.Clone(r.Refusals)
	if !r.Public {
		codes = append(codes, codeUnavailable)
	}
	switch r.Kind {
	case AgentSocket, LiveSocket:
		codes = append(codes, codeOrigin, codeHandshake, codeUpgrade)
	case LiveEvents:
		codes = append(codes, codeOrigin, codeToken, codeRevoked, codeNotFound, codeViewers)
	case API, Stream:
		if r.Public {
			break
		}
		codes = append(codes, codeToken, codeRevoked, codeInvalid) // a query parameter that is unknown
		if slices.ContainsFunc(keyRoles, func(role session.Role) bool { return !r.Allows(role) }) {
			codes = append(codes, codeForbidden)
		}
		if strings.Contains(r.Path, "{") {
			codes = append(codes, codeNotFound)
		}
		if r.creates() {
			codes = append(codes, codeKeyReused)
		}
		if op.RequestBody != nil {
			codes = append(codes, codeTooLarge, codeMediaType)
		}
	case Page:
	}
	slices.Sort(codes)
	all := map[int][]string{}
	for _, code := range slices.Compact(codes) {
		status := problems[code].status
		all[status] = append(all[status], code)
	}
	return all
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(s.openAPI) // who is gone cannot be told
}
