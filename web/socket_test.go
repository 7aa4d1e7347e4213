package web_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/session"
	"ronde/web"
)

// P21: fifteen and some origins. Only the public one, letter for letter, may
// come in; an agent may come without any, a viewer not.
func TestOrigins(t *testing.T) {
	for _, public := range []string{"https://ronde.example", "https://ronde.example:8443", "http://ronde.example", "http://[::1]:8080"} {
		w := newWorld(t, func(o *web.Options) { o.PublicURL = public })
		foreign := []string{
			"null", "", " ", "*", "file://", public + ".evil.example", strings.Replace(public, "ronde", "evil-ronde", 1) + "x",
			"https://evil.example", public + ":8081", public + "/", public + "/live", public + ".", strings.ToUpper(public),
			strings.Replace(public, "ronde", "Ronde", 1) + "#", strings.Replace(public, "://", "://user@", 1), strings.Replace(public, "://", "://user:pass@", 1),
			public + " " + public, public + ", " + public, public + "\t", "https://xn--rnde-0ra.example", "https://ronde.example:443", "http://ronde.example:80",
			"ronde.example", "//ronde.example", "wss://ronde.example", "ws://ronde.example",
		}
		for _, other := range []string{"https://ronde.example", "http://ronde.example", "https://ronde.example:8443", "http://ronde.example:8443", "http://[::1]:8080", "http://[::1]"} {
			if other != public {
				foreign = append(foreign, other)
			}
		}
		for _, kind := range []web.Kind{web.AgentSocket, web.LiveSocket, web.LiveEvents} {
			connect := func(origins ...string) *answer { return w.connect(kind, origins, nil) }
			ok := 200
			if kind == web.LiveEvents {
				ok = 401 // without a token
			}
			connect(public).want(ok, "")
			for _, origin := range foreign {
				if strings.TrimSpace(origin) == public {
					continue // HTTP trims a value; what arrives is the public origin
				}
				if a := connect(origin); a.status != 403 || a.json()["code"] != "origin" {
					t.Errorf("%s: kind %d, origin %q: %d %s", public, kind, origin, a.status, a.body)
				}
			}
			connect(public, public).want(403, "origin")
			connect(public, "https://evil.example").want(403, "origin")
			connect("https://evil.example", public).want(403, "origin")
			if kind == web.LiveSocket {
				connect().want(403, "origin")
			} else {
				connect().want(ok, "")
			}
		}
	}
}

// connect sends a handshake with these Origin headers, and further headers in
// pairs.
func (w *world) connect(kind web.Kind, origins []string, headers []string) *answer {
	w.t.Helper()
	path := map[web.Kind]string{web.AgentSocket: "/v1/agent", web.LiveSocket: "/v1/live", web.LiveEvents: "/v1/live/events"}[kind]
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url0()+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	shake := w.shake(kind)
	for i := 0; i+1 < len(shake); i += 2 {
		req.Header.Set(shake[i], shake[i+1])
	}
	req.Header.Del("Origin")
	if origins != nil {
		req.Header["Origin"] = origins
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	return w.send(req)
}

// url0 is where the server listens, which need not be its public origin.
func (w *world) url0() string { return w.http.URL }

// Of its own origin a browser sends no Origin with a GET, but says where the
// request comes from.
func TestEventsFetchSite(t *testing.T) {
	w := newWorld(t)
	_, token := w.link(w.mission())
	for site, status := range map[string]int{"": 200, "same-origin": 200, "same-site": 403, "cross-site": 403, "none": 403, "Same-Origin": 403} {
		w.connect(web.LiveEvents, nil, []string{"Authorization", "Bearer " + token, "Sec-Fetch-Site", "", "Sec-Fetch-Site", site}).want(status, "")
	}
	w.connect(web.LiveEvents, nil, []string{"Authorization", "Bearer " + token, "Sec-Fetch-Site", "cross-site"}).want(403, "origin") // twice
}

func TestSubprotocols(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	agent := w.agentToken(id)
	_, link := w.link(id)
	const agentV1, liveV1 = "ronde.agent.v1", "ronde.live.v1"
	for _, c := range []struct {
		kind   web.Kind
		offers []string
		bearer []string // Authorization headers
		status int
		told   string // the role or the code that the handler sees
	}{
		{web.AgentSocket, []string{agentV1 + ", bearer." + agent}, nil, 200, "agent"},
		{web.AgentSocket, []string{"bearer." + agent + "," + agentV1}, nil, 200, "agent"},
		{web.AgentSocket, []string{agentV1, "bearer." + agent}, nil, 200, "agent"},
		{web.AgentSocket, []string{"other, " + agentV1 + " ,, bearer." + agent + ",other2"}, nil, 200, "agent"},
		{web.AgentSocket, []string{agentV1}, []string{"Bearer " + agent}, 200, "agent"},
		{web.AgentSocket, []string{agentV1}, []string{"bearer " + agent}, 200, "agent"},
		{web.LiveSocket, []string{liveV1 + ", bearer." + link}, nil, 200, "viewer"},
		{web.LiveSocket, []string{liveV1}, []string{"Bearer " + link}, 200, "viewer"},

		{web.AgentSocket, []string{agentV1}, nil, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1 + ", bearer."}, nil, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1 + ", bearer." + link}, nil, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1 + ", bearer." + w.keys["platform"]}, nil, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1}, []string{"Basic " + agent}, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1}, []string{agent}, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1}, []string{"Bearer  " + agent}, 200, "token_invalid"},
		{web.AgentSocket, []string{agentV1 + ", bearer." + strings.Repeat("x", 8000)}, nil, 200, "token_invalid"},
		{web.LiveSocket, []string{liveV1 + ", bearer." + agent}, nil, 200, "token_invalid"},

		{web.AgentSocket, nil, nil, 400, ""},
		{web.AgentSocket, nil, []string{"Bearer " + agent}, 400, ""},
		{web.AgentSocket, []string{"bearer." + agent}, nil, 400, ""},
		{web.AgentSocket, []string{liveV1 + ", bearer." + agent}, nil, 400, ""},
		{web.AgentSocket, []string{"Ronde.Agent.V1, bearer." + agent}, nil, 400, ""},
		{web.AgentSocket, []string{"ronde.agent.v1.x, bearer." + agent}, nil, 400, ""},
		{web.AgentSocket, []string{"ronde.agent.v2, bearer." + agent}, nil, 400, ""},
		{web.LiveSocket, []string{agentV1 + ", bearer." + link}, nil, 400, ""},
		{web.AgentSocket, []string{agentV1 + ", bearer." + agent + ", bearer." + agent}, nil, 400, ""},
		{web.AgentSocket, []string{agentV1 + ", bearer." + agent, "bearer.x"}, nil, 400, ""},
		{web.AgentSocket, []string{agentV1 + ", bearer." + agent}, []string{"Bearer " + agent}, 400, ""},
		{web.AgentSocket, []string{agentV1 + ", bearer."}, []string{"Bearer " + agent}, 400, ""},
		{web.AgentSocket, []string{agentV1 + ", bearer." + agent}, []string{"Basic x"}, 400, ""},
		{web.AgentSocket, []string{agentV1}, []string{"Bearer " + agent, "Bearer " + agent}, 400, ""},
	} {
		headers := []string{"Sec-WebSocket-Protocol", ""}
		for _, o := range c.offers {
			headers = append(headers, "Sec-WebSocket-Protocol", o)
		}
		for _, b := range c.bearer {
			headers = append(headers, "Authorization", b)
		}
		a := w.connect(c.kind, []string{w.url}, headers)
		if a.status != c.status {
			t.Errorf("offers %q, Authorization %q: %d %s, want %d", c.offers, c.bearer, a.status, a.body, c.status)
			continue
		}
		if c.status != 200 {
			a.want(400, "handshake")
			continue
		}
		told := a.json()
		if told["role"] != c.told && told["code"] != c.told {
			t.Errorf("offers %q, Authorization %q: the handler sees %v", c.offers, c.bearer, told)
		}
		if offered := fmt.Sprint(told["offered"]); told["authorization"] != "" || strings.Contains(offered, "bearer") {
			t.Errorf("the handler sees the token: %v", told)
		}
	}
}

// P14: a token in the path or the query is none, whatever its name.
func TestTokensInTheAddressAreNone(t *testing.T) {
	w := newWorld(t)
	id := w.mission()
	agent, key := w.agentToken(id), w.keys["platform"]
	for _, name := range []string{"token", "access_token", "bearer", "authorization", "Authorization", "api_key", "key"} {
		a := w.call("GET", "/v1/agent?"+name+"="+agent, "", "", w.shake(web.AgentSocket)...).want(200, "")
		if a.json()["code"] != "token_invalid" {
			t.Errorf("?%s= is a credential: %s", name, a.body)
		}
		w.call("GET", "/v1/missions/"+id+"?"+name+"="+key, "", "").want(401, "token_invalid")
	}
	w.call("GET", "/v1/missions/"+id, "", "", "Cookie", "token="+key, "X-Api-Key", key).want(401, "token_invalid")
	for _, value := range []string{"Basic " + key, key, "Bearer", "Bearer ", "Bearer  " + key, "Bearer\t" + key, "Token " + key, "Bearer " + key + " x", "Bearer " + key + ",Bearer " + key, "Bearer " + strings.Repeat("x", 5000)} {
		w.call("GET", "/v1/missions/"+id, "", "", "Authorization", value).want(401, "token_invalid")
	}
	w.call("GET", "/v1/missions/"+id, key, "", "Authorization", "Bearer "+key).want(401, "token_invalid") // twice
	w.call("GET", "/v1/missions/"+id, "", "", "Authorization", "bearer "+key).want(200, "")
}

func TestNotAnUpgrade(t *testing.T) {
	w := newWorld(t)
	a := w.call("GET", "/v1/agent", "", "", "Sec-WebSocket-Protocol", "ronde.agent.v1").want(426, "upgrade_required")
	if a.header.Get("Upgrade") != "websocket" {
		t.Errorf("426 without Upgrade: %v", a.header)
	}
	a = w.call("POST", "/v1/agent", "", "", w.shake(web.AgentSocket)...).want(405, "method_not_allowed")
	if !strings.Contains(a.header.Get("Allow"), "GET") {
		t.Errorf("405 without Allow: %v", a.header)
	}
	if a := w.call("HEAD", "/v1/agent", "", "", w.shake(web.AgentSocket)...); a.status != 405 {
		t.Errorf("HEAD: %d", a.status)
	}
	// A handshake past its deadline for expired tokens: still told by the handler.
	token := w.agentToken(w.mission())
	w.clock.Advance(100 * time.Hour)
	if a := w.call("GET", "/v1/agent", token, "", w.shake(web.AgentSocket)...).want(200, ""); a.json()["code"] != "token_invalid" {
		t.Errorf("an expired token: %s", a.body)
	}
}

// The handler gets a connection that it can take over, and to which the
// server's own deadlines do not apply any more.
func TestSocketUpgrades(t *testing.T) {
	done := make(chan error, 1)
	w := newWorld(t, func(o *web.Options) {
		o.AgentSocket = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			_, err := session.PrincipalOf(r.Context())
			c, acceptErr := websocket.Accept(rw, r, &websocket.AcceptOptions{Subprotocols: []string{"ronde.agent.v1"}, InsecureSkipVerify: true})
			if acceptErr != nil {
				done <- acceptErr
				return
			}
			if err != nil {
				done <- c.Close(4001, "token")
				return
			}
			done <- c.Write(r.Context(), websocket.MessageText, []byte("hello"))
			_ = c.CloseNow()
		})
	})
	token := w.agentToken(w.mission())
	dial := func(subprotocols ...string) (*websocket.Conn, http.Header) {
		to := strings.Replace(w.url, "http", "ws", 1) + "/v1/agent"
		c, resp, err := websocket.Dial(t.Context(), to, &websocket.DialOptions{Subprotocols: subprotocols}) //nolint:bodyclose // the body is the connection, which c closes
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.CloseNow() })
		return c, resp.Header
	}
	c, header := dial("ronde.agent.v1", "bearer."+token)
	if _, m, err := c.Read(t.Context()); err != nil || string(m) != "hello" {
		t.Fatalf("read %q, %v", m, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := header.Get("Sec-WebSocket-Protocol"); got != "ronde.agent.v1" || strings.Contains(fmt.Sprint(header), token) {
		t.Errorf("answered with %v", header)
	}
	c, _ = dial("ronde.agent.v1", "bearer.x")
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4001 {
		t.Errorf("closed with %v", err)
	}
}

// A stream that cannot begin is refused as every request is.
func TestEventsRefused(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errFull, 429, "too_many_viewers"},
		{session.ErrNotFound, 404, "not_found"},
		{session.ErrRevoked, 401, "token_revoked"},
		{session.ErrUnavailable, 503, "store_unavailable"},
	} {
		a := refusedStream(t, c.err).want(c.status, c.code)
		if detail, _ := a.json()["detail"].(string); detail == "" {
			t.Errorf("%s without a detail: %s", c.code, a.body)
		}
	}
}

// errFull is how the tracker refuses one viewer more than a link allows.
var errFull = &session.Error{Code: "too_many_viewers", Detail: "as many as this link allows are watching"}

// refusedStream asks for an event stream that cannot begin.
func refusedStream(t *testing.T, err error) *answer {
	w := newWorld(t, func(o *web.Options) {
		o.LiveEvents = func(http.ResponseWriter, *http.Request) error { return err }
	})
	_, token := w.link(w.mission())
	return w.connect(web.LiveEvents, nil, []string{"Authorization", "Bearer " + token})
}

// A stream flushes and sets its own deadlines; the listener's do not cut it.
func TestEventsStream(t *testing.T) {
	next := make(chan struct{})
	w := newWorld(t, func(o *web.Options) {
		o.LiveEvents = streaming(func(rw http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(rw)
			rw.Header().Set("Content-Type", "text/event-stream")
			for range 2 {
				if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Errorf("SetWriteDeadline: %v", err)
				}
				_, _ = fmt.Fprint(rw, "event: state\ndata: {}\n\n")
				if err := c.Flush(); err != nil {
					t.Errorf("Flush: %v", err)
				}
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
			}
		})
	})
	_, token := w.link(w.mission())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/v1/live/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	for range 2 {
		if !lines.Scan() || lines.Text() != "event: state" {
			t.Fatalf("read %q, %v", lines.Text(), lines.Err())
		}
		lines.Scan()
		lines.Scan()
		next <- struct{}{}
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("headers %v", resp.Header)
	}
}
