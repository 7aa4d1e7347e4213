package web_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListPages(t *testing.T) {
	w := newWorld(t)
	var made []string
	for range 5 {
		made = append(made, w.mission())
	}
	slices.Reverse(made) // newest first
	var got []string
	for cursor, pages := "", 0; ; pages++ {
		list := w.call("GET", "/v1/missions?limit=2"+cursor, "platform", "").want(200, "").json()
		for _, m := range list["items"].([]any) {
			got = append(got, m.(map[string]any)["id"].(string))
		}
		next, more := list["next_cursor"].(string)
		if !more {
			if pages != 2 {
				t.Errorf("%d pages more, want 2", pages)
			}
			break
		}
		cursor = "&cursor=" + next
	}
	if !slices.Equal(got, made) {
		t.Errorf("listed %v, made %v", got, made)
	}
	if items := w.call("GET", "/v1/missions", "foreign", "").want(200, "").json()["items"]; len(items.([]any)) != 0 {
		t.Errorf("another tenant sees %v", items)
	}
	for query, code := range map[string]string{
		"limit=0": "invalid:limit", "limit=201": "invalid:limit", "limit=x": "invalid:limit", "limit=-1": "invalid:limit",
		"cursor=x": "invalid:cursor", "cursor=%00": "invalid:cursor", "cursor=" + strings.Repeat("A", 300): "invalid:cursor",
		"token=abc": "invalid:token", "limit": "invalid:limit", "cursor=": "invalid:cursor", "limit=1&limit=2": "invalid:limit",
	} {
		w.call("GET", "/v1/missions?"+query, "platform", "").want(422, code)
	}
}

// listed returns the ids of the first page.
func (w *world) listed(query, key string) (ids []string) {
	w.t.Helper()
	for _, m := range w.call("GET", "/v1/missions?"+query, key, "").want(200, "").json()["items"].([]any) {
		ids = append(ids, m.(map[string]any)["id"].(string))
	}
	return ids
}

func TestListFilters(t *testing.T) {
	w := newWorld(t)
	scheduled, begun, over := w.mission(), w.mission("begin"), w.mission("begin", "pause")
	agent, reference := w.agentOf(begun), "Entrepôt «A» & Söhne"
	named := strings.NewReplacer("M-1", reference, "2026-11-21T20", "2026-11-21T23").Replace(aMission)
	other := w.call("POST", "/v1/missions", "platform", w.fresh(named)).want(201, "").text("id")
	for query, want := range map[string][]string{
		"":                                 {other, over, begun, scheduled},
		"state=active":                     {begun},
		"state=paused&state=active":        {over, begun},
		"state=scheduled&state=ended":      {other, scheduled},
		"state=cancelled":                  {},
		"agent=" + agent:                   {begun},
		"agent=nobody":                     {},
		"agent=" + agent + "&state=paused": {},
		"reference=M-1":                    {over, begun, scheduled},
		"reference=m-1":                    {},
		"reference=Entrep%C3%B4t%20%C2%ABA%C2%BB%20%26%20S%C3%B6hne": {other},
		"to=2026-11-21T19:00:00Z":                                    {},
		"to=2026-11-21T20:00:00.001%2B01:00":                         {over, begun, scheduled},
		"from=2026-11-22T01:00:00Z":                                  {},
		"from=2026-11-22T00:59:59.999Z":                              {other, over, begun, scheduled},
		"from=2026-11-21T19:00:00Z&to=2026-11-21T22:00:00Z":          {over, begun, scheduled},
		"from=2026-11-21T19:00:00Z&to=2026-11-21T22:00:00.001Z":      {other, over, begun, scheduled},
	} {
		if got := w.listed(query, "operator"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
		if got := w.listed(query, "foreign"); len(got) != 0 {
			t.Errorf("%s: another tenant sees %v", query, got)
		}
	}
	// What a filter says of a state is what the answer shows, at any time.
	w.clock.Advance(9 * time.Hour)
	if got := w.listed("state=ended", "platform"); !slices.Equal(got, []string{other, over, begun, scheduled}) {
		t.Errorf("past the deadline, ended are %v", got)
	}
	if got := w.listed("state=active&state=paused&state=scheduled", "platform"); len(got) != 0 {
		t.Errorf("past the deadline %v are not over", got)
	}
}

// A cursor goes on where its list stopped, under any filter, for its tenant.
func TestListPagesFiltered(t *testing.T) {
	w := newWorld(t)
	var want []string
	for range 3 {
		want = append(want, w.mission("begin"))
		w.mission()
	}
	slices.Reverse(want)
	var got []string
	for cursor := ""; ; {
		list := w.call("GET", "/v1/missions?state=active&limit=1"+cursor, "platform", "").want(200, "").json()
		got = append(got, first(t, list["items"])["id"].(string))
		next, more := list["next_cursor"].(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
		if seen := w.listed("limit=200"+cursor, "foreign"); len(seen) != 0 {
			t.Errorf("another tenant's cursor shows %v", seen)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}

func TestListRefuses(t *testing.T) {
	w := newWorld(t)
	w.mission()
	for query, code := range map[string]string{
		"state=Active": "invalid:state", "state=active,paused": "invalid:state", "state=": "invalid:state", "state=active&state=": "invalid:state",
		"state=active&state=gone": "invalid:state", "state": "invalid:state",
		"from=yesterday": "invalid:from", "from=2026-11-21": "invalid:from", "from=2026-11-21T20:00:00": "invalid:from", "from=1795255200": "invalid:from",
		"from=2026-11-21T20:00:00+01:00": "invalid:from", // the + is a space
		"from=2026-11-21t20:00:00z":      "invalid:from", "from=2026-11-21T20:00:00,5Z": "invalid:from", "from=2026-11-21T2:00:00Z": "invalid:from", "from=2026-11-21T20:00:00%2B24:00": "invalid:from",
		"from=1969-12-31T23:59:59Z": "invalid:from", "to=0001-01-01T00:00:00Z": "invalid:to", "to=": "invalid:to",
		"to=2026-13-01T00:00:00Z":                                "invalid:to",
		"from=2026-11-21T20:00:00Z&to=2026-11-21T20:00:00Z":      "invalid:to",
		"from=2026-11-21T20:00:00Z&to=2026-11-21T20:00:00.0004Z": "invalid:to",
		"from=2026-11-21T20:00:00Z&from=2026-11-21T20:00:00Z":    "invalid:from",
		"agent=": "invalid:agent", "agent": "invalid:agent", "agent=b%20b": "invalid:agent", "agent=%00": "invalid:agent",
		"agent=a&agent=b": "invalid:agent", "agent=" + strings.Repeat("a", 65): "invalid:agent", "agent=%FF": "invalid:agent",
		"reference=": "invalid:reference", "reference=%20": "invalid:reference", "reference=a%00b": "invalid:reference",
		"reference=%E2%80%AEx": "invalid:reference", "reference=%FF": "invalid:reference", "reference=" + strings.Repeat("a", 201): "invalid:reference",
		"States=active": "invalid:States", "agent=%zz": "invalid", "agent=a;limit=1": "invalid",
	} {
		w.call("GET", "/v1/missions?"+query, "platform", "").want(422, code)
	}
}
