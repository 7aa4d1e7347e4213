package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// turn is one change of phase on a trace.
type turn struct {
	phase session.Phase
	after time.Duration // since the first point
}

// missionAt is a mission of the default policy at a site.
func missionAt(p geo.Point, radius float64) *session.Mission {
	return &session.Mission{Site: geo.Site{Center: p, RadiusM: radius}, Policy: session.DefaultPolicy()}
}

// foldTrace folds the timed points of a trace in the order in which they come, and shows each state to seen, if there is one.
func foldTrace(m *session.Mission, points []point, seen func(point, *session.Progress)) (p session.Progress, turns []turn) {
	for _, q := range points {
		was := p.Phase
		p.Fold(m, q.Time.UnixMilli(), &q.Position)
		if p.Phase != was {
			turns = append(turns, turn{p.Phase, q.Time.Sub(points[0].Time)})
		}
		if seen != nil {
			seen(q, &p)
		}
	}
	return p, turns
}

// visits counts the arrivals among some turns and writes them as a row of a table.
func visits(turns []turn) (arrivals int, row string) {
	var b strings.Builder
	for _, t := range turns {
		if t.phase == session.OnSite || t.phase == session.Left {
			fmt.Fprintf(&b, " %s %.0f s", t.phase, t.after.Seconds())
		}
		arrivals += count(t.phase == session.OnSite)
	}
	return arrivals, b.String()
}

// One visit, one arrival: sites are laid on the traces where the recording passes once, or as often as it is said to. The
// places of the walk are on the path of the watch, its reference, and every receiver passes them as often.
func TestVisitsOnTraces(t *testing.T) {
	const drive, bus, car, posmo, hike = "munich-drive-1hz.json", "limerick-bus-304-phone-strava.gpx", "visnjan-car-etrex.gpx", "switzerland-phone-posmo-outliers.csv", "korita-zbevnica-hike-missing-times.gpx"
	const watch, ublox, phone = "saint-mande-walk-polar-watch.gpx", "saint-mande-walk-ublox-jumps.gpx", "saint-mande-walk-phone-visorando.gpx"
	for _, c := range []struct {
		trace    string
		on       string  // the trace on which the site lies
		at       float64 // how far along that
		radius   float64
		arrivals int
	}{
		{drive, drive, 0.25, 80, 1}, {drive, drive, 1, 80, 1},
		{drive, drive, 0.5, 80, 0}, // at 20 m/s through it, in a tunnel
		{bus, bus, 0, 80, 1}, {bus, bus, 0.25, 80, 1}, {bus, bus, 0.5, 80, 1}, {bus, bus, 0.75, 80, 1}, {bus, bus, 1, 80, 1},
		{car, car, 0.25, 80, 1}, {car, car, 0.5, 80, 1}, {car, car, 0.75, 80, 1},
		{car, car, 1, 80, 2}, // round the block: it begins where it ends
		{posmo, posmo, 0.75, 80, 1}, {posmo, posmo, 1, 80, 1},
		{hike, hike, 0.25, 80, 1}, {hike, hike, 0.5, 80, 1}, {hike, hike, 0.75, 80, 1},
		{watch, watch, 0.001, 15, 6}, {watch, watch, 0.001, 80, 6}, // once a pass there and back
		{ublox, watch, 0.001, 80, 6},
		{phone, watch, 0.001, 80, 11}, // it went on for twice as long
	} {
		points := loadTrace(t, c.trace).Timed()
		laid := loadTrace(t, c.on).Timed()
		site := laid[int(c.at*float64(len(laid)-1))].Point
		p, turns := foldTrace(missionAt(site, c.radius), points, nil)
		arrivals, row := visits(turns)
		t.Logf("%-40s %4.2f, %2.0f m:%s", c.trace, c.at, c.radius, row)
		if arrivals != c.arrivals {
			t.Errorf("%s at %v of %s, %v m: %d arrivals, want %d", c.trace, c.at, c.on, c.radius, arrivals, c.arrivals)
		}
		if used := p.Counts.Used; used*10 < 8*int64(len(points)) {
			t.Errorf("%s: %d of %d fixes used: %+v", c.trace, used, len(points), p.Counts)
		}
	}
}

// What is dirty in a trace, as its README says, is not used: the tunnel of Munich, the jumps of POSMO, the repeated fix
// of the iPhone.
func TestCleaningOfTraces(t *testing.T) {
	counts := map[string]session.Counts{}
	for _, facts := range traces {
		points := loadTrace(t, facts.name).Timed()
		p, _ := foldTrace(missionAt(points[0].Point, 80), points, nil)
		counts[facts.name] = p.Counts
		t.Logf("%-40s %+v", facts.name, p.Counts)
	}
	if c := counts["munich-drive-1hz.json"]; c.Frozen < 33 || c.Frozen > 45 || c.Jumps != 0 {
		t.Errorf("Munich, frozen for 34 s: %+v", c)
	}
	if c := counts["switzerland-phone-posmo-outliers.csv"]; c.Jumps < 97 || c.Late != 5 {
		t.Errorf("POSMO, 97 jumps and 5 out of order: %+v", c)
	}
	if c := counts["san-francisco-drive-iphone-tunnel.json"]; c.Used != 12 || c.Late != 1 {
		t.Errorf("the iPhone, one fix twice: %+v", c)
	}
	if c := counts["saint-mande-walk-polar-watch.gpx"]; c.Used != 2112 {
		t.Errorf("the watch, smooth: %+v", c)
	}
}

// etaError is how an ETA did while the arrival was so far away.
type etaError struct {
	upTo                             float64 // seconds
	fixes, known, early, in, overdue int
	bias                             float64 // sum of the relative errors of the figure
}

// The stated range of the ETA holds the truth four times in five, over drives to places along them.
func TestETAOnTraces(t *testing.T) {
	table := []etaError{{upTo: 60}, {upTo: 180}, {upTo: 300}, {upTo: 600}, {upTo: 1200}, {upTo: math.Inf(1)}}
	for _, name := range []string{"munich-drive-1hz.json", "limerick-bus-304-phone-strava.gpx", "visnjan-car-etrex.gpx", "switzerland-phone-posmo-outliers.csv"} {
		points := loadTrace(t, name).Timed()
		for tenth := 2; tenth <= 10; tenth++ {
			m := missionAt(points[(len(points)-1)*tenth/10].Point, 80)
			end, _ := foldTrace(m, points, nil)
			if end.ArrivedAt == 0 {
				continue // the jumps of POSMO are no places to arrive at
			}
			foldTrace(m, points, func(q point, p *session.Progress) {
				if left := float64(end.ArrivedAt-q.Time.UnixMilli()) / 1000; left > 0 {
					row := 0
					for left > table[row].upTo {
						row++
					}
					table[row].add(left, p.ETA())
				}
			})
		}
	}
	known, in := 0, 0
	for _, e := range table {
		n := float64(max(e.known, 1))
		t.Logf("up to %4.0f s: %5d fixes, %3.0f%% with an ETA; of these %3.0f%% in its range, %3.0f%% before, %3.0f%% after; figure off by %+.0f%% in the mean",
			e.upTo, e.fixes, 100*float64(e.known)/float64(max(e.fixes, 1)), 100*float64(e.in)/n, 100*float64(e.early)/n, 100*float64(e.overdue)/n, 100*e.bias/n)
		known, in = known+e.known, in+e.in
	}
	t.Logf("in all: %d of %d in the range", in, known)
	if known < 5000 || in*100 < 75*known {
		t.Errorf("%d of %d ETAs hold the truth, want three quarters at least", in, known)
	}
}

func (e *etaError) add(left float64, eta session.ETA) {
	e.fixes++
	if !eta.Known() {
		return
	}
	e.known++
	e.bias += (eta.Seconds - left) / left
	switch {
	case left < eta.LowerS:
		e.early++
	case left > eta.UpperS:
		e.overdue++
	default:
		e.in++
	}
}
