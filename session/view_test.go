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

// TestETAIsNoFinerThanThePosition: an exact view tells when an agent is expected;
// a coarse one does not, nor does any of an agent who is lost.
func TestETAIsNoFinerThanThePosition(t *testing.T) {
	f := newFolder()
	for s := 1; s <= 120; s++ {
		f.fold(s, 4000-10*float64(s), 10)
	}
	see := func(profile session.Profile) session.ETA {
		seen, err := session.See(f.Progress, &f.mission.Site, profile)
		if err != nil {
			t.Fatal(err)
		}
		return seen.ETA
	}
	eta := see(session.ProfileExact)
	if straight := (4000 - 1200 - 80) / 10.0; eta.LowerS > straight || eta.UpperS < straight || eta.Seconds < straight || eta.Seconds > 1.5*straight {
		t.Errorf("%v s away as the crow flies: %+v", straight, eta)
	}
	for _, profile := range []session.Profile{session.ProfileStatus, session.ProfileOnSite, "cell:8", "cell:15"} {
		if eta := see(profile); eta.Known() {
			t.Errorf("%s: %+v", profile, eta)
		}
	}
	f.Signal = session.Lost
	if eta := see(session.ProfileExact); eta.Known() {
		t.Errorf("lost: %+v", eta)
	}
}

// TestNoETA: who rests, goes away or was seen for a moment is not foretold.
func TestNoETA(t *testing.T) {
	for what, m := range map[string]func(s int) float64{
		"away":  func(s int) float64 { return 1000 + 10*float64(s) },
		"rests": func(s int) float64 { return 1000 - float64(s%2) },
	} {
		f := newFolder()
		for s := 1; s <= 600; s++ {
			f.fold(s, m(s), 10)
		}
		if eta := f.ETA(); eta.Known() {
			t.Errorf("%s: %+v", what, eta)
		}
	}
	f := newFolder()
	for s := 1; s <= 60; s++ {
		if f.fold(s, 4000-10*float64(s), 10); f.ETA().Known() {
			t.Fatalf("foretold after %d seconds", s)
		}
	}
}
