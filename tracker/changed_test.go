package tracker_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
	"ronde/tracker"
)

// overheard is a bus that passes on what is published.
type overheard struct {
	tracker.MemBus
	said chan tracker.Kind
}

func (b *overheard) Publish(_ context.Context, batch []*tracker.Message) error {
	for _, m := range batch {
		b.said <- m.Kind
	}
	return nil
}

// TestHubHearsItsService: whatever a hub's loops change from their first turn
// on, the hub is told of. The mission is over its deadline when the hub starts,
// and nothing but the bus is touched from then on, so that the race detector
// finds a service that is joined to its hub only after the loops have begun.
func TestHubHearsItsService(t *testing.T) {
	t.Parallel()
	dir, root, c := t.TempDir(), session.NewRootSecret(), newClock()
	ring, err := keyring.OpenFolder(filepath.Join(dir, "keys"), root)
	must(t, err)
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "ronde.db"), c.now)
	must(t, err)
	must(t, store.EnsureTenant(t.Context(), tenant))
	service := &session.Service{
		Store: store, Sealer: session.NewSealer(root, ring), Tokens: session.NewTokens(ring, c.now), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	n := &node{t: t, service: service, store: store}
	n.do(n.mission("badge-17"), session.Begin)
	c.advance(24 * time.Hour)

	late := time.After(patience) // a timer that is made later would put in order what is not
	bus := &overheard{said: make(chan tracker.Kind, 100)}
	t.Cleanup(func() {
		must(t, store.Close())
		must(t, ring.Close())
	})
	hub := tracker.New(tracker.Options{Service: service, Bus: bus, Log: service.Log, Registry: prometheus.NewRegistry()})
	defer hub.Close()
	select {
	case kind := <-bus.said:
		if kind != tracker.Changed {
			t.Errorf("published %v, want that a mission changed", kind)
		}
	case <-late:
		t.Error("a mission ended at its deadline, and nobody was told")
	}
}
