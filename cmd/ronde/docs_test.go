package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDocsPage reads the API's page as a person does: looks it over, follows links, uses the keyboard, on a phone and on
// a desk, by day and by night.
func TestDocsPage(t *testing.T) {
	a := startAppOn(t, "")
	b := openBrowser(t, a.config.PublicURL)
	read := func(expression string) any { t.Helper(); return b.do("read", object{"expression": expression}) }
	b.open(a.config.PublicURL + "/docs")
	b.until("#contents", "Missions")
	b.picture("docs-phone")

	document := a.call(200, "GET", "/v1/openapi.json", nil)
	var operations []any
	for _, path := range document["paths"].(object) {
		for _, operation := range path.(object) {
			operations = append(operations, operation.(object)["operationId"])
		}
	}
	shown := read("[...document.querySelectorAll('details.operation')].map((e) => e.id)").([]any)
	for _, id := range operations {
		if !slices.Contains(shown, id) {
			t.Errorf("operation %s is not on the page", id)
		}
	}
	if len(shown) != len(operations) || len(shown) < 20 {
		t.Errorf("%d operations are on the page, %d in the document", len(shown), len(operations))
	}
	for prefix, entries := range map[string]any{"problem-": document["x-problems"], "schema-": document["components"].(object)["schemas"]} {
		for name := range entries.(object) {
			if read("document.getElementById('"+prefix+name+"') !== null") != true {
				t.Errorf("%s%s is not on the page", prefix, name)
			}
		}
	}
	if nowhere := read("[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.hash).filter((h) => document.getElementById(h.slice(1)) === null)").([]any); len(nowhere) != 0 {
		t.Errorf("links that lead nowhere: %v", nowhere)
	}

	// By keyboard: past the head of the page, and an operation opened.
	b.do("press", object{"key": "Tab"})
	b.do("until", object{"expression": "document.activeElement.className === 'skip'"})
	b.do("press", object{"key": "Enter"})
	b.do("until", object{"expression": "document.activeElement.id === 'reference'"})
	read("document.querySelector('#createMission > summary').focus()")
	b.do("press", object{"key": "Enter"})
	for _, says := range []string{"Idempotency-Key", "MissionRequest", "idempotency_key_reused", "From a shell"} {
		b.until("#createMission", says)
	}
	b.picture("docs-phone-operation")

	// The example is a good request, but for the days that it names.
	_, example, _ := strings.Cut(read("document.querySelector('#createMission pre').textContent").(string), "-d '")
	var mission object
	check(t, json.Unmarshal([]byte(strings.TrimSuffix(example, "'")), &mission))
	mission["starts_at"], mission["ends_at"] = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	a.call(201, "POST", "/v1/missions", mission)

	// A link opens what it leads to, also from outside.
	b.open(a.config.PublicURL + "/docs#schema-Problem")
	b.do("until", object{"expression": "document.querySelector('#schema-Problem')?.open && document.activeElement === document.querySelector('#schema-Problem > summary')"})

	for _, size := range []object{{"width": 320, "height": 700}, {"width": 1280, "height": 900}} {
		b.do("resize", size)
		read("(document.querySelector('#toggle').click(), 0)")
		if read("document.documentElement.scrollWidth <= innerWidth") != true {
			t.Errorf("at a width of %v the page is wider than the window", size["width"])
		}
		read("(document.querySelector('#toggle').click(), 0)")
	}
	b.open(a.config.PublicURL + "/docs")
	b.until("#contents", "Missions")
	b.picture("docs-desk")
	b.open(a.config.PublicURL + "/docs#createMission")
	b.until("#createMission", "From a shell")
	for _, scheme := range []string{"light", "dark"} {
		b.do("scheme", object{"scheme": scheme})
		b.picture("docs-desk-" + scheme)
	}
	b.clean()
}
