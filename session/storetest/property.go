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
		m.Policy.MinInterval = rapid.SampledFrom([]time.Duration{50 * time.Millisecond, time.Second, 7 * time.Second}).Draw(rt, "interval")
		k.clock(start.Add(-2 * time.Hour))
		k.must(w.Store.CreateMission(w.Context(), m))
		k.missions = append(k.missions, newModelMission(m))
	}
	k.missions[0].others, k.missions[1].others = k.missions[1:], k.missions[:1]
	k.clock(start.Add(-30 * time.Minute))
	// Most schedules start with something going on.
	if opening := rapid.IntRange(0, 9).Draw(rt, "opening"); opening > 0 {
		k.carryOut(rt, k.missions[0], session.Command{Action: session.Begin, By: session.ByPlatform})
		if opening > 4 {
			k.carryOut(rt, k.missions[0], session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "shared"})
			k.carryOut(rt, k.missions[1], session.Command{Action: session.Begin, By: session.ByPlatform})
		}
	}
	return k
}

func (k *machine) run() {
	k.Repeat(map[string]func(*rapid.T){
		"": k.check,
		// Of what comes often there are several.
		"advance": k.advance, "wait": k.advance, "march": k.advance,
		"ping": k.ping, "send": k.ping, "flush": k.ping, "resend": k.ping, "stream": k.ping, "drain": k.ping,
		"leap": k.rarely(k.leap),

		"begin":        k.commander(session.Begin, session.ByPlatform),
		"pause":        k.commander(session.Pause, session.ByOperator),
		"resume":       k.commander(session.Resume, session.ByOperator),
		"end":          k.rarely(k.commander(session.End, session.ByPlatform)),
		"end by agent": k.rarely(k.commander(session.End, session.ByAgent)),
		"cancel":       k.rarely(k.commander(session.Cancel, session.ByPlatform)),
		"pause agent":  k.commander(session.PauseAgent, session.ByAgent),
		"resume agent": k.commander(session.ResumeAgent, session.ByAgent),
		"relieve":      k.rarely(k.commander(session.Relieve, session.ByPlatform)),
		"add":          k.commander(session.AddAgent, session.ByPlatform),
		"extend":       k.commander(session.Extend, session.ByPlatform),
		"close due":    func(*rapid.T) { k.closeDue() },
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

// rarely lets an action through one time in sixteen: most schedules that it
// leaves over are dull.
func (k *machine) rarely(do func(*rapid.T)) func(*rapid.T) {
	return func(rt *rapid.T) {
		if rapid.IntRange(1, 16).Draw(rt, "dice") == 16 {
			do(rt)
		}
	}
}

func (k *machine) advance(rt *rapid.T) {
	k.clock(time.UnixMilli(k.now + rapid.OneOf(
		rapid.Int64Range(1, 2), rapid.Int64Range(1, 5_000), rapid.Int64Range(1, 90_000), rapid.Int64Range(60_000, 600_000),
	).Draw(rt, "by")))
}

// leap goes close to a deadline, before or beyond it.
func (k *machine) leap(rt *rapid.T) {
	to := rapid.SampledFrom(k.missions).Draw(rt, "mission").deadline + rapid.Int64Range(-100_000, 100_000).Draw(rt, "off")
	k.clock(time.UnixMilli(max(to, k.now)))
}

// time draws a time that a phone may state: close to now with a skewed clock,
// close to where a window opened or closed, or any.
func (k *machine) time(rt *rapid.T, label string) int64 {
	gens := []*rapid.Generator[int64]{
		rapid.Map(rapid.Int64Range(-90_000, 90_000), func(skew int64) int64 { return k.now + skew }),
		rapid.Map(rapid.Int64Range(0, 600_000), func(late int64) int64 { return k.now - late }),
		rapid.Int64Range(start.UnixMilli()-2_000_000, k.now+70_000),
	}
	if len(k.moments) > 0 {
		near := rapid.Map(rapid.SampledFrom(k.moments), func(t int64) int64 { return t })
		gens = append(gens, near,
			rapid.Map(near, func(t int64) int64 { return t - 1 }), rapid.Map(near, func(t int64) int64 { return t + 1 }))
	}
	return rapid.OneOf(gens...).Draw(rt, label)
}

// agent draws an agent, most often one who is on the mission from the start.
func (k *machine) agent(rt *rapid.T, m *modelMission) string {
	if m == k.missions[0] {
		return rapid.SampledFrom([]string{"x", "shared", "x", "shared", "x", "shared", "y", "stranger"}).Draw(rt, "agent")
	}
	return rapid.SampledFrom([]string{"y", "shared", "y", "shared", "y", "shared", "x", "stranger"}).Draw(rt, "agent")
}

// commander returns an action that commands one of the missions.
func (k *machine) commander(action session.Action, by session.Reason) func(*rapid.T) {
	return func(rt *rapid.T) {
		m := rapid.SampledFrom(k.missions).Draw(rt, "mission")
		c := session.Command{Action: action, By: by, Agent: k.agent(rt, m)}
		switch action {
		case session.End, session.PauseAgent:
			if rapid.Bool().Draw(rt, "dated") {
				c.At = time.UnixMilli(k.time(rt, "at"))
			}
		case session.Extend:
			c.EndsAt = time.UnixMilli(m.ends + rapid.Int64Range(-3_600_000, 3_600_000).Draw(rt, "by"))
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
	for range rapid.IntRange(1, 3).Draw(rt, "submissions") {
		m := rapid.SampledFrom(k.missions).Draw(rt, "mission")
		agent := k.agent(rt, m)
		variant := byte(rapid.IntRange(0, 1).Draw(rt, "variant"))
		var times []time.Time
		for range rapid.IntRange(1, 5).Draw(rt, "pings") {
			times = append(times, time.UnixMilli(k.time(rt, "timestamp")))
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
			after = session.Cursor{At: r.At, Agent: r.Agent, Slot: r.Slot}
		}
		if len(rows) == 0 {
			return
		}
	}
}
