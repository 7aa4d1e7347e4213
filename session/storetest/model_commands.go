package storetest

import "ronde/session"

// carryOut does what a command says and returns "", or returns the code of the
// refusal and does nothing.
func (m *modelMission) carryOut(c session.Command, now int64) string {
	for _, o := range m.others {
		o.settle(now)
	}
	m.settle(now)
	if c.By == session.ByAgent {
		switch a := m.agents[c.Agent]; {
		case a == nil:
			return session.ErrNotFound.Code
		case a.relieved:
			return session.ErrForbidden.Code
		}
	}
	switch c.Action {
	case session.Begin, session.Pause, session.Resume, session.End, session.Cancel:
		return m.changeState(c, now)
	case session.PauseAgent, session.ResumeAgent:
		if !m.underway() {
			return session.ErrState.Code
		}
	default:
		if !m.underway() && m.state != session.Scheduled {
			return session.ErrState.Code
		}
	}
	return m.changePart(c, now)
}

func (m *modelMission) underway() bool { return m.state == session.Active || m.state == session.Paused }

// changeState does what concerns the whole mission.
func (m *modelMission) changeState(c session.Command, now int64) string {
	switch {
	case c.Action == session.Begin:
		return m.begin(now)
	case c.Action == session.Resume:
		return m.resume(now)
	case c.Action == session.Pause && m.state == session.Active:
		m.cutAll(now)
		m.state = session.Paused
	case c.Action == session.Pause && m.state == session.Paused:
	case c.Action == session.End && m.underway():
		m.cutAll(m.dated(c.At, now))
		m.state = session.Ended
	case c.Action == session.End && m.state == session.Ended:
	case c.Action == session.Cancel && (m.state == session.Scheduled || m.state == session.Cancelled):
		m.state = session.Cancelled
	default:
		return session.ErrState.Code
	}
	return ""
}

// changePart does what concerns one agent, or the plan, of a mission whose
// state allows it.
func (m *modelMission) changePart(c session.Command, now int64) string {
	a := m.agents[c.Agent]
	switch c.Action {
	case session.PauseAgent:
		if !a.paused {
			a.paused = true
			m.cut(c.Agent, m.dated(c.At, now))
		}
	case session.ResumeAgent:
		if a.paused && m.state == session.Active {
			if code := m.locate(c.Agent, now); code != "" {
				return code
			}
		}
		a.paused = false
	case session.Relieve:
		if a == nil {
			return session.ErrNotFound.Code
		}
		a.relieved = true
		m.cut(c.Agent, now)
	case session.AddAgent:
		return m.add(c.Agent, now)
	case session.Extend:
		return m.extend(c.EndsAt.UnixMilli(), now)
	default:
		panic("the model knows no " + c.Action)
	}
	return ""
}

func (m *modelMission) begin(now int64) string {
	switch {
	case m.state == session.Active:
		return ""
	case m.state != session.Scheduled:
		return session.ErrState.Code
	case now < m.starts-m.early:
		return session.ErrTooEarly.Code
	}
	code := m.locateAll(now)
	if code == "" {
		m.state, m.began = session.Active, now
	}
	return code
}

func (m *modelMission) resume(now int64) string {
	switch m.state {
	case session.Active:
		for _, a := range m.agents {
			if a.paused && !a.relieved {
				return session.ErrAgentPause.Code
			}
		}
		return ""
	case session.Paused:
		code := m.locateAll(now)
		if code == "" {
			m.state = session.Active
		}
		return code
	default:
		return session.ErrState.Code
	}
}

func (m *modelMission) add(agent string, now int64) string {
	a := m.agents[agent]
	if a != nil && !a.relieved {
		return ""
	}
	if m.state == session.Active && (a == nil || !a.paused) {
		if m.elsewhere(agent) {
			return session.ErrLocated.Code
		}
	}
	if a == nil {
		a = &modelAgent{}
		m.agents[agent] = a
	}
	a.relieved = false
	if m.state == session.Active && !a.paused {
		return m.locate(agent, now)
	}
	return ""
}

func (m *modelMission) extend(ends, now int64) string {
	const longest = 72 * 3600 * 1000
	deadline := ends + m.overrun
	if m.began != 0 {
		deadline = min(deadline, m.began+longest)
	}
	if ends <= m.starts || ends+m.overrun-m.starts > longest || deadline <= now {
		return session.ErrInvalid.Code
	}
	m.ends, m.deadline = ends, deadline
	return ""
}
