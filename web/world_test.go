package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
	"ronde/web"
)

// world is a whole installation but for the tracker: the real store and
// keyring in a folder, the real handler behind a real listener, and a clock
// that the test owns.
type world struct {
	t       *testing.T
	clock   *clock
	path    string // of the database
	store   *sqlite.Store
	ring    session.Keyring
	root    session.RootSecret
	service *session.Service
	log     *syncBuffer
	http    *httptest.Server
	url     string // also the public origin
	keys    map[string]string
}

// The keys of a world by name: those of tenant acme by role, a revoked one, and
// the platform key of another tenant.
var keyNames = []string{"platform", "operator", "auditor", "revoked", "foreign"}

// theTime is when a world begins: an hour before the missions that tests make.
var theTime = time.Date(2026, 11, 21, 18, 30, 0, 0, time.UTC)

func newWorld(t *testing.T, change ...func(*web.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: theTime}, log: &syncBuffer{}, root: session.NewRootSecret(), keys: map[string]string{}}
	dir := t.TempDir()
	var err error
	w.path = filepath.Join(dir, "ronde.db")
	if w.store, err = sqlite.Open(t.Context(), w.path, w.clock.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	ring, err := keyring.OpenFolder(filepath.Join(dir, "keyring"), w.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Close() })
	w.ring = ring
	w.serve(change...)
	for _, name := range keyNames {
		w.addKey(name)
	}
	return w
}

// serve starts a server on the world's store and keyring, with nothing
// remembered, in place of the one before.
func (w *world) serve(change ...func(*web.Options)) {
	w.t.Helper()
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.service = &session.Service{
		Store: w.store, Sealer: session.NewSealer(w.root, w.ring), Tokens: session.NewTokens(w.ring, w.clock.Now), Log: log,
		Access: session.NewAccessWriter(w.store),
	}
	w.http = httptest.NewUnstartedServer(nil)
	w.url = "http://" + w.http.Listener.Addr().String()
	o := web.Options{
		Service: w.service, PublicURL: w.url, Log: log, Version: "test",
		AgentSocket: http.HandlerFunc(stubSocket), LiveSocket: http.HandlerFunc(stubSocket), LiveEvents: streaming(stubSocket),
	}
	for _, f := range change {
		f(&o)
	}
	w.http.Config = web.NewHTTPServer(web.New(o), log)
	w.http.Start()
	w.t.Cleanup(w.http.Close)
}

// streaming is a handler of event streams that refuses nobody.
func streaming(h http.HandlerFunc) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

// stubSocket stands for the tracker's handlers: it tells what reached it.
func stubSocket(w http.ResponseWriter, r *http.Request) {
	p, err := session.PrincipalOf(r.Context())
	seen := map[string]any{
		"authorization": r.Header.Get("Authorization"), "offered": r.Header.Values("Sec-WebSocket-Protocol"),
		"remote": r.RemoteAddr, "forwarded": []string{},
	}
	for name := range r.Header {
		if strings.Contains(name, "Forwarded") || name == "X-Real-Ip" {
			seen["forwarded"] = append(seen["forwarded"].([]string), name)
		}
	}
	var e *session.Error
	if errors.As(err, &e) {
		seen["code"] = e.Code
	} else {
		seen["role"], seen["agent"] = p.Role, p.Agent
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(seen)
}

func (w *world) addKey(name string) {
	w.t.Helper()
	tenant, role := "acme", session.Platform
	switch name {
	case "operator", "auditor":
		role = session.Role(name)
	case "foreign":
		tenant = "globex-" + uuid.NewString()[:8]
	}
	ctx := w.t.Context()
	if err := w.store.EnsureTenant(ctx, tenant); err != nil {
		w.t.Fatal(err)
	}
	k, printed, err := session.NewAPIKey(tenant, role, "")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.CreateAPIKey(ctx, k); err != nil {
		w.t.Fatal(err)
	}
	if name == "revoked" {
		if err := w.store.RevokeAPIKey(ctx, tenant, k.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	w.keys[name] = printed
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// call sends a request with the named key ("" for none; what is no name is the
// credential itself). Headers come in pairs; a body is JSON unless they say
// otherwise.
func (w *world) call(method, path, key, body string, headers ...string) *answer {
	w.t.Helper()
	return w.callAt(w.url, method, path, key, body, headers...)
}

// callAt is call to the server of that address.
func (w *world) callAt(url, method, path, key, body string, headers ...string) *answer {
	w.t.Helper()
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, url+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if printed, ok := w.keys[key]; ok {
		key = printed
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
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

func (w *world) send(req *http.Request) *answer {
	w.t.Helper()
	resp, err := noRedirects.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return &answer{w.t, resp.StatusCode, resp.Header, body}
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// want fails the test unless the answer has the status and, if it is a refusal,
// the code (and, after a colon, the field).
func (a *answer) want(status int, code string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d %s: %s", a.status, status, code, a.body)
	}
	if code == "" {
		return a
	}
	code, field, _ := strings.Cut(code, ":")
	p := a.json()
	if a.header.Get("Content-Type") != "application/problem+json" || p["code"] != code || p["status"] != float64(status) || p["title"] != http.StatusText(status) {
		a.t.Fatalf("not a problem %s: %s %s", code, a.header.Get("Content-Type"), a.body)
	}
	if got, _ := p["field"].(string); field != "" && got != field {
		a.t.Fatalf("names field %q, want %q: %s", got, field, a.body)
	}
	return a
}

func (a *answer) json() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%v in %q", err, a.body)
	}
	return v
}

func (a *answer) text(member string) string {
	a.t.Helper()
	s, ok := a.json()[member].(string)
	if !ok {
		a.t.Fatalf("no text %q in %s", member, a.body)
	}
	return s
}

// aMission is the body that makes a good mission, planned for an hour later.
const aMission = `{"reference":"M-1","site":{"name":"Entrepôt","point":{"latitude":48.84,"longitude":2.41},"radius_m":80},
	"checkpoints":[{"name":"Quai","latitude":48.8401,"longitude":2.4101,"radius_m":15}],
	"starts_at":"2026-11-21T20:00:00+01:00","ends_at":"2026-11-22T02:00:00+01:00",
	"agents":[{"agent":"badge-17","alias":"A1"},{"agent":"badge-18"}]}`

// mission makes a mission and brings it into a state by the path given.
func (w *world) mission(actions ...string) string {
	w.t.Helper()
	id := w.call("POST", "/v1/missions", "platform", w.fresh(aMission)).want(201, "").text("id")
	for _, action := range actions {
		w.call("POST", "/v1/missions/"+id+"/"+action, "platform", "").want(200, "")
	}
	return id
}

// fresh gives the mission agents of its own: one is located once at a time.
func (w *world) fresh(body string) string {
	return strings.NewReplacer("badge-17", "badge-17-"+uuid.NewString()[:8], "badge-18", "badge-18-"+uuid.NewString()[:8]).Replace(body)
}

// agentOf returns the id of a mission's first agent.
func (w *world) agentOf(id string) string {
	w.t.Helper()
	agents := w.call("GET", "/v1/missions/"+id, "platform", "").want(200, "").json()["agents"].([]any)
	return agents[0].(map[string]any)["agent"].(string)
}

func (w *world) agentToken(id string) string {
	w.t.Helper()
	return w.call("POST", "/v1/missions/"+id+"/agents/"+w.agentOf(id)+"/token", "platform", "").want(201, "").text("token")
}

func (w *world) link(id string) (link, token string) {
	w.t.Helper()
	a := w.call("POST", "/v1/missions/"+id+"/links", "platform", "").want(201, "")
	return a.text("id"), a.text("token")
}

// asAgent does what an agent does on their socket.
func (w *world) asAgent(id string, action session.Action) {
	w.t.Helper()
	mission := uuid.MustParse(id)
	p := &session.Principal{Role: session.AgentRole, Tenant: "acme", Mission: mission, Agent: w.agentOf(id)}
	if _, err := w.service.Do(w.t.Context(), p, mission, session.Command{Action: action}); err != nil {
		w.t.Fatal(err)
	}
}

// ping stores positions of a mission's first agent, one a second from now on,
// and moves the clock past them.
func (w *world) ping(id string, positions ...geo.Position) {
	w.t.Helper()
	sub := w.submission(id)
	for _, p := range positions {
		sub.Pings = append(sub.Pings, session.Ping{Timestamp: w.clock.Now().UnixMilli(), Position: p})
		w.clock.Advance(time.Second)
	}
	w.append(sub)
	for _, v := range sub.Verdicts {
		if v != session.Stored {
			w.t.Fatalf("verdict %v %s", v, v.Code())
		}
	}
}

// append has a submission judged, as a node does that knows its mission's key.
func (w *world) append(sub *session.Submission) {
	w.t.Helper()
	m, err := w.service.Mission(w.t.Context(), sub.Tenant, sub.ID)
	if err == nil {
		_, err = w.service.Sealer.Key(w.t.Context(), m)
	}
	if err == nil {
		err = w.service.Append(w.t.Context(), []*session.Submission{sub})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// submission returns an empty one of a mission's first agent.
func (w *world) submission(id string) *session.Submission {
	w.t.Helper()
	return &session.Submission{Ref: session.Ref{Tenant: "acme", ID: uuid.MustParse(id)}, Agent: w.agentOf(id)}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// destroySalts makes everything stored so far unreadable, and starts a server
// that remembers no key.
func (w *world) destroySalts() {
	w.t.Helper()
	if _, err := w.ring.DestroySalts(w.t.Context(), session.DayOf(w.clock.Now())+1000); err != nil {
		w.t.Fatal(err)
	}
	w.serve()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// failingStore fails, once err is set, in the reads that come first.
type failingStore struct {
	session.Store
	err      error
	receipts error // of reading receipts
	// meanwhile is done once, between the reading of a receipt and the answer.
	meanwhile func()
	// given is how long the reading of a track may take, as of its beginning.
	given time.Duration
}

func (s *failingStore) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) ([]session.Row, error) {
	end, _ := ctx.Deadline()
	s.given = time.Until(end)
	return s.Store.AgentTrack(ctx, tenant, id, agent, after, limit)
}

func (s *failingStore) Receipt(ctx context.Context, tenant string, id session.ReceiptID) ([]byte, error) {
	if s.receipts != nil {
		return nil, s.receipts
	}
	sealed, err := s.Store.Receipt(ctx, tenant, id)
	if do := s.meanwhile; do != nil {
		s.meanwhile = nil
		do()
	}
	return sealed, err
}

func (s *failingStore) APIKey(ctx context.Context, id uuid.UUID) (session.APIKey, error) {
	if s.err != nil {
		return session.APIKey{}, s.err
	}
	return s.Store.APIKey(ctx, id)
}

func (s *failingStore) Mission(ctx context.Context, tenant string, id uuid.UUID) (*session.Mission, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Store.Mission(ctx, tenant, id)
}
