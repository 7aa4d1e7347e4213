package session_test

import (
	"testing"

	"ronde/geo"
	"ronde/session"
)

// metres returns a fix so far north of the centre of newMission's site, whose
// radius is 80 m, in the seven decimals that are stored.
func metres(m float64, accuracy float32) geo.Position {
	p := geo.NewPosition(newMission().Site.Center.Moved(0, m))
	p.Accuracy = accuracy
	return p
}

// folder folds fixes of one agent of a mission, by seconds and metres.
type folder struct {
	session.Progress
	mission *session.Mission
}

func newFolder() *folder { return &folder{mission: newMission()} }

// fold takes in a fix so many metres north of the centre of the site.
func (f *folder) fold(second int, m float64, accuracy float32) bool {
	fix := metres(m, accuracy)
	return f.Fold(f.mission, int64(1000*second), &fix)
}

// apart is farther apart in time than a track lasts: each fix counts as it is.
const apart = 150

// TestPhases walks one mission past every phase, with the noise of a phone.
func TestPhases(t *testing.T) {
	f := newFolder()
	if f.HasFix() {
		t.Error("a new progress has a fix")
	}
	for i, c := range []struct {
		m             float64 // metres from the centre
		accuracy      float32
		want          session.Phase
		arrived, left int // by the number of the fix; 0: not
	}{
		{5000, 10, session.EnRoute, 0, 0},
		{600, 10, session.EnRoute, 0, 0}, // 520 m from the border
		{570, 10, session.Arriving, 0, 0},
		{685, 10, session.Arriving, 0, 0}, // not far enough to have turned away
		{700, 10, session.EnRoute, 0, 0},
		{100, geo.Unknown, session.Arriving, 0, 0},
		{79, 10, session.Arriving, 0, 0}, // one fix inside is no arrival
		{100, 10, session.Arriving, 0, 0},
		{79, 10, session.Arriving, 0, 0},
		{85, 10, session.OnSite, 9, 0}, // 5 m outside: it may be inside
		{105, 10, session.OnSite, 9, 0},
		{115, 10, session.OnSite, 9, 0}, // 35 m outside, within 30 m and the accuracy
		{200, 10, session.OnSite, 9, 0}, // once is no leaving
		{60, 10, session.OnSite, 9, 0},
		{200, 10, session.OnSite, 9, 0}, // twice, but not in a row
		{110, 10, session.OnSite, 9, 0},
		{200, 10, session.OnSite, 9, 0},
		{300, 200, session.OnSite, 9, 0}, // says nothing: it may be inside
		{200, 10, session.OnSite, 9, 0},
		{210, 10, session.Left, 9, 18}, // twice in a row
		{130, 10, session.Left, 9, 18},
		{3000, 10, session.Left, 9, 18},
		{70, geo.Unknown, session.Left, 9, 18},
		{70, geo.Unknown, session.OnSite, 9, 0}, // back
	} {
		at := (i + 1) * apart
		if !f.fold(at, c.m, c.accuracy) {
			t.Fatalf("fix %d changed nothing", i+1)
		}
		if f.Phase != c.want || f.ArrivedAt != int64(1000*apart*c.arrived) || f.LeftAt != int64(1000*apart*c.left) {
			t.Errorf("fix %d, %v m from the centre: %s, arrived %d, left %d; want %+v", i+1, c.m, f.Phase, f.ArrivedAt/1000/apart, f.LeftAt/1000/apart, c)
		}
		if f.Timestamp != int64(1000*at) || !f.HasFix() {
			t.Errorf("fix %d left %+v", i+1, f.Progress)
		}
	}
}

// TestPassingByIsNoArrival: a car that crosses the site in seven seconds was not
// there; one that stops in it for ten was.
func TestPassingByIsNoArrival(t *testing.T) {
	f := newFolder()
	for s := range 60 {
		f.fold(s+1, 600-20*float64(s), 5)
		if f.Phase == session.OnSite {
			t.Fatalf("on the site in second %d", s)
		}
	}
	stops, m := newFolder(), 600.0
	for s := range 60 {
		m -= min(15, max(0, 3*float64(42-s))) // brakes with 3 m/s²
		stops.fold(s+1, m, 5)
	}
	if stops.Phase != session.OnSite || stops.ArrivedAt < 34_000 || stops.ArrivedAt > 38_000 {
		t.Errorf("%s, arrived %d", stops.Phase, stops.ArrivedAt)
	}
}

// TestThrownAboutIsNoDeparture: reflections show an agent who stays elsewhere for
// seconds at a time.
func TestThrownAboutIsNoDeparture(t *testing.T) {
	f := newFolder()
	for s := range 600 {
		m := 40.0
		if s%60 >= 45 { // fifteen seconds of every minute
			m = 200 + float64(s%3)
		}
		f.fold(s+1, m, 20)
		if s > 20 && f.Phase != session.OnSite {
			t.Fatalf("%s in second %d", f.Phase, s)
		}
	}
}

// TestRestAndSilence: who stays is stationary, and how long silence is no loss
// depends on that and on the interval that was agreed.
func TestRestAndSilence(t *testing.T) {
	f := newFolder()
	signal := func(second int) session.Signal { return f.SignalAt(f.mission, int64(1000*second)) }
	if got := signal(1); got != "" {
		t.Errorf("without a fix: %q", got)
	}
	for s := 10; s <= 300; s += 10 { // 3 m to and fro
		f.fold(s, 300+3*float64(s/10%2), 10)
		want := session.Live
		if s >= 130 { // two minutes after the first fix
			want = session.Stationary
		}
		if f.Signal != want {
			t.Fatalf("after %d s: %s", s, f.Signal)
		}
	}
	if a, b := signal(600), signal(601); a != session.Stationary || b != session.Lost {
		t.Errorf("five minutes of silence: %s, then %s", a, b)
	}
	f.fold(310, 350, 10)
	f.fold(320, 400, 10)
	if a, b := signal(410), signal(411); a != session.Live || b != session.Lost {
		t.Errorf("90 seconds of silence under way: %s, then %s", a, b)
	}
	f.mission.Policy.MinInterval = 120e9
	if a, b := signal(680), signal(681); a != session.Live || b != session.Lost {
		t.Errorf("three intervals of silence: %s, then %s", a, b)
	}
}

func TestNewer(t *testing.T) {
	p := func(latest, version int64) *session.Progress {
		return &session.Progress{Latest: latest, Version: version}
	}
	for _, c := range []struct {
		p, q *session.Progress
		want bool
	}{
		{p(2, 1), p(1, 9), true}, {p(1, 9), p(2, 1), false},
		{p(1, 2), p(1, 1), true}, {p(1, 1), p(1, 2), false}, {p(1, 1), p(1, 1), false},
	} {
		if got := c.p.Newer(c.q); got != c.want {
			t.Errorf("%+v newer than %+v: %v", c.p, c.q, got)
		}
	}
}
