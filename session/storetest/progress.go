package storetest

import (
	"slices"
	"time"

	"ronde/session"
)

// progress returns what a node would save of an agent in a window.
func progress(m *session.Mission, agent string, opened, at time.Time, content byte) session.SavedProgress {
	return session.SavedProgress{
		Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: agent, Opened: opened, At: at, Sealed: []byte{content, 1, 2, 3},
	}
}

func (w *world) save(batch ...session.SavedProgress) {
	w.Helper()
	w.ok(w.Store.SaveProgress(w.Context(), batch))
}

// saved checks what is kept of a mission, by the first byte of each.
func (w *world) saved(m *session.Mission, want ...byte) {
	w.Helper()
	list, err := w.Store.SavedProgress(w.Context(), m.Tenant, m.ID)
	w.ok(err)
	var got []byte
	for i, p := range list {
		if p.ID != m.ID || p.Tenant != m.Tenant || i > 0 && list[i-1].Agent >= p.Agent {
			w.Errorf("entry %d of %d is %+v", i, len(list), p)
		}
		got = append(got, p.Sealed[0])
	}
	if !slices.Equal(got, want) {
		w.Errorf("saved %v, want %v", got, want)
	}
}

// testSaveProgress: of every agent the newest is kept, if it is of an open
// window of an active mission of that tenant.
func testSaveProgress(w *world) {
	m, other := w.begun("a", "b"), w.begun("d")
	w.at(time.Minute)
	early, late := start.Add(time.Second), start.Add(2*time.Second)
	w.save()
	w.save(progress(m, "b", start, early, 2), progress(other, "d", start, early, 4), progress(m, "a", start, early, 1))
	w.saved(m, 1, 2)
	w.saved(other, 4)
	list, err := w.Store.SavedProgress(w.Context(), m.Tenant, m.ID)
	w.ok(err)
	if p := list[0]; !p.Opened.Equal(start) || !p.At.Equal(early) || len(p.Sealed) != 4 {
		w.Errorf("saved as %+v", p)
	}

	w.save(progress(m, "a", start, early, 9), progress(m, "b", start, late, 3))
	w.saved(m, 1, 3) // no newer, and newer
	foreign, missing := progress(m, "a", start, late, 9), progress(m, "a", start, late, 9)
	foreign.Tenant, missing.ID = w.newTenant(), session.NewID()
	w.save(foreign, missing, progress(m, "nobody", start, late, 9), progress(m, "a", early, late, 9), progress(m, "b", start, start.Add(-1), 9))
	w.saved(m, 1, 3)
	if list, err := w.Store.SavedProgress(w.Context(), foreign.Tenant, m.ID); err != nil || len(list) != 0 {
		w.Errorf("another tenant sees %d: %v", len(list), err)
	}
}

// testProgressGoes: what was saved goes with its window, and does not come back
// from a node that has not heard of that.
func testProgressGoes(w *world) {
	m, other := w.begun("a", "b"), w.begun("d")
	w.at(time.Minute)
	w.save(progress(m, "a", start, start, 1), progress(m, "b", start, start, 2), progress(other, "d", start, start, 4))
	w.do(m, session.PauseAgent, "a")
	w.save(progress(m, "a", start, w.now, 9))
	w.saved(m, 2)
	w.at(2 * time.Minute)
	w.do(m, session.ResumeAgent, "a")
	w.save(progress(m, "a", start, w.now, 9))
	w.saved(m, 2)
	w.save(progress(m, "a", w.now, w.now, 3))
	w.saved(m, 3, 2)
	w.do(m, session.Relieve, "b")
	w.saved(m, 3)
	w.do(m, session.Pause)
	w.saved(m)
	w.do(m, session.Resume)
	w.save(progress(m, "a", w.now, w.now, 5))
	w.saved(m, 5)
	w.do(m, session.End)
	w.saved(m)
	w.saved(other, 4)

	w.clock(other.Deadline)
	w.saved(other)
	w.save(progress(other, "d", start, start.Add(time.Minute), 9))
	w.settle(other)
	w.clock(other.Deadline.Add(-time.Second))
	w.saved(other)
}
