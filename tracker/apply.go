package tracker

import (
	"slices"
	"time"

	"ronde/session"
)

// apply takes in a mission as the store has it, if it is newer than what the
// room knows, and tells the sockets what changed for them. Call with mu held.
func (r *room) apply(m *session.Mission) {
	old := r.mission
	if old != nil && m.Revision <= old.Revision {
		return
	}
	m = m.Clone()
	m.Settle(m.ReadAt)
	r.become(m)
}

// changed takes in a mission that was changed through this node.
func (r *room) changed(m *session.Mission) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mission != nil {
		r.apply(m)
	}
}

// become replaces the mission.
func (r *room) become(m *session.Mission) {
	old := r.mission
	r.mission = m
	if m.State.Over() {
		r.gate.Shut()
	}
	moved := r.meet(m)
	if old == nil {
		return // no sockets yet, and confirm follows
	}
	r.deadline = r.deadline.Add(m.Deadline.Sub(old.Deadline))
	r.lease()
	r.tellAgents(old, m)
	r.tellViewers(old, m, moved)
}

// meet brings the presences up to a mission. It reports whether any agent's
// window opened or closed: then progress of the former window is forgotten.
func (r *room) meet(m *session.Mission) (moved bool) {
	for i := range m.Agents {
		a := &m.Agents[i]
		p := r.people[a.ID]
		if a.Relieved {
			moved = moved || p != nil
			delete(r.people, a.ID)
			continue
		}
		if p == nil {
			p = &presence{alias: a.Alias}
			r.people[a.ID] = p
			moved = true
		}
		var opened time.Time
		if w := a.Open(); w != nil && m.State == session.Active {
			opened = w.Opened
		}
		if opened.Equal(p.opened) && p.paused == a.Paused {
			continue
		}
		if !opened.Equal(p.opened) {
			p.folded, p.shown = session.Progress{}, session.Progress{}
			p.seen, p.missed, p.upto, p.saved = 0, 0, 0, 0
			r.stale = r.stale || !opened.IsZero() // positions of it may be stored already
		}
		p.opened, p.paused, moved = opened, a.Paused, true
		p.version = max(p.version+1, m.ReadAt.UnixMilli())
	}
	for agent := range r.people {
		if m.Agent(agent) == nil { // erased
			delete(r.people, agent)
			moved = true
		}
	}
	return moved
}

func (r *room) tellAgents(old, m *session.Mission) {
	for agent, c := range r.agents {
		before, now := old.Agent(agent), m.Agent(agent)
		known := before != nil && now != nil
		switch {
		case known && before.Paused && !now.Paused && old.State == m.State:
			c.resumed(m)
		case old.State != m.State || old.Duty(agent) != m.Duty(agent):
			c.state(m)
		}
		if known && before.SOS != now.SOS {
			c.sos(now.SOS)
		}
		if m.State.Over() {
			c.hangUp(closeOver, "the mission is over")
		}
	}
	r.expel(m)
}

func (r *room) tellViewers(old, m *session.Mission, moved bool) {
	// Progress frames name those who are there; a state clears the screen of who
	// is not any more.
	changed := old.State != m.State || len(old.Agents) != len(m.Agents) || slices.ContainsFunc(old.Agents, func(before session.Agent) bool {
		now := m.Agent(before.ID) // nil: erased
		return !before.Relieved && (now == nil || now.Relieved)
	})
	var state, ended []byte
	if changed {
		state = encodeState(m)
	}
	if m.State.Over() {
		state, ended = nil, encodeEnded(m)
	}
	for _, a := range r.audiences {
		if changed || moved {
			a.full = nil
		}
		for v := range a.viewers {
			switch {
			case ended != nil:
				v.end(ended)
			case changed:
				v.change(state, m.State == session.Active)
			case moved:
				v.move()
			}
		}
	}
}

// expel closes the sockets whose principal may not go on: expired or revoked.
// Call with mu held.
func (r *room) expel(m *session.Mission) {
	now := r.hub.now()
	for _, c := range r.agents {
		if err := c.principal.Live(m, now); err != nil {
			c.hangUp(closeCodeOf(err), err.Error())
		}
	}
	for _, a := range r.audiences {
		for v := range a.viewers {
			if err := v.principal.Live(m, now); err != nil {
				v.hangUp(closeCodeOf(err), err.Error())
			}
		}
	}
}

// degrade tells the viewers that they see less than there is, and why; "" tells
// them that this is over. Call with mu held.
func (r *room) degrade(code string) {
	if r.degraded == code {
		return
	}
	switch {
	case r.degraded == "":
		r.hub.metrics.degraded.Inc()
	case code == "":
		r.hub.metrics.degraded.Dec()
	}
	r.degraded = code
	frame := encodeDegraded(code)
	for _, a := range r.audiences {
		for v := range a.viewers {
			v.degrade(frame)
		}
	}
}

// closeAll closes every socket of the room.
func (r *room) closeAll(code closeCode, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.agents {
		c.hangUp(code, reason)
	}
	for _, a := range r.audiences {
		for v := range a.viewers {
			v.hangUp(code, reason)
		}
	}
}

// cutAll cuts the connections of sockets that do not take their close.
func (r *room) cutAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.agents {
		c.cut()
	}
	for _, a := range r.audiences {
		for v := range a.viewers {
			v.cut()
		}
	}
}
