package tracker_test

import (
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/session"
	"ronde/tracker"
)

// TestRefusedAtTheDoor: who may not come in is told why by close code, after
// the upgrade.
func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	over := r.do(r.active("badge-18"), session.End)
	cancelled := r.do(r.mission("badge-19"), session.Cancel)
	link, _, err := r.service.CreateLink(t.Context(), staff, session.Link{Mission: m.ID, View: session.View{Profile: session.ProfileExact}})
	must(t, err)
	must(t, r.service.RevokeLink(t.Context(), staff, link.ID))
	changed := func(p *session.Principal, change func(*session.Principal)) *session.Principal {
		change(p)
		return p
	}
	for _, c := range []struct {
		name, path string
		p          *session.Principal
		want       websocket.StatusCode
	}{
		{"no token", "/agent", nil, 4001},
		{"no token", "/live", nil, 4001},
		{"an expired token", "/agent", changed(agentOf(m, "badge-17"), func(p *session.Principal) { p.Expires = r.edge.now() }), 4001},
		{"an expired link", "/live", changed(viewerOf(m, session.ProfileExact), func(p *session.Principal) { p.Expires = r.edge.now() }), 4001},
		{"a link as an agent", "/agent", viewerOf(m, session.ProfileExact), 4001},
		{"an agent as a viewer", "/live", agentOf(m, "badge-17"), 4001},
		{"an API key as an agent", "/agent", staff, 4001},
		{"an API key as a viewer", "/live", staff, 4001},
		{"a revoked link", "/live", changed(viewerOf(m, session.ProfileExact), func(p *session.Principal) { p.Subject = link.ID }), 4003},
		{"an agent who is not on the mission", "/agent", agentOf(m, "badge-99"), 4003},
		{"a mission that is over", "/agent", agentOf(over, "badge-18"), 4004},
		{"a mission that is over", "/live", viewerOf(over, session.ProfileExact), 4004},
		{"a cancelled mission", "/agent", agentOf(cancelled, "badge-19"), 4004},
		{"a mission that never was", "/agent", changed(agentOf(m, "badge-17"), func(p *session.Principal) { p.Mission = session.NewID() }), 4004},
		{"a mission that never was", "/live", changed(viewerOf(m, session.ProfileExact), func(p *session.Principal) { p.Mission = session.NewID() }), 4004},
		{"another tenant's mission", "/agent", changed(agentOf(m, "badge-17"), func(p *session.Principal) { p.Tenant = "other" }), 4004},
		{"another tenant's mission", "/live", changed(viewerOf(m, session.ProfileExact), func(p *session.Principal) { p.Tenant = "other" }), 4004},
	} {
		if got := r.refused(c.path, c.p); got != c.want {
			t.Errorf("%s%s: closed with %d, want %d", c.path, c.name, got, c.want)
		}
	}
	// A foreign mission is one that never was, even while its own sockets are
	// open and its room is loaded.
	own := r.agent(m, "badge-17")
	own.until("hello")
	foreign := changed(viewerOf(m, session.ProfileExact), func(p *session.Principal) { p.Tenant = "other" })
	if got := r.refused("/live", foreign); got != 4004 {
		t.Errorf("another tenant's mission with open sockets: closed with %d", got)
	}
}

// TestExpiry: a token is looked at as long as its socket is open.
func TestExpiry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	short, long := agentOf(m, "badge-17"), agentOf(m, "badge-18")
	short.Expires, long.Expires = r.edge.now().Add(time.Minute), r.edge.now().Add(time.Hour)
	link := viewerOf(m, session.ProfileExact)
	link.Expires = r.edge.now().Add(time.Minute)
	agent := r.dial("/agent"+r.caller(short), agentProtocol)
	other := r.dial("/agent"+r.caller(long), agentProtocol)
	viewer := r.dial("/live"+r.caller(link), liveProtocol)
	agent.until("hello")
	other.until("hello")
	viewer.until("snapshot")
	r.edge.advance(time.Minute)
	if a, v := agent.closed(), viewer.closed(); a != 4001 || v != 4001 {
		t.Errorf("closed with %d and %d", a, v)
	}
	other.pings(pingAt(1, r.clock.now(), entrance))
	other.expect("ack 1")
}

// TestRevocation: what is revoked closes at once what it had opened, on every
// node, and nothing else.
func TestRevocation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	link, _, err := r.service.CreateLink(t.Context(), staff, session.Link{Mission: m.ID, View: session.View{Profile: session.ProfileExact}})
	must(t, err)
	p := viewerOf(m, session.ProfileExact)
	p.Subject = link.ID
	elsewhere := r.sibling()
	near, far := r.dial("/live"+r.caller(p), liveProtocol), elsewhere.dial("/live"+elsewhere.caller(p), liveProtocol)
	other := r.viewer(m, session.ProfileExact)
	for _, v := range []*peer{near, far, other} {
		v.until("snapshot")
	}
	must(t, r.service.RevokeLink(t.Context(), staff, link.ID))
	if a, b := near.closed(), far.closed(); a != 4003 || b != 4003 {
		t.Errorf("closed with %d here and %d elsewhere", a, b)
	}

	old := agentOf(m, "badge-17")
	old.Issued = r.clock.now()
	r.clock.advance(time.Second)
	agent, colleague := r.dial("/agent"+r.caller(old), agentProtocol), elsewhere.agent(m, "badge-18")
	agent.until("hello")
	colleague.until("hello")
	_, err = elsewhere.service.Do(t.Context(), staff, m.ID, session.Command{Action: session.RevokeTokens, Agent: "badge-17"})
	must(t, err)
	if got := agent.closed(); got != 4003 {
		t.Errorf("closed with %d", got)
	}
	if got := r.refused("/agent", old); got != 4003 {
		t.Errorf("the old token came again: closed with %d", got)
	}
	r.clock.advance(time.Second) // a token of the same second as the revocation is void
	fresh := agentOf(m, "badge-17")
	fresh.Issued = r.clock.now()
	r.dial("/agent"+r.caller(fresh), agentProtocol).until("hello")
	colleague.pings(pingAt(1, r.clock.now(), entrance))
	colleague.expect("ack 1")
	r.do(m, session.Pause)
	if s := other.until("state"); s["state"] != "paused" {
		t.Errorf("the other viewer: %v", s)
	}
}

// TestMissionOver: however a mission ends, its agents get the state and its
// viewers the end, and then both 4004.
func TestMissionOver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		begin  bool
		end    func(r *rig, m *session.Mission, agent *peer)
		state  string
		by     any
		reason string
	}{
		{"by the platform", true, func(r *rig, m *session.Mission, _ *peer) { r.do(m, session.End) }, "ended", "platform", "platform"},
		{"by the agent", true, func(_ *rig, _ *session.Mission, a *peer) { a.send(`{"type":"end"}`) }, "ended", "agent", "agent"},
		{"while paused", true, func(r *rig, m *session.Mission, _ *peer) { r.do(m, session.Pause); r.do(m, session.End) }, "ended", "platform", "platform"},
		{"at the deadline", true, func(r *rig, _ *session.Mission, _ *peer) { r.clock.advance(3 * time.Hour) }, "ended", "deadline", "deadline"},
		{"missed", false, func(r *rig, _ *session.Mission, _ *peer) { r.clock.advance(3 * time.Hour) }, "ended", "missed", "missed"},
		{"cancelled", false, func(r *rig, m *session.Mission, _ *peer) { r.do(m, session.Cancel) }, "cancelled", "platform", "cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.mission("badge-17")
			if c.begin {
				r.do(m, session.Begin)
			}
			agent, viewer := r.agent(m, "badge-17"), r.viewer(m, session.ProfileExact)
			agent.until("hello")
			viewer.until("snapshot")
			c.end(r, m, agent)
			state := agent.until("state")
			for state["state"] == "paused" {
				state = agent.until("state")
			}
			if state["state"] != c.state || state["duty"] != "off" || state["by"] != c.by {
				t.Errorf("state: %v", state)
			}
			ended := viewer.until("ended")
			summary, _ := ended["summary"].(map[string]any)
			if ended["reason"] != c.reason || summary["ended_at"] == nil || (summary["began_at"] != nil) != c.begin {
				t.Errorf("ended: %v", ended)
			}
			if a, v := agent.closed(), viewer.closed(); a != 4004 || v != 4004 {
				t.Errorf("closed with %d and %d", a, v)
			}
		})
	}
}

// TestReplaced: of one agent's connections the newest stays, on whichever node
// they are.
func TestReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	elsewhere := r.sibling()
	other := r.agent(m, "badge-18")
	other.until("hello")
	first := r.agent(m, "badge-17")
	first.until("hello")
	second := r.agent(m, "badge-17")
	second.until("hello")
	if got := first.closed(); got != 4009 {
		t.Errorf("the first one closed with %d", got)
	}
	r.clock.advance(time.Second) // by which the nodes agree on who came later
	third := elsewhere.agent(m, "badge-17")
	third.until("hello")
	if got := second.closed(); got != 4009 {
		t.Errorf("the second one closed with %d", got)
	}
	for _, p := range []*peer{third, other} {
		p.pings(pingAt(1, r.clock.now(), entrance))
		p.expect("ack 1")
	}
}

// TestGoingAway: a hub that stops closes its sockets with 1001, settles what it
// had taken, and lets nobody in any more.
func TestGoingAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	agent, viewer := r.agent(m, "badge-17"), r.viewer(m, session.ProfileExact)
	agent.until("hello")
	viewer.until("snapshot")
	agent.pings(pingAt(1, r.clock.now(), entrance))
	agent.until("ack")
	done := make(chan struct{})
	go func() { defer close(done); r.hub.Close() }()
	if a, v := agent.closed(), viewer.closed(); a != 1001 || v != 1001 {
		t.Errorf("closed with %d and %d", a, v)
	}
	<-done
	if a, v := r.refused("/agent", agentOf(m, "badge-17")), r.refused("/live", viewerOf(m, session.ProfileExact)); a != 1001 || v != 1001 {
		t.Errorf("afterwards, closed with %d and %d", a, v)
	}
	if got := len(r.stored(m)); got != 1 {
		t.Errorf("%d stored", got)
	}
}

// TestCloseDoesNotWaitForPeersThatVanished: a ping that will never be
// answered does not hold up the end.
func TestCloseDoesNotWaitForPeersThatVanished(t *testing.T) {
	t.Parallel()
	n := newNode(t, new(tracker.MemBus))
	m := n.mission("badge-17")
	agent := n.raw("/agent"+n.caller(agentOf(m, "badge-17")), agentProtocol, 0)
	viewer := n.raw("/live"+n.caller(viewerOf(m, session.ProfileExact)), liveProtocol, 0)
	agent.text()
	viewer.text()
	tracker.ProbeAll(n.hub)
	for _, p := range []*rawPeer{agent, viewer} {
		for op := byte(0); op != opPing; {
			var err error
			op, _, err = p.next()
			must(t, err)
		}
		must(t, p.conn.Close())
	}
	start := time.Now()
	n.hub.Close()
	if took := time.Since(start); took > patience/2 {
		t.Errorf("closing took %v", took)
	}
}
