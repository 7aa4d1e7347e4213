package tracker

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
)

// beside starts another node on the same database, with a bus and a way to the
// store of its own.
func (w *world) beside() (*Hub, *brittle) {
	store := &brittle{Store: w.store.Store}
	service := *w.service
	service.Store = store
	h := New(Options{Service: &service, Bus: new(MemBus), Log: service.Log, Registry: prometheus.NewRegistry()})
	return h, store
}

// client is a viewer without a socket, who keeps what they were sent.
type client struct {
	*viewer
	hub *Hub

	mu     sync.Mutex
	frames []seenFrame // guarded by mu
}

// newClient is somebody who holds a link.
func (w *world) newClient(h *Hub, link *session.Principal) *client {
	c := &client{hub: h}
	c.viewer = &viewer{hub: h, principal: link, profile: session.ProfileExact, below: func() {}}
	c.wake = func() {
		h.sockets.Go(func() {
			c.drain(func(frame []byte) error {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.frames = append(c.frames, seenFrame{time.Now(), string(frame)})
				return nil
			})
		})
	}
	return c
}

// sentAway returns the code with which the client was hung up on, or 0.
func (c *client) sentAway() closeCode {
	c.viewer.mu.Lock()
	defer c.viewer.mu.Unlock()
	return c.code
}

// positionsAfter returns how many frames with a position were sent after a time.
func (c *client) positionsAfter(t time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		if f.at.After(t) && strings.Contains(f.text, `"latitude":48.8466,"longitude":2.4167}`) && strings.Contains(f.text, `"position"`) {
			n++
		}
	}
	return n
}

// linkOf makes a link that allows so many viewers, and returns who holds it.
func (w *world) linkOf(most int) *session.Principal {
	p := &session.Principal{Role: session.Viewer, Tenant: "acme", Subject: session.NewID(), Mission: w.mission.ID}
	w.link(p.Subject, most)
	return p
}

func (w *world) watching(link *session.Principal) session.Link {
	w.t.Helper()
	links, err := w.service.Store.Links(w.t.Context(), "acme", w.mission.ID, [16]byte{}, 100)
	ok(w.t, err)
	for _, l := range links {
		if l.ID == link.Subject {
			return l
		}
	}
	w.t.Fatal("the link is not listed")
	return session.Link{}
}

// TestCapHoldsAcrossNodes is P20 with nodes that hear nothing of each other.
func TestCapHoldsAcrossNodes(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, _ := w.beside()
		defer other.Close()
		link := w.linkOf(2)
		here, there := w.newClient(w.hub, link), w.newClient(other, link)
		ok(t, w.hub.watch(here.viewer))
		ok(t, other.watch(there.viewer))
		for _, h := range []*Hub{w.hub, other} {
			if err := h.watch(w.newClient(h, link).viewer); !errors.Is(err, errFull) {
				t.Errorf("one more than the link allows: %v", err)
			}
		}
		w.hub.unwatch(here.viewer)
		synctest.Wait()
		third := w.newClient(other, link)
		ok(t, other.watch(third.viewer))
		if l := w.watching(link); l.Watching != 2 || l.Opened != 3 {
			t.Errorf("%d watch, opened %d times: want 2 and 3", l.Watching, l.Opened)
		}
		other.unwatch(there.viewer)
		other.unwatch(third.viewer)
		synctest.Wait()
		if l := w.watching(link); l.Watching != 0 {
			t.Errorf("%d watch after all have left", l.Watching)
		}
	})
}

// TestNodeThatDiedIsNotWaitedForLong: its viewers' places are free once its lease
// has lapsed, and not before.
func TestNodeThatDiedIsNotWaitedForLong(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, way := w.beside()
		defer other.Close()
		link := w.linkOf(1)
		gone := w.newClient(other, link)
		ok(t, other.watch(gone.viewer))
		defer other.unwatch(gone.viewer)
		way.down.Store(true)
		w.wait(session.AttendanceLife - attendEvery - time.Second)
		if err := w.hub.watch(w.newClient(w.hub, link).viewer); !errors.Is(err, errFull) {
			t.Errorf("while the other node may live: %v", err)
		}
		w.wait(attendEvery + 2*time.Second)
		next := w.newClient(w.hub, link)
		ok(t, w.hub.watch(next.viewer))
		defer w.hub.unwatch(next.viewer)
	})
}

// TestCutOffNodeKeepsThePromise: a node whose lease has lapsed finds the places
// of its viewers taken when it comes back. It sends them away before it shows
// them anything, and keeps those whose link has room.
func TestCutOffNodeKeepsThePromise(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, way := w.beside()
		defer other.Close()
		narrow, wide := w.linkOf(2), w.linkOf(3)
		first, second, kept := w.newClient(other, narrow), w.newClient(other, narrow), w.newClient(other, wide)
		for _, c := range []*client{first, second, kept} {
			ok(t, other.watch(c.viewer))
			defer other.unwatch(c.viewer)
		}
		w.ping()
		w.wait(Interval)
		way.down.Store(true)
		cut := time.Now()
		w.wait(session.AttendanceLife + Interval)
		replacement := w.newClient(w.hub, narrow)
		ok(t, w.hub.watch(replacement.viewer))
		defer w.hub.unwatch(replacement.viewer)
		way.mute.Store(true) // it has a lease again, and its viewers are not granted yet
		way.down.Store(false)
		for range 10 {
			w.wait(500 * time.Millisecond)
			w.ping()
		}
		if n := kept.positionsAfter(cut.Add(Interval)); n != 0 {
			t.Errorf("%d positions were shown to one who was not granted anew", n)
		}
		way.mute.Store(false)
		for range 20 {
			w.wait(500 * time.Millisecond)
			w.ping()
		}
		away := 0
		for _, c := range []*client{first, second} {
			if c.sentAway() == 0 {
				continue
			}
			away++
			if c.sentAway() != closeCodeOf(errFull) {
				t.Errorf("closed with %d", c.sentAway())
			}
			if n := c.positionsAfter(cut.Add(Interval)); n != 0 {
				t.Errorf("one whose place was taken was shown %d positions", n)
			}
		}
		if away != 1 {
			t.Errorf("%d viewers were sent away, want 1", away)
		}
		if kept.sentAway() != 0 || kept.positionsAfter(cut.Add(Interval)) == 0 {
			t.Errorf("a viewer with room: closed with %d, shown %d positions", kept.sentAway(), kept.positionsAfter(cut.Add(Interval)))
		}
		if n, m := w.watching(narrow), w.watching(wide); n.Watching != 2 || m.Watching != 1 || m.Opened != 1 {
			t.Errorf("%d watch of 2, and %d of 3, who opened it %d times", n.Watching, m.Watching, m.Opened)
		}
	})
}

// TestStoreThatDoesNotAnswerLetsNobodyIn: who cannot be counted does not watch,
// and counts no more once it can be.
func TestStoreThatDoesNotAnswerLetsNobodyIn(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		link := w.linkOf(1)
		w.store.lost.Store(true) // the answer to what was done does not come
		if err := w.hub.watch(w.newClient(w.hub, link).viewer); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("let in without an answer: %v", err)
		}
		if l := w.watching(link); l.Watching != 1 {
			t.Fatalf("the store was to grant 1 viewer, not %d", l.Watching)
		}
		w.store.lost.Store(false)
		w.wait(attendEvery)
		if l := w.watching(link); l.Watching != 0 {
			t.Errorf("%d watch, though nobody was let in", l.Watching)
		}
		c := w.newClient(w.hub, link)
		ok(t, w.hub.watch(c.viewer))
		w.hub.unwatch(c.viewer)
	})
}

// TestCrowdOfOneLinkIsOneRow: ten thousand that come back at once are counted,
// each, in few transactions.
func TestCrowdOfOneLinkIsOneRow(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		const crowd = 10_000
		link := w.linkOf(crowd / 2)
		w.store.watches.Store(0)
		var all sync.WaitGroup
		var let sync.Map
		for range crowd {
			all.Go(func() {
				c := w.newClient(w.hub, link)
				switch err := w.hub.watch(c.viewer); {
				case err == nil:
					let.Store(c, true)
				case !errors.Is(err, errFull):
					t.Error(err)
				}
			})
		}
		all.Wait()
		n := 0
		let.Range(func(c, _ any) bool { n++; return true })
		if l := w.watching(link); n != crowd/2 || l.Watching != n || l.Opened != int64(n) {
			t.Errorf("%d were let in, %d watch, opened %d times: want %d", n, l.Watching, l.Opened, crowd/2)
		}
		t.Logf("%d viewers in %d transactions", crowd, w.store.watches.Load())
		if calls := w.store.watches.Load(); calls > crowd/4 {
			t.Errorf("%d transactions for %d viewers", calls, crowd)
		}
		let.Range(func(c, _ any) bool { w.hub.unwatch(c.(*client).viewer); return true })
	})
}
