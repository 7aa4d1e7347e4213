package storetest

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"ronde/session"
)

// testTrack: pages of any size make up the whole track in order of (At, Agent,
// Slot), over silent hours, from fast and late phones, whatever the interval.
func testTrack(w *world) {
	m := w.plan("b", "a", "c")
	m.Policy.MinInterval = 2 * time.Second
	w.create(m)
	if rows := w.track(m, 10); len(rows) != 0 {
		w.Errorf("track %v of a mission that has not begun", rows)
	}
	w.do(m, session.Begin)
	random := rand.New(rand.NewPCG(3, 4))
	var want []session.Row
	send := func(agent string, at time.Time) {
		w.Helper()
		s := submit(m, agent, 0, at)
		w.ok(w.Store.Append(w.Context(), []*session.Submission{s}))
		if s.Verdicts[0] != session.Stored {
			return // its slot was taken
		}
		if at.After(w.now) {
			at = w.now
		}
		want = append(want, session.Row{
			Agent: agent, Slot: session.Slot(s.Pings[0].Timestamp, 2000), At: session.Millis(at), Sealed: s.Sealed[0],
		})
	}
	clock := 10 * time.Second
	for i := range 60 {
		w.at(clock)
		for _, agent := range []string{"a", "b", "c"} {
			send(agent, w.now.Add(time.Duration(random.IntN(120_000)-60_000)*time.Millisecond))
		}
		send("a", w.now) // two agents at one time
		send("b", w.now)
		if i%20 == 19 {
			clock += time.Hour // silence
		}
		clock += time.Duration(random.IntN(40_000)) * time.Millisecond
	}
	slices.SortFunc(want, func(a, b session.Row) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		if c := strings.Compare(a.Agent, b.Agent); c != 0 {
			return c
		}
		return int(a.Slot - b.Slot)
	})
	for _, page := range []int{1, 2, 7, 100, 1000} {
		if got := w.track(m, page); !sameRows(got, want) {
			w.Errorf("by pages of %d: %d positions, want %d, or in another order", page, len(got), len(want))
		}
	}
	for _, agent := range []string{"a", "b", "c", "nobody"} {
		own := slices.DeleteFunc(slices.Clone(want), func(r session.Row) bool { return r.Agent != agent })
		for _, page := range []int{1, 7, 1000} {
			got := w.pageThrough(page, func(after session.Cursor) ([]session.Row, error) {
				return w.Store.AgentTrack(w.Context(), w.tenant, m.ID, agent, after, page)
			})
			if !sameRows(got, own) {
				w.Errorf("the track of %s by pages of %d: %d positions, want %d, or in another order", agent, page, len(got), len(own))
			}
		}
	}
	// A cursor need not name a stored position.
	i := len(want) / 2
	rows, err := w.Store.Track(w.Context(), w.tenant, m.ID, session.Cursor{At: want[i].At}, 3)
	w.ok(err)
	first := slices.IndexFunc(want, func(r session.Row) bool { return !r.At.Before(want[i].At) })
	if !sameRows(rows, want[first:first+3]) {
		w.Errorf("from a time: %v, want %v", rows, want[first:first+3])
	}
	_, err = w.Store.Track(w.Context(), w.tenant, session.NewID(), session.Cursor{}, 3)
	w.is(err, session.ErrNotFound, "the track of a missing mission")
	_, err = w.Store.AgentTrack(w.Context(), w.tenant, session.NewID(), "a", session.Cursor{}, 3)
	w.is(err, session.ErrNotFound, "an agent's track of a missing mission")
}

func sameRows(got, want []session.Row) bool {
	return slices.EqualFunc(got, want, func(a, b session.Row) bool {
		return a.Agent == b.Agent && a.Slot == b.Slot && a.At.Equal(b.At) && bytes.Equal(a.Sealed, b.Sealed)
	})
}

// testLatest: of each located agent the newest n positions of the open window,
// and of that alone.
func testLatest(w *world) {
	m := w.begun("b", "a", "c")
	w.at(5 * time.Minute)
	for i := range 20 {
		w.judged(m, "a", start.Add(time.Duration(i)*time.Second), session.Stored)
		w.judged(m, "b", start.Add(time.Duration(i)*time.Minute/10), session.Stored)
		w.judged(m, "c", start.Add(time.Duration(i)*time.Second), session.Stored)
	}
	w.do(m, session.PauseAgent, "b")
	w.do(m, session.PauseAgent, "c")
	w.at(6 * time.Minute)
	w.do(m, session.ResumeAgent, "b")
	w.at(8 * time.Minute)
	w.judged(m, "b", start.Add(7*time.Minute), session.Stored)
	w.judged(m, "b", start.Add(6*time.Minute), session.Stored)
	w.judged(m, "b", start.Add(8*time.Minute+30*time.Second), session.Stored) // a fast phone: at 8:00
	w.at(8*time.Minute + 10*time.Second)
	w.judged(m, "b", w.now, session.Stored)
	w.judged(m, "b", start.Add(4*time.Minute), session.Stored) // late, of the window before

	at := func(d time.Duration) session.Row { return session.Row{At: start.Add(d)} }
	check := func(n int, want map[string][]session.Row) {
		w.Helper()
		rows, err := w.Store.Latest(w.Context(), w.tenant, m.ID, n)
		w.ok(err)
		got := map[string][]session.Row{}
		for i, r := range rows {
			if i > 0 && rows[i-1].Agent > r.Agent {
				w.Errorf("agent %s after %s", r.Agent, rows[i-1].Agent)
			}
			if len(r.Sealed) != session.SealedSize || r.At.After(start.Add(time.Duration(r.Slot-start.Unix()+1)*time.Second)) {
				w.Errorf("position %+v is not what was stored", r)
			}
			got[r.Agent] = append(got[r.Agent], session.Row{At: r.At})
		}
		if !reflect.DeepEqual(got, want) {
			w.Errorf("newest %d: %v, want %v", n, got, want)
		}
	}
	last := 8*time.Minute + 10*time.Second
	check(1, map[string][]session.Row{"a": {at(19 * time.Second)}, "b": {at(last)}})
	check(2, map[string][]session.Row{"a": {at(18 * time.Second), at(19 * time.Second)}, "b": {at(8 * time.Minute), at(last)}})
	check(4, map[string][]session.Row{
		"a": {at(16 * time.Second), at(17 * time.Second), at(18 * time.Second), at(19 * time.Second)},
		"b": {at(6 * time.Minute), at(7 * time.Minute), at(8 * time.Minute), at(last)},
	})
	w.at(5 * time.Hour) // silence
	check(1, map[string][]session.Row{"a": {at(19 * time.Second)}, "b": {at(last)}})
	w.do(m, session.Pause)
	check(10, map[string][]session.Row{})
	w.do(m, session.Resume)
	check(10, map[string][]session.Row{})
	_, err := w.Store.Latest(w.Context(), w.tenant, session.NewID(), 3)
	w.is(err, session.ErrNotFound, "the latest positions of a missing mission")
}
