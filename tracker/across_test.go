package tracker

import (
	"testing"
	"time"

	"ronde/session"
)

// TestRevocationReachesEveryNode is P18 without a bus between the nodes: what is
// revoked through one is closed at the other within a second, and nothing else.
func TestRevocationReachesEveryNode(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, _ := w.beside()
		defer other.Close()
		revoked, valid := w.linkOf(0), w.linkOf(0)
		here, there, stays := w.newClient(w.hub, revoked), w.newClient(other, revoked), w.newClient(other, valid)
		for _, c := range []*client{here, there, stays} {
			ok(t, c.hub.watch(c.viewer))
			defer c.hub.unwatch(c.viewer)
		}
		w.wait(1300 * time.Millisecond)
		ok(t, w.service.RevokeLink(w.t.Context(), operator, revoked.Subject))
		if here.sentAway() != closeRevoked {
			t.Errorf("at the node that was told: closed with %d", here.sentAway())
		}
		w.wait(time.Second)
		if there.sentAway() != closeRevoked || stays.sentAway() != 0 {
			t.Errorf("at the other: closed with %d, another link with %d", there.sentAway(), stays.sentAway())
		}
		// Nor does it open anything any more, wherever.
		for _, h := range []*Hub{w.hub, other} {
			if err := h.watch(w.newClient(h, revoked).viewer); closeCodeOf(err) != closeRevoked {
				t.Errorf("a revoked link opens: %v", err)
			}
		}
		if l := w.watching(revoked); l.Opened != 2 {
			t.Errorf("opened %d times, want 2: refusals are none", l.Opened)
		}
	})
}

// TestExpiryClosesEverywhere is P17: a link that expires closes what it opened, at
// every node, whether or not the node can reach its store.
func TestExpiryClosesEverywhere(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, way := w.beside()
		defer other.Close()
		short, long := w.linkOf(0), w.linkOf(0)
		short.Expires, long.Expires = time.Now().Add(time.Minute), time.Now().Add(time.Hour)
		here, there, stays := w.newClient(w.hub, short), w.newClient(other, short), w.newClient(other, long)
		for _, c := range []*client{here, there, stays} {
			ok(t, c.hub.watch(c.viewer))
			defer c.hub.unwatch(c.viewer)
		}
		w.wait(time.Minute - time.Millisecond)
		if a, b := here.sentAway(), there.sentAway(); a != 0 || b != 0 {
			t.Fatalf("closed before the time: %d and %d", a, b)
		}
		way.down.Store(true)
		w.wait(watchEvery)
		if a, b := here.sentAway(), there.sentAway(); a != closeToken || b != closeToken {
			t.Errorf("closed with %d and %d", a, b)
		}
		if stays.sentAway() != 0 {
			t.Errorf("a link that has not expired: closed with %d", stays.sentAway())
		}
		way.down.Store(false)
	})
}

// TestRevokedTokensReachEveryNode: so are the sockets of agents.
func TestRevokedTokensReachEveryNode(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		other, _ := w.beside()
		defer other.Close()
		r, err := other.join(session.Ref{Tenant: "acme", ID: w.mission.ID})
		ok(t, err)
		defer other.leave(r)
		c := &agentConn{outbox: newOutbox(other, socket{}), came: time.Now(), number: 1, room: r, principal: &session.Principal{
			Role: session.AgentRole, Tenant: "acme", Mission: w.mission.ID, Agent: "badge-17", Issued: time.Now(),
		}}
		c.writing = true // nobody reads what it is sent
		ok(t, c.enter())
		w.wait(time.Second)
		_, err = w.service.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: session.RevokeTokens, Agent: "badge-17"})
		ok(t, err)
		w.wait(time.Second)
		if !c.closing || c.code != closeRevoked {
			t.Errorf("closing %v with %d", c.closing, c.code)
		}
		delete(r.agents, "badge-17")
	})
}
