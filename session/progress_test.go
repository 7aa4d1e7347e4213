package session_test

import (
	"testing"

	"ronde/geo"
	"ronde/session"
)

// metres returns a fix so far north of the centre of newMission's site, whose
// radius is 80 m.
func metres(m float64, accuracy float32) geo.Position {
	site := newMission().Site
	p := geo.NewPosition(geo.Point{Latitude: site.Center.Latitude + m/111_195.08, Longitude: site.Center.Longitude})
	p.Accuracy = accuracy
	return p
}

// TestFold walks one mission past every phase, with the noise of a phone.
func TestFold(t *testing.T) {
	site := newMission().Site
	var p session.Progress
	if p.HasFix() {
		t.Error("a new progress has a fix")
	}
	for i, c := range []struct {
		m        float64 // metres from the centre
		accuracy float32
		want     session.Phase
	}{
		{5000, 10, session.EnRoute},
		{600, 10, session.EnRoute}, // 520 m from the border
		{570, 10, session.Arriving},
		{90, 10, session.Arriving},
		{590, 10, session.EnRoute}, // passes by
		{100, geo.Unknown, session.Arriving},
		{79, 10, session.OnSite}, // one fix inside is an arrival
		{105, 10, session.OnSite},
		{115, 10, session.OnSite}, // 35 m outside, within 30 m and the accuracy
		{200, 10, session.OnSite}, // once is no leaving
		{60, 10, session.OnSite},
		{200, 10, session.OnSite}, // twice, but not in a row
		{110, 10, session.OnSite},
		{200, 10, session.OnSite},
		{300, 400, session.OnSite}, // says nothing: it may be inside
		{200, 10, session.OnSite},
		{210, 10, session.Left}, // twice in a row
		{130, 10, session.Left},
		{3000, 10, session.Left},
		{81, 10, session.Left}, // not back before it is inside
		{70, geo.Unknown, session.OnSite},
		{111, geo.Unknown, session.OnSite},
		{112, geo.Unknown, session.Left},
	} {
		fix, at := metres(c.m, c.accuracy), int64(1000*(i+1))
		if !p.Fold(&site, at, &fix) {
			t.Fatalf("fix %d changed nothing", i)
		}
		if p.Phase != c.want {
			t.Errorf("fix %d, %v m from the centre: %s, want %s", i, c.m, p.Phase, c.want)
		}
		if p.Timestamp != at || p.Position.Point != fix.Point || p.Signal != session.Live || !p.HasFix() {
			t.Errorf("fix %d left %+v", i, p)
		}
	}
}

// TestFoldLeavesOut: what came late, what came twice and what an app made up
// changes nothing.
func TestFoldLeavesOut(t *testing.T) {
	site := newMission().Site
	var p session.Progress
	first := metres(1000, 10)
	p.Fold(&site, 5000, &first)
	before := p
	inside, mock := metres(0, 10), metres(0, 10)
	mock.Mock = true
	for what, c := range map[string]struct {
		at  int64
		fix geo.Position
	}{"late": {4999, inside}, "again": {5000, inside}, "made up": {6000, mock}} {
		if p.Fold(&site, c.at, &c.fix) || p.Timestamp != before.Timestamp || p.Phase != before.Phase {
			t.Errorf("a fix that is %s left %+v", what, p)
		}
	}
}

func TestNewer(t *testing.T) {
	p := func(timestamp, version int64) *session.Progress {
		return &session.Progress{Timestamp: timestamp, Version: version}
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
