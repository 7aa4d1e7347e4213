package storetest

import (
	"errors"
	"time"

	"pgregory.net/rapid"

	"ronde/session"
)

// testModel is I1 as a property: whatever is done to two missions that share
// an agent, in whatever order and at whatever times, the store gives the
// verdicts of the model and holds exactly what the model holds; and after every
// step nothing lies outside a window.
func testModel(w *world) {
	rounds := 1
	if Long() {
		rounds = 20
	}
	seen := tally{}
	for range rounds {
		rapid.Check(w.T, func(rt *rapid.T) { newMachine(w, rt, seen).run() })
	}
	seen.check(w)
}

// machine drives a store and the model side by side.
type machine struct {
	*rapid.T
	w        *world
	missions []*modelMission
	now      int64
	seen     tally
	// moments are times at which something happened: pings like to lie close
	// to them.
	moments []int64
}

func newMachine(w *world, rt *rapid.T, seen tally) *machine {
	k := &machine{T: rt, w: w, seen: seen}
	tenant := w.newTenant()
	for i, agents := range [][]string{{"x", "shared"}, {"shared", "y"}} {
		m := w.plan(agents...)
		m.Tenant = tenant
		m.StartsAt = start.Add(time.Duration(i) * 20 * time.Minute)
		m.EndsAt, m.Overrun = start.Add(2*time.Hour), 30*time.Minute
		m.Deadline = m.EndsAt.Add(m.Overrun)
		m.Policy.MinInterval = []time.Duration{50 * time.Millisecond, time.Second, 7 * time.Second}[dice(rt, 3)]
		k.clock(start.Add(-2 * time.Hour))
		k.must(w.Store.CreateMission(w.Context(), m))
		k.missions = append(k.missions, newModelMission(m))
	}
	k.missions[0].others, k.missions[1].others = k.missions[1:], k.missions[:1]
	k.clock(start.Add(-30 * time.Minute))
	// Most schedules start with something going on.
	k.moments = []int64{k.now}
	if opening := dice(rt, 8); opening > 0 {
		k.carryOut(rt, k.missions[0], session.Command{Action: session.Begin, By: session.ByPlatform})
		if opening > 2 {
			k.carryOut(rt, k.missions[0], session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "shared"})
			k.carryOut(rt, k.missions[1], session.Command{Action: session.Begin, By: session.ByPlatform})
		}
	}
	return k
}

func (k *machine) run() {
	steps := []struct {
		weight int
		do     func(*rapid.T)
	}{
		{12, k.ping},
		{6, k.advance},
		{2, k.commander(session.Begin, session.ByPlatform)},
		{2, k.commander(session.Pause, session.ByOperator)},
		{2, k.commander(session.Resume, session.ByOperator)},
		{2, k.commander(session.PauseAgent, session.ByAgent)},
		{2, k.commander(session.ResumeAgent, session.ByAgent)},
		{1, k.commander(session.Relieve, session.ByPlatform)},
		{1, k.commander(session.AddAgent, session.ByPlatform)},
		{1, k.commander(session.Extend, session.ByPlatform)},
		{1, func(rt *rapid.T) {
			[]func(*rapid.T){
				k.leap, func(*rapid.T) { k.closeDue() },
				k.commander(session.End, session.ByPlatform), k.commander(session.End, session.ByAgent),
				k.commander(session.Cancel, session.ByPlatform),
			}[dice(rt, 5)](rt)
		}},
	}
	var choices []func(*rapid.T)
	for _, s := range steps {
		for range s.weight {
			choices = append(choices, s.do)
		}
	}
	k.Repeat(map[string]func(*rapid.T){
		"":     k.check,
		"step": func(rt *rapid.T) { choices[dice(rt, len(choices))](rt) },
	})
}

func (k *machine) clock(t time.Time) {
	k.now = t.UnixMilli()
	k.w.clock(t)
}

func (k *machine) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *machine) advance(rt *rapid.T) {
	longest := []int64{2, 5_000, 90_000, 600_000}[dice(rt, 4)]
	k.clock(time.UnixMilli(k.now + between(rt, 1, longest)))
}

// leap goes close to a deadline, before or beyond it.
func (k *machine) leap(rt *rapid.T) {
	to := k.missions[dice(rt, 2)].deadline + between(rt, -100_000, 100_000)
	k.clock(time.UnixMilli(max(to, k.now)))
}

// time draws a time that a phone may state.
func (k *machine) time(rt *rapid.T) int64 {
	moment := k.moments[dice(rt, len(k.moments))]
	span := [][2]int64{
		{k.now - 90_000, k.now + 90_000}, // by a clock that runs slow or fast
		{k.now - 10_000, k.now},
		{k.now - 600_000, k.now}, // late
		{moment - 1, moment + 1}, // at the very edge of a window
		{moment - 5_000, moment + 5_000},
		{start.UnixMilli() - 2_000_000, k.now + 70_000}, // any
	}[dice(rt, 6)]
	return between(rt, span[0], span[1])
}

// agent draws an agent, most often one who is on the mission from the start.
func (k *machine) agent(rt *rapid.T, m *modelMission) string {
	own, other := "x", "y"
	if m == k.missions[1] {
		own, other = other, own
	}
	if n := dice(rt, 16); n < 2 {
		return []string{other, "stranger"}[n]
	}
	return []string{own, "shared"}[dice(rt, 2)]
}

// commander returns an action that commands one of the missions.
func (k *machine) commander(action session.Action, by session.Reason) func(*rapid.T) {
	return func(rt *rapid.T) {
		m := k.missions[dice(rt, 2)]
		c := session.Command{Action: action, By: by, Agent: k.agent(rt, m)}
		switch action {
		case session.End, session.PauseAgent:
			if dice(rt, 2) == 1 {
				c.At = time.UnixMilli(k.time(rt))
			}
		case session.Extend:
			c.EndsAt = time.UnixMilli(m.ends + between(rt, -1_200_000, 3_600_000))
		default: // takes effect now
		}
		k.carryOut(rt, m, c)
	}
}

// carryOut commands the store and the model, and compares.
func (k *machine) carryOut(rt *rapid.T, m *modelMission, c session.Command) {
	want := m.carryOut(c, k.now)
	got := k.command(m, c)
	if got == session.ErrLocated.Code {
		// Perhaps the other mission is past its deadline and nobody has closed
		// it yet.
		k.closeDue()
		got = k.command(m, c)
	}
	if got != want {
		rt.Fatalf("%s %s: %q, want %q", c.Action, c.Agent, got, want)
	}
	if want == "" {
		want = string(c.Action)
	}
	k.seen[want]++
	k.moments = append(k.moments, k.now, m.deadline)
	if !c.At.IsZero() {
		k.moments = append(k.moments, c.At.UnixMilli())
	}
}

// command returns "" or the code of the refusal.
func (k *machine) command(m *modelMission, c session.Command) string {
	_, err := k.w.Store.UpdateMission(k.w.Context(), m.id.Tenant, m.id.ID, func(m *session.Mission) error {
		return m.Apply(c, m.ReadAt)
	})
	var refusal *session.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.Code
	}
	k.Fatal(err)
	return ""
}

func (k *machine) closeDue() {
	for _, m := range k.missions {
		_, err := k.w.Store.UpdateMission(k.w.Context(), m.id.Tenant, m.id.ID, func(m *session.Mission) error {
			m.Settle(m.ReadAt)
			return nil
		})
		k.must(err)
	}
}

// ping sends a batch of both missions' agents, early, late, doubled or not.
func (k *machine) ping(rt *rapid.T) {
	var batch []*session.Submission
	var want [][]session.Verdict
	for range 1 + dice(rt, 3) {
		m := k.missions[dice(rt, 2)]
		agent := k.agent(rt, m)
		variant := byte(dice(rt, 2))
		var times []time.Time
		for range 1 + dice(rt, 5) {
			times = append(times, time.UnixMilli(k.time(rt)))
		}
		s := submit(m.id, agent, variant, times...)
		batch = append(batch, s)
		var verdicts []session.Verdict
		for i, p := range s.Pings {
			verdicts = append(verdicts, m.judge(agent, p.Timestamp, k.now, string(s.Sealed[i])))
		}
		want = append(want, verdicts)
	}
	k.must(k.w.Store.Append(k.w.Context(), batch))
	for i, s := range batch {
		for j, v := range s.Verdicts {
			k.seen[name(v)]++
			if v != want[i][j] {
				rt.Fatalf("ping of %s at %d, now %d: verdict %s, want %s", s.Agent, s.Pings[j].Timestamp, k.now, name(v), name(want[i][j]))
			}
		}
	}
}

// check compares what the store holds with what the model holds.
func (k *machine) check(rt *rapid.T) {
	t := k.w.T
	if n := k.w.Outside(t); n != 0 {
		rt.Fatalf("%d positions outside every window", n)
	}
	for i, m := range k.missions {
		m.settle(k.now)
		if n := k.w.Count(t, m.id.ID); n != len(m.kept) {
			rt.Fatalf("mission %d: %d positions stored, want %d", i, n, len(m.kept))
		}
		k.compare(rt, i, m)
		k.compareRefusals(rt, i, m)
		stored, err := k.w.Store.Mission(k.w.Context(), m.id.Tenant, m.id.ID)
		k.must(err)
		if stored.State != m.state && k.now < m.deadline {
			rt.Fatalf("mission %d is %s, want %s", i, stored.State, m.state)
		}
		for _, a := range stored.Agents {
			if a.Removed > 0 {
				k.seen["removed"]++
			}
			if a.Removed != m.agents[a.ID].removed {
				rt.Fatalf("mission %d: %d positions of %s removed, want %d", i, a.Removed, a.ID, m.agents[a.ID].removed)
			}
		}
	}
}

func (k *machine) compare(rt *rapid.T, i int, m *modelMission) {
	var after session.Cursor
	for {
		rows, err := k.w.Store.Track(k.w.Context(), m.id.Tenant, m.id.ID, after, 40)
		k.must(err)
		for _, r := range rows {
			want, ok := m.kept[place{r.Agent, r.Slot}]
			if !ok || want.at != r.At.UnixMilli() || want.sealed != string(r.Sealed) {
				rt.Fatalf("mission %d: position of %s in slot %d at %d, want %d (there: %v)", i, r.Agent, r.Slot, r.At.UnixMilli(), want.at, ok)
			}
			after = r.Cursor()
		}
		if len(rows) == 0 {
			return
		}
	}
}

// compareRefusals compares what was counted as refused.
func (k *machine) compareRefusals(rt *rapid.T, i int, m *modelMission) {
	refusals, err := k.w.Store.Refusals(k.w.Context(), m.id.Tenant, m.id.ID)
	k.must(err)
	if len(refusals) != len(m.refused) {
		rt.Fatalf("mission %d: refusals %v, want %v", i, refusals, m.refused)
	}
	for _, r := range refusals {
		if want := m.refused[session.Refusal{Agent: r.Agent, Reason: r.Reason}]; r.Count != want {
			rt.Fatalf("mission %d: %d pings of %s refused as %s, want %d", i, r.Count, r.Agent, r.Reason, want)
		}
	}
}
