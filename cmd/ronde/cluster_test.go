package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"ronde/configs"
	"ronde/session"
	"ronde/session/postgres/pgtest"
)

// cluster is two nodes that share a database, a keyring and a root secret, as
// behind a proxy: on two addresses of this machine, with the same ops port.
type cluster struct {
	t       *testing.T
	origin  string // the public URL
	nodes   [2]*testApp
	opsPort string
	client  *http.Client // that trusts the proxy's certificate
	args    []string     // for ronde doctor
}

// starter starts the nodes behind an origin. What is in front of them is for the
// caller to start; its address is that of the nodes' only trusted proxy.
type starter func(t *testing.T, origin string, trusted *tls.Config) *cluster

// newLone starts one node on the embedded store, which stands for both.
func newLone(t *testing.T, origin string, trusted *tls.Config) *cluster {
	t.Helper()
	s := embedded(t.TempDir())
	s.PublicURL, s.TrustedProxies = origin, "127.0.0.1"
	node := startConfigured(t, s)
	transport := &http.Transport{TLSClientConfig: trusted}
	t.Cleanup(transport.CloseIdleConnections)
	_, opsPort, err := net.SplitHostPort(node.ops.Addr().String())
	check(t, err)
	return &cluster{
		t: t, origin: origin, nodes: [2]*testApp{node, node}, opsPort: opsPort, client: &http.Client{Transport: transport},
		args: []string{
			"--data", s.Data, "--public-url", origin, "--trusted-proxies", s.TrustedProxies,
			"--listen", node.public.Addr().String(), "--ops-listen", node.ops.Addr().String(), "--idle", "10ms",
		},
	}
}

// newCluster starts two nodes.
func newCluster(t *testing.T, origin string, trusted *tls.Config) *cluster {
	t.Helper()
	dsn := newDatabase(t, pgtest.Start(t))
	login := "node_" + strings.TrimPrefix(filepath.Base(strings.SplitN(dsn, "?", 2)[0]), "test_")
	execSQL(t, dsn, "CREATE ROLE "+login+" LOGIN", "GRANT ronde_app TO "+login) // it goes with the server
	transport := &http.Transport{TLSClientConfig: trusted}
	t.Cleanup(transport.CloseIdleConnections)

	shared := t.TempDir()
	secret := filepath.Join(shared, "root.secret")
	_, err := session.CreateRootSecret(secret)
	check(t, err)
	c := &cluster{t: t, origin: origin, opsPort: "0", client: &http.Client{Transport: transport}}
	for i, host := range [...]string{"127.0.0.1", "127.0.0.2"} {
		s := configs.Default()
		s.Listen, s.OpsListen, s.PublicURL, s.TrustedProxies = host+":0", net.JoinHostPort(host, c.opsPort), origin, "127.0.0.1"
		s.Store, s.Data, s.Keys, s.RootSecretFile = asLogin(t, dsn, login), shared, "file:"+filepath.Join(shared, "keys"), secret
		c.nodes[i] = startConfigured(t, s.Resolve())
		_, c.opsPort, err = net.SplitHostPort(c.nodes[i].ops.Addr().String()) // the second node's is the first one's
		check(t, err)
		c.args = []string{
			"--data", shared, "--store", s.Store, "--keys", s.Keys, "--root-secret-file", secret, "--public-url", origin,
			"--trusted-proxies", s.TrustedProxies, "--listen", c.nodes[i].public.Addr().String(), "--ops-listen", c.nodes[i].ops.Addr().String(), "--idle", "1s",
		}
	}
	return c
}

// through returns the cluster as seen through what is in front of it.
func (c *cluster) through() *testApp {
	a := &testApp{app: &app{}, t: c.t, key: c.nodes[0].key, client: c.client}
	a.config.PublicURL = c.origin
	return a
}

// guest is somebody at a socket or a stream, who comes back after a 1001 as
// they are told to.
type guest struct {
	c     *cluster
	moves int
	pace  *rate.Limiter // of coming back

	dial  func(ctx context.Context) error
	read  func() (frame object, code websocket.StatusCode)
	leave func() // closes what is open, as a tab that is closed
}

// enter lets the guest come in. A node that drains may send it away again.
func (g *guest) enter() {
	g.c.t.Helper()
	ctx, cancel := context.WithTimeout(g.c.t.Context(), testPatience)
	defer cancel()
	for {
		check(g.c.t, g.pace.Wait(ctx))
		if g.dial(ctx) == nil {
			return
		}
	}
}

// until returns the next frame of one of the types, coming back as often as need
// be.
func (g *guest) until(types ...any) object {
	g.c.t.Helper()
	for {
		frame, code := g.read()
		switch {
		case code == websocket.StatusGoingAway:
			g.moves++
			g.enter()
		case code != 0:
			g.c.t.Fatalf("closed with %d while waiting for %v", code, types)
		case slices.Contains(types, frame["type"]):
			return frame
		}
	}
}

// socketGuest is a guest at a socket.
func (c *cluster) socketGuest(path, protocol, token string) (*guest, func(frame any) error) {
	var s *testSocket
	g := &guest{c: c, pace: rate.NewLimiter(20, 1)}
	g.dial = func(ctx context.Context) error {
		ws, _, err := websocket.Dial(ctx, c.origin+path, &websocket.DialOptions{ //nolint:bodyclose // Dial has closed it
			HTTPClient: c.client, Subprotocols: []string{protocol, "bearer." + token}, HTTPHeader: http.Header{"Origin": {c.origin}},
		})
		if err != nil {
			return err
		}
		ws.SetReadLimit(1 << 20)
		g.leave = func() { _ = ws.CloseNow() }
		c.t.Cleanup(g.leave)
		s = &testSocket{c.t, ws}
		return nil
	}
	g.read = func() (object, websocket.StatusCode) { return s.next() }
	g.enter()
	return g, func(frame any) error {
		raw, err := json.Marshal(frame)
		check(c.t, err)
		return s.ws.Write(c.t.Context(), websocket.MessageText, raw)
	}
}

// eventsGuest is a guest at an event stream.
func (c *cluster) eventsGuest(token string) *guest {
	var lines *bufio.Scanner
	var name string
	g := &guest{c: c, pace: rate.NewLimiter(20, 1)}
	g.dial = func(context.Context) error {
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.origin+eventsPath, nil)
		check(c.t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.client.Do(req) //nolint:bodyclose // leave closes it
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return resp.Body.Close()
		}
		g.leave = func() { _ = resp.Body.Close() }
		c.t.Cleanup(g.leave)
		lines = bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		return nil
	}
	g.read = func() (frame object, code websocket.StatusCode) {
		for lines.Scan() {
			line := lines.Bytes()
			if after, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
				name = string(after)
			}
			if after, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				check(c.t, json.Unmarshal(after, &frame))
				if name == "close" {
					return nil, websocket.StatusCode(frame["code"].(float64))
				}
				return frame, 0
			}
		}
		c.t.Fatalf("the stream ended without a close: %v", lines.Err())
		return nil, 0
	}
	g.enter()
	return g
}

// patrol is a mission that an agent walks and two clients watch, all through
// the proxy.
type patrol struct {
	c               *cluster
	agent, tab, app *guest
	send            func(frame any) error
	step            int // positions so far
	seq             int // frames on the agent's present connection
}

func (c *cluster) newPatrol() *patrol {
	c.t.Helper()
	a, now := c.through(), time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	p := &patrol{c: c}
	p.agent, p.send = c.socketGuest("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
	p.tab, _ = c.socketGuest("/v1/live", "ronde.live.v1", a.link(mission, "exact"))
	p.app = c.eventsGuest(a.link(mission, "exact"))
	return p
}

// guests are all who take part.
func (p *patrol) guests() []*guest { return []*guest{p.agent, p.tab, p.app} }

// moves returns how often somebody had to come back.
func (p *patrol) moves() (n int) {
	for _, g := range p.guests() {
		n += g.moves
	}
	return n
}

// leave closes what all have open, and waits until the nodes know it: a viewer
// who has gone and is still counted would be shown to the agent.
func (p *patrol) leave() {
	p.c.t.Helper()
	for _, g := range p.guests() {
		g.leave()
	}
	ctx, cancel := context.WithTimeout(p.c.t.Context(), testPatience)
	defer cancel()
	for pace := rate.NewLimiter(20, 1); p.c.open(ctx) > 0; {
		if err := pace.Wait(ctx); err != nil {
			p.c.t.Fatalf("%v sockets and streams are open after all have left", p.c.open(p.c.t.Context()))
		}
	}
}

// open returns how many sockets and streams the running nodes hold open.
func (c *cluster) open(ctx context.Context) (n int) {
	c.t.Helper()
	doctor := doctor{wait: testPatience}
	for _, node := range c.nodes {
		metrics, err := doctor.get(ctx, "http://"+node.ops.Addr().String()+"/metrics")
		if errors.Is(err, syscall.ECONNREFUSED) {
			continue // it was stopped
		}
		check(c.t, err)
		for line := range strings.Lines(metrics) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == "ronde_agent_sockets" || name == "ronde_viewers" {
				count, err := strconv.Atoi(value)
				check(c.t, err)
				n += count
			}
		}
	}
	return n
}

// walk takes the agent a step further, and waits until both clients see it.
func (p *patrol) walk() {
	p.c.t.Helper()
	p.step++
	at, latitude := time.Now().UnixMilli(), 48.85+float64(p.step)/1e5
	for !p.settled(at, latitude) {
		p.seq = 0 // numbers begin anew on every connection
	}
	for _, g := range []*guest{p.tab, p.app} {
		for !sees(g.until("progress", "snapshot"), latitude) {
		}
	}
}

// settled sends a position and reports whether it was acknowledged. If the
// agent had to come back instead, it is to be sent again.
func (p *patrol) settled(at int64, latitude float64) bool {
	p.c.t.Helper()
	p.seq++
	moves := p.agent.moves
	// If the connection is closed, reading tells with which code.
	_ = p.send(object{"type": "pings", "pings": []object{{"seq": p.seq, "timestamp": at, "latitude": latitude, "longitude": 2.34}}})
	answer := p.agent.until("ack", "hello", "refused", "retry")
	for answer["type"] == "hello" && p.agent.moves == moves {
		answer = p.agent.until("ack", "hello", "refused", "retry")
	}
	if answer["type"] != "ack" && answer["type"] != "hello" {
		p.c.t.Fatalf("answer %v", answer)
	}
	return answer["type"] == "ack"
}

// sees tells whether a frame shows an agent at a latitude.
func sees(progress object, latitude float64) bool {
	for _, agent := range progress["agents"].([]any) {
		position, ok := agent.(object)["position"].(object)
		if ok && math.Abs(position["latitude"].(float64)-latitude) < 1e-7 { // the seventh decimal is kept
			return true
		}
	}
	return false
}
