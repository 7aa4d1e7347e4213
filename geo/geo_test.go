package geo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDistanceLaws(t *testing.T) {
	point := rapid.Custom(func(t *rapid.T) Point {
		return Point{rapid.Float64Range(-90, 90).Draw(t, "latitude"), rapid.Float64Range(-180, 180).Draw(t, "longitude")}
	})
	rapid.Check(t, func(t *rapid.T) {
		p, q, r := point.Draw(t, "p"), point.Draw(t, "q"), point.Draw(t, "r")
		d := p.Distance(q)
		if back := q.Distance(p); math.Abs(d-back) > 1e-6 {
			t.Fatalf("%v there and %v back", d, back)
		}
		if !(d >= 0 && d <= math.Pi*EarthRadius+1e-6) {
			t.Fatalf("distance %v", d)
		}
		if detour := p.Distance(r) + r.Distance(q); d > detour+1e-3 {
			t.Fatalf("%v straight, %v by way of a third point", d, detour)
		}
	})
}

func TestValid(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		p    Point
		want bool
	}{
		{Point{48.8, 2.3}, true},
		{Point{90, 180}, true},
		{Point{-90, -180}, true},
		{Point{0, 0.0000001}, true},
		{Point{90.0000001, 0}, false},
		{Point{-91, 0}, false},
		{Point{0, 180.0001}, false},
		{Point{0, 0}, false},
		{Point{math.Copysign(0, -1), 0}, false},
		{Point{nan, 2}, false},
		{Point{48, nan}, false},
		{Point{inf, 2}, false},
		{Point{48, -inf}, false},
	} {
		if got := c.p.Valid(); got != c.want {
			t.Errorf("%v: valid %v", c.p, got)
		}
	}
}

func TestPositionValid(t *testing.T) {
	here := NewPosition(Point{48.8, 2.3})
	if !here.Valid() {
		t.Fatal("a position of which only the place is known is refused")
	}
	for name, c := range map[string]struct {
		spoil func(p *Position)
		want  bool
	}{
		"accuracy 0":       {func(p *Position) { p.Accuracy = 0 }, true},
		"accuracy -1":      {func(p *Position) { p.Accuracy = -1 }, false},
		"accuracy 1e9":     {func(p *Position) { p.Accuracy = 1e9 }, false},
		"heading 360":      {func(p *Position) { p.Heading = 360 }, true},
		"heading 360.1":    {func(p *Position) { p.Heading = 360.1 }, false},
		"speed -1":         {func(p *Position) { p.Speed = -1 }, false},
		"1,000 km/h":       {func(p *Position) { p.Speed = 277.8 }, true},
		"battery 1.01":     {func(p *Position) { p.Battery = 1.01 }, false},
		"Mariana trench":   {func(p *Position) { p.Altitude = -11_000 }, true},
		"altitude +Inf":    {func(p *Position) { p.Altitude = float32(math.Inf(1)) }, false},
		"a fix of no fix":  {func(p *Position) { p.Point = Point{} }, false},
		"a mock is a fix":  {func(p *Position) { p.Mock = true }, true},
		"axes swapped":     {func(p *Position) { p.Point = Point{2.3, 48.8} }, true}, // possible; only a person can tell
		"axes swapped far": {func(p *Position) { p.Point = Point{139.7, 35.7} }, false},
	} {
		p := here
		c.spoil(&p)
		if got := p.Valid(); got != c.want {
			t.Errorf("%s: valid %v", name, got)
		}
	}
}

func TestSite(t *testing.T) {
	s := Site{Name: "Entrepôt", Center: Point{48.8466, 2.4167}, RadiusM: 80}
	north := func(metres float64) Point { return Point{s.Center.Latitude + metres/111_195, s.Center.Longitude} }
	for metres, want := range map[float64]float64{0: 0, 79: 0, 100: 20, 1080: 1000} {
		p := north(metres)
		if got := s.Distance(p); math.Abs(got-want) > 0.1 {
			t.Errorf("%v m from the middle: %v m from the site, want %v", metres, got, want)
		}
		if got := s.Contains(p); got != (want == 0) {
			t.Errorf("%v m from the middle: inside %v", metres, got)
		}
	}
}

// Cells as the H3 project's own documentation and tests name them.
func TestCellAgainstPublished(t *testing.T) {
	for _, c := range []struct {
		p          Point
		resolution int
		want       string
	}{
		{Point{37.3615593, -122.0553238}, 7, "87283472bffffff"},
		{Point{37.7752702151959, -122.418307270836}, 9, "8928308280fffff"},
	} {
		cell, err := CellOf(c.p, c.resolution)
		if err != nil || cell.String() != c.want {
			t.Errorf("%v at %d: %v, %v, want %s", c.p, c.resolution, cell, err, c.want)
		}
	}
}

func TestCellRefuses(t *testing.T) {
	for _, c := range []struct {
		p          Point
		resolution int
	}{
		{Point{91, 0}, 8}, {Point{0, 400}, 8}, {Point{math.NaN(), 0}, 8}, {Point{48, 2}, -1}, {Point{48, 2}, 16},
	} {
		if cell, err := CellOf(c.p, c.resolution); err == nil {
			t.Errorf("%v at %d: %v", c.p, c.resolution, cell)
		}
	}
}

// TestCenterLiesInItsCell: coarsening twice is coarsening once.
func TestCenterLiesInItsCell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Point{rapid.Float64Range(-90, 90).Draw(t, "latitude"), rapid.Float64Range(-180, 180).Draw(t, "longitude")}
		resolution := rapid.IntRange(0, MaxResolution).Draw(t, "resolution")
		cell, err := CellOf(p, resolution)
		if err != nil {
			t.Fatal(err)
		}
		center, err := cell.Center()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := CellOf(center, resolution); err != nil || again != cell {
			t.Fatalf("the centre of %v lies in %v, %v", cell, again, err)
		}
	})
}

func BenchmarkDistance(b *testing.B) {
	p, q := Point{48.8466, 2.4167}, Point{48.8566, 2.3522}
	for b.Loop() {
		p.Distance(q)
	}
}

func BenchmarkCellOf(b *testing.B) {
	p := Point{48.8466, 2.4167}
	for b.Loop() {
		if _, err := CellOf(p, 8); err != nil {
			b.Fatal(err)
		}
	}
}
