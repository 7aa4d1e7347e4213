package storetest

import (
	"slices"
	"time"

	"ronde/session"
)

func testLifecycle(w *world) {
	m := w.create(w.plan("badge-1", "badge-2"))
	w.judged(m, "badge-1", w.now, session.NotActive)

	w.at(-10 * time.Minute) // early, as it may
	m = w.do(m, session.Begin)
	if m.State != session.Active || !m.BeganAt.Equal(w.now) || m.ExpiresOn != session.DayOf(w.now)+30 || m.ChangedBy != session.ByPlatform {
		w.Errorf("begun: %+v", m)
	}
	if again := w.do(m, session.Begin); again.Revision != m.Revision {
		w.Error("beginning again raised the revision")
	}
	w.judged(m, "badge-1", w.now, session.Stored)

	w.at(10 * time.Minute)
	w.do(m, session.Pause)
	w.judged(m, "badge-1", w.now, session.MissionPausedOutside)
	w.judged(m, "badge-1", w.now.Add(-time.Minute), session.MissionPaused)
	w.at(20 * time.Minute)
	w.do(m, session.Resume)
	w.judged(m, "badge-1", w.now, session.Stored)
	w.judged(m, "badge-1", start.Add(15*time.Minute), session.OutsideWindow)
	w.judged(m, "badge-1", start.Add(9*time.Minute), session.Stored) // late, but from before the pause

	w.at(30 * time.Minute)
	w.do(m, session.PauseAgent, "badge-1")
	w.judged(m, "badge-1", w.now, session.OutsideWindow)
	w.judged(m, "badge-2", w.now, session.Stored) // it concerns nobody else
	_, err := w.try(m, session.Command{Action: session.ResumeAgent, Agent: "badge-1"})
	w.is(err, session.ErrAgentPause, "the platform ending an agent's pause")
	w.at(40 * time.Minute)
	w.do(m, session.ResumeAgent, "badge-1")
	w.judged(m, "badge-1", w.now, session.Stored)

	w.do(m, session.Relieve, "badge-2")
	w.judged(m, "badge-2", w.now.Add(time.Second), session.OutsideWindow)
	w.at(50 * time.Minute)
	_, err = w.try(m, session.Command{Action: session.AddAgent, Agent: "badge-3"})
	w.ok(err)
	w.judged(m, "badge-3", w.now, session.Stored)
	w.judged(m, "badge-3", w.now.Add(-time.Second), session.OutsideWindow)

	w.at(time.Hour)
	m = w.do(m, session.End)
	if m.State != session.Ended || m.EndReason != session.ByPlatform || !m.EndedAt.Equal(w.now) {
		w.Errorf("ended: %+v", m)
	}
	w.judged(m, "badge-1", w.now.Add(-time.Minute), session.NotActive) // whatever its time
	_, err = w.try(m, session.Command{Action: session.Resume})
	w.is(err, session.ErrState, "resuming an ended mission")
	w.stored(m, 6)

	cancelled := w.do(w.create(w.plan("badge-1")), session.Cancel)
	if cancelled.State != session.Cancelled || !cancelled.EndedAt.Equal(w.now) {
		w.Errorf("cancelled: %+v", cancelled)
	}
	w.judged(cancelled, "badge-1", w.now, session.NotActive)
}

// due reports where the mission stands in the list of those to close: -1 for
// nowhere. Other tests' missions may be in it too.
func (w *world) due(m *session.Mission) int {
	w.Helper()
	due, err := w.Store.Due(w.Context(), 10_000)
	w.ok(err)
	return slices.Index(due, session.Ref{Tenant: m.Tenant, ID: m.ID})
}

// testDeadline is P12: the deadline ends a mission with nobody there to do it.
func testDeadline(w *world) {
	m := w.begun("badge-1")
	second := w.plan("badge-2")
	second.Deadline = second.Deadline.Add(-time.Minute)
	second.Overrun -= time.Minute
	second = w.do(w.create(second), session.Begin)
	w.clock(m.Deadline.Add(-time.Millisecond))
	w.judged(m, "badge-1", w.now, session.Stored)
	if w.due(m) >= 0 {
		w.Error("due before its deadline")
	}

	w.clock(m.Deadline)
	w.judged(m, "badge-1", w.now.Add(-time.Second), session.NotActive)
	w.judged(m, "badge-1", w.now, session.NotActive)
	if m := w.read(m); m.State != session.Active {
		w.Errorf("a mission is not settled by reading it: %s", m.State)
	}
	if rows, err := w.Store.Latest(w.Context(), w.tenant, m.ID, 1); err != nil || len(rows) != 0 {
		w.Errorf("past the deadline Latest shows %v, %v", rows, err)
	}
	news, err := w.Store.News(w.Context(), []session.Known{{Ref: session.Ref{Tenant: w.tenant, ID: m.ID}, Watched: true}})
	w.ok(err)
	if len(news.Newest) != 0 {
		w.Errorf("past the deadline News shows %v", news.Newest)
	}
	if a, b := w.due(second), w.due(m); a < 0 || b < 0 || a > b {
		w.Errorf("due in places %d and %d: want both, the longest due first", a, b)
	}
	if one, err := w.Store.Due(w.Context(), 1); err != nil || len(one) != 1 {
		w.Errorf("Due of at most 1 returned %v, %v", one, err)
	}

	w.clock(m.Deadline.Add(time.Hour)) // nobody was there for an hour
	_, err = w.try(m, session.Command{Action: session.Extend, EndsAt: m.EndsAt.Add(5 * time.Hour)})
	w.is(err, session.ErrState, "extending past the deadline")
	m = w.settle(m)
	if m.State != session.Ended || m.EndReason != session.ByDeadline || !m.EndedAt.Equal(m.Deadline) {
		w.Errorf("settled: %+v", m)
	}
	if open := m.Agents[0].Open(); open != nil || !m.Agents[0].Windows[0].Closed.Equal(m.Deadline) {
		w.Errorf("windows after the deadline: %v", m.Agents[0].Windows)
	}
	if w.due(m) >= 0 {
		w.Error("still due once it is closed")
	}
	w.stored(m, 1)
}

func testMissed(w *world) {
	m := w.create(w.plan("badge-1"))
	w.clock(m.Deadline)
	if w.due(m) < 0 {
		w.Error("a mission that never began is not due at its deadline")
	}
	_, err := w.try(m, session.Command{Action: session.Begin})
	w.is(err, session.ErrState, "beginning past the deadline")
	m = w.settle(m)
	if m.State != session.Ended || m.EndReason != session.ByMissed || !m.BeganAt.IsZero() || m.ExpiresOn != 0 {
		w.Errorf("missed: %+v", m)
	}
	w.judged(m, "badge-1", w.now, session.NotActive)
	if w.due(m) >= 0 {
		w.Error("still due once it is closed")
	}
}

// testLocated: an agent is located for one mission at a time.
func testLocated(w *world) {
	first := w.begun("badge-1", "badge-2")
	second := w.create(w.plan("badge-2", "badge-3"))
	located := func(m *session.Mission, c session.Command) {
		w.Helper()
		before := w.read(m)
		_, err := w.try(m, c)
		w.is(err, session.ErrLocated, "%s %s", c.Action, c.Agent)
		if after := w.read(m); after.Revision != before.Revision || after.State != before.State {
			w.Errorf("a refused %s left %+v", c.Action, after)
		}
	}
	w.at(time.Minute)
	located(second, session.Command{Action: session.Begin})

	w.do(first, session.PauseAgent, "badge-2")
	w.do(second, session.Begin)
	w.judged(second, "badge-2", w.now, session.Stored)
	w.at(2 * time.Minute)
	located(first, session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "badge-2"})
	located(first, session.Command{Action: session.AddAgent, Agent: "badge-3"})
	w.do(second, session.Pause)
	w.do(first, session.ResumeAgent, "badge-2") // from the very instant on
	located(second, session.Command{Action: session.Resume})
	w.at(3 * time.Minute)
	w.do(first, session.End)
	w.do(second, session.Resume)
	w.at(4 * time.Minute)
	w.judged(second, "badge-2", w.now, session.Stored)
	w.judged(second, "badge-2", start.Add(150*time.Second), session.OutsideWindow)

	// The names of agents are each tenant's own.
	other := w.plan("badge-2")
	other.Tenant = w.newTenant()
	w.do(w.create(other), session.Begin)
	w.stored(second, 2)
}

// testTrim: what lies beyond a dated end or pause is removed and counted, in
// the same transaction.
func testTrim(w *world) {
	m := w.begun("badge-1", "badge-2")
	for i := range 10 {
		w.at(time.Duration(i) * time.Minute)
		w.append(m, "badge-1", w.now)
		w.append(m, "badge-2", w.now)
	}
	w.stored(m, 20)

	paused, err := w.try(m, session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "badge-1", At: start.Add(6 * time.Minute)})
	w.ok(err)
	if got := paused.Agents; got[0].Removed != 4 || got[1].Removed != 0 {
		w.Errorf("removed %d and %d positions, want 4 and 0", got[0].Removed, got[1].Removed)
	}
	w.stored(m, 16)
	w.at(11 * time.Minute)
	w.do(m, session.ResumeAgent, "badge-1")
	w.judged(m, "badge-1", w.now, session.Stored)
	w.judged(m, "badge-1", start.Add(7*time.Minute), session.OutsideWindow) // what was removed stays so

	// An end may reach back behind a pause. Of a minute's position the very
	// instant is gone, the millisecond before it stays.
	w.judged(m, "badge-2", start.Add(3*time.Minute-time.Millisecond), session.Stored)
	ended, err := w.try(m, session.Command{Action: session.End, By: session.ByAgent, Agent: "badge-1", At: start.Add(3 * time.Minute)})
	w.ok(err)
	if got := ended.Agents; got[0].Removed != 4+3+1 || got[1].Removed != 7 {
		w.Errorf("removed %d and %d positions in all, want 8 and 7", got[0].Removed, got[1].Removed)
	}
	if !ended.EndedAt.Equal(start.Add(3 * time.Minute)) {
		w.Errorf("ended at %v", ended.EndedAt)
	}
	w.stored(m, 7)
	for _, row := range w.track(m, 3) {
		if !row.At.Before(ended.EndedAt) {
			w.Errorf("position of %s at %v after the end", row.Agent, row.At)
		}
	}
}

// testTrimFastPhones: a fast phone's position is stored under the store's
// clock, far from its slot. A pause finds it by its time.
func testTrimFastPhones(w *world) {
	m := w.begun("badge-1")
	w.at(10 * time.Minute)
	w.judged(m, "badge-1", w.now.Add(50*time.Second), session.Stored) // at 10:00
	w.at(10*time.Minute + 20*time.Second)
	w.judged(m, "badge-1", w.now, session.Stored)
	w.judged(m, "badge-1", w.now.Add(59*time.Second), session.Stored) // at 10:20
	paused, err := w.try(m, session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "badge-1", At: start.Add(10*time.Minute + 10*time.Second)})
	w.ok(err)
	if paused.Agents[0].Removed != 2 {
		w.Errorf("removed %d positions, want 2", paused.Agents[0].Removed)
	}
	w.stored(m, 1)

}

// testTrimTwice: of two dated changes made at once, the one that reaches
// further back says what goes.
func testTrimTwice(w *world) {
	m := w.begun("badge-1")
	w.at(20 * time.Minute)
	for i := range 10 {
		w.judged(m, "badge-1", start.Add(time.Duration(10+i)*time.Minute), session.Stored)
	}
	_, err := w.Store.UpdateMission(w.Context(), w.tenant, m.ID, func(m *session.Mission) error {
		w.ok(m.Apply(session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "badge-1", At: start.Add(12 * time.Minute)}, m.ReadAt))
		return m.Apply(session.Command{Action: session.End, By: session.ByPlatform, At: start.Add(15 * time.Minute)}, m.ReadAt)
	})
	w.ok(err)
	w.stored(m, 2)
}
