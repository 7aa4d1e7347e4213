package web_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"ronde/web"
)

type operationDoc struct {
	OperationID string                      `json:"operationId"`
	Summary     string                      `json:"summary"`
	Tags        []string                    `json:"tags"`
	Security    []map[string][]string       `json:"security"`
	Roles       []string                    `json:"x-roles"`
	Parameters  []struct{ Name, In string } `json:"parameters"`
	RequestBody *struct {
		Required bool                `json:"required"`
		Content  map[string]mediaDoc `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Description string              `json:"description"`
		Content     map[string]mediaDoc `json:"content"`
	} `json:"responses"`
}

type mediaDoc struct {
	Schema map[string]any `json:"schema"`
}

type openAPIDoc struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]operationDoc
	Servers any `json:"servers"`

	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]map[string]any
	}
}

func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	a := w.call("GET", "/v1/openapi.json", "", "").want(200, "")
	if got := a.header.Get("Content-Type"); got != "application/openapi+json" {
		t.Errorf("Content-Type %s", got)
	}
	var doc openAPIDoc
	if err := json.Unmarshal(a.body, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title != "Ronde" || doc.Info.Version != "test" {
		t.Errorf("openapi %s, info %+v", doc.OpenAPI, doc.Info)
	}
	documented := 0
	for _, operations := range doc.Paths {
		documented += len(operations)
	}
	for _, route := range web.Routes() {
		op, ok := doc.Paths[route.Path][strings.ToLower(route.Method)]
		if route.Kind == web.Page {
			if ok {
				t.Errorf("%s is a page and in the document", route.Pattern())
			}
			continue
		}
		documented--
		if !ok {
			t.Errorf("%s is not in the document", route.Pattern())
			continue
		}
		checkOperation(t, &route, &op, &doc)
	}
	if documented != 0 {
		t.Errorf("%d operations in the document are not in the table", documented)
	}
	checkReferences(t, a.body, &doc)
	if strings.Contains(string(a.body), w.url) {
		t.Error("the document says what it should not")
	}
}

func checkOperation(t *testing.T, route *web.Route, op *operationDoc, doc *openAPIDoc) {
	t.Helper()
	if op.OperationID != route.Name || op.Summary != route.Summary || len(op.Tags) != 1 {
		t.Errorf("%s: %s %q %v", route.Pattern(), op.OperationID, op.Summary, op.Tags)
	}
	if len(op.Roles) != len(route.Roles) || (len(op.Security) == 0) != route.Public {
		t.Errorf("%s: roles %v, security %v", route.Pattern(), op.Roles, op.Security)
	}
	for _, requirement := range op.Security {
		for scheme := range requirement {
			if doc.Components.SecuritySchemes[scheme]["scheme"] != "bearer" {
				t.Errorf("%s: no security scheme %s", route.Pattern(), scheme)
			}
		}
	}
	for _, segment := range strings.Split(route.Path, "/") {
		name, isParam := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		if isParam && !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == name && p.In == "path" }) {
			t.Errorf("%s: parameter %s is not documented", route.Pattern(), name)
		}
	}
	if slices.Contains(op.Parameters, struct{ Name, In string }{"Idempotency-Key", "header"}) != (route.Status == 201) {
		t.Errorf("%s, which answers %d: parameters %v", route.Pattern(), route.Status, op.Parameters)
	}
	if (op.RequestBody != nil) != (route.Method == "POST" || route.Method == "PUT" || route.Method == "PATCH") {
		t.Errorf("%s: request body %v", route.Pattern(), op.RequestBody)
	}
	if op.RequestBody != nil && op.RequestBody.Content["application/json"].Schema["$ref"] == nil {
		t.Errorf("%s: request body has no schema: %v", route.Pattern(), op.RequestBody)
	}
	for status, r := range op.Responses {
		if r.Description == "" {
			t.Errorf("%s: %s has no description", route.Pattern(), status)
		}
		if status == "default" || status >= "400" {
			if r.Content["application/problem+json"].Schema["$ref"] != "#/components/schemas/Problem" || len(r.Content) != 1 {
				t.Errorf("%s: %s is no problem: %v", route.Pattern(), status, r.Content)
			}
		}
	}
}

// checkReferences finds references that lead nowhere, and schemas of requests
// that would take members that the server refuses.
func checkReferences(t *testing.T, body []byte, doc *openAPIDoc) {
	t.Helper()
	const prefix = `"$ref":"#/components/schemas/`
	text, references := string(body), 0
	for i := strings.Index(text, prefix); i >= 0; i = strings.Index(text, prefix) {
		text = text[i+len(prefix):]
		name, _, _ := strings.Cut(text, `"`)
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
		references++
	}
	if references < 50 {
		t.Errorf("only %d references", references)
	}
	problem := doc.Components.Schemas["Problem"]
	wantKeys(t, "problem", problem["properties"], "code detail field status title")
	for name, schema := range doc.Components.Schemas {
		if schema["type"] == "object" && schema["additionalProperties"] != false {
			t.Errorf("schema %s is open", name)
		}
		if strings.Contains(name, "Reply") || strings.Contains(name, "ErrorModel") || strings.Contains(name, "ErrorDetail") {
			t.Errorf("schema %s is named after a Go type", name)
		}
	}
	// Null is refused everywhere but in one place.
	for name, schema := range doc.Components.Schemas {
		if !strings.HasSuffix(name, "Request") && name != "MissionChange" {
			continue
		}
		properties, _ := schema["properties"].(map[string]any)
		for member, property := range properties {
			types, _ := property.(map[string]any)["type"].([]any)
			if slices.Contains(types, any("null")) != (member == "max_points") {
				t.Errorf("schema %s: %s has the types %v", name, member, types)
			}
		}
	}
	for member, want := range map[string]bool{"reference": true, "site": true, "agents": true, "starts_at": true, "policy": false, "overrun_minutes": false} {
		required, _ := doc.Components.Schemas["MissionRequest"]["required"].([]any)
		if slices.Contains(required, any(member)) != want {
			t.Errorf("MissionRequest: %s required: %v", member, !want)
		}
	}
}
