package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/configs"
	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// testApp is a whole node on port 0, as serve runs it, with a clock and a log that the test owns.
type testApp struct {
	*app
	t        *testing.T
	setClock func(time.Time)
	log      *logBuffer
	key      string       // an API key of role platform
	client   *http.Client // nil: the default one
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// stores names both databases; every test of a whole node runs on each.
var stores = []string{"sqlite", "postgres"}

func eachStore(t *testing.T, test func(t *testing.T, store string)) {
	for _, store := range stores {
		t.Run(store, func(t *testing.T) { test(t, store) })
	}
}

// startApp starts a node on an empty store of the kind named.
func startApp(t *testing.T, store string) *testApp {
	t.Helper()
	return startAppAt(t, store, time.Time{})
}

// startAppAt is startApp with the clock standing at a time; the zero time: running truly.
func startAppAt(t *testing.T, store string, now time.Time) *testApp {
	t.Helper()
	dsn := ""
	if store == "postgres" {
		dsn = newDatabase(t, pgtest.Start(t))
	}
	return startNode(t, dsn, now)
}

// newDatabase returns a migrated empty database.
func newDatabase(t testing.TB, server *pgtest.Server) (dsn string) {
	t.Helper()
	dsn = server.CreateDB(t)
	check(t, postgres.Migrate(t.Context(), dsn))
	return dsn
}

// startAppOn starts a node on a PostgreSQL database or, without one, on the embedded store, with other settings changed.
func startAppOn(t *testing.T, dsn string, change ...func(*configs.Config)) *testApp {
	t.Helper()
	return startNode(t, dsn, time.Time{}, change...)
}

func startNode(t *testing.T, dsn string, now time.Time, change ...func(*configs.Config)) *testApp {
	t.Helper()
	c := configs.Default()
	c.Listen, c.OpsListen, c.Data, c.LogLevel = "127.0.0.1:0", "127.0.0.1:0", filepath.Join(t.TempDir(), "not", "there", "yet"), "debug"
	clock := &testClock{}
	setClock := clock.set
	if dsn != "" {
		c.Store = dsn
		c.RootSecretFile = filepath.Join(t.TempDir(), "root.secret")
		_, err := session.CreateRootSecret(c.RootSecretFile)
		check(t, err)
		setClock = func(now time.Time) { clock.set(now); setPostgresClock(t, dsn, now) }
	}
	for _, f := range change {
		f(&c)
	}
	log := &logBuffer{}
	a := newApp(c.Resolve(), slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), clock.now)
	if !now.IsZero() {
		setClock(now)
	}
	check(t, a.start(t.Context()))
	t.Cleanup(func() { check(t, a.stop()) })
	ta := &testApp{app: a, t: t, setClock: setClock, log: log}
	ta.key = ta.newKey("acme", session.Platform)
	return ta
}

// newKey makes an API key as ronde apikey create does.
func (a *testApp) newKey(tenant string, role session.Role) string {
	a.t.Helper()
	_, printed, err := createKey(a.t.Context(), a.service.Store, tenant, role, "test")
	check(a.t, err)
	return printed
}

// testClock stands at the time it was set to, and runs truly before.
type testClock struct {
	mu sync.Mutex
	at time.Time // guarded by mu
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now()
	}
	return c.at
}

func (c *testClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// setPostgresClock replaces the one function from which the database reads the time, as only its owner may.
func setPostgresClock(t *testing.T, dsn string, now time.Time) {
	t.Helper()
	execSQL(t, dsn, fmt.Sprintf(`CREATE OR REPLACE FUNCTION ronde_now() RETURNS timestamptz LANGUAGE sql VOLATILE
		AS $$ SELECT timestamptz '%s' $$`, now.UTC().Format("2006-01-02T15:04:05.000Z07:00")))
}

// object is any JSON object.
type object = map[string]any

// call makes a REST call as the platform and returns the answer's body, which must come with the status.
func (a *testApp) call(status int, method, path string, body any) object {
	a.t.Helper()
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		check(a.t, err)
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.config.PublicURL+path, r)
	check(a.t, err)
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Idempotency-Key", uuid.NewString()) // as a careful platform does
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := a.client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	check(a.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	check(a.t, err)
	if resp.StatusCode != status {
		a.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	var answer object
	if len(raw) > 0 {
		check(a.t, json.Unmarshal(raw, &answer))
	}
	return answer
}

// createMission creates a mission of one agent, badge-17, and returns its id.
func (a *testApp) createMission(starts, ends time.Time, lat, lon, radius float64, policy object) string {
	a.t.Helper()
	body := object{
		"reference": "M-1",
		"site":      object{"name": "Entrepôt", "point": object{"latitude": lat, "longitude": lon}, "radius_m": radius},
		"starts_at": starts.Format(time.RFC3339), "ends_at": ends.Format(time.RFC3339),
		"agents": []object{{"agent": "badge-17"}},
	}
	if policy != nil {
		body["policy"] = policy
	}
	return a.call(201, "POST", "/v1/missions", body)["id"].(string)
}

// running creates a mission and begins it.
func (a *testApp) running() string {
	a.t.Helper()
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	return mission
}

func (a *testApp) agentToken(mission string) string {
	a.t.Helper()
	return a.call(201, "POST", "/v1/missions/"+mission+"/agents/badge-17/token", nil)["token"].(string)
}

func (a *testApp) link(mission, profile string) string {
	a.t.Helper()
	return a.call(201, "POST", "/v1/missions/"+mission+"/links", object{"profile": profile})["token"].(string)
}

// metrics returns the node's metrics.
func (a *testApp) metrics() []byte {
	a.t.Helper()
	return scrape(a.t, "http://"+a.ops.Addr().String()+"/metrics")
}

// scrape returns what a listener for operators says.
func scrape(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	check(t, err)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	return body
}

// track returns the whole stored track of a mission.
func (a *testApp) track(mission string) (items []object) {
	a.t.Helper()
	for cursor := ""; ; {
		page := a.call(200, "GET", "/v1/missions/"+mission+"/track?limit=1000"+cursor, nil)
		for _, item := range page["items"].([]any) {
			items = append(items, item.(object))
		}
		next, more := page["next_cursor"].(string)
		if !more || next == "" {
			return items
		}
		cursor = "&cursor=" + next
	}
}

// socket opens a socket at the node, as a browser would with an origin.
func (a *testApp) socket(path, protocol, token string) *testSocket {
	a.t.Helper()
	ws, resp, err := websocket.Dial(a.t.Context(), "ws"+a.config.PublicURL[len("http"):]+path, &websocket.DialOptions{
		Subprotocols: []string{protocol, "bearer." + token},
		HTTPHeader:   http.Header{"Origin": {a.config.PublicURL}},
	})
	check(a.t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	a.t.Cleanup(func() { _ = ws.CloseNow() })
	return &testSocket{a.t, ws}
}

// phoneOf opens the socket of a mission's agent.
func phoneOf(a *testApp, token string) *testSocket {
	a.t.Helper()
	phone := a.socket("/v1/agent", "ronde.agent.v1", token)
	phone.until("hello")
	return phone
}

type testSocket struct {
	t  *testing.T
	ws *websocket.Conn
}

func (s *testSocket) send(frame any) {
	s.t.Helper()
	raw, err := json.Marshal(frame)
	check(s.t, err)
	check(s.t, s.ws.Write(s.t.Context(), websocket.MessageText, raw))
}

// ping sends one ping of the present time and returns what the phone is told of it.
func (s *testSocket) ping(seq int, at time.Time) object {
	s.t.Helper()
	s.send(object{"type": "pings", "pings": []object{{"seq": seq, "timestamp": at.UnixMilli(), "latitude": 48.85, "longitude": 2.34}}})
	return s.until("ack", "refused", "retry")
}

// testPatience bounds the wait for what must come; how much of it passes does not matter.
const testPatience = 30 * time.Second

// next returns the next frame, or nil and the code with which the socket closed.
func (s *testSocket) next() (object, websocket.StatusCode) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testPatience)
	defer cancel()
	_, raw, err := s.ws.Read(ctx)
	if code := websocket.CloseStatus(err); code != -1 {
		return nil, code
	}
	check(s.t, err)
	var frame object
	check(s.t, json.Unmarshal(raw, &frame))
	return frame, 0
}

// until returns the next frame of one of the types.
func (s *testSocket) until(types ...string) object {
	s.t.Helper()
	for {
		frame, code := s.next()
		if code != 0 {
			s.t.Fatalf("closed with %d while waiting for %v", code, types)
		}
		for _, typ := range types {
			if frame["type"] == typ {
				return frame
			}
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// execSQL runs statements as the database's superuser.
func execSQL(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	for _, s := range statements {
		_, err := conn.Exec(t.Context(), s)
		check(t, err)
	}
}

func mustID(t *testing.T, id string) uuid.UUID {
	t.Helper()
	parsed, err := uuid.Parse(id)
	check(t, err)
	return parsed
}
