package tracker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/geo"
	"ronde/session"
)

func (b *brittle) SaveProgress(ctx context.Context, batch []session.SavedProgress) error {
	if b.forgetful.Load() {
		return nil
	}
	if b.down.Load() {
		return errDown
	}
	return b.Store.SaveProgress(ctx, batch)
}

func (b *brittle) SavedProgress(ctx context.Context, tenant string, id uuid.UUID) ([]session.SavedProgress, error) {
	saved, err := b.Store.SavedProgress(ctx, tenant, id)
	if b.garbled.Load() {
		for i := range saved {
			saved[i].Sealed[7] ^= 1
		}
	}
	return saved, err
}

func (b *brittle) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) ([]session.Row, error) {
	b.tracks.Add(1)
	return b.Store.AgentTrack(ctx, tenant, id, agent, after, limit)
}

func (b *brittle) Latest(ctx context.Context, tenant string, id uuid.UUID, n int) ([]session.Row, error) {
	b.reads.Add(1)
	if b.stuck.Load() {
		<-ctx.Done()
		return nil, errDown
	}
	return b.Store.Latest(ctx, tenant, id, n)
}

// TestTakeover: a node that never heard of an agent goes on where another one
// stopped, however long ago what decides the phase happened, and whether that
// one could save its progress or not.
func TestTakeover(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*brittle)
		refold bool // the whole window is read
	}{
		{"saved", func(*brittle) {}, false},
		{"not saved", func(b *brittle) { b.forgetful.Store(true) }, true},
		{"unreadable", func(b *brittle) { b.garbled.Store(true) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 4*time.Hour, func(w *world) {
				c.set(w.store)
				w.leave()
				old := w.hub.room(w.mission.ID).people["badge-17"].folded
				if old.Phase != session.Left {
					w.t.Fatalf("phase %q before the takeover", old.Phase)
				}
				w.store.tracks.Store(0)
				got := w.elsewhere()
				got.Version = old.Version
				if form(w.t, &got) != form(w.t, &old) {
					w.t.Errorf("taken over as %+v, was %+v", got, old)
				}
				if refolded := w.store.tracks.Load() > 0; refolded != c.refold {
					w.t.Errorf("read the window: %v", refolded)
				}
			})
		})
	}
}

// form is all there is to know of a progress, in a form that can be compared.
func form(t *testing.T, p *session.Progress) string {
	t.Helper()
	b, err := p.AppendBinary(nil)
	ok(t, err)
	return string(b)
}

// leave lets the agent be on site, leave, and walk on for longer than anybody
// reads by default.
func (w *world) leave() {
	point := onSite
	for i := range 3*recent + 20 {
		w.wait(time.Second)
		if v := w.pingFrom(point); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		if i >= 20 {
			point = geo.Point{Latitude: onSite.Latitude + 0.01 + float64(i)/1e5, Longitude: onSite.Longitude}
		}
	}
}

// recent is at least as much as session.Service.Progress reads at once.
const recent = 50

// elsewhere returns what another node takes the agent's progress for.
func (w *world) elsewhere() session.Progress {
	service := *w.service
	h := New(Options{Service: &service, Bus: new(MemBus), Log: service.Log, Registry: prometheus.NewRegistry()})
	defer h.Close()
	r, err := h.join(session.Ref{Tenant: "acme", ID: w.mission.ID})
	ok(w.t, err)
	defer h.leave(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.people["badge-17"].shown
}

// TestProgressIsSavedLater: what the store could not save it is asked to save
// again, though the agent has not moved since, and once it has, no more.
func TestProgressIsSavedLater(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		sent := time.Now()
		w.store.down.Store(true)
		w.wait(saveEvery + time.Second)
		w.store.down.Store(false)
		w.wait(saveEvery)
		saved, err := w.store.SavedProgress(w.t.Context(), "acme", w.mission.ID)
		ok(w.t, err)
		if len(saved) != 1 || !saved[0].At.Equal(session.Millis(sent)) {
			w.t.Fatalf("saved %+v, want the progress of %v", saved, sent)
		}
		if again := w.hub.room(w.mission.ID).unsaved(nil); len(again) != 0 {
			w.t.Errorf("%d are to be saved again", len(again))
		}
	})
}

// TestProgressIsForgotten: with the window goes what was saved in it.
func TestProgressIsForgotten(t *testing.T) {
	for _, action := range []session.Action{session.Pause, session.End} {
		inWorld(t, time.Hour, func(w *world) {
			w.ping()
			w.wait(saveEvery + time.Second)
			saved := func() []session.SavedProgress {
				list, err := w.store.SavedProgress(w.t.Context(), "acme", w.mission.ID)
				ok(w.t, err)
				return list
			}
			if len(saved()) != 1 {
				w.t.Fatalf("%d saved", len(saved()))
			}
			_, err := w.service.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: action})
			ok(w.t, err)
			w.wait(saveEvery + time.Second)
			if len(saved()) != 0 {
				w.t.Errorf("%d saved after %s", len(saved()), action)
			}
		})
	}
}

// TestTakeoverInAnOpenRoom: a room that was open before the agent came, and that
// heard nothing of them, learns where they stand before their first ping.
func TestTakeoverInAnOpenRoom(t *testing.T) {
	inWorld(t, 4*time.Hour, func(w *world) {
		service := *w.service
		other := New(Options{Service: &service, Bus: new(MemBus), Log: service.Log, Registry: prometheus.NewRegistry()})
		defer other.Close()
		r, err := other.join(session.Ref{Tenant: "acme", ID: w.mission.ID}) // for somebody else, at the begin
		ok(w.t, err)
		defer other.leave(r)
		w.leave()
		phase := func() session.Phase {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.people["badge-17"].shown.Phase
		}
		if got := phase(); got != "" {
			w.t.Fatalf("the other node knows of phase %q without a bus", got)
		}
		ok(w.t, r.takeOver(time.Now()))
		if got := phase(); got != session.Left {
			w.t.Errorf("taken over in phase %q", got)
		}
	})
}

// TestMockFixesAreNotMissed: positions that progress ignores are not looked for
// again and again, nor are they folded anew at every takeover.
func TestMockFixesAreNotMissed(t *testing.T) {
	inWorld(t, 4*time.Hour, func(w *world) {
		w.ping()
		for range 3 * recent {
			w.wait(time.Second)
			p := pingNow(w.mission)
			p.Pings[0].Mock = true
			if v := <-w.send(p); v != session.Stored {
				w.t.Fatalf("verdict %q", v.Code())
			}
		}
		w.wait(saveEvery + time.Second)
		service := *w.service
		other := New(Options{Service: &service, Bus: new(MemBus), Log: service.Log, Registry: prometheus.NewRegistry()})
		defer other.Close()
		v := &viewer{hub: other, principal: w.viewer.principal, profile: session.ProfileExact, below: func() {}, wake: func() {}}
		w.store.tracks.Store(0)
		ok(w.t, other.watch(v))
		defer other.unwatch(v)
		w.wait(Interval) // a room that was just opened is filled once more
		w.store.reads.Store(0)
		w.wait(20 * time.Second)
		if n := w.store.reads.Load(); n != 0 {
			w.t.Errorf("read the newest positions %d times while nothing happened", n)
		}
		if n := w.store.tracks.Load(); n != 0 {
			w.t.Errorf("read the window %d times", n)
		}
	})
}

// TestStuckRefillHoldsUpNobody: while a room waits to be filled, every lease is
// renewed.
func TestStuckRefillHoldsUpNobody(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		w.store.stuck.Store(true)
		r := w.hub.room(w.mission.ID)
		r.mu.Lock()
		r.refresh()
		r.mu.Unlock()
		for range 40 {
			w.wait(100 * time.Millisecond)
			if !r.showable() {
				w.t.Fatal("a lease ended while a refill was stuck")
			}
		}
		w.store.stuck.Store(false)
		w.wait(storeTimeout + Interval)
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
	})
}

// TestLaterConnectionStays: whatever numbers two connections at one node have
// drawn, the later stays, and under the greater one.
func TestLaterConnectionStays(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		r := w.hub.room(w.mission.ID)
		principal := &session.Principal{Role: session.AgentRole, Tenant: "acme", Mission: w.mission.ID, Agent: "badge-17"}
		enter := func(came time.Time, number int64) (*agentConn, error) {
			c := &agentConn{outbox: newOutbox(w.hub, socket{}), came: came, number: number, room: r, principal: principal}
			c.writing = true // nobody reads what it is sent
			return c, c.enter()
		}
		now := time.Now()
		first, err := enter(now, 7)
		ok(w.t, err)
		second, err := enter(now.Add(time.Second), 5)
		ok(w.t, err)
		if r.agents["badge-17"] != second || second.number != 7 {
			w.t.Errorf("the later connection has number %d", second.number)
		}
		if _, err := enter(now.Add(-time.Second), 9); !errors.Is(err, errReplaced) {
			w.t.Errorf("an overtaken connection: %v", err)
		}
		synctest.Wait() // for what was announced
		if r.agents["badge-17"] != second || second.number != 9 || !first.closing || second.closing {
			w.t.Errorf("number %d; the first closes: %v, the second: %v", second.number, first.closing, second.closing)
		}
		delete(r.agents, "badge-17")
	})
}
