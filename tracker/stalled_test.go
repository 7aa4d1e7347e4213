package tracker_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
)

// updates publishes progress of an agent, as a bus brings it: one state of the
// whole after another. The latitude tells them apart.
func (r *rig) updates(m *session.Mission, n int) (last string) {
	r.t.Helper()
	for i := range n {
		at := m.BeganAt.UnixMilli() + 1 + int64(i)
		p := session.Progress{
			Version: at, Phase: session.EnRoute, Signal: session.Live, Timestamp: at, Latest: at,
			Position: geo.NewPosition(geo.Point{Latitude: 48 + float64(i+1)/1e6, Longitude: 2.4167}),
		}
		must(r.t, r.bus.Publish(r.t.Context(), []*tracker.Message{{
			Mission: m.ID, Kind: tracker.Moved, Moves: []tracker.Move{{Agent: "badge-17", Progress: p, Seen: at}},
		}}))
	}
	return `"latitude":` + strconv.FormatFloat(48+float64(n)/1e6, 'f', -1, 64) + `,`
}

// heap returns the bytes in use once everything that can be freed is.
func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC() // what a finalizer or a pool held on to
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestStalledViewers is I10: viewers who never read cost bounded memory and slow
// nobody, and once they read again they get the latest state, not a backlog.
func TestStalledViewers(t *testing.T) {
	// Not parallel: it measures the memory of the whole process.
	const stalled, updates, most = 50, 20_000, 1000
	r := newRig(t)
	m := r.active("badge-17")
	silent := make([]*rawPeer, stalled)
	for i := range silent {
		silent[i] = r.raw("/live"+r.caller(viewerOf(m, session.ProfileExact)), liveProtocol, 4<<10)
		if first := silent[i].text(); !strings.Contains(first, "snapshot") {
			t.Fatalf("first frame: %s", first)
		}
	}
	want := `"latitude":` + strconv.FormatFloat(48+float64(updates)/1e6, 'f', -1, 64) + `,`
	seen := make(chan struct{}, 2)
	var frames atomic.Int64
	for _, profile := range []session.Profile{session.ProfileExact, session.ProfileOnSite} {
		reader := r.viewer(m, profile)
		reader.until("snapshot")
		go func() {
			for {
				_, data, err := reader.ws.Read(context.Background())
				if err != nil {
					return
				}
				frames.Add(1)
				at := strconv.FormatInt(m.BeganAt.UnixMilli()+updates, 10)
				if strings.Contains(string(data), `"timestamp":`+at) {
					seen <- struct{}{}
				}
			}
		}()
	}
	before := heap()
	if last := r.updates(m, updates); last != want {
		t.Fatalf("the last update is %s, not %s", last, want)
	}
	for range 2 {
		select {
		case <-seen:
		case <-time.After(patience):
			t.Fatal("a viewer who reads does not get the latest state")
		}
	}
	grown := heap() - before
	t.Logf("%d KiB for %d stalled viewers and %d updates; two readers got %d frames", grown>>10, stalled, updates, frames.Load())
	if grown > 4<<20 {
		t.Errorf("the heap grew by %d KiB", grown>>10)
	}
	worst := 0
	for i, p := range silent {
		n := 1
		for ; !strings.Contains(p.text(), want); n++ {
			if n > most {
				t.Fatalf("viewer %d reads again and gets more than %d frames of the past", i, most)
			}
		}
		worst = max(worst, n)
	}
	t.Logf("reading again, the latest state came as frame %d at the latest", worst)
}
