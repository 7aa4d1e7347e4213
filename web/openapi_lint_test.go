package web_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lint returns what a linter of OpenAPI 3.1 finds wrong with a document. It
// fails, and does not skip, where the linter is missing: make pages brings it.
func lint(t *testing.T, document []byte) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join("ui", "node_modules", "@redocly", "openapi-core")); err != nil {
		t.Fatal("the linter of the OpenAPI document is not installed: make pages")
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("build", "lint-openapi.mjs"))
	cmd.Dir, cmd.Stdin, cmd.Stderr = "ui", bytes.NewReader(document), t.Output()
	found, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(found)
}

func TestOpenAPILints(t *testing.T) {
	document := newWorld(t).call("GET", "/v1/openapi.json", "", "").want(200, "").body
	if found := lint(t, document); found != "" {
		t.Errorf("the document has mistakes:\n%s", found)
	}
}

// The linter itself is tried: a document with a mistake of each kind.
func TestOpenAPILinterFinds(t *testing.T) {
	document := string(newWorld(t).call("GET", "/v1/openapi.json", "", "").want(200, "").body)
	for _, c := range []struct{ rule, right, wrong string }{
		{"struct", `"type":"boolean"`, `"type":"bool"`},
		{"struct", `"in":"query"`, `"in":"body"`},
		{"no-unresolved-refs", `"$ref":"#/components/schemas/Site"`, `"$ref":"#/components/schemas/Sites"`},
		{"operation-operationId-unique", `"operationId":"createLink"`, `"operationId":"createMission"`},
		{"path-parameters-defined", `"in":"path"`, `"in":"header"`},
		{"operation-tag-defined", `"tags":["notice"]`, `"tags":["notices"]`},
		{"no-invalid-schema-examples", `"examples":["2026-11-22T00:00:00Z"]`, `"examples":[17]`},
		{"security-defined", `"security":[{"apiKey":[]}]`, `"security":[{"apikey":[]}]`},
	} {
		if !strings.Contains(document, c.right) {
			t.Errorf("the document has no %s", c.right)
			continue
		}
		if found := lint(t, []byte(strings.Replace(document, c.right, c.wrong, 1))); !strings.Contains(found, " "+c.rule+":") {
			t.Errorf("%s for %s: %q, want %s", c.wrong, c.right, found, c.rule)
		}
	}
}
