package session_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ronde/geo"
	"ronde/session"
)

// minuteOf returns the time so many minutes after the mission of these tests began.
func minuteOf(n int) time.Time {
	return time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
}

// span returns a window between two minutes; one that ends at 0 is open.
func span(from, to int) session.Window {
	if to == 0 {
		return session.Window{Opened: minuteOf(from)}
	}
	return session.Window{Opened: minuteOf(from), Closed: minuteOf(to)}
}

// aTour returns a mission that began at minute 0 and ended at 150, or goes on if
// it is active; it was read at minute 200.
func aTour(state session.State, agents ...session.Agent) *session.Mission {
	m := &session.Mission{
		Site:   geo.Site{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		Policy: session.DefaultPolicy(), State: state, BeganAt: minuteOf(0), ReadAt: minuteOf(200), Agents: agents,
	}
	if state == session.Ended {
		m.EndedAt = minuteOf(150)
	}
	return m
}

// fixAt returns a position on the site, or a kilometre away.
func fixAt(at int, onSite bool) *session.Fix {
	p := geo.Point{Latitude: 48.84, Longitude: 2.41}
	if !onSite {
		p.Latitude += 0.01
	}
	return &session.Fix{Row: session.Row{At: minuteOf(at)}, Ping: session.Ping{Position: geo.NewPosition(p)}}
}

func finish(r *session.Report) {
	for i := range r.Agents {
		r.Agents[i].Finish(r.Mission)
	}
}

func TestReport(t *testing.T) {
	a := session.Agent{ID: "a", Windows: []session.Window{span(0, 60), span(90, 120)}, Removed: 3}
	b := session.Agent{ID: "b", Windows: []session.Window{span(0, 50)}, Relieved: true}
	c := session.Agent{ID: "c"}
	d := session.Agent{ID: "d", Windows: []session.Window{span(0, 60), span(90, 150)}}
	r := session.NewReport(aTour(session.Ended, a, b, c, d), []session.Refusal{{Agent: "a", Reason: "future", Count: 2}, {Agent: "b", Reason: "outside_window", Count: 5}})
	mock := fixAt(105, false)
	mock.Mock = true
	for _, fix := range []*session.Fix{
		fixAt(10, false), fixAt(20, true), fixAt(30, true),
		fixAt(32, true), fixAt(35, false), fixAt(38, true), // one fix away is noise
		fixAt(42, false), fixAt(45, false), // two are a departure
		fixAt(95, true), mock, fixAt(110, true), // and back, after a break
	} {
		r.Agents[0].Add(r.Mission, fix)
	}
	// On the site before a break and after it: what they did meanwhile nobody knows.
	for _, at := range []int{10, 50, 95, 100} {
		r.Agents[3].Add(r.Mission, fixAt(at, true))
	}
	finish(r)
	type facts struct {
		stored        int64
		arrived, left time.Time
		onSite        time.Duration
		gap           session.Window
		pauses        []session.Window
		refused       map[string]int64
	}
	for i, want := range []facts{
		{11, minuteOf(20), time.Time{}, 17 * time.Minute, span(45, 60), []session.Window{span(60, 90), span(120, 150)}, map[string]int64{"future": 2}},
		{0, time.Time{}, time.Time{}, 0, span(0, 50), nil, map[string]int64{"outside_window": 5}},
		{0, time.Time{}, time.Time{}, 0, session.Window{}, nil, map[string]int64{}},
		{4, minuteOf(10), time.Time{}, 10 * time.Minute, span(100, 150), []session.Window{span(60, 90)}, map[string]int64{}},
	} {
		g := &r.Agents[i]
		got := facts{g.Stored, g.ArrivedAt, g.LeftAt, g.OnSite, g.Gap, g.Pauses, g.Refused}
		if got.stored != want.stored || got.arrived != want.arrived || got.left != want.left || got.onSite != want.onSite || got.gap != want.gap ||
			!slices.Equal(got.pauses, want.pauses) || !maps.Equal(got.refused, want.refused) {
			t.Errorf("%s:\n%+v, want\n%+v", g.ID, got, want)
		}
	}
	if r.Track != session.TrackKept || r.Agents[0].Removed != 3 {
		t.Errorf("track %s, removed %d", r.Track, r.Agents[0].Removed)
	}
}

// A mission that goes on has a gap and a pause that go on too.
func TestReportOfAMissionThatGoesOn(t *testing.T) {
	r := session.NewReport(aTour(session.Active,
		session.Agent{ID: "located", Windows: []session.Window{span(0, 60), span(90, 0)}},
		session.Agent{ID: "on a break", Windows: []session.Window{span(0, 60)}, Paused: true},
		session.Agent{ID: "gone", Windows: []session.Window{span(0, 60)}, Relieved: true},
		session.Agent{ID: "gone from a break", Windows: []session.Window{span(0, 60)}, Paused: true, Relieved: true},
	), nil)
	add := func(i int, fix *session.Fix) { r.Agents[i].Add(r.Mission, fix) }
	add(0, fixAt(20, true))
	add(0, fixAt(95, false))
	add(1, fixAt(20, true))
	add(1, fixAt(21, true))
	add(1, fixAt(40, false))
	add(1, fixAt(45, false))
	add(1, fixAt(70, true)) // of a window that opened since
	finish(r)
	for i, want := range []struct {
		gap    session.Window
		pauses []session.Window
		left   time.Time
	}{
		{span(95, 200), []session.Window{span(60, 90)}, time.Time{}}, // resumed elsewhere: nobody saw them leave
		{span(0, 20), []session.Window{span(60, 0)}, minuteOf(21)},
		{span(0, 60), nil, time.Time{}},
		{span(0, 60), []session.Window{span(60, 0)}, time.Time{}},
	} {
		got := &r.Agents[i]
		if got.Gap != want.gap || !slices.Equal(got.Pauses, want.pauses) || got.LeftAt != want.left {
			t.Errorf("%s: gap %v, pauses %v, left %v; want %v", got.ID, got.Gap, got.Pauses, got.LeftAt, want)
		}
	}
	if got := &r.Agents[1]; got.Stored != 4 {
		t.Errorf("%d positions, want those of windows that the mission had when it was read", got.Stored)
	}
}

// An agent whose phone says nothing is on the site for no longer than the phone
// of one who stays there is silent: five minutes or three agreed intervals.
func TestReportCountsNoSilence(t *testing.T) {
	for _, c := range []struct {
		agreed time.Duration
		times  []int
		want   time.Duration
	}{
		{time.Second, []int{0, 4, 9}, 9 * time.Minute},
		{time.Second, []int{0, 60}, 5 * time.Minute},
		{time.Second, []int{0, 60, 61, 121}, 11 * time.Minute},
		{10 * time.Minute, []int{0, 10, 40, 140}, 70 * time.Minute},
	} {
		m := aTour(session.Ended, session.Agent{ID: "a", Windows: []session.Window{span(0, 150)}})
		m.Policy.MinInterval = c.agreed
		r := session.NewReport(m, nil)
		for _, at := range c.times {
			r.Agents[0].Add(m, fixAt(at, true))
		}
		finish(r)
		if got := r.Agents[0].OnSite; got != c.want {
			t.Errorf("positions at %v, one in %v agreed: %v on site, want %v", c.times, c.agreed, got, c.want)
		}
	}
}

// The longest gap is what the plainest reading of windows and times finds.
func TestReportGaps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var a session.Agent
		var times []time.Time
		longest := time.Duration(0)
		edge := 0
		for range rapid.IntRange(0, 4).Draw(rt, "windows") {
			from := edge + rapid.IntRange(1, 30).Draw(rt, "break")
			edge = from + rapid.IntRange(1, 40).Draw(rt, "window")
			a.Windows = append(a.Windows, span(from, edge))
			marks := []int{from, edge}
			for range rapid.IntRange(0, 5).Draw(rt, "fixes") {
				at := rapid.IntRange(from, edge-1).Draw(rt, "at")
				times, marks = append(times, minuteOf(at)), append(marks, at)
			}
			slices.Sort(marks)
			for i := range marks[1:] {
				longest = max(longest, time.Duration(marks[i+1]-marks[i])*time.Minute)
			}
		}
		slices.SortFunc(times, time.Time.Compare)
		r := session.NewReport(aTour(session.Ended, a), nil)
		for _, at := range times {
			r.Agents[0].Add(r.Mission, &session.Fix{Row: session.Row{At: at}, Ping: session.Ping{Position: geo.NewPosition(geo.Point{})}})
		}
		finish(r)
		got := &r.Agents[0]
		if gap := got.Gap.Closed.Sub(got.Gap.Opened); gap != longest || got.Stored != int64(len(times)) {
			rt.Fatalf("gap %v of %d positions, want %v of %d", gap, got.Stored, longest, len(times))
		}
	})
}
