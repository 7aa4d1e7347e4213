package geo

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// exact is a point in whole billionths of a degree, straight from its decimals.
type exact struct{ x, y *big.Int }

func exactly(t testing.TB, x, y string) exact {
	t.Helper()
	var whole [2]*big.Int
	for i, decimal := range []string{x, y} {
		r, ok := new(big.Rat).SetString(decimal)
		if !ok || !r.Mul(r, big.NewRat(1e9, 1)).IsInt() {
			t.Fatalf("%q is no number of nine decimals", decimal)
		}
		whole[i] = r.Num()
	}
	return exact{whole[0], whole[1]}
}

// decimals undoes exactly.
func (e exact) decimals() (x, y string) {
	return new(big.Rat).SetFrac(e.x, big.NewInt(1e9)).FloatString(9), new(big.Rat).SetFrac(e.y, big.NewInt(1e9)).FloatString(9)
}

// between returns the point halfway to f, moved by so many billionths.
func (e exact) between(f exact, dx, dy int64) exact {
	middle := func(a, b *big.Int, d int64) *big.Int {
		sum := new(big.Int).Add(a, b)
		return sum.Add(sum.Rsh(sum, 1), big.NewInt(d)) // even: corners have seven decimals
	}
	return exact{middle(e.x, f.x, dx), middle(e.y, f.y, dy)}
}

func minus(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

func times(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// ringsOf returns all rings of a geometry as its text has them.
func ringsOf(t testing.TB, text string) (rings [][]exact) {
	t.Helper()
	var g struct {
		Type        string
		Coordinates json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		t.Fatal(err)
	}
	if g.Type == "Polygon" {
		g.Coordinates = json.RawMessage("[" + string(g.Coordinates) + "]")
	}
	var polygons [][][][]json.Number
	if err := json.Unmarshal(g.Coordinates, &polygons); err != nil {
		t.Fatal(err)
	}
	for _, p := range polygons {
		for _, r := range p {
			var ring []exact
			for _, c := range r {
				ring = append(ring, exactly(t, c[0].String(), c[1].String()))
			}
			rings = append(rings, ring)
		}
	}
	return rings
}

// slowly says where a point lies by winding numbers in big numbers: on no edge, it
// is inside if an odd number of rings wind around it.
func slowly(rings [][]exact, p exact) place {
	around := 0
	for _, r := range rings {
		winding := 0
		for i := 1; i < len(r); i++ {
			a, b := r[i-1], r[i]
			side := minus(times(minus(b.x, a.x), minus(p.y, a.y)), times(minus(p.x, a.x), minus(b.y, a.y))).Sign()
			// The product of the ways to both ends is negative between them.
			between := new(big.Int).Add(times(minus(a.x, p.x), minus(b.x, p.x)), times(minus(a.y, p.y), minus(b.y, p.y))).Sign() <= 0
			switch {
			case side == 0 && between:
				return border
			case a.y.Cmp(p.y) <= 0 && b.y.Cmp(p.y) > 0 && side > 0:
				winding++
			case a.y.Cmp(p.y) > 0 && b.y.Cmp(p.y) <= 0 && side < 0:
				winding--
			}
		}
		if winding != 0 {
			around++
		}
	}
	return place(around % 2 * int(inside))
}

// star draws a ring around a point, as text: corners in rising directions, at
// distances from near to far, in degrees.
func star(t *rapid.T, longitude, latitude, near, far float64) string {
	n := rapid.IntRange(3, 40).Draw(t, "corners")
	var corners []string
	for i := range n {
		direction := 2 * math.Pi * (float64(i) + rapid.Float64Range(0, 0.4).Draw(t, "turn")) / float64(n)
		d := rapid.Float64Range(near, far).Draw(t, "distance")
		corners = append(corners, fmt.Sprintf("[%.7f,%.7f]", longitude+d*math.Cos(direction), latitude+d*math.Sin(direction)))
	}
	return "[" + strings.Join(append(corners, corners[0]), ",") + "]"
}

// TestContainsAgainstWindingNumbers: for areas of stars with star-shaped yards
// and islands in them, at random points, at corners, and at points that lie
// exactly on an edge.
func TestContainsAgainstWindingNumbers(t *testing.T) {
	seen := map[place]int{}
	rapid.Check(t, func(rt *rapid.T) {
		lon, lat := rapid.Float64Range(-170, 170).Draw(rt, "longitude"), rapid.Float64Range(-80, 80).Draw(rt, "latitude")
		size := math.Pow(10, rapid.Float64Range(-5, -1).Draw(rt, "size"))
		text := multiOf(star(rt, lon, lat, .7*size, size)+","+star(rt, lon, lat, .2*size, .3*size), star(rt, lon, lat, .01*size, .09*size))
		a, err := ParseArea([]byte(text))
		if err != nil {
			rt.Skip(err) // a ring of three corners can leave its centre outside
		}
		rings := ringsOf(t, text)
		at := func(e exact) {
			x, y := e.decimals()
			p := Point{Latitude: float(rt, y), Longitude: float(rt, x)}
			want := slowly(rings, e)
			seen[want]++
			if got := a.Contains(p); got != (want != outside) {
				rt.Fatalf("%s, %s: inside %v, want %v, of %s", x, y, got, want, text)
			}
		}
		for range 10 {
			dx, dy := rapid.Float64Range(-1, 1).Draw(rt, "dx"), rapid.Float64Range(-1, 1).Draw(rt, "dy")
			at(exactly(t, fmt.Sprintf("%.9f", lon+dx*size), fmt.Sprintf("%.9f", lat+dy*size)))
		}
		for range 5 { // far beside it, too, where whole numbers would overflow
			at(exactly(t, fmt.Sprintf("%.9f", rapid.Float64Range(-180, 180).Draw(rt, "anywhere")), fmt.Sprintf("%.9f", lat+rapid.Float64Range(-1, 1).Draw(rt, "dy")*size)))
		}
		for _, r := range rings {
			for i := 1; i < len(r); i++ {
				at(r[i])
				at(r[i-1].between(r[i], 0, 0))
				at(r[i-1].between(r[i], 1, 0))
				at(r[i-1].between(r[i], 0, -1))
			}
		}
	})
	for p, name := range map[place]string{outside: "outside", border: "on a border", inside: "inside"} {
		if seen[p] < 200 {
			t.Errorf("only %d points lay %s", seen[p], name)
		}
	}
}

func float(t *rapid.T, decimal string) float64 {
	var v float64
	if err := json.Unmarshal([]byte(decimal), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestAreaRulesOnSquaredPaper: a tower of columns, a hole and a second part, all
// drawn along the lines of squared paper. Which squares each covers says whether
// ParseArea may accept it; and then which squares the area holds.
func TestAreaRulesOnSquaredPaper(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		outer := towers(rt, "outer")
		hole, part := box(rt, "hole", 1, 4), box(rt, "part", 0, 12)
		_, err := ParseArea([]byte(multiOf(outer.text()+","+hole.text(), part.text())))
		squares, allowed := map[[2]int]bool{}, !sharing(outer, hole) && !sharing(outer, part) && !sharing(hole, part)
		for s := range outer.squares {
			squares[s] = true
		}
		for s := range hole.squares {
			allowed = allowed && squares[s]
			delete(squares, s)
		}
		for s := range part.squares {
			allowed = allowed && !squares[s]
			squares[s] = true
		}
		if (err == nil) != allowed {
			rt.Fatalf("%v %v %v: %v, want allowed %v", outer.corners, hole.corners, part.corners, err, allowed)
		}
		if err != nil {
			return
		}
		accepted++
		a := parse(t, multiOf(outer.text()+","+hole.text(), part.text()))
		for x := range 15 {
			for y := range 15 {
				if p := paper(float64(x)+.5, float64(y)+.5); a.Contains(p) != squares[[2]int{x, y}] {
					rt.Fatalf("%v %v %v: square %d,%d is inside %v", outer.corners, hole.corners, part.corners, x, y, a.Contains(p))
				}
			}
		}
	})
	if accepted < 5 {
		t.Errorf("only %d were accepted", accepted)
	}
}

// figure is a ring along the lines of squared paper.
type figure struct {
	corners [][2]int
	squares map[[2]int]bool
	lines   map[[3]int]bool // x, y and whether the side of the square goes up
}

func paper(x, y float64) Point { return Point{Latitude: 48 + y/100, Longitude: 2 + x/100} }

func (f *figure) text() string {
	var all []string
	for i := range len(f.corners) + 1 {
		c := f.corners[i%len(f.corners)]
		all = append(all, fmt.Sprintf("[%.2f,%.2f]", 2+float64(c[0])/100, 48+float64(c[1])/100))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// finish fills in the lines between the corners.
func (f *figure) finish() *figure {
	f.lines = map[[3]int]bool{}
	for i, a := range f.corners {
		b := f.corners[(i+1)%len(f.corners)]
		for x := min(a[0], b[0]); x < max(a[0], b[0]); x++ {
			f.lines[[3]int{x, a[1], 0}] = true
		}
		for y := min(a[1], b[1]); y < max(a[1], b[1]); y++ {
			f.lines[[3]int{a[0], y, 1}] = true
		}
	}
	return f
}

func sharing(f, g *figure) bool {
	for l := range f.lines {
		if g.lines[l] {
			return true
		}
	}
	return false
}

// towers draws columns of several heights side by side.
func towers(t *rapid.T, name string) *figure {
	heights := rapid.SliceOfN(rapid.IntRange(3, 9), 4, 9).Draw(t, name)
	f := &figure{squares: map[[2]int]bool{}, corners: [][2]int{{0, 0}, {len(heights), 0}}}
	for x := len(heights) - 1; x >= 0; x-- {
		for y := range heights[x] {
			f.squares[[2]int{x, y}] = true
		}
		if last := f.corners[len(f.corners)-1]; last != [2]int{x + 1, heights[x]} {
			f.corners = append(f.corners, [2]int{x + 1, heights[x]})
		}
		f.corners = append(f.corners, [2]int{x, heights[x]})
	}
	return f.finish()
}

// box draws a small rectangle so far from the corner of the paper.
func box(t *rapid.T, name string, near, far int) *figure {
	x, y := rapid.IntRange(near, far).Draw(t, name+" x"), rapid.IntRange(near, far).Draw(t, name+" y")
	w, h := rapid.IntRange(1, 2).Draw(t, name+" width"), rapid.IntRange(1, 2).Draw(t, name+" height")
	f := &figure{squares: map[[2]int]bool{}, corners: [][2]int{{x, y}, {x, y + h}, {x + w, y + h}, {x + w, y}}}
	for i := range w {
		for j := range h {
			f.squares[[2]int{x + i, y + j}] = true
		}
	}
	return f.finish()
}

// realSite returns the geometry of a recorded outline, or skips the test.
func realSite(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "sites", name))
	if os.IsNotExist(err) {
		t.Skip("the recorded outlines (shared/data/sites beside the project) are not here")
	}
	var collection struct {
		Features []struct{ Geometry json.RawMessage }
	}
	if err != nil || json.Unmarshal(data, &collection) != nil || len(collection.Features) != 1 {
		t.Fatalf("%s: %v", name, err)
	}
	return string(collection.Features[0].Geometry)
}

var realSites = []struct {
	name                     string
	corners, holes, parts    int
	areaM2                   float64
	south, north, west, east float64
}{
	{"pantin-leclerc-shopping-centre.geojson", 103, 0, 1, 12751, 48.89036, 48.89144, 2.40288, 2.40502},
	{"levallois-leclerc-so-ouest-basement.geojson", 4, 0, 1, 18134, 48.89142, 48.89314, 2.29718, 2.29987},
	{"paris-14-monoprix-montparnasse.geojson", 37, 0, 1, 4264, 48.84100, 48.84159, 2.32194, 2.32341},
	{"paris-4-office-building-one-courtyard.geojson", 27, 1, 1, 2050, 48.85698, 48.85741, 2.35011, 2.35121},
	{"levallois-so-ouest-two-buildings-multipolygon.geojson", 24, 0, 2, 22626, 48.89142, 48.89360, 2.29718, 2.29987},
}

// TestRealOutlines: buildings of OpenStreetMap, whose sizes were measured on the
// ellipsoid by other programs. The share of points that are inside gives their
// size again, and every point agrees with the slow way.
func TestRealOutlines(t *testing.T) {
	for _, c := range realSites {
		text := realSite(t, c.name)
		a := parse(t, text)
		holes := 0
		for _, p := range a.polygons {
			holes += len(p) - 1
		}
		if len(a.edges) != c.corners || holes != c.holes || len(a.polygons) != c.parts {
			t.Errorf("%s: %d corners, %d holes, %d parts", c.name, len(a.edges), holes, len(a.polygons))
		}
		for _, b := range [][2]float64{{a.south, c.south}, {a.north, c.north}, {a.west, c.west}, {a.east, c.east}} {
			if math.Abs(b[0]/nano-b[1]) > 0.000006 {
				t.Errorf("%s: the box is at %v, want %v", c.name, b[0]/nano, b[1])
			}
		}
		rings := ringsOf(t, text)
		const n = 60
		in := 0
		for i := range n {
			for j := range n {
				x := fmt.Sprintf("%.9f", c.west+(c.east-c.west)*(float64(i)+.5)/n)
				y := fmt.Sprintf("%.9f", c.south+(c.north-c.south)*(float64(j)+.5)/n)
				var p Point
				if _, err := fmt.Sscan(x+" "+y, &p.Longitude, &p.Latitude); err != nil {
					t.Fatal(err)
				}
				if got := a.Contains(p); got != (slowly(rings, exactly(t, x, y)) != outside) {
					t.Errorf("%s: %v is inside %v", c.name, p, got)
				} else if got {
					in++
				}
			}
		}
		west, south := Point{c.south, c.west}, Point{c.south, c.west}
		size := float64(in) / (n * n) * west.Distance(Point{c.south, c.east}) * south.Distance(Point{c.north, c.west})
		if math.Abs(size-c.areaM2) > 0.02*c.areaM2 {
			t.Errorf("%s: %.0f m², want %.0f", c.name, size, c.areaM2)
		}
	}
}

// TestCourtyard: the yard of a building is not the building.
func TestCourtyard(t *testing.T) {
	s := NewAreaSite("Bureaux", parse(t, realSite(t, "paris-4-office-building-one-courtyard.geojson")))
	yard := Area{polygons: []polygon{{s.Area.polygons[0][1]}}, south: s.Area.south, north: s.Area.north, west: s.Area.west, east: s.Area.east}
	yard.edges = yard.polygons[0][0].edges(nil)
	middle := yard.label()
	if s.Contains(middle) || s.Distance(middle) < 1 || s.Distance(middle) > 20 {
		t.Errorf("the middle of the yard, %v, is %v m from the building", middle, s.Distance(middle))
	}
	if !s.Contains(s.Center) || s.ToBorder(s.Center) > -2 {
		t.Errorf("the label %v is %v m from the border", s.Center, s.ToBorder(s.Center))
	}
}

func BenchmarkContains(b *testing.B) {
	a := parse(b, hundred())
	p := a.inside
	b.ReportAllocs()
	for b.Loop() {
		if !a.Contains(p) {
			b.Fatal("outside")
		}
	}
}

func BenchmarkSiteDistance(b *testing.B) {
	s := NewAreaSite("", parse(b, hundred()))
	p := Point{48.0009, 2.0001}
	b.ReportAllocs()
	for b.Loop() {
		s.Distance(p)
	}
}

func BenchmarkParseArea(b *testing.B) {
	text := []byte(hundred())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseArea(text); err != nil {
			b.Fatal(err)
		}
	}
}

// hundred is a cogwheel of 100 corners.
func hundred() string {
	var corners []string
	for i := range 100 {
		d := 0.0005 + 0.0002*float64(i%2)
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 100)
		corners = append(corners, fmt.Sprintf("[%.7f,%.7f]", 2+d*cos, 48+d*sin))
	}
	return polygonOf("[" + strings.Join(append(corners, corners[0]), ",") + "]")
}
