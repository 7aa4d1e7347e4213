package main

import (
	"testing"
	"time"
)

// sound is a history without a fault: two agents, one of whom paused from 3,000 to 5,000.
func sound() (*history, []fix, []located) {
	h := newHistory()
	var stored []fix
	for ts := int64(1000); ts < 8000; ts += 100 {
		for _, agent := range []string{"a", "b"} {
			h.take(agent, ts)
			if agent == "a" && ts >= 2990 && ts < 5000 {
				h.settle(agent, ts, "outside_window")
				continue
			}
			h.settle(agent, ts, "")
			stored = append(stored, fix{agent, ts, latitudeAt(ts)})
			h.shown = append(h.shown, shown{agent, ts, time.UnixMilli(ts + 5)})
		}
	}
	h.closings = []closing{{"a", time.UnixMilli(3000), time.UnixMilli(4995)}}
	return h, stored, []located{{"a", 1000, 2990}, {"a", 4998, 0}, {"b", 900, 0}}
}

// TestJudge plants each fault in a sound history, and looks for it by name.
func TestJudge(t *testing.T) {
	const patience = 2 * time.Second
	at := time.UnixMilli
	// c was told goodbye at 1,000, and has one fix from before.
	leaver := func(h *history, stored *[]fix, windows *[]located, shownAt int64) {
		h.take("c", 900)
		*stored, *windows = append(*stored, fix{"c", 900, latitudeAt(900)}), append(*windows, located{"c", 800, 1000})
		h.closings = append(h.closings, closing{agent: "c", answered: at(1000)})
		h.shown = append(h.shown, shown{"c", 900, at(shownAt)})
	}
	for _, c := range []struct {
		want string
		harm func(h *history, stored *[]fix, windows *[]located)
	}{
		{"", func(*history, *[]fix, *[]located) {}},
		{"lost 1", func(h *history, stored *[]fix, _ *[]located) { *stored, h.shown = (*stored)[1:], h.shown[1:] }},
		{"twice 1", func(_ *history, stored *[]fix, _ *[]located) { *stored = append(*stored, (*stored)[0]) }},
		{"invented 1", func(_ *history, stored *[]fix, _ *[]located) { (*stored)[3].latitude++ }},
		{"invented 1", func(_ *history, stored *[]fix, _ *[]located) {
			*stored = append(*stored, fix{"b", 1001, latitudeAt(1001)})
		}},
		{"outside 1", func(h *history, stored *[]fix, _ *[]located) {
			h.take("a", 2990)
			*stored = append(*stored, fix{"a", 2990, latitudeAt(2990)})
		}},
		// The store's own windows say yes, and who paused the agent knows better.
		{"outside 1", func(h *history, stored *[]fix, windows *[]located) {
			h.take("a", 4001)
			*stored, *windows = append(*stored, fix{"a", 4001, latitudeAt(4001)}), append(*windows, located{"a", 4000, 4100})
		}},
		{"unstored 1", func(h *history, _ *[]fix, _ *[]located) { h.shown = append(h.shown, shown{"b", 7777, at(7780)}) }},
		{"", func(h *history, stored *[]fix, windows *[]located) { leaver(h, stored, windows, 3000) }},
		{"leaked 1", func(h *history, stored *[]fix, windows *[]located) { leaver(h, stored, windows, 3001) }},
		// A close of the mission is one of everybody.
		{"outside 2", func(h *history, _ *[]fix, _ *[]located) {
			h.closings = append(h.closings, closing{answered: at(7850)})
		}},
	} {
		h, stored, windows := sound()
		c.harm(h, &stored, &windows)
		if got := h.judge(stored, windows, patience); got.wrong() != c.want {
			t.Errorf("found %q, want %q: %v", got.wrong(), c.want, got)
		}
	}
}

// TestJudgeMeasuresSilence: the longest time from a close to the last position shown, of all that were allowed.
func TestJudgeMeasuresSilence(t *testing.T) {
	h, stored, windows := sound()
	h.shown = append(h.shown, shown{"a", 2900, time.UnixMilli(3700)}, shown{"a", 2900, time.UnixMilli(3900)})
	if got := h.judge(stored, windows, time.Second); got.silence != 900*time.Millisecond || got.wrong() != "" {
		t.Errorf("silence after %v; %s", got.silence, got.wrong())
	}
}
