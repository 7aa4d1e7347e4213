package web

import (
	"net/http"
	"strings"
	"testing"

	"ronde/session"
)

// panics returns what f panics with, as text.
func panics(t *testing.T, f func()) (message string) {
	t.Helper()
	defer func() {
		message, _ = recover().(string)
	}()
	f()
	t.Error("did not panic")
	return ""
}

func noop(http.ResponseWriter, *http.Request) {}

// P25: nobody can register a route beside the table, forget to say who it is
// for, or declare one that nothing serves.
func TestTableIsTheOnlyWayIn(t *testing.T) {
	page := plain(func(*Server, http.ResponseWriter, *http.Request) {})
	with := func(r Route) []Route {
		r.Access = unrecorded("a test's")
		return append(Routes(), r)
	}
	for name, c := range map[string]struct {
		routes  []Route
		message string
	}{
		"no roles":      {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", bind: page}), "neither roles nor that it is public"},
		"both":          {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Public: true, Roles: staff, bind: page}), "or both"},
		"no name":       {with(Route{Method: "GET", Path: "/x", Summary: "X", Public: true, bind: page}), "not complete"},
		"no handler":    {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Public: true}), "not complete"},
		"path twice":    {with(Route{Method: "GET", Path: "/live", Name: "x", Summary: "X", Public: true, bind: page}), "declared twice"},
		"name twice":    {with(Route{Method: "GET", Path: "/x", Name: "home", Summary: "X", Public: true, bind: page}), "declared twice"},
		"bound nowhere": {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Public: true, bind: func(*builder, *Route) {}}), "has no handler"},
		"bound elsewhere": {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Public: true, bind: func(b *builder, _ *Route) {
			b.HandleFunc("GET /y", noop)
		}}), "not declared"},
		"huma beside the table": {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Roles: staff, bind: func(b *builder, _ *Route) {
			operation((*Server).getNotice)(b, &Route{Method: "GET", Path: "/z", Name: "z"})
		}}), "not declared"},
		"another method": {with(Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Roles: staff, bind: func(b *builder, r *Route) {
			b.HandleFunc("POST "+r.Path, noop)
		}}), "not declared"},
	} {
		s := &Server{service: &session.Service{}}
		if got := panics(t, func() { s.register(c.routes) }); !strings.Contains(got, c.message) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestBadOptions(t *testing.T) {
	if got := panics(t, func() { New(Options{PublicURL: "https://ronde.example"}) }); !strings.Contains(got, "Service") {
		t.Error(got)
	}
	for _, url := range []string{"", "ronde.example", "https://ronde.example/", "https://ronde.example/x", "https://Ronde.example", "https://ronde.example:443", "http://ronde.example:80",
		"https://user@ronde.example", "https://ronde.example?x", "https://ronde.example#x", "ftp://ronde.example", "https://", "null"} {
		if got := panics(t, func() { New(Options{Service: &session.Service{}, PublicURL: url}) }); !strings.Contains(got, "PublicURL") {
			t.Errorf("%q: %s", url, got)
		}
	}
}

// Every code has a status, and every code of package session is among them.
func TestEveryCodeHasAStatus(t *testing.T) {
	for _, e := range []*session.Error{
		session.ErrInvalid, session.ErrNotFound, session.ErrForbidden, session.ErrAgentPause, session.ErrOnDuty, session.ErrHeld, session.ErrErasing, session.ErrState, session.ErrTooEarly,
		session.ErrLocated, session.ErrExists, session.ErrKeyReused, session.ErrUnavailable, session.ErrGone, session.ErrToken, session.ErrRevoked,
	} {
		if problems[e.Code].status == 0 {
			t.Errorf("%s has no status", e.Code)
		}
	}
	for code, kind := range problems {
		if http.StatusText(kind.status) == "" || kind.meaning == "" || strings.ToLower(code) != code || strings.ContainsAny(code, " -.") {
			t.Errorf("%s: %+v", code, kind)
		}
	}
	for _, r := range Routes() {
		for _, code := range r.Refusals {
			if problems[code].status == 0 {
				t.Errorf("%s: refusal %s has no status", r.Pattern(), code)
			}
		}
	}
}
