package tracker

import (
	"encoding/json"

	"ronde/session"
)

// show sends the viewers the state of the agents named, rendered once for each
// profile that somebody watches. Call with mu held.
func (r *room) show(agents []string) {
	for profile, a := range r.audiences {
		a.full = nil
		if !r.showable() {
			for v := range a.viewers {
				v.fallBehind() // shown as soon as the lease is renewed
			}
			continue
		}
		frame := r.progressFrame(profile, agents)
		if frame == nil {
			continue
		}
		for v := range a.viewers {
			v.offer(frame)
		}
	}
}

// catchUp sends every viewer the whole present state. Call with mu held.
func (r *room) catchUp() {
	for _, a := range r.audiences {
		a.full = nil
		for v := range a.viewers {
			v.fallBehind()
		}
	}
}

// full returns a progress frame with every agent as the profile shows them, or
// nil while nothing may be shown. All viewers that fell behind share it.
func (r *room) full(profile session.Profile) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.audiences[profile]
	if a == nil || !r.showable() {
		return nil
	}
	if a.full == nil {
		a.full = r.progressFrame(profile, r.everybody())
	}
	return a.full
}

// everybody lists the agents of the mission in the order of its plan.
func (r *room) everybody() []string {
	var ids []string
	for i := range r.mission.Agents {
		if r.people[r.mission.Agents[i].ID] != nil {
			ids = append(ids, r.mission.Agents[i].ID)
		}
	}
	return ids
}

// progressFrame renders agents, or returns nil if that fails: then it is
// better to show nothing than something finer than the profile allows.
func (r *room) progressFrame(profile session.Profile, agents []string) []byte {
	b := make([]byte, 0, 64+256*len(agents))
	b = append(b, `{"type":"progress","agents":`...)
	b, err := r.appendAgents(b, profile, agents)
	if err != nil {
		r.hub.metrics.drops.WithLabelValues("render").Inc()
		r.hub.log.Error("render_failed", "mission", r.ref.ID, "error", err)
		return nil
	}
	return append(b, '}')
}

func (r *room) appendAgents(b []byte, profile session.Profile, agents []string) ([]byte, error) {
	b = append(b, '[')
	for i, id := range agents {
		p := r.people[id]
		progress := p.shown
		progress.Signal = r.signal(p)
		if p.paused {
			progress = session.Progress{Signal: session.OnBreak}
		}
		seen, err := session.See(progress, &r.mission.Site, profile)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAgent(b, p.alias, p.version, &seen)
	}
	return append(b, ']'), nil
}

// signal returns what an agent's silence means now. Call with mu held.
func (r *room) signal(p *presence) session.Signal {
	return p.shown.SignalAt(r.mission, r.storeTime().UnixMilli())
}

// listen shows the viewers who has been silent for so long that they are lost.
// Whoever sends again is shown as they do. Call with mu held.
func (r *room) listen() {
	var lost []string
	for agent, p := range r.people {
		was := p.lost
		if p.lost = r.signal(p) == session.Lost; p.lost && !was {
			p.version++
			lost = append(lost, agent)
		}
	}
	if len(lost) > 0 {
		r.show(lost)
	}
}

// greet returns the snapshot for a viewer who is about to be written to, and
// whether it holds positions. What waited for them before is in it.
func (r *room) greet(v *viewer) (frame []byte, position bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	position = r.showable()
	frame, err := r.snapshot(v.profile, position)
	if err != nil {
		r.hub.metrics.drops.WithLabelValues("render").Inc()
		r.hub.log.Error("render_failed", "mission", r.ref.ID, "error", err)
		v.hangUp(closeGoingAway, "error")
		return nil, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress, v.behind = nil, false
	return frame, position
}

// snapshot renders all that a viewer of the profile sees on joining, with or
// without the agents. Call with mu held.
func (r *room) snapshot(profile session.Profile, position bool) ([]byte, error) {
	mission, err := json.Marshal(newMissionFrame(r.mission))
	if err != nil {
		return nil, err
	}
	b := append([]byte(`{"type":"snapshot","mission":`), mission...)
	b = append(b, `,"agents":`...)
	var agents []string
	if position {
		agents = r.everybody()
	}
	if b, err = r.appendAgents(b, profile, agents); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}
