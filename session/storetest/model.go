package storetest

import (
	"math"
	"time"

	"ronde/session"
)

// The model says what a store must do, in the plainest way there is: lists of
// intervals, no code of package session but its names. It is always settled: a
// mission whose deadline has passed is over, whether anybody closed it or not.

// stillOpen is the end of an interval that has none yet.
const stillOpen = math.MaxInt64

type interval struct{ from, to int64 }

type modelAgent struct {
	paused, relieved bool
	located          []interval
	removed          int64
}

type place struct {
	agent string
	slot  int64
}

type kept struct {
	at     int64
	sealed string
}

type modelMission struct {
	id                           *session.Mission // for its identity
	state                        session.State
	starts, ends, overrun, early int64
	began, deadline, slotMS      int64
	agents                       map[string]*modelAgent
	kept                         map[place]kept
	refused                      map[session.Refusal]int64 // by agent and reason
	others                       []*modelMission
}

func newModelMission(m *session.Mission) *modelMission {
	model := &modelMission{
		id: m, state: session.Scheduled,
		starts: m.StartsAt.UnixMilli(), ends: m.EndsAt.UnixMilli(),
		overrun: m.Overrun.Milliseconds(), early: m.EarlyBegin.Milliseconds(),
		slotMS: m.Policy.MinInterval.Milliseconds(),
		agents: map[string]*modelAgent{}, kept: map[place]kept{}, refused: map[session.Refusal]int64{},
	}
	model.deadline = model.ends + model.overrun
	for _, a := range m.Agents {
		model.agents[a.ID] = &modelAgent{}
	}
	return model
}

func (m *modelMission) settle(now int64) {
	if m.state != session.Ended && m.state != session.Cancelled && now >= m.deadline {
		m.state = session.Ended
		m.cutAll(m.deadline)
	}
}

// cut ends what an agent is located for at t, and removes what lies beyond.
func (m *modelMission) cut(agent string, t int64) {
	a := m.agents[agent]
	var left []interval
	for _, i := range a.located {
		i.to = min(i.to, t)
		if i.from < i.to {
			left = append(left, i)
		}
	}
	a.located = left
	for p, k := range m.kept {
		if p.agent == agent && k.at >= t {
			delete(m.kept, p)
			a.removed++
		}
	}
}

func (m *modelMission) cutAll(t int64) {
	for agent := range m.agents {
		m.cut(agent, t)
	}
}

// elsewhere reports whether an agent is located for another mission now.
func (m *modelMission) elsewhere(agent string) bool {
	for _, o := range m.others {
		if a := o.agents[agent]; a != nil {
			for _, i := range a.located {
				if i.to == stillOpen {
					return true
				}
			}
		}
	}
	return false
}

// locate starts an interval for every agent who may be located, or says that
// one of them is located elsewhere, and starts none.
func (m *modelMission) locateAll(now int64) string {
	for name, a := range m.agents {
		if !a.paused && !a.relieved && m.elsewhere(name) {
			return session.ErrLocated.Code
		}
	}
	for _, a := range m.agents {
		if !a.paused && !a.relieved {
			a.located = append(a.located, interval{now, stillOpen})
		}
	}
	return ""
}

func (m *modelMission) locate(agent string, now int64) string {
	if m.elsewhere(agent) {
		return session.ErrLocated.Code
	}
	m.agents[agent].located = append(m.agents[agent].located, interval{now, stillOpen})
	return ""
}

// dated returns when something dated at took effect.
func (m *modelMission) dated(at time.Time, now int64) int64 {
	if at.IsZero() || at.UnixMilli() > now {
		return now
	}
	return max(at.UnixMilli(), m.began)
}

// judge says what becomes of a ping, keeps it if it is good, and counts it if it
// is refused.
func (m *modelMission) judge(agent string, timestamp, now int64, sealed string) session.Verdict {
	v := m.weigh(agent, timestamp, now, sealed)
	if m.agents[agent] != nil && v.Refused() {
		m.refused[session.Refusal{Agent: agent, Reason: name(v)}]++
	}
	return v
}

func (m *modelMission) weigh(agent string, timestamp, now int64, sealed string) session.Verdict {
	m.settle(now)
	a := m.agents[agent]
	if a == nil || m.state != session.Active && m.state != session.Paused {
		return session.NotActive
	}
	at := timestamp
	if timestamp > now {
		at = now
	}
	inside := false
	for _, i := range a.located {
		if i.from <= at && at < i.to {
			inside = true
		}
	}
	if m.state == session.Paused {
		if inside {
			return session.MissionPaused
		}
		return session.MissionPausedOutside
	}
	if timestamp > now+60_000 {
		return session.Future
	}
	if !inside {
		return session.OutsideWindow
	}
	p := place{agent, int64(math.Floor(float64(timestamp) / float64(m.slotMS)))}
	if before, taken := m.kept[p]; taken {
		if before.sealed[:8] == sealed[:8] {
			return session.Unchanged
		}
		return session.TooFrequent
	}
	m.kept[p] = kept{at, sealed}
	return session.Stored
}
