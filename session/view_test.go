package session_test

import (
	"testing"

	"ronde/geo"
	"ronde/session"
)

// TestCoarseViewsDeriveFromTheCell: two agents in one cell look the same, even
// if one of them is just within the distance at which an arrival is announced.
func TestCoarseViewsDeriveFromTheCell(t *testing.T) {
	site := geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.8466, Longitude: 2.4167}, RadiusM: 80}
	m := &session.Mission{Site: site}
	differ := 0
	for _, profile := range []session.Profile{"cell:8", "cell:9", session.ProfileOnSite} {
		byCell := map[geo.Cell]session.Seen{}
		for step := 1; step < 200; step++ { // straight north, ten metres at a time
			var p session.Progress
			fix := geo.NewPosition(geo.Point{Latitude: site.Center.Latitude + (80+float64(step)*10)/111_195, Longitude: site.Center.Longitude})
			p.Fold(m, 1000, &fix)
			seen, err := session.See(p, &site, profile)
			if err != nil {
				t.Fatal(err)
			}
			first, met := byCell[seen.Cell]
			if !met {
				byCell[seen.Cell] = seen
				continue
			}
			if first.Phase != seen.Phase || first.DistanceM != seen.DistanceM || first.Position.Point != seen.Position.Point {
				t.Fatalf("%s, step %d: %v %v in the cell of %v %v", profile, step, seen.Phase, seen.DistanceM, first.Phase, first.DistanceM)
			}
			if seen.Phase != p.Phase {
				differ++
			}
		}
	}
	if differ == 0 {
		t.Error("no step lay where the cell and the fix disagree: the test shows nothing")
	}
}

func TestStatusShowsNoPosition(t *testing.T) {
	site := geo.Site{Center: geo.Point{Latitude: 48.8466, Longitude: 2.4167}, RadiusM: 80}
	m := &session.Mission{Site: site}
	var p session.Progress
	fix := geo.NewPosition(site.Center)
	p.Fold(m, 1000, &fix)
	p.Fold(m, 11_000, &fix)
	seen, err := session.See(p, &site, session.ProfileStatus)
	if err != nil || seen.Shown || seen.Position != (geo.Position{}) || seen.Cell != 0 || seen.Phase != session.OnSite {
		t.Errorf("%+v, %v", seen, err)
	}
}
