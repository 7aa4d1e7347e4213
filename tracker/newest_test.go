package tracker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
)

func (b *brittle) Now(ctx context.Context) (time.Time, error) {
	if b.slow.Load() {
		pause(ctx, time.Second) // fake time
	}
	return b.Store.Now(ctx)
}

// TestNewestStaysAcrossNodes: of an agent's connections at two nodes the one
// that came later stays, whichever got its number first and whichever was
// announced first.
func TestNewestStaysAcrossNodes(t *testing.T) {
	for _, c := range []struct {
		name string
		slow bool // the store keeps the older one waiting for its number
	}{
		{"the older one entered late", false},
		{"the older one was numbered late", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, time.Hour, func(w *world) {
				service := *w.service
				store := &brittle{Store: w.store}
				service.Store = store
				other := New(Options{Service: &service, Bus: w.bus, Log: service.Log, Registry: prometheus.NewRegistry()})
				defer other.Close()

				store.slow.Store(c.slow)
				older := w.comes(other)
				numbered := make(chan struct{})
				w.hub.sockets.Go(func() {
					w.number(older)
					close(numbered)
				})
				w.wait(500 * time.Millisecond)
				newer := w.comes(w.hub)
				w.number(newer)
				<-numbered
				w.wait(200 * time.Millisecond) // between two ticks, at which agents are sent pings
				w.enter(newer)
				w.enter(older)

				if newer.closing || newer.room.agents["badge-17"] != newer {
					w.t.Error("the newer connection was closed")
				}
				if !older.closing || older.code != closeReplaced {
					w.t.Errorf("the older connection: closing %v with %d, want %d", older.closing, older.code, closeReplaced)
				}
				for _, conn := range []*agentConn{older, newer} {
					delete(conn.room.agents, "badge-17") // nobody serves them
					conn.hub.leave(conn.room)
				}
			})
		})
	}
}

// comes returns a connection of the agent that comes to a node now. It has no
// socket, and nobody reads what it is sent.
func (w *world) comes(h *Hub) *agentConn {
	r, err := h.join(session.Ref{Tenant: "acme", ID: w.mission.ID})
	ok(w.t, err)
	principal := &session.Principal{Role: session.AgentRole, Tenant: "acme", Mission: w.mission.ID, Agent: "badge-17"}
	c := &agentConn{outbox: newOutbox(h, socket{}), came: time.Now(), room: r, principal: principal}
	c.writing = true
	return c
}

func (w *world) number(c *agentConn) {
	var err error
	c.number, err = c.hub.number(c.came)
	ok(w.t, err)
}

// enter lets a connection enter its room, and what it announces be heard.
func (w *world) enter(c *agentConn) {
	ok(w.t, c.enter())
	synctest.Wait()
}
