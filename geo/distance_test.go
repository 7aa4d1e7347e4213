package geo

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// geodesic is a line of testdata/geodesics.txt.
type geodesic struct {
	p, q   Point
	metres float64
}

func geodesics(t *testing.T) (list []geodesic) {
	t.Helper()
	file, err := os.Open("testdata/geodesics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var g geodesic
		if _, err := fmt.Sscan(lines.Text(), &g.p.Latitude, &g.p.Longitude, &g.q.Latitude, &g.q.Longitude, &g.metres); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		list = append(list, g)
	}
	if lines.Err() != nil || len(list) < 50 {
		t.Fatalf("%d geodesics, %v", len(list), lines.Err())
	}
	return list
}

// TestDistanceAgainstGeodesics: against Karney's on the ellipsoid, the sphere is
// wrong by 0.57 % at most.
func TestDistanceAgainstGeodesics(t *testing.T) {
	worst := 0.0
	for _, g := range geodesics(t) {
		if g.metres == 0 {
			continue
		}
		off := math.Abs(g.p.Distance(g.q)-g.metres) / g.metres
		worst = max(worst, off)
		if off > 0.0057 {
			t.Errorf("%v to %v: %.3f m, want %.3f m within 0.57 %%", g.p, g.q, g.p.Distance(g.q), g.metres)
		}
	}
	t.Logf("wrong by at most %.3f %%", 100*worst)
}

// TestDistanceAgainstVincenty: the same within the reach of a mission, from
// anywhere to anywhere near; with Vincenty's own error seen against Karney's.
func TestDistanceAgainstVincenty(t *testing.T) {
	for _, g := range geodesics(t) {
		if g.metres < 1e6 { // nearly antipodal points are not for Vincenty
			if d := vincenty(g.p, g.q); math.Abs(d-g.metres) > 0.0006 {
				t.Fatalf("%v to %v: %.6f m, want %.6f: the reference is wrong", g.p, g.q, d, g.metres)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := Point{rapid.Float64Range(-85, 85).Draw(t, "latitude"), rapid.Float64Range(-180, 180).Draw(t, "longitude")}
		d := math.Pow(10, rapid.Float64Range(-6, 0).Draw(t, "degrees"))
		sin, cos := math.Sincos(rapid.Float64Range(0, 2*math.Pi).Draw(t, "direction"))
		q := Point{p.Latitude + d*cos, p.Longitude + d*sin/math.Cos(radians(p.Latitude))}
		if got, want := p.Distance(q), vincenty(p, q); math.Abs(got-want) > 0.0057*want+1e-6 {
			t.Fatalf("%v to %v: %.6f m, want %.6f m within 0.57 %%", p, q, got, want)
		}
	})
}

// vincenty is the inverse formula of T. Vincenty, Survey Review 23 (176), 1975.
func vincenty(p, q Point) float64 {
	const a, f = 6378137.0, 1 / 298.257223563
	const b = a * (1 - f)
	sinU1, cosU1 := math.Sincos(math.Atan((1 - f) * math.Tan(radians(p.Latitude))))
	sinU2, cosU2 := math.Sincos(math.Atan((1 - f) * math.Tan(radians(q.Latitude))))
	between := radians(q.Longitude - p.Longitude)
	lambda, sigma, sinSigma, cosSigma, cosSqAlpha, cos2SigmaM := between, 0.0, 0.0, 0.0, 0.0, 0.0
	for range 200 {
		sin, cos := math.Sincos(lambda)
		sinSigma = math.Hypot(cosU2*sin, cosU1*sinU2-sinU1*cosU2*cos)
		if sinSigma == 0 {
			return 0
		}
		cosSigma = sinU1*sinU2 + cosU1*cosU2*cos
		sigma = math.Atan2(sinSigma, cosSigma)
		sinAlpha := cosU1 * cosU2 * sin / sinSigma
		cosSqAlpha = 1 - sinAlpha*sinAlpha
		cos2SigmaM = 0
		if cosSqAlpha > 0 {
			cos2SigmaM = cosSigma - 2*sinU1*sinU2/cosSqAlpha
		}
		c := f / 16 * cosSqAlpha * (4 + f*(4-3*cosSqAlpha))
		before := lambda
		lambda = between + (1-c)*f*sinAlpha*(sigma+c*sinSigma*(cos2SigmaM+c*cosSigma*(2*cos2SigmaM*cos2SigmaM-1)))
		if math.Abs(lambda-before) < 1e-13 {
			break
		}
	}
	u := cosSqAlpha * (a*a - b*b) / (b * b)
	bigA := 1 + u/16384*(4096+u*(-768+u*(320-175*u)))
	bigB := u / 1024 * (256 + u*(-128+u*(74-47*u)))
	delta := bigB * sinSigma * (cos2SigmaM + bigB/4*(cosSigma*(2*cos2SigmaM*cos2SigmaM-1)-bigB/6*cos2SigmaM*(4*sinSigma*sinSigma-3)*(4*cos2SigmaM*cos2SigmaM-3)))
	return b * bigA * (sigma - delta)
}

// TestToBorderAgainstManyPoints: the distance to the border is that to the
// nearest of many points along it, on the ellipsoid; below 0 inside.
func TestToBorderAgainstManyPoints(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lon, lat := rapid.Float64Range(-180, 179).Draw(rt, "longitude"), rapid.Float64Range(-75, 75).Draw(rt, "latitude")
		lon = max(lon, -179)
		size := math.Pow(10, rapid.Float64Range(-4, -2).Draw(rt, "size"))
		text := polygonOf(star(rt, lon, lat, .6*size, size), star(rt, lon, lat, .2*size, .3*size))
		area, err := ParseArea([]byte(text))
		if err != nil {
			rt.Skip(err)
		}
		s := NewAreaSite("", area)
		far := size * math.Pow(10, rapid.Float64Range(-1, 1.5).Draw(rt, "far"))
		sin, cos := math.Sincos(rapid.Float64Range(0, 2*math.Pi).Draw(rt, "direction"))
		p := Point{lat + far*cos, math.Remainder(lon+far*sin, 360)} // to the other side of the antimeridian, too
		const pieces = 64
		want, gap := math.Inf(1), 0.0
		for _, e := range area.edges {
			a, b := e.a.point(), e.b.point()
			gap = max(gap, vincenty(a, b)/pieces)
			for i := range pieces {
				t := float64(i) / pieces
				want = min(want, vincenty(p, Point{a.Latitude + t*(b.Latitude-a.Latitude), a.Longitude + t*(b.Longitude-a.Longitude)}))
			}
		}
		got := s.ToBorder(p)
		if math.Abs(math.Abs(got)-want) > 0.007*want+gap {
			rt.Fatalf("%v is %v m from the border of %s, want %v within %v", p, got, text, want, gap)
		}
		if inside := s.Contains(p); inside != (got <= 0) || inside != (s.Distance(p) == 0) || !inside && s.Distance(p) != got {
			rt.Fatalf("%v: inside %v, %v m from the border, %v m from the site", p, inside, got, s.Distance(p))
		}
	})
}

// TestToBorderAcrossTheAntimeridian: the nearest border may lie beyond 180°.
func TestToBorderAcrossTheAntimeridian(t *testing.T) {
	east, west := siteOf(t, polygonOf(square(179, -17, 1))), siteOf(t, polygonOf(square(-180, -17, 1)))
	for _, c := range []struct {
		site *Site
		p    Point
	}{{&east, Point{-16.5, -179.9}}, {&west, Point{-16.5, 179.9}}} {
		if got, want := c.site.Distance(c.p), vincenty(c.p, Point{-16.5, 180}); math.Abs(got-want) > 0.0057*want {
			t.Errorf("%v is %v m away, want %v", c.p, got, want)
		}
	}
}

// A site of a few metres, and what is right at its border.
func TestSmallSite(t *testing.T) {
	s := NewAreaSite("guérite", parse(t, polygonOf("[[2.41,48.84],[2.41003,48.84],[2.41003,48.84002],[2.41,48.84002],[2.41,48.84]]")))
	for _, c := range []struct {
		p    Point
		want float64 // to the border
	}{
		{Point{48.84001, 2.410015}, -1.1},
		{Point{48.84, 2.41}, 0},
		{Point{48.84002, 2.410017}, 0},
		{Point{48.840020001, 2.410017}, 0.00011},
		{Point{48.84, 2.409999999}, 0.0000732},
		{Point{48.84003, 2.410015}, 1.11},
		{Point{48.85, 2.410015}, 1109.7},
	} {
		if got := s.ToBorder(c.p); math.Abs(got-c.want) > 0.02*math.Abs(c.want)+1e-6 || s.Contains(c.p) != (c.want <= 0) {
			t.Errorf("%v is %v m from the border, inside %v; want %v", c.p, got, s.Contains(c.p), c.want)
		}
	}
	for _, p := range []Point{{math.NaN(), 2.41}, {48.84, math.NaN()}, {math.Inf(1), 2.41}} {
		if s.Contains(p) {
			t.Errorf("%v is inside", p)
		}
	}
}
