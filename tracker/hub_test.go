package tracker_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
	"ronde/tracker"
)

// node is a hub on the embedded store, with an edge that trusts its caller:
// the query says which principal the request has.
type node struct {
	t        testing.TB
	service  *session.Service
	store    session.Store
	hub      *tracker.Hub
	bus      tracker.Bus
	registry *prometheus.Registry
	server   *httptest.Server

	mu         sync.Mutex
	principals map[string]*session.Principal // guarded by mu, by the number in the query
}

const (
	tenant        = "acme"
	agentProtocol = "ronde.agent.v1"
	liveProtocol  = "ronde.live.v1"
)

func newNode(t testing.TB, bus tracker.Bus) *node {
	t.Helper()
	dir := t.TempDir()
	root := session.NewRootSecret()
	ring, err := keyring.OpenFolder(filepath.Join(dir, "keys"), root)
	must(t, err)
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "ronde.db"), time.Now)
	must(t, err)
	return startNode(t, store, ring, root, bus)
}

func startNode(t testing.TB, store session.Store, ring session.Keyring, root session.RootSecret, bus tracker.Bus, options ...func(*tracker.Options)) *node {
	t.Helper()
	must(t, store.EnsureTenant(t.Context(), tenant))
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	n := &node{t: t, store: store, bus: bus, registry: prometheus.NewRegistry(), principals: map[string]*session.Principal{}}
	n.service = &session.Service{Store: store, Sealer: session.NewSealer(root, ring), Tokens: session.NewTokens(ring, time.Now), Log: log}
	n.service.Access = session.NewAccessWriter(store)
	o := tracker.Options{Service: n.service, Bus: bus, Log: log, Registry: n.registry}
	for _, option := range options {
		option(&o)
	}
	n.hub = tracker.New(o)
	mux := http.NewServeMux()
	mux.HandleFunc("/agent", n.as(n.hub.ServeAgent))
	mux.HandleFunc("/live", n.as(n.hub.ServeViewer))
	mux.HandleFunc("/events", n.as(func(w http.ResponseWriter, r *http.Request) {
		if err := n.hub.ServeEvents(w, r); err != nil {
			n.edge(w, err)
		}
	}))
	n.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		n.hub.Close()
		n.server.Close()
		must(t, store.Close())
		must(t, ring.Close())
	})
	return n
}

// edge tells the code of an error, with a status that stands for all of them.
func (n *node) edge(w http.ResponseWriter, err error) {
	var e *session.Error
	if !errors.As(err, &e) {
		n.t.Errorf("refused with %v", err)
		return
	}
	http.Error(w, e.Code, http.StatusTeapot)
}

func (n *node) as(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		p := n.principals[r.URL.Query().Get("as")]
		n.mu.Unlock()
		var err error
		if p == nil {
			err = session.ErrToken
		}
		h(w, r.WithContext(session.WithPrincipal(r.Context(), p, err)))
	}
}

// caller registers a principal and returns the query that stands for it.
func (n *node) caller(p *session.Principal) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := uuid.NewString()
	n.principals[id] = p
	if p != nil && p.Role == session.Viewer && p.Mission != uuid.Nil { // or it is the same link again
		_ = n.store.CreateLink(n.t.Context(), session.Link{
			ID: p.Subject, Tenant: p.Tenant, Mission: p.Mission, View: p.View, MaxViewers: p.Viewers, CreatedAt: time.Now(), ExpiresAt: p.Expires,
		})
	}
	return "?as=" + id
}

// agentOf is the principal of an agent's phone.
func agentOf(m *session.Mission, agent string) *session.Principal {
	now := time.Now()
	return &session.Principal{
		Role: session.AgentRole, Tenant: m.Tenant, Subject: session.NewID(), Mission: m.ID, Agent: agent, Issued: now, Expires: now.Add(time.Hour),
	}
}

// viewerOf is the principal of a client's link.
func viewerOf(m *session.Mission, profile session.Profile) *session.Principal {
	return &session.Principal{
		Role: session.Viewer, Tenant: m.Tenant, Subject: session.NewID(), Mission: m.ID,
		View: session.View{Profile: profile}, Expires: time.Now().Add(time.Hour),
	}
}

func (n *node) agent(m *session.Mission, agent string) *peer {
	n.t.Helper()
	return n.dial("/agent"+n.caller(agentOf(m, agent)), agentProtocol)
}

func (n *node) viewer(m *session.Mission, profile session.Profile) *peer {
	n.t.Helper()
	return n.dial("/live"+n.caller(viewerOf(m, profile)), liveProtocol)
}

func (n *node) dial(path, protocol string) *peer {
	n.t.Helper()
	ws, resp, err := websocket.Dial(n.t.Context(), "ws"+n.server.URL[4:]+path, &websocket.DialOptions{Subprotocols: []string{protocol}})
	must(n.t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	n.t.Cleanup(func() { _ = ws.CloseNow() })
	return &peer{n.t, ws}
}

// staff is a principal of the tenant's own systems.
var staff = &session.Principal{Role: session.Platform, Tenant: tenant, Subject: session.NewID()}

// entrance is where the sites of these tests are.
var entrance = geo.Point{Latitude: 48.8466, Longitude: 2.4167}

// mission creates a mission that may begin now.
func (n *node) mission(agents ...string) *session.Mission {
	n.t.Helper()
	return n.plan(func(*session.Mission) {}, agents...)
}

// plan creates a mission that differs from the usual one.
func (n *node) plan(change func(*session.Mission), agents ...string) *session.Mission {
	n.t.Helper()
	now, err := n.store.Now(n.t.Context())
	must(n.t, err)
	m := &session.Mission{
		Reference: "M-1", Site: geo.Site{Name: "Entrepôt", Center: entrance, RadiusM: 80},
		StartsAt: now, EndsAt: now.Add(time.Hour), Overrun: time.Hour, EarlyBegin: time.Hour, Policy: session.DefaultPolicy(),
	}
	m.Policy.MinInterval = time.Millisecond
	for _, a := range agents {
		m.Agents = append(m.Agents, session.Agent{ID: a})
	}
	change(m)
	must(n.t, n.service.CreateMission(n.t.Context(), staff, m))
	return m
}

func (n *node) do(m *session.Mission, a session.Action) *session.Mission {
	n.t.Helper()
	m, err := n.service.Do(n.t.Context(), staff, m.ID, session.Command{Action: a})
	must(n.t, err)
	return m
}

// stored returns the stored fixes of a mission.
func (n *node) stored(m *session.Mission) []session.Fix {
	n.t.Helper()
	m, err := n.service.Mission(n.t.Context(), m.Tenant, m.ID)
	must(n.t, err)
	fixes, err := n.service.Track(n.t.Context(), m, session.Cursor{}, 100_000)
	must(n.t, err)
	return fixes
}

// peer is the other end of a socket.
type peer struct {
	t  testing.TB
	ws *websocket.Conn
}

// msg is any frame.
type msg map[string]any

func (m msg) is(typ string) bool { return m["type"] == typ }

// patience bounds how long a test waits for what must come. No test depends on
// how much of it is used.
const patience = 20 * time.Second

func (p *peer) send(frame any) {
	p.t.Helper()
	b, ok := frame.(string)
	if !ok {
		raw, err := json.Marshal(frame)
		must(p.t, err)
		b = string(raw)
	}
	must(p.t, p.ws.Write(p.t.Context(), websocket.MessageText, []byte(b)))
}

// next returns the next frame, or the close code.
func (p *peer) next() (msg, websocket.StatusCode) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, data, err := p.ws.Read(ctx)
	if code := websocket.CloseStatus(err); code != -1 {
		return nil, code
	}
	must(p.t, err)
	var m msg
	must(p.t, json.Unmarshal(data, &m))
	return m, 0
}

// until returns the next frame of a type, and skips others.
func (p *peer) until(typ string) msg {
	p.t.Helper()
	for {
		m, code := p.next()
		if code != 0 {
			p.t.Fatalf("closed with %d while waiting for %s", code, typ)
		}
		if m.is(typ) {
			return m
		}
	}
}

// closed returns the close code, and skips frames before it.
func (p *peer) closed() websocket.StatusCode {
	p.t.Helper()
	for {
		if _, code := p.next(); code != 0 {
			return code
		}
	}
}

type pingFrame struct {
	Seq       int     `json:"seq"`
	Timestamp int64   `json:"timestamp"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Accuracy  float64 `json:"accuracy"`
}

func pingAt(seq int, at time.Time, p geo.Point) pingFrame {
	return pingFrame{seq, at.UnixMilli(), p.Latitude, p.Longitude, 5}
}

func (p *peer) pings(pings ...pingFrame) {
	p.t.Helper()
	p.send(map[string]any{"type": "pings", "pings": pings})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPingReachesViewer(t *testing.T) {
	n := newNode(t, new(tracker.MemBus))
	m := n.mission("badge-17")
	agent := n.agent(m, "badge-17")
	if hello := agent.until("hello"); hello["duty"] != "off" {
		t.Fatalf("hello: %v", hello)
	}
	viewer := n.viewer(m, session.ProfileExact)
	viewer.until("snapshot")
	agent.send(`{"type":"begin"}`)
	if s := agent.until("state"); s["duty"] != "on" || s["by"] != "agent" {
		t.Fatalf("state: %v", s)
	}
	if s := viewer.until("state"); s["state"] != "active" {
		t.Fatalf("state: %v", s)
	}
	agent.pings(pingAt(1, time.Now(), entrance))
	if a := agent.until("ack"); a["seq"] != 1.0 {
		t.Fatalf("ack: %v", a)
	}
	for {
		p := viewer.until("progress")
		a := p["agents"].([]any)[0].(map[string]any)
		if a["position"] != nil {
			if a["alias"] != "A1" || a["phase"] != "arriving" {
				t.Fatalf("progress: %v", p)
			}
			break
		}
	}
	agent.send(`{"type":"end"}`)
	if s := agent.until("state"); s["state"] != "ended" || s["duty"] != "off" {
		t.Fatalf("state: %v", s)
	}
	viewer.until("ended")
	if a, v := agent.closed(), viewer.closed(); a != 4004 || v != 4004 {
		t.Fatalf("closed with %d and %d", a, v)
	}
	if got := len(n.stored(m)); got != 1 {
		t.Fatalf("%d positions stored", got)
	}
}
