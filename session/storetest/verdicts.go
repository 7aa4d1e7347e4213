package storetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"ronde/session"
)

// testVerdicts walks every verdict that a store gives, on a mission with a
// window [0, 10 min), a pause, and one open since 20 min; now is 30 min.
func testVerdicts(w *world) {
	m := w.begun("badge-1", "badge-2")
	w.at(10 * time.Minute)
	w.do(m, session.PauseAgent, "badge-1")
	w.at(20 * time.Minute)
	w.do(m, session.ResumeAgent, "badge-1")
	w.at(30 * time.Minute)

	scheduled := w.create(w.plan("badge-9"))
	missing := w.plan("badge-1")
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for _, c := range []struct {
		what    string
		mission *session.Mission
		agent   string
		at      time.Time
		want    session.Verdict
	}{
		{"in the open window", m, "badge-1", at(30 * time.Minute), session.Stored},
		{"late, from the open window", m, "badge-1", at(25 * time.Minute), session.Stored},
		{"late, from the first window", m, "badge-1", at(5 * time.Minute), session.Stored},
		{"the same again", m, "badge-1", at(5 * time.Minute), session.Unchanged},
		{"between the windows", m, "badge-1", at(15 * time.Minute), session.OutsideWindow},
		{"before the mission", m, "badge-1", at(-time.Minute), session.OutsideWindow},
		{"in the year 1", m, "badge-1", time.UnixMilli(-62135596800000), session.OutsideWindow},
		{"fast", m, "badge-1", at(30*time.Minute + 30*time.Second), session.Stored},
		{"too fast", m, "badge-1", at(40 * time.Minute), session.Future},
		{"in the year 9999", m, "badge-1", time.UnixMilli(253402300799999), session.Future},
		{"of another agent", m, "badge-2", at(15 * time.Minute), session.Stored},
		{"of an agent who is not on the mission", m, "badge-3", at(30 * time.Minute), session.NotActive},
		{"of a mission that has not begun", scheduled, "badge-9", at(30 * time.Minute), session.NotActive},
		{"of a mission that does not exist", missing, "badge-1", at(30 * time.Minute), session.NotActive},
	} {
		w.Run(c.what, func(t *testing.T) {
			sub := *w
			sub.T = t
			sub.judged(c.mission, c.agent, c.at, c.want)
		})
	}
	w.stored(m, 5)
}

// testBoundaries is P1 to the millisecond: a window holds its opening and not
// its closing.
func testBoundaries(w *world) {
	m := w.plan("badge-1")
	m.Policy.MinInterval = time.Millisecond
	m = w.do(w.create(m), session.Begin)
	w.at(10 * time.Minute)
	w.do(m, session.Pause)
	w.at(20 * time.Minute)
	w.do(m, session.Resume)
	w.at(30 * time.Minute)
	const ms = time.Millisecond
	for _, c := range []struct {
		at   time.Duration
		want session.Verdict
	}{
		{-ms, session.OutsideWindow}, {0, session.Stored}, {ms, session.Stored},
		{10*time.Minute - ms, session.Stored}, {10 * time.Minute, session.OutsideWindow}, {10*time.Minute + ms, session.OutsideWindow},
		{20*time.Minute - ms, session.OutsideWindow}, {20 * time.Minute, session.Stored}, {20*time.Minute + ms, session.Stored},
	} {
		w.judged(m, "badge-1", start.Add(c.at), c.want)
	}
	w.stored(m, 5)

	// What was stored in the very millisecond of a pause goes with it.
	w.judged(m, "badge-1", w.now, session.Stored)
	if paused := w.do(m, session.Pause); paused.Agents[0].Removed != 1 {
		w.Errorf("removed %d positions, want 1", paused.Agents[0].Removed)
	}
	w.stored(m, 5)
}

// testAhead: up to MaxAhead a fast phone's fix is stored under the store's
// clock, beyond it refused.
func testAhead(w *world) {
	m := w.begun("badge-1")
	w.at(time.Hour)
	w.judged(m, "badge-1", w.now.Add(session.MaxAhead+time.Millisecond), session.Future)
	s := submit(m, "badge-1", 0, w.now.Add(session.MaxAhead), w.now.Add(-time.Minute))
	w.ok(w.Store.Append(w.Context(), []*session.Submission{s}))
	if s.Verdicts[0] != session.Stored || s.Now != w.now.UnixMilli() {
		w.Errorf("verdict %s at %d, want stored at %d", name(s.Verdicts[0]), s.Now, w.now.UnixMilli())
	}
	rows := w.track(m, 10)
	slot := session.Slot(w.now.Add(session.MaxAhead).UnixMilli(), 1000) // of the device time
	if len(rows) != 2 || !rows[0].At.Equal(w.now.Add(-time.Minute)) || !rows[1].At.Equal(w.now) || rows[1].Slot != slot {
		w.Errorf("stored %+v, want the second at %v in slot %d", rows, w.now, slot)
	}

	// A fast clock does not open a window before the store's does.
	w.do(m, session.Pause)
	w.judged(m, "badge-1", w.now.Add(30*time.Second), session.MissionPausedOutside)
	w.at(time.Hour + 10*time.Second)
	w.do(m, session.Resume)
	w.judged(m, "badge-1", w.now.Add(30*time.Second), session.Stored)
	w.stored(m, 2) // the one at the very time of the pause went with it
}

// testSlots is P8: a phone, or several, that sends ten times a second, in any
// order and in any batches, is kept once a slot.
func testSlots(w *world) {
	m := w.plan("badge-1")
	m.Policy.MinInterval = 5 * time.Second
	m = w.do(w.create(m), session.Begin)
	w.at(2 * time.Minute)
	times := make([]time.Time, 0, 1200)
	for i := range cap(times) {
		times = append(times, start.Add(time.Duration(i)*100*time.Millisecond))
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	stored := 0
	for len(times) > 0 {
		n := min(len(times), 1+random.IntN(100))
		for _, v := range w.append(m, "badge-1", times[:n]...) {
			switch v {
			case session.Stored:
				stored++
			case session.Unchanged: // the test's sealed positions are equal within a slot
			default:
				w.Fatalf("verdict %s", name(v))
			}
		}
		times = times[n:]
	}
	if stored != 24 {
		w.Errorf("%d verdicts of stored, want one for each of 24 slots", stored)
	}
	seen := map[int64]bool{}
	for _, row := range w.track(m, 7) {
		if seen[row.Slot] || row.Slot != session.Slot(row.At.UnixMilli(), 5000) {
			w.Errorf("slot %d at %v: twice, or not its own", row.Slot, row.At)
		}
		seen[row.Slot] = true
	}
	w.stored(m, 24)
}

// testFingerprints: within a slot the first position stays. The same one again
// is settled, another is too frequent.
func testFingerprints(w *world) {
	m := w.begun("badge-1")
	w.at(time.Minute)
	at := w.now.Truncate(time.Second)
	first := submit(m, "badge-1", 1, at)
	resealed := submit(m, "badge-1", 1, at)
	for i := session.FingerprintSize; i < len(resealed.Sealed[0]); i++ {
		resealed.Sealed[0][i] ^= 0xff // the same position under another nonce
	}
	other := submit(m, "badge-1", 1, at.Add(time.Millisecond))
	other.Sealed[0] = append([]byte(nil), other.Sealed[0]...)
	other.Sealed[0][session.FingerprintSize-1] ^= 1 // differs in its last byte
	for _, c := range []struct {
		s    *session.Submission
		want session.Verdict
	}{{first, session.Stored}, {first, session.Unchanged}, {resealed, session.Unchanged}, {other, session.TooFrequent}} {
		w.ok(w.Store.Append(w.Context(), []*session.Submission{c.s}))
		if c.s.Verdicts[0] != c.want {
			w.Errorf("verdict %s, want %s", name(c.s.Verdicts[0]), name(c.want))
		}
	}
	rows := w.track(m, 10)
	if len(rows) != 1 || string(rows[0].Sealed) != string(first.Sealed[0]) || !rows[0].At.Equal(at) {
		w.Errorf("stored %+v, want the first", rows)
	}

	// The same holds inside one batch, and of two phones of one agent in it.
	at = at.Add(-10 * time.Second)
	one, two := submit(m, "badge-1", 1, at, at, at.Add(time.Second)), submit(m, "badge-1", 2, at, at.Add(2*time.Second))
	w.ok(w.Store.Append(w.Context(), []*session.Submission{one, two}))
	got := append(append([]session.Verdict(nil), one.Verdicts...), two.Verdicts...)
	for i, want := range []session.Verdict{session.Stored, session.Unchanged, session.Stored, session.TooFrequent, session.Stored} {
		if got[i] != want {
			w.Errorf("ping %d of the batch: verdict %s, want %s", i, name(got[i]), name(want))
		}
	}
	w.stored(m, 4)
}
