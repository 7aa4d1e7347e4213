package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// history is what was seen of one mission from outside: what its phones took and were told, what was asked of it and
// when that was answered, what its viewers were shown. All times are of one clock, which is the database's too.
type history struct {
	mu       sync.Mutex
	taken    map[string]map[int64]struct{} // device times, by agent
	settled  map[string]map[int64]string   // what the phone was told in the end: "" for acked, or the code of a refusal
	closings []closing
	shown    []shown
}

// closing is an interval in which somebody must not be located, as who asked for it could tell: from the answer to the
// pause or end until the resumption was asked for.
type closing struct {
	agent    string // "" for all
	answered time.Time
	reopened time.Time // zero: never
}

// shown is a position that a viewer was sent.
type shown struct {
	agent     string
	timestamp int64
	at        time.Time
}

// fix is a position in the store.
type fix struct {
	agent     string
	timestamp int64
	latitude  float64
}

// located is a window as the store has it: [Opened, Closed) in milliseconds, Closed 0 while it is open.
type located struct {
	Agent          string
	Opened, Closed int64
}

func newHistory() *history {
	return &history{taken: map[string]map[int64]struct{}{}, settled: map[string]map[int64]string{}}
}

func (h *history) take(agent string, timestamp int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken[agent] == nil {
		h.taken[agent], h.settled[agent] = map[int64]struct{}{}, map[int64]string{}
	}
	h.taken[agent][timestamp] = struct{}{}
}

func (h *history) settle(agent string, timestamp int64, code string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled[agent][timestamp] = code
}

func (h *history) show(agent string, timestamp int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown = append(h.shown, shown{agent, timestamp, time.Now()})
}

func (h *history) close(agent string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closings = append(h.closings, closing{agent: agent, answered: time.Now()})
}

// reopen is called before a resumption is asked for.
func (h *history) reopen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.closings); n > 0 && h.closings[n-1].reopened.IsZero() {
		h.closings[n-1].reopened = time.Now()
	}
}

// ackedSince reports whether the agent's phone has had a position acked that it took later.
func (h *history) ackedSince(agent string, t time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for timestamp, code := range h.settled[agent] {
		if code == "" && timestamp > t.UnixMilli() {
			return true
		}
	}
	return false
}

// verdict is what a judge makes of a history. The counts below stored are of what must never be.
type verdict struct {
	taken, acked, stored, shown int
	refused                     map[string]int
	silence                     time.Duration // the longest time from a close to the last position that was shown

	lost     int // acked, and not stored
	twice    int // stored more than once
	invented int // stored, and never taken so
	outside  int // stored, while nobody was to be located
	unstored int // shown, and not stored
	leaked   int // shown too long after a close
}

// judge compares a history with what the store holds. patience is how long after a close a position may still be shown.
func (h *history) judge(stored []fix, windows []located, patience time.Duration) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := verdict{stored: len(stored), shown: len(h.shown), refused: map[string]int{}}
	times := map[string]map[int64]int{}
	for _, p := range stored {
		if times[p.agent] == nil {
			times[p.agent] = map[int64]int{}
		}
		if times[p.agent][p.timestamp]++; times[p.agent][p.timestamp] > 1 {
			v.twice++
		}
		if _, ok := h.taken[p.agent][p.timestamp]; !ok || p.latitude != latitudeAt(p.timestamp) {
			v.invented++
		}
		if !inWindow(windows, p) || h.closed(p.agent, time.UnixMilli(p.timestamp)) {
			v.outside++
		}
	}
	for agent, taken := range h.taken {
		v.taken += len(taken)
		for timestamp, code := range h.settled[agent] {
			switch {
			case code != "":
				v.refused[code]++
			case times[agent][timestamp] == 0:
				v.lost++
				fallthrough
			default:
				v.acked++
			}
		}
	}
	for _, s := range h.shown {
		if times[s.agent][s.timestamp] == 0 {
			v.unstored++
		}
		if late := h.sinceClose(s); late > 0 {
			v.silence = max(v.silence, late)
			if late > patience {
				v.leaked++
			}
		}
	}
	return v
}

func inWindow(windows []located, p fix) bool {
	return slices.ContainsFunc(windows, func(w located) bool {
		return w.Agent == p.agent && w.Opened <= p.timestamp && (w.Closed == 0 || p.timestamp < w.Closed)
	})
}

// closed reports whether the agent was not to be located at that time.
func (h *history) closed(agent string, at time.Time) bool {
	return slices.ContainsFunc(h.closings, func(c closing) bool { return c.covers(agent, at) })
}

func (c closing) covers(agent string, at time.Time) bool {
	return (c.agent == "" || c.agent == agent) && at.After(c.answered.Truncate(time.Millisecond)) && (c.reopened.IsZero() || at.Before(c.reopened))
}

// sinceClose returns how long after a close a position was shown, or 0 if at that time somebody was to be located.
func (h *history) sinceClose(s shown) time.Duration {
	for _, c := range h.closings {
		if c.covers(s.agent, s.at) {
			return s.at.Sub(c.answered)
		}
	}
	return 0
}

// latitudeAt is where a phone is at a time: a position that says when it was taken, so that no two can be confused.
func latitudeAt(timestamp int64) float64 { return float64(488_000_000+timestamp%500_000) / 1e7 }

// wrong names what must never be and was, or returns "".
func (v verdict) wrong() string {
	var found []string
	for name, n := range map[string]int{
		"lost": v.lost, "twice": v.twice, "invented": v.invented, "outside": v.outside, "unstored": v.unstored, "leaked": v.leaked,
	} {
		if n > 0 {
			found = append(found, fmt.Sprintf("%s %d", name, n))
		}
	}
	slices.Sort(found)
	return strings.Join(found, ", ")
}

func (v verdict) String() string {
	refused := ""
	for _, code := range slices.SortedFunc(maps.Keys(v.refused), cmp.Compare) {
		refused += fmt.Sprintf(" %s %d", code, v.refused[code])
	}
	return fmt.Sprintf("taken %d, acked %d, stored %d, refused%s; shown %d, close to silence %v; lost %d, twice %d, outside %d, unstored %d, leaked %d",
		v.taken, v.acked, v.stored, refused, v.shown, v.silence.Round(time.Millisecond), v.lost, v.twice, v.outside, v.unstored, v.leaked)
}

// add sums verdicts over missions.
func (v *verdict) add(o verdict) {
	v.taken += o.taken
	v.acked += o.acked
	v.stored += o.stored
	v.shown += o.shown
	v.silence = max(v.silence, o.silence)
	v.lost += o.lost
	v.twice += o.twice
	v.invented += o.invented
	v.outside += o.outside
	v.unstored += o.unstored
	v.leaked += o.leaked
	if v.refused == nil {
		v.refused = map[string]int{}
	}
	for code, n := range o.refused {
		v.refused[code] += n
	}
}
