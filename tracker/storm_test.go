package tracker_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ronde/session"
)

// sink answers a stream of events without a connection: it closes seen at the
// first frame, and forgets the rest.
type sink struct {
	header http.Header
	seen   chan struct{}
	once   sync.Once
}

func (s *sink) Header() http.Header              { return s.header }
func (s *sink) WriteHeader(int)                  {}
func (s *sink) Flush()                           {}
func (s *sink) SetWriteDeadline(time.Time) error { return nil }
func (s *sink) Write(b []byte) (n int, err error) {
	if bytes.HasPrefix(b, []byte("event: snapshot\n")) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(b), nil
}

// reconnects lets viewers in, all at once, and returns how long it takes until
// each has their first frame. They come through ServeEvents, with all that a
// viewer goes through but a connection of the system's own.
func (r *rig) reconnects(viewers, missions int) time.Duration {
	r.t.Helper()
	links := make([]*session.Principal, missions)
	for i := range links {
		links[i] = viewerOf(r.active("badge-"+strconv.Itoa(i)), session.ProfileExact)
		r.caller(links[i]) // the store knows the link
	}
	ctx, leave := context.WithCancel(r.t.Context())
	var open, first sync.WaitGroup
	start := time.Now()
	for i := range viewers {
		s := &sink{header: http.Header{}, seen: make(chan struct{})}
		req := httptest.NewRequestWithContext(session.WithPrincipal(ctx, links[i%missions], nil), http.MethodGet, "/events", nil)
		open.Go(func() {
			if err := r.hub.ServeEvents(s, req); err != nil {
				r.t.Error(err)
				s.once.Do(func() { close(s.seen) })
			}
		})
		first.Go(func() { <-s.seen })
	}
	first.Wait()
	took := time.Since(start)
	leave()
	open.Wait()
	return took
}

// TestTenThousandReconnects is P33: the log keeps up when everybody comes at
// once, because those who come while it commits share the next transaction.
func TestTenThousandReconnects(t *testing.T) {
	// Not parallel: it says how long things take.
	const viewers, missions = 10_000, 100
	measure := func(logged bool) (took time.Duration, opens, openCommits, closes, closeCommits int64) {
		r := newRig(t)
		var rows, commits [2]atomic.Int64 // of opens, of closes
		r.store.onLog(func(batch []session.Access, next func() error) error {
			i := 0
			if batch[0].Action == session.AccessLiveClose {
				i = 1
			}
			rows[i].Add(int64(len(batch)))
			commits[i].Add(1)
			if !logged {
				return nil
			}
			return next()
		})
		took = r.reconnects(viewers, missions)
		r.hub.Close()
		return took, rows[0].Load(), commits[0].Load(), rows[1].Load(), commits[1].Load()
	}
	without, _, _, _, _ := measure(false)
	with, opens, openCommits, closes, closeCommits := measure(true)
	t.Logf("%d viewers have their first frame in %v, %.2f times as long as without the log (%v): %d commits; %d closes in %d",
		viewers, with, with.Seconds()/without.Seconds(), without, openCommits, closes, closeCommits)
	if opens != viewers || closes != viewers {
		t.Errorf("%d opens and %d closes are recorded, want %d of each", opens, closes, viewers)
	}
	if openCommits*20 > viewers || closeCommits*20 > viewers {
		t.Errorf("%d and %d commits are too many for %d viewers", openCommits, closeCommits, viewers)
	}
}
