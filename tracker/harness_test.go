package tracker_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
	"ronde/tracker"
)

// clock is a clock that stands until it is moved.
type clock struct{ millis atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.millis.Store(time.Now().UnixMilli())
	return c
}

func (c *clock) now() time.Time           { return time.UnixMilli(c.millis.Load()).UTC() }
func (c *clock) advance(by time.Duration) { c.millis.Add(by.Milliseconds()) }

// rig is a node whose store has a clock that the test owns, and can be told to
// fail.
type rig struct {
	*node
	clock *clock // the store's
	edge  *clock // by which tokens expire
	store *faults
}

func newRig(t testing.TB) *rig {
	t.Helper()
	dir := t.TempDir()
	root := session.NewRootSecret()
	ring, err := keyring.OpenFolder(filepath.Join(dir, "keys"), root)
	must(t, err)
	c, edge := newClock(), newClock()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "ronde.db"), c.now)
	must(t, err)
	f := &faults{Store: store}
	n := startNode(t, f, ring, root, new(tracker.MemBus), func(o *tracker.Options) { o.Now = edge.now })
	return &rig{n, c, edge, f}
}

// active creates a mission and begins it.
func (r *rig) active(agents ...string) *session.Mission {
	r.t.Helper()
	return r.do(r.mission(agents...), session.Begin)
}

// faults is the real store, to which things happen on the way.
type faults struct {
	session.Store
	mu sync.Mutex
	// Guarded by mu: what happens instead of or around a call, for as long as
	// it is set.
	append func(ctx context.Context, batch []*session.Submission, next func() error) error
	log    func(batch []session.Access, next func() error) error
	calls  []string // guarded by mu: the calls that matter, in the order in which they were done
}

// onAppend sets what happens to appends; nil for nothing.
func (f *faults) onAppend(do func(ctx context.Context, batch []*session.Submission, next func() error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.append = do
}

// onLog sets what happens to rows of the access log; nil for nothing.
func (f *faults) onLog(do func(batch []session.Access, next func() error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = do
}

func (f *faults) LogAccess(ctx context.Context, batch []session.Access) error {
	f.mu.Lock()
	do := f.log
	f.mu.Unlock()
	next := func() error { return f.Store.LogAccess(ctx, batch) }
	if do == nil {
		return next()
	}
	return do(batch, next)
}

func (f *faults) Append(ctx context.Context, batch []*session.Submission) error {
	f.mu.Lock()
	do := f.append
	f.mu.Unlock()
	next := func() error { return f.Store.Append(ctx, batch) }
	defer f.note("append")
	if do == nil {
		return next()
	}
	return do(ctx, batch, next)
}

func (f *faults) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *session.Mission) error) (*session.Mission, error) {
	defer f.note("update")
	return f.Store.UpdateMission(ctx, tenant, id, change)
}

func (f *faults) note(call string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
}

func (f *faults) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// verdicts answers a batch without storing anything.
func verdicts(v session.Verdict) func(context.Context, []*session.Submission, func() error) error {
	return func(_ context.Context, batch []*session.Submission, _ func() error) error {
		for _, sub := range batch {
			sub.Verdicts = slices.Repeat([]session.Verdict{v}, len(sub.Pings))
		}
		return nil
	}
}

// sibling starts another node on the same store and bus.
func (n *node) sibling() *node {
	n.t.Helper()
	s := &node{t: n.t, store: n.store, bus: n.bus, registry: prometheus.NewRegistry(), principals: map[string]*session.Principal{}}
	service := *n.service
	s.service = &service
	s.hub = tracker.New(tracker.Options{Service: s.service, Bus: n.bus, Log: service.Log, Registry: s.registry})
	mux := http.NewServeMux()
	mux.HandleFunc("/agent", s.as(s.hub.ServeAgent))
	mux.HandleFunc("/live", s.as(s.hub.ServeViewer))
	s.server = httptest.NewServer(mux)
	n.t.Cleanup(func() {
		s.hub.Close()
		s.server.Close()
	})
	return s
}

// connect opens a socket for a principal and returns its close code, for those
// that are not let in.
func (n *node) refused(path string, p *session.Principal) websocket.StatusCode {
	n.t.Helper()
	protocol := agentProtocol
	if path == "/live" {
		protocol = liveProtocol
	}
	return n.dial(path+n.caller(p), protocol).closed()
}

// settled returns the frames that came until all pings sent so far were settled,
// but for those that come by themselves: hello, state and viewers. It asks for
// something that a control frame is refused for sure, which is answered behind
// the pings.
func (p *peer) settled() []msg {
	p.t.Helper()
	p.send(`{"type":"notice","version":999999999}`)
	var frames []msg
	for {
		m, code := p.next()
		switch {
		case code != 0:
			p.t.Fatalf("closed with %d", code)
		case m.is("error") && m["detail"] == "version was never published":
			return frames
		case !m.is("hello") && !m.is("state") && !m.is("viewers"):
			frames = append(frames, m)
		}
	}
}
