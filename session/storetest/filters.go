package storetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// testMissionFilters lists by every filter at several times, and compares with
// what the missions themselves say once they are settled.
func testMissionFilters(w *world) {
	all := w.various()
	var filters []session.MissionFilter
	for _, states := range [][]session.State{
		nil, {session.Scheduled}, {session.Active}, {session.Paused}, {session.Ended}, {session.Cancelled},
		{session.Active, session.Paused}, {session.Cancelled, session.Active}, {session.Scheduled, session.Ended, session.Ended},
	} {
		for _, agent := range []string{"", "shared", "relieved", "nobody"} {
			for _, reference := range []string{"", "M-2", "m-2"} {
				filters = append(filters, session.MissionFilter{States: states, Agent: agent, Reference: reference})
			}
		}
	}
	// Planned times overlap or merely touch, by a millisecond, and in the midst
	// of a plan that is as long as any.
	for _, edge := range []time.Duration{-time.Millisecond, 0, time.Millisecond, 9 * time.Hour, 71 * time.Hour, 72*time.Hour - time.Millisecond, 72 * time.Hour} {
		at := start.Add(edge)
		filters = append(filters,
			session.MissionFilter{From: at}, session.MissionFilter{To: at},
			session.MissionFilter{From: at, To: at.Add(time.Millisecond)},
			session.MissionFilter{From: at, To: at.Add(time.Hour), Agent: "shared", States: []session.State{session.Active, session.Ended}},
		)
	}
	selected := 0
	for _, after := range []time.Duration{time.Minute, 2 * time.Hour, 10*time.Hour - time.Millisecond, 10 * time.Hour, 80 * time.Hour} {
		w.at(after)
		for _, f := range filters {
			want := w.expect(all, f)
			selected += len(want)
			if got := w.pages(f, 3); !slices.Equal(got, want) {
				w.Errorf("at %s, %+v: listed %v, want %v", clockTime(w.now), f, got, want)
			}
		}
	}
	if selected < 500 {
		w.Errorf("all filters together selected %d missions: too few to tell them apart", selected)
	}
}

// various makes missions of every state, plan and reference, newest first, and
// one of another tenant that is like them.
func (w *world) various() (all []*session.Mission) {
	mission := func(reference string, from, to time.Duration, agents []string, actions ...session.Action) *session.Mission {
		m := w.plan(agents...)
		m.Reference, m.StartsAt, m.EndsAt = reference, start.Add(from), start.Add(to)
		if to-from > 24*time.Hour {
			m.Overrun = 0
		}
		m.Deadline = m.EndsAt.Add(m.Overrun)
		w.create(m)
		for _, a := range actions {
			m = w.do(m, a)
			w.clock(w.now.Add(time.Second)) // windows are not empty
		}
		all = slices.Insert(all, 0, m)
		return m
	}
	w.at(0)
	mission("M-1", 0, 8*time.Hour, []string{"a1"})
	mission("M-2", 0, 8*time.Hour, []string{"shared", "a2"}, session.Begin)
	mission("M-2", time.Hour, 3*time.Hour, []string{"a3"}, session.Begin, session.Pause)
	w.do(mission("M-2", 0, 72*time.Hour, []string{"a4", "relieved"}, session.Begin), session.Relieve, "relieved")
	mission("M-5", -2*time.Hour, time.Hour, []string{"a5"}, session.Begin, session.End)
	mission("M-2", 0, time.Hour, []string{"shared"}, session.Cancel)
	mission("M-7", 70*time.Hour, 71*time.Hour, []string{"shared"})
	own := w.tenant
	w.tenant = w.newTenant()
	foreign := mission("M-2", 0, 8*time.Hour, []string{"shared", "relieved"}, session.Begin)
	w.tenant = own
	return slices.DeleteFunc(all, func(m *session.Mission) bool { return m.ID == foreign.ID })
}

// expect says which missions a filter selects, by asking each for itself.
func (w *world) expect(all []*session.Mission, f session.MissionFilter) (ids []uuid.UUID) {
	for _, m := range all {
		m = w.read(m)
		m.Settle(m.ReadAt)
		if (f.States == nil || slices.Contains(f.States, m.State)) &&
			(f.Agent == "" || m.Agent(f.Agent) != nil) &&
			(f.Reference == "" || m.Reference == f.Reference) &&
			(f.To.IsZero() || m.StartsAt.Before(f.To)) &&
			(f.From.IsZero() || m.EndsAt.After(f.From)) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// pages lists by pages of that size, each of which is full but the last.
func (w *world) pages(f session.MissionFilter, size int) (ids []uuid.UUID) {
	after := uuid.Nil
	for {
		list, err := w.Store.Missions(w.Context(), w.tenant, f, after, size)
		w.ok(err)
		for _, m := range list {
			if !m.ReadAt.Equal(w.now) {
				w.Errorf("%s was read at %v, want %v", m.ID, m.ReadAt, w.now)
			}
			ids, after = append(ids, m.ID), m.ID
		}
		if len(list) < size {
			return ids
		}
	}
}
