package geo

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func siteOf(t testing.TB, text string) Site { return NewAreaSite("", parse(t, text)) }

// TestCoverOfASmallSite: a site smaller than a cell has no cell by its centre, and
// one by overlap.
func TestCoverOfASmallSite(t *testing.T) {
	hut := siteOf(t, polygonOf("[[2.41,48.84],[2.41003,48.84],[2.41003,48.84002],[2.41,48.84002],[2.41,48.84]]"))
	cells, err := hut.Cover(8, 100)
	if want, _ := CellOf(hut.Center, 8); err != nil || len(cells) != 1 || cells[0] != want {
		t.Errorf("%v, %v, want %v alone", cells, err, want)
	}
}

// TestCoverIsBounded: as fine as asked, or coarser to be few enough.
func TestCoverIsBounded(t *testing.T) {
	big := siteOf(t, polygonOf(square(2, 48, 1)))
	circle := Site{Center: Point{48.84, 2.41}, RadiusM: 50_000}
	for _, s := range []Site{big, circle} {
		for _, most := range []int{30, 500, 2000} {
			cells, err := s.Cover(12, most)
			if err != nil || len(cells) > most || len(cells) < most/12 {
				t.Errorf("%d cells of at most %d, %v", len(cells), most, err)
			}
		}
		if cells, err := s.Cover(12, 1); err == nil {
			t.Errorf("%d cells of at most one", len(cells))
		}
	}
	small := Site{Center: Point{48.84, 2.41}, RadiusM: 40}
	if cells, err := small.Cover(11, 2000); err != nil || cells[0].Resolution() != 11 {
		t.Errorf("%v, %v", cells, err)
	}
	for _, finest := range []int{-1, 16} {
		if _, err := small.Cover(finest, 10); err == nil {
			t.Errorf("cells of resolution %d", finest)
		}
	}
}

// TestCoverHoldsTheSite: whatever point of the site one takes, its cell is in the
// cover; and in each cell of the cover there is a point of the site, or its
// middle is no farther from it than a cell is wide.
func TestCoverHoldsTheSite(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lon, lat := rapid.Float64Range(-170, 170).Draw(rt, "longitude"), rapid.Float64Range(-70, 70).Draw(rt, "latitude")
		size := math.Pow(10, rapid.Float64Range(-4, -1).Draw(rt, "size"))
		s := Site{Center: Point{lat, lon}, RadiusM: size * 100_000}
		if rapid.Bool().Draw(rt, "area") {
			area, err := ParseArea([]byte(polygonOf(star(rt, lon, lat, .8*size, size), star(rt, lon, lat, .5*size, .7*size))))
			if err != nil {
				rt.Skip(err)
			}
			s = NewAreaSite("", area)
		}
		cells, err := s.Cover(12, 500)
		if err != nil || !slices.IsSorted(cells) || len(slices.Compact(slices.Clone(cells))) != len(cells) {
			rt.Fatalf("%v, %v", cells, err)
		}
		resolution := cells[0].Resolution()
		for range 50 {
			far, direction := size*math.Sqrt(rapid.Float64Range(0, 1).Draw(rt, "far")), rapid.Float64Range(0, 2*math.Pi).Draw(rt, "direction")
			p := Point{lat + far*math.Sin(direction), lon + far*math.Cos(direction)}
			if cell, err := CellOf(p, resolution); err != nil || s.Contains(p) && !slices.Contains(cells, cell) {
				rt.Fatalf("%v lies in %v, which is not in the cover; %v", p, cell, err)
			}
		}
		for _, c := range cells {
			center, err := c.Center()
			if err != nil {
				rt.Fatal(err)
			}
			if d := s.Distance(center); d > 1.5*edgeOf[resolution] {
				rt.Fatalf("%v, of resolution %d, is %v m from the site", c, resolution, d)
			}
		}
	})
}

// TestCoverReachesTheEdge: all around a large circle of small cells.
func TestCoverReachesTheEdge(t *testing.T) {
	s := Site{Center: Point{48.84, 2.41}, RadiusM: 50_000}
	cells, err := s.Cover(8, 20_000)
	if err != nil || cells[0].Resolution() != 8 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	for i := range 720 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 720)
		in, out := s.Center, Point{s.Center.Latitude + cos, s.Center.Longitude + 1.5*sin}
		for range 40 { // to the last point inside, in this direction
			middle := Point{(in.Latitude + out.Latitude) / 2, (in.Longitude + out.Longitude) / 2}
			if s.Contains(middle) {
				in = middle
			} else {
				out = middle
			}
		}
		if cell, err := CellOf(in, 8); err != nil || !slices.Contains(cells, cell) {
			t.Errorf("%v, %v m inside, lies in %v, which is not in the cover; %v", in, -s.ToBorder(in), cell, err)
		}
	}
}

// edgeOf are the average lengths of a cell's edge, in metres, as the H3 project
// publishes them, by resolution.
var edgeOf = []float64{1281256, 483057, 182513, 68979, 26072, 9854, 3725, 1406, 531.4, 200.8, 75.86, 28.66, 10.83, 4.09, 1.55, 0.58}

// TestCoverLeavesYards: cells that lie in a yard are not the building's.
func TestCoverLeavesYards(t *testing.T) {
	s := siteOf(t, polygonOf(square(2, 48, .01), square(2.001, 48.001, .008)))
	cells, err := s.Cover(11, 5000)
	if err != nil || cells[0].Resolution() != 11 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	yard, err := CellOf(Point{48.005, 2.005}, 11)
	if err != nil || slices.Contains(cells, yard) {
		t.Errorf("the cell in the middle of the yard, %v, is in the cover; %v", yard, err)
	}
}
