package web_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"ronde/session"
	"ronde/web"
)

// probe makes the token with which a doctor looks at the sockets.
func (w *world) probe() string {
	w.t.Helper()
	token, err := w.service.Tokens.Issue(w.t.Context(), session.Principal{
		Role: session.Doctor, Subject: session.NewID(), Expires: w.clock.Now().Add(time.Minute),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// seen returns what an answer tells a doctor; ok is false if it tells nothing.
func (a *answer) seen(t *testing.T) (seen web.Seen, ok bool) {
	t.Helper()
	text := a.header.Get(web.SeenHeader)
	if text == "" {
		return seen, false
	}
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return seen, true
}

// A doctor is told what arrived, even of a request that is refused; nobody else
// is told anything.
func TestDoctorIsToldWhatArrived(t *testing.T) {
	w := newWorld(t, func(o *web.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	probe := w.probe()
	forwarded := []string{"X-Forwarded-For", "192.0.2.1, 198.51.100.7"}
	told := func(a *answer) web.Seen {
		t.Helper()
		seen, ok := a.seen(t)
		if !ok {
			t.Fatalf("%d %s: a doctor is told nothing", a.status, a.body)
		}
		if seen.PublicURL != w.url || seen.Protocol != "HTTP/1.1" || "http://"+seen.Host != w.url || !seen.Trusted || seen.Peer == "" {
			t.Errorf("told %+v", seen)
		}
		return seen
	}

	seen := told(w.call("GET", "/v1/live", probe, "", append(w.shake(web.LiveSocket), forwarded...)...).want(200, ""))
	if !seen.Authorization || seen.Upgrade != "websocket" || seen.Connection != "Upgrade" || seen.Subprotocol != "ronde.live.v1" ||
		seen.Origin != w.url || seen.ForwardedFor != "192.0.2.1, 198.51.100.7" || seen.Client != "198.51.100.7:0" {
		t.Errorf("a live socket: told %+v", seen)
	}
	seen = told(w.call("GET", "/v1/agent", "", "", append(w.shake(web.AgentSocket), "Sec-WebSocket-Protocol", "", "Sec-WebSocket-Protocol", "ronde.agent.v1, bearer."+probe)...).want(200, ""))
	if seen.Authorization || seen.Subprotocol != "ronde.agent.v1" || seen.ForwardedFor != "" || seen.Client != seen.Peer {
		t.Errorf("an agent's socket, by subprotocol: told %+v", seen)
	}
	seen = told(w.call("GET", "/v1/live/events", probe, "", "Origin", w.url).want(200, ""))
	if seen.Origin != w.url {
		t.Errorf("events: told %+v", seen)
	}

	seen = told(w.call("GET", "/v1/agent", probe, "", "Sec-WebSocket-Protocol", "ronde.agent.v1").want(426, "upgrade_required"))
	if seen.Upgrade != "" || seen.Connection != "" {
		t.Errorf("without an upgrade: told %+v", seen)
	}
	if seen = told(w.call("GET", "/v1/live/events", probe, "", "Origin", "https://evil.example").want(403, "origin")); seen.Origin != "https://evil.example" {
		t.Errorf("of another origin: told %+v", seen)
	}

	_, link := w.link(w.mission())
	for name, credential := range map[string]string{"nobody": "", "a viewer": link, "a platform": "platform", "a forger": alterLast(probe)} {
		for _, headers := range [][]string{w.shake(web.LiveSocket), {"Sec-WebSocket-Protocol", "ronde.live.v1"}} {
			if seen, ok := w.call("GET", "/v1/live", credential, "", headers...).seen(t); ok {
				t.Errorf("%s is told %+v", name, seen)
			}
		}
	}
	w.clock.Advance(time.Minute)
	if seen, ok := w.call("GET", "/v1/live", probe, "", w.shake(web.LiveSocket)...).seen(t); ok {
		t.Errorf("past its time a probe is told %+v", seen)
	}
}
