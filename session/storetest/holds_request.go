package storetest

import (
	"time"

	"ronde/session"
)

// agentOf is an agent of a mission, with their own token.
func (p *sweepWorld) agentOf(m *session.Mission, agent string) *session.Principal {
	return &session.Principal{Role: session.AgentRole, Tenant: p.tenant, Subject: session.NewID(), Mission: m.ID, Agent: agent}
}

// request has an agent ask that their part of a mission be kept for so many days.
func (p *sweepWorld) request(m *session.Mission, agent string, days int) session.Hold {
	p.Helper()
	h, err := p.service.SetHold(p.Context(), p.agentOf(m, agent), m.ID, "I asked for my hours", p.now.Add(time.Duration(days)*24*time.Hour))
	p.ok(err)
	return h
}

// testRequest (P39): what an agent asks to be kept is their part alone. It stands
// beside a hold of the whole mission, ends by nobody else's hand, and keeps nobody
// but the agent from being erased.
func testRequest(p *sweepWorld) {
	platform := &session.Principal{Role: session.Platform, Tenant: p.tenant}
	later := p.ended(9, 0, "badge-1")
	m := p.ended(2, 12, "badge-1", "badge-2", "badge-3")
	own, whole := p.request(m, "badge-1", 30), p.hold(m, 5)
	if own.ID == whole.ID || own.Agent != "badge-1" || own.Role != session.AgentRole || whole.Agent != "" {
		p.Errorf("requested %+v, held %+v", own, whole)
	}
	p.held(m, own, 12)
	if done := p.sweep(); done.Copied != 2 {
		p.Errorf("swept %+v, want 2 copies", done)
	}
	p.held(m, own, 12)
	p.held(m, whole, 36)
	if n := p.archived(); n != 48 {
		p.Errorf("%d positions in the archive, want 36 of the mission and 12 of the agent", n)
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
	p.ok(err)
	p.clock(p.expiry(m))
	p.sweep()
	p.stored(m, 0)
	p.held(m, own, 12)
	for agent, want := range map[string]int{"badge-1": 12, "badge-2": 0} {
		if n, _ := p.exported(agent); n != want {
			p.Errorf("exported %d positions of %s, want %d", n, agent, want)
		}
	}
	if again, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, ""); err != nil || again.ID != whole.ID {
		p.Errorf("staff released %+v, %v", again, err)
	}
	p.held(m, own, 12)

	_, err = p.service.EraseAgent(p.Context(), platform, "badge-2", "")
	p.ok(err)
	_, err = p.service.EraseAgent(p.Context(), platform, "badge-1", "")
	p.is(err, session.ErrHeld, "erasing an agent whose own request stands")
	released, err := p.service.ReleaseHold(p.Context(), p.agentOf(later, "badge-1"), m.ID, "") // by the token that they have now
	p.ok(err)
	if released.ID != own.ID || !released.ReleasedAt.Equal(p.now) {
		p.Errorf("the agent released %+v", released)
	}
	_, err = p.service.EraseAgent(p.Context(), platform, "badge-1", "")
	p.ok(err)
	if left := naming(p.Rows(p.T), "badge-1"); len(left) != 0 {
		p.Errorf("left: %q", left)
	}
	if left := naming(p.Rows(p.T), "I asked for my hours", "hold.set"); len(left) != 0 {
		p.Errorf("left: %q", left)
	}
	p.sweep()
	if n := p.archived(); n != 0 {
		p.Errorf("%d positions are left of copies that were released", n)
	}
}

// testRequestRules: what an agent may ask for, and of which mission.
func testRequestRules(p *sweepWorld) {
	m, other := p.ended(2, 2, "badge-1", "badge-2"), p.ended(2, 2, "badge-1")
	day := 24 * time.Hour
	for _, c := range []struct {
		what    string
		by      *session.Principal
		mission *session.Mission
		until   time.Duration
		want    error
	}{
		{"an agent who is not on it", p.agentOf(m, "badge-3"), m, day, session.ErrNotFound},
		{"too long", p.agentOf(m, "badge-1"), m, session.MaxRequest + time.Millisecond, session.ErrInvalid},
		{"as long as can be, by the token of another mission", p.agentOf(other, "badge-1"), m, session.MaxRequest, nil},
		{"another's, of the same mission", p.agentOf(m, "badge-2"), m, day, nil},
		{"shorter than it stands", p.agentOf(m, "badge-1"), m, day, session.ErrInvalid},
	} {
		_, err := p.service.SetHold(p.Context(), c.by, c.mission.ID, "a request", p.now.Add(c.until))
		p.is(err, c.want, "%s", c.what)
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
	p.is(err, session.ErrNotFound, "the release of what only agents asked for")
	_, err = p.service.ReleaseHold(p.Context(), p.agentOf(other, "badge-1"), other.ID, "")
	p.is(err, session.ErrNotFound, "the release of what was never asked for")

	own := p.request(m, "badge-1", 90)
	rows, err := p.Store.AgentTrack(p.Context(), p.tenant, m.ID, "badge-2", session.Cursor{}, 10)
	p.ok(err)
	p.ok(p.Store.CopyHeld(p.Context(), own, rows))
	if n := p.archived(); len(rows) != 2 || n != 0 {
		p.Errorf("of %d positions of another agent %d were copied", len(rows), n)
	}
}

// testRequestErased: in a restored backup in which the request still stands, its
// copy not made, the agent is erased all the same and everybody else's day goes on.
func testRequestErased(p *sweepWorld) {
	m := p.ended(2, 12, "badge-1", "badge-2")
	p.request(m, "badge-1", 30)
	p.clock(p.expiry(m))
	_, _, err := p.Store.ClaimDays(p.Context())
	p.ok(err)
	stone := p.stone("badge-1")
	p.erase(stone)
	p.erased(stone, session.Erased{Missions: 1, Positions: 12})
	if left := naming(p.Rows(p.T), "badge-1"); len(left) != 0 {
		p.Errorf("left: %q", left)
	}
	p.sweep()
	p.stored(m, 0)
	p.overdue()
}
