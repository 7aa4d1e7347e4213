package storetest

import (
	"math/bits"

	"pgregory.net/rapid"

	"ronde/session"
)

// dice draws one of n numbers with about the same chances: the generators of
// rapid prefer small numbers, and schedules of nothing but the first actions
// at the earliest times are dull.
func dice(rt *rapid.T, n int) int { return int(between(rt, 0, int64(n-1))) }

// between draws a number from lo to hi, evenly.
func between(rt *rapid.T, lo, hi int64) int64 {
	return rapid.Custom(func(t *rapid.T) int64 {
		drawn := int64(0)
		for range bits.Len64(uint64(hi-lo)) + 3 {
			drawn *= 2
			if rapid.Bool().Draw(t, "bit") {
				drawn++
			}
		}
		return lo + drawn%(hi-lo+1)
	}).Draw(rt, "dice")
}

// tally counts what the schedules led to, so that a generator that went dull
// is noticed.
type tally map[string]int

func (t tally) check(w *world) {
	w.Logf("%v", map[string]int(t))
	for _, v := range []session.Verdict{
		session.Stored, session.Unchanged, session.TooFrequent, session.OutsideWindow, session.Future,
		session.NotActive, session.MissionPaused, session.MissionPausedOutside,
	} {
		if t[name(v)] == 0 {
			w.Errorf("no schedule led to a ping that is %s", name(v))
		}
	}
	for _, what := range []string{"removed", "end", "resume", "resume_agent", "add_agent", "relieve", "agent_located"} {
		if t[what] == 0 {
			w.Errorf("no schedule led to %s", what)
		}
	}
}
