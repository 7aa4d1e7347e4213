package session_test

import (
	"math"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// TestSlot: a slot is a floor, before the epoch as after it.
func TestSlot(t *testing.T) {
	for _, c := range []struct{ timestamp, interval, want int64 }{
		{0, 1000, 0}, {999, 1000, 0}, {1000, 1000, 1}, {1001, 1000, 1},
		{-1, 1000, -1}, {-999, 1000, -1}, {-1000, 1000, -1}, {-1001, 1000, -2},
		{-62135596800000, 1, -62135596800000}, {253402300799999, 3_600_000, 70389527},
		{-62135596800000, 3_600_000, -17259888}, {-62135596799999, 3_600_000, -17259888}, {-62135596800001, 3_600_000, -17259889},
	} {
		if got := session.Slot(c.timestamp, c.interval); got != c.want {
			t.Errorf("Slot(%d, %d) = %d, want %d", c.timestamp, c.interval, got, c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		v                session.Verdict
		code             string
		settled, refused bool
	}{
		{session.Undecided, "store_unavailable", false, false},
		{session.Stored, "", true, false},
		{session.Unchanged, "", true, false},
		{session.NotActive, "not_active", true, true},
		{session.OutsideWindow, "outside_window", true, true},
		{session.Future, "future", true, true},
		{session.Invalid, "invalid", true, true},
		{session.TooFrequent, "too_frequent", true, true},
		{session.NoticeMissing, "notice_missing", true, true},
		{session.MissionPaused, "paused", false, false},
		{session.MissionPausedOutside, "paused", false, false},
		{session.Locked, "overloaded", false, false},
		{session.Unsealed, "store_unavailable", false, false},
	} {
		if c.v.Code() != c.code || c.v.Settled() != c.settled || c.v.Refused() != c.refused {
			t.Errorf("verdict %d: %q, settled %v, refused %v; want %q, %v, %v",
				c.v, c.v.Code(), c.v.Settled(), c.v.Refused(), c.code, c.settled, c.refused)
		}
	}
}

// TestJudge walks the verdicts in their order: each stands before those that
// follow it.
func TestJudge(t *testing.T) {
	m := begun(t)
	apply(t, m, minute(10), session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me"})
	apply(t, m, minute(20), session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "me"})
	paused := m.Clone()
	apply(t, paused, minute(30), session.Command{Action: session.Pause})
	ended := m.Clone()
	apply(t, ended, minute(30), session.Command{Action: session.End})
	relieved := m.Clone()
	apply(t, relieved, minute(30), session.Command{Action: session.Relieve, Agent: "me"})

	now := minute(40)
	const ms, ahead = time.Millisecond, session.MaxAhead
	for _, c := range []struct {
		what  string
		m     *session.Mission
		agent string
		ack   bool
		at    time.Time
		want  session.Verdict
		under time.Time // the time to store it under
	}{
		{"now", m, "me", true, now, session.Stored, now},
		{"at the opening", m, "me", true, start, session.Stored, start},
		{"before the opening", m, "me", true, start.Add(-ms), session.OutsideWindow, start.Add(-ms)},
		{"before the closing", m, "me", true, minute(10).Add(-ms), session.Stored, minute(10).Add(-ms)},
		{"at the closing", m, "me", true, minute(10), session.OutsideWindow, minute(10)},
		{"before the second opening", m, "me", true, minute(20).Add(-ms), session.OutsideWindow, minute(20).Add(-ms)},
		{"at the second opening", m, "me", true, minute(20), session.Stored, minute(20)},
		{"a little ahead", m, "me", true, now.Add(ms), session.Stored, now},
		{"as far ahead as may be", m, "me", true, now.Add(ahead), session.Stored, now},
		{"too far ahead", m, "me", true, now.Add(ahead + ms), session.Future, now},
		{"not acknowledged", m, "me", false, now, session.NoticeMissing, now},
		{"not acknowledged, and outside", m, "me", false, minute(15), session.NoticeMissing, minute(15)},
		{"not acknowledged, and ahead", m, "me", false, minute(90), session.NoticeMissing, now},
		{"a stranger's", m, "stranger", true, now, session.NotActive, now},
		{"late, of a relieved agent", relieved, "me", true, minute(25), session.Stored, minute(25)},
		{"of a relieved agent", relieved, "me", true, now, session.OutsideWindow, now},
		{"in a pause", paused, "me", true, minute(25), session.MissionPaused, minute(25)},
		{"in a pause, of the pause", paused, "me", true, now, session.MissionPausedOutside, now},
		{"in a pause, not acknowledged", paused, "me", false, minute(25), session.MissionPaused, minute(25)},
		{"in a pause, ahead", paused, "me", true, minute(90), session.MissionPausedOutside, now},
		{"after the end", ended, "me", true, minute(25), session.NotActive, minute(25)},
		{"before the begin", newMission(), "me", true, now, session.NotActive, now},
	} {
		at, v := c.m.Judge(c.agent, c.ack, c.at.UnixMilli(), now.UnixMilli())
		if v != c.want || at != c.under.UnixMilli() {
			t.Errorf("%s: verdict %d at %d, want %d at %d", c.what, v, at, c.want, c.under.UnixMilli())
		}
	}

	// P12: at its deadline the mission is over, whatever its state says.
	deadline := m.Deadline.UnixMilli()
	if _, v := m.Judge("me", true, deadline-1, deadline-1); v != session.Stored {
		t.Errorf("a millisecond before the deadline: verdict %d", v)
	}
	if _, v := m.Judge("me", true, deadline-1, deadline); v != session.NotActive {
		t.Errorf("at the deadline: verdict %d", v)
	}
}

// TestGate: the gate refuses what can never be, and leaves the rest to the
// store.
func TestGate(t *testing.T) {
	good := session.Ping{Timestamp: start.UnixMilli(), Position: geo.NewPosition(geo.Point{Latitude: 48.84, Longitude: 2.41})}
	spoilt := func(spoil func(p *session.Ping)) *session.Ping {
		p := good
		spoil(&p)
		return &p
	}
	var g session.Gate
	if v := g.Admit(&good); v != session.Undecided {
		t.Errorf("a good ping: verdict %d", v)
	}
	for what, p := range map[string]*session.Ping{
		"0,0":                  spoilt(func(p *session.Ping) { p.Point = geo.Point{} }),
		"beyond the pole":      spoilt(func(p *session.Ping) { p.Latitude = 90.000001 }),
		"no number":            spoilt(func(p *session.Ping) { p.Longitude = math.NaN() }),
		"infinite":             spoilt(func(p *session.Ping) { p.Longitude = math.Inf(1) }),
		"a negative accuracy":  spoilt(func(p *session.Ping) { p.Accuracy = -1 }),
		"a heading of 361":     spoilt(func(p *session.Ping) { p.Heading = 361 }),
		"a charge of 101 %":    spoilt(func(p *session.Ping) { p.Battery = 1.01 }),
		"before the year 1":    spoilt(func(p *session.Ping) { p.Timestamp = -62135596800001 }),
		"after the year 9999":  spoilt(func(p *session.Ping) { p.Timestamp = 253402300800000 }),
		"as far back as can":   spoilt(func(p *session.Ping) { p.Timestamp = math.MinInt64 }),
		"as far ahead as can":  spoilt(func(p *session.Ping) { p.Timestamp = math.MaxInt64 }),
		"faster than any jet":  spoilt(func(p *session.Ping) { p.Speed = 1001 }),
		"deeper than the sea":  spoilt(func(p *session.Ping) { p.Altitude = -12001 }),
		"good to a 1,000 km":   spoilt(func(p *session.Ping) { p.Accuracy = 1_000_001 }),
		"a speed of minus one": spoilt(func(p *session.Ping) { p.Speed = -1 }),
	} {
		if v := g.Admit(p); v != session.Invalid {
			t.Errorf("%s: verdict %d, want invalid", what, v)
		}
	}
	// Values at the very border, and a time far away, are for the store.
	for what, p := range map[string]*session.Ping{
		"the pole":            spoilt(func(p *session.Ping) { p.Latitude = -90 }),
		"the date line":       spoilt(func(p *session.Ping) { p.Longitude = 180 }),
		"on the equator":      spoilt(func(p *session.Ping) { p.Latitude = 0 }),
		"a perfect receiver":  spoilt(func(p *session.Ping) { p.Accuracy = 0 }),
		"made up by an app":   spoilt(func(p *session.Ping) { p.Mock = true }),
		"the year 1":          spoilt(func(p *session.Ping) { p.Timestamp = -62135596800000 }),
		"the end of all days": spoilt(func(p *session.Ping) { p.Timestamp = 253402300799999 }),
	} {
		if v := g.Admit(p); v != session.Undecided {
			t.Errorf("%s: verdict %d, want it left to the store", what, v)
		}
	}
	g.Shut()
	g.Shut()
	for what, p := range map[string]*session.Ping{"a good ping": &good, "a bad ping": spoilt(func(p *session.Ping) { p.Point = geo.Point{} })} {
		if v := g.Admit(p); v != session.NotActive {
			t.Errorf("%s after the end: verdict %d", what, v)
		}
	}
}
