package geo_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"ronde/geo"
)

// Within ten kilometres an offset is as long as the distance, to three thousandths,
// and moving by it leads to where it was measured; across the antimeridian too.
func TestOffset(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := geo.Point{Latitude: rapid.Float64Range(-70, 70).Draw(rt, "latitude"), Longitude: rapid.Float64Range(-180, 180).Draw(rt, "longitude")}
		east, north := rapid.Float64Range(-7000, 7000).Draw(rt, "east"), rapid.Float64Range(-7000, 7000).Draw(rt, "north")
		q := p.Moved(east, north)
		if !q.InRange() {
			rt.Fatalf("moved off the globe: %+v", q)
		}
		if d, want := p.Distance(q), math.Hypot(east, north); math.Abs(d-want) > 0.003*want+0.001 {
			rt.Fatalf("%v m east and %v m north are %v m", east, north, d)
		}
		if e, n := p.Offset(q); math.Abs(e-east) > 1e-3 || math.Abs(n-north) > 1e-3 {
			rt.Fatalf("back as %v, %v", e, n)
		}
	})
}

func TestMovedStaysOnTheGlobe(t *testing.T) {
	for _, p := range []geo.Point{{Latitude: 90}, {Latitude: -90, Longitude: 180}, {Latitude: 89.9999999, Longitude: -180}, {Longitude: 180}} {
		for _, m := range []float64{0, 1, -1, 1e7, -1e9} {
			if q := p.Moved(m, m); !q.InRange() {
				t.Errorf("%+v moved by %v m is %+v", p, m, q)
			}
			if e, n := p.Offset(p.Moved(m, 0)); math.IsNaN(e) || math.IsNaN(n) {
				t.Errorf("%+v moved by %v m: %v, %v", p, m, e, n)
			}
		}
	}
}
