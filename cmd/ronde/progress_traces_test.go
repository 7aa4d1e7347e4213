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
