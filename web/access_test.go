package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"ronde/session"
)

// P25, I6: a table in which a route does not say how it is recorded, or says what
// cannot be, is no table.
func TestEveryRouteDeclaresItsRecording(t *testing.T) {
	route := Route{Method: "GET", Path: "/x", Name: "x", Summary: "X", Roles: staff, bind: operation((*Server).getNotice)}
	track := []session.AccessAction{session.AccessTrackRead}
	for name, c := range map[string]struct {
		change  func(*Route)
		message string
	}{
		"nothing":        {func(*Route) {}, "does not declare how it is recorded"},
		"no why":         {func(r *Route) { r.Access = unrecorded("") }, "does not say why it is not recorded"},
		"both":           {func(r *Route) { r.Access = Access{By: Nobody, Unrecorded: "x", Actions: track} }, "does not say why it is not recorded"},
		"no action":      {func(r *Route) { r.Access = Access{By: Edge} }, "does not say as what it is recorded"},
		"nobody's":       {func(r *Route) { r.Roles, r.Public, r.Access = nil, true, Access{By: Edge, Actions: track} }, "has nobody to record"},
		"no connection":  {func(r *Route) { r.Access = connects(session.AccessLiveOpen) }, "is recorded as what it is not"},
		"a connection":   {func(r *Route) { r.Kind, r.Access = LiveEvents, reads(session.AccessLiveOpen) }, "is recorded as what it is not"},
		"no operation":   {func(r *Route) { r.Access, r.bind = reads(session.AccessTrackRead), plain((*Server).serveHome) }, "which only an operation does"},
		"a plain change": {func(r *Route) { r.Access, r.bind = changes(session.AccessHoldSet), plain((*Server).serveHome) }, "which only an operation does"},
	} {
		r := route
		c.change(&r)
		s := &Server{service: &session.Service{}}
		if got := panics(t, func() { s.register(append(Routes(), r)) }); !strings.Contains(got, c.message) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAccessReason(t *testing.T) {
	for header, want := range map[string]string{
		"dispute 4711": "dispute 4711", "d%C3%A9sign%C3%A9": "désigné", "a+b=c": "a+b=c",
		"100%25 sure": "100% sure", "%20abc%20": "abc", strings.Repeat("%C3%A9", 300): strings.Repeat("é", 300),
	} {
		if got, err := accessReason(http.Header{reasonHeader: {header}}); err != nil || got != want {
			t.Errorf("%q: %q, %v", header, got, err)
		}
	}
	if got, err := accessReason(http.Header{}); err != nil || got != "" {
		t.Errorf("none: %q, %v", got, err)
	}
	for name, values := range map[string][]string{
		"twice": {"one reason", "another"}, "3 to 300": {""}, "to 300 characters": {"ab"}, "300 characters": {strings.Repeat("x", 301)}, "in words": {"100%25"},
		"is written %25": {"100%"}, "percent-encoded UTF-8: a": {"%ff%fe%fd"}, "ASCII": {"désigné"},
		"control or": {"abc%0Adef"}, "or formatting": {"abc%E2%80%AEdef"}, "must be ASCII": {"abc\tdef"},
	} {
		_, err := accessReason(http.Header{reasonHeader: values})
		if err == nil || !strings.Contains(err.Error(), "invalid: Access-Reason ") || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v, want %q", values, err, name)
		}
	}
}

// A reason that is let in is what was sent, and fit for the log.
func FuzzAccessReason(f *testing.F) {
	for _, seed := range []string{"dispute 4711", "d%C3%A9", "%", "%00%00%00", "\xff", "   ", "%E2%80%8Fabc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		reason, err := accessReason(http.Header{reasonHeader: {header}})
		if err != nil {
			return
		}
		again, err := accessReason(http.Header{reasonHeader: {url.PathEscape(reason)}})
		if n := utf8.RuneCountInString(reason); err != nil || again != reason || n < 3 || n > 300 || strings.ContainsAny(reason, "\n\r\x00") {
			t.Fatalf("%q: %q, then %q, %v", header, reason, again, err)
		}
	})
}
