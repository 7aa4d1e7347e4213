package web

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"ronde/session"
)

// Whatever is sent as a body is decoded or refused by a problem that stays
// small and is text.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"reference":"M-1","site":{"name":"x","point":{"latitude":48.84,"longitude":2.41},"radius_m":80},"starts_at":"2026-11-21T20:00:00+01:00","agents":[{"agent":"a"}]}`,
		`{"site":{"name":"x","area":{"type":"Polygon","coordinates":[[[2,48],[2.1,48],[2,48.1],[2,48]]]}}}`,
		`{"policy":{"max_points":null}}`, `{"agents":[[[[[[`, `{"a":1,"a":2}`, `{"\u0061gents":null}`, "\xff", `{"checkpoints":[{"latitude":1e999}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{new(missionRequest), new(missionChange), new(linkRequest), new(noticeRequest), new(empty)} {
			err := decode(data, v)
			if err == nil {
				if q, ok := v.(*missionRequest); ok {
					_, _ = q.mission() // must not panic
				}
				continue
			}
			var p *Problem
			if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || p.Code != codeInvalid || p.Detail == "" {
				t.Fatalf("%q: %v", data, err)
			}
			if len(p.Field) > 300 || len(p.Detail) > 200 || !utf8.ValidString(p.Field+p.Detail) {
				t.Fatalf("%q: the problem has %d and %d bytes", data, len(p.Field), len(p.Detail))
			}
		}
	})
}

// A cursor that decodes encodes to itself; every other text is refused.
func FuzzTrackCursor(f *testing.F) {
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAGJhZGdl")
	f.Add("AAAAAAAAAAAAAAAAAAAAAP8")
	f.Add("AAA0\r0000000000000000000")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseTrackCursor(text)
		if err != nil || text == "" {
			return
		}
		if back := encodeTrackCursor(&session.Row{Agent: c.Agent, Slot: c.Slot, At: c.At}); back != text {
			t.Fatalf("%q encodes to %q", text, back)
		}
	})
}

// Whatever headers say about a token or an address, looking at them does not
// panic, and no token comes out that did not go in.
func FuzzHeaders(f *testing.F) {
	f.Add("Bearer x", "ronde.agent.v1, bearer.x", "1.2.3.4, 10.0.0.1")
	f.Add("bearer\tx", "bearer.", "[::1]:80,,%")
	p := proxies{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, authorization, protocols, forwarded string) {
		h := http.Header{"Authorization": {authorization}, "Sec-Websocket-Protocol": {protocols}, "X-Forwarded-For": {forwarded}}
		if token, err := bearer(h); err == nil && !strings.HasSuffix(authorization, token) {
			t.Fatalf("%q gives %q", authorization, token)
		}
		if token, err := socketToken(h); err == nil && !strings.HasSuffix(authorization, token) {
			t.Fatalf("%q, %q give %q", authorization, protocols, token)
		}
		r := p.resolve(&http.Request{Header: h, RemoteAddr: "10.0.0.9:1"})
		if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil {
			t.Fatalf("%q gives %q", forwarded, r.RemoteAddr)
		}
	})
}
