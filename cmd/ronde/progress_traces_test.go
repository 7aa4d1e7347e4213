package main

import (
	"fmt"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// turn is one change of phase on a trace.
type turn struct {
	phase session.Phase
	at    time.Time
}

// folded is what a trace means at a site.
type folded struct {
	turns    []turn
	progress session.Progress
}

// missionAt is a mission of the default policy at a site.
func missionAt(p geo.Point, radius float64) *session.Mission {
	return &session.Mission{Site: geo.Site{Center: p, RadiusM: radius}, Policy: session.DefaultPolicy()}
}

// foldTrace folds the timed points of a trace in the order in which they come, and shows each state to seen, if there is one.
func foldTrace(m *session.Mission, points []point, seen func(point, *session.Progress)) (f folded) {
	for _, p := range points {
		was := f.progress.Phase
		f.progress.Fold(m, p.Time.UnixMilli(), &p.Position)
		if f.progress.Phase != was {
			f.turns = append(f.turns, turn{f.progress.Phase, p.Time})
		}
		if seen != nil {
			seen(p, &f.progress)
		}
	}
	return f
}

func TestExplore(t *testing.T) {
	for _, facts := range traces {
		pts := loadTrace(t, facts.name).Timed()
		for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
			i := int(share * float64(len(pts)-1))
			for _, r := range []float64{15, 80} {
				f := foldTrace(missionAt(pts[i].Point, r), pts, nil)
				s := ""
				for _, tn := range f.turns {
					s += fmt.Sprintf(" %s@%d", tn.phase, int(tn.at.Sub(pts[0].Time).Seconds()))
				}
				fmt.Printf("%.20s %.2f r%v: (pass at %d)%s\n", facts.name, share, r, int(pts[i].Time.Sub(pts[0].Time).Seconds()), s)
				if share == 1 && r == 80 {
					fmt.Printf("    %+v\n", f.progress.Counts)
				}
			}
		}
	}
}

func TestExploreFrozen(t *testing.T) {
	pts := loadTrace(t, "munich-drive-1hz.json").Timed()
	var p session.Progress
	m := missionAt(pts[0].Point, 80)
	for i, q := range pts {
		before := p.Counts
		p.Fold(m, q.Time.UnixMilli(), &q.Position)
		if i > 0 && q.Point == pts[i-1].Point && (i < 2 || pts[i-2].Point != pts[i-1].Point) {
			n := 0
			for i+n < len(pts) && pts[i+n].Point == q.Point {
				n++
			}
			s := ""
			for k := max(1, i-5); k < i; k++ {
				s += fmt.Sprintf(" %.1f", pts[k].Distance(pts[k-1].Point))
			}
			after := 0.0
			if i+n < len(pts) {
				after = pts[i+n].Distance(q.Point)
			}
			fmt.Printf("run of %d at %d after steps%s, then %.1f: frozen %v\n", n, i, s, after, p.Counts.Frozen > before.Frozen)
		}
	}
}

func TestExploreETA(t *testing.T) {
	for _, name := range []string{"munich-drive-1hz.json", "limerick-bus-304-phone-strava.gpx", "visnjan-car-etrex.gpx", "switzerland-phone-posmo-outliers.csv", "vincennes-gnss-single-point.pos", "korita-zbevnica-hike-missing-times.gpx"} {
		pts := loadTrace(t, name).Timed()
		for _, share := range []float64{0.5, 0.75, 1} {
			i := int(share * float64(len(pts)-1))
			m := missionAt(pts[i].Point, 80)
			f := foldTrace(m, pts, nil)
			if f.progress.ArrivedAt == 0 {
				continue
			}
			type bin struct{ n, known, hit, low, high int; err, width float64 }
			var bins [6]bin
			edges := []float64{60, 180, 300, 600, 1200, 1e9}
			foldTrace(m, pts, func(q point, p *session.Progress) {
				left := float64(f.progress.ArrivedAt-q.Time.UnixMilli()) / 1000
				if left <= 0 { return }
				k := 0
				for left > edges[k] { k++ }
				b := &bins[k]
				b.n++
				if !p.ETA().Known() { return }
				b.known++
				switch {
				case left < p.ETA().LowerS: b.low++
				case left > p.ETA().UpperS: b.high++
				default: b.hit++
				}
				b.err += (p.ETA().Seconds - left)/left
				b.width += (p.ETA().UpperS - p.ETA().LowerS)/left
			})
			fmt.Printf("%.20s %.2f\n", name, share)
			for k, b := range bins {
				if b.n == 0 { continue }
				kn := float64(max(1, b.known))
				fmt.Printf("   <%5.0f s: %4d fixes, known %3.0f%%, in range %3.0f%%, early %3.0f%%, late %3.0f%%, bias %+.2f, width %.2f\n", edges[k], b.n, 100*float64(b.known)/float64(b.n), 100*float64(b.hit)/kn, 100*float64(b.low)/kn, 100*float64(b.high)/kn, b.err/kn, b.width/kn)
			}
		}
	}
}
