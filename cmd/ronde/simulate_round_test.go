package main

import (
	"fmt"
	"math"
	"testing"
	"time"

	"ronde/geo"
)

// A made-up round looks like one: it comes from outside, stays on the site, walks at a walking pace, stops now and then
// and ends where the next lap begins.
func TestRound(t *testing.T) {
	for seed := range uint64(20) {
		r := round{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, Radius: 80, Approach: 150, Seed: seed}
		walk := r.track()
		first, second := walk(0), walk(1)
		if d := first[0].Distance(r.Center); math.Abs(d-230) > 25 {
			t.Errorf("seed %d: it begins %.0f m off", seed, d)
		}
		arrived, stops, fastest := false, 0, 0.0
		for i, p := range first {
			if !p.Valid() || p.Time.IsZero() || p.Accuracy < 4 || p.Accuracy > 40 {
				t.Fatalf("seed %d: fix %d is %+v", seed, i, p)
			}
			inside := p.Distance(r.Center) < r.Radius
			if arrived && !inside {
				t.Errorf("seed %d: fix %d is off the site", seed, i)
			}
			arrived = arrived || p.Distance(r.Center) < r.Radius*0.8
			stops += count(p.Speed == 0)
			if (p.Speed == 0) == geo.Known(p.Heading) {
				t.Errorf("seed %d: fix %d stands with heading %v, or walks without", seed, i, p.Heading)
			}
			if i > 0 {
				fastest = max(fastest, p.Distance(first[i-1].Point))
				if p.Time.Sub(first[i-1].Time) != time.Second {
					t.Errorf("seed %d: fix %d is %v after the last", seed, i, p.Time.Sub(first[i-1].Time))
				}
			}
		}
		if !arrived || stops < 20 || fastest > 6 {
			t.Errorf("seed %d: arrived %v, %d s of standing, up to %.1f m/s", seed, arrived, stops, fastest)
		}
		if gap := first[len(first)-1].Distance(second[0].Point); gap > 25 {
			t.Errorf("seed %d: the next lap begins %.0f m off", seed, gap)
		}
	}
}

func TestRoundsAreRepeatable(t *testing.T) {
	r := round{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, Radius: 80, Seed: 5}
	text := fmt.Sprint(r.track()(1))
	if fmt.Sprint(r.track()(1)) != text {
		t.Error("the same round differs")
	}
	if fmt.Sprint(r.track()(2)) == text {
		t.Error("two laps are the same to the last digit")
	}
	r.Seed++
	if fmt.Sprint(r.track()(1)) == text {
		t.Error("two seeds walk the same round")
	}
}

// Wherever the site is, the round is around it, in valid degrees.
func TestOffset(t *testing.T) {
	for _, from := range []geo.Point{{Latitude: 48.84, Longitude: 2.41}, {Latitude: -33.9, Longitude: 179.9999}, {Latitude: 64.1, Longitude: -179.9999}, {}} {
		for _, v := range []vector{{300, 400}, {-300, -400}, {300, -400}} {
			p := offset(from, v.east, v.north)
			if d := from.Distance(p); !p.InRange() || math.Abs(d-500) > 0.5 {
				t.Errorf("%v from %v is %v, %.2f m off", v, from, p, d)
			}
		}
	}
	if p := offset(geo.Point{Latitude: 90, Longitude: 10}, 100, 100); !p.InRange() {
		t.Errorf("at the pole: %v", p)
	}
	if h := (vector{0, -1}).heading(); h != 180 {
		t.Errorf("south is %v", h)
	}
}
