package tracker

import (
	"context"
	"testing"
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

func (b *brittle) Track(ctx context.Context, tenant string, id uuid.UUID, after session.Cursor, limit int) ([]session.Row, error) {
	b.tracks.Add(1)
	return b.Store.Track(ctx, tenant, id, after, limit)
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
	for i := range 3 * recent {
		w.wait(time.Second)
		if v := w.pingFrom(point); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		point = geo.Point{Latitude: onSite.Latitude + 0.01 + float64(i)/1e5, Longitude: onSite.Longitude}
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
