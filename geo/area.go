package geo

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// Area is the outline of a site: a polygon or several, with or without holes.
// As RFC 7946 has it, its edges are straight lines in longitude and latitude.
// It is made by ParseArea and never changes.
//
// Corners lie on a grid of a billionth of a degree, a tenth of a millimetre. On
// it everything that decides between inside and outside is computed in whole
// numbers, exactly: there is no tolerance, and a point that its decimals put on
// an edge is on that edge.
type Area struct {
	polygons []polygon
	edges    []edge // of all rings

	// The box around it, in billionths of a degree.
	west, south, east, north float64

	inside Point
}

// polygon is an outer ring, counter-clockwise, and then its holes, clockwise.
type polygon []ring

// ring is a closed line. Its first corner is not repeated as its last.
type ring []vec

// vec is a point of the grid, in halves of a billionth of a degree. Corners are
// even, so that the middle of two of them is a point of the grid as well, and
// no corner lies at an odd latitude.
type vec struct{ x, y int64 }

// edge is a side of a ring.
type edge struct{ a, b vec }

const (
	gridStep = 2e9 // of the grid, to a degree
	nano     = 1e9 // billionths of a degree, to a degree
)

// maxExtent is how far an area may extend in latitude and in longitude, in
// degrees. Within it the products of two differences on the grid, and the
// difference of two such products, are whole numbers of 63 bits.
const maxExtent = 1

func snap(p Point) vec {
	return vec{2 * int64(math.Round(p.Longitude*nano)), 2 * int64(math.Round(p.Latitude*nano))}
}

func (v vec) point() Point {
	return Point{Latitude: float64(v.y) / gridStep, Longitude: float64(v.x) / gridStep}
}

// edges appends the sides of the ring.
func (r ring) edges(list []edge) []edge {
	for i, a := range r {
		list = append(list, edge{a, r[(i+1)%len(r)]})
	}
	return list
}

// newArea makes an Area of polygons that were checked.
func newArea(polygons []polygon) *Area {
	a := &Area{polygons: polygons, west: math.Inf(1), south: math.Inf(1), east: math.Inf(-1), north: math.Inf(-1)}
	for _, p := range polygons {
		for i, r := range p {
			r.wind(i == 0)
			a.edges = r.edges(a.edges)
		}
	}
	for _, e := range a.edges {
		x, y := float64(e.a.x/2), float64(e.a.y/2)
		a.west, a.east = min(a.west, x), max(a.east, x)
		a.south, a.north = min(a.south, y), max(a.north, y)
	}
	a.inside = a.label()
	return a
}

// wind turns the ring counter-clockwise, or clockwise. Which it is shows at a
// corner that nothing lies below, and nothing beside to the left.
func (r ring) wind(counterClockwise bool) {
	low := 0
	for i, v := range r {
		if v.y < r[low].y || v.y == r[low].y && v.x < r[low].x {
			low = i
		}
	}
	before, after := r[(low+len(r)-1)%len(r)], r[(low+1)%len(r)]
	if (turn(before, r[low], after) > 0) != counterClockwise {
		slices.Reverse(r)
	}
}

// Contains reports whether p, rounded to the grid, lies inside the area or on
// its border, that of a hole included.
func (a *Area) Contains(p Point) bool {
	x, y := math.RoundToEven(p.Longitude*nano), math.RoundToEven(p.Latitude*nano)
	if !(x >= a.west && x <= a.east && y >= a.south && y <= a.north) { // nor does NaN
		return false
	}
	return locate(a.edges, vec{2 * int64(x), 2 * int64(y)}) != outside
}

// label returns a point that the area contains: of the middles of all stretches
// inside it along some latitudes, the one farthest from the border.
func (a *Area) label() Point {
	const lines = 32
	best, room := a.polygons[0][0][0].point(), 0.0
	var crossings []int64
	for i := range lines {
		// At an odd latitude there is no corner and no edge to lie along.
		y := 2*int64(a.south+(a.north-a.south)*(float64(i)+0.5)/lines) | 1
		crossings = crossings[:0]
		for _, e := range a.edges {
			if (e.a.y > y) != (e.b.y > y) {
				t := float64(y-e.a.y) / float64(e.b.y-e.a.y)
				crossings = append(crossings, e.a.x+int64(t*float64(e.b.x-e.a.x)))
			}
		}
		slices.SortFunc(crossings, cmp.Compare[int64])
		for j := 1; j < len(crossings); j += 2 {
			p := vec{(crossings[j-1] + crossings[j]) / 2 &^ 1, y - 1}.point() // on the grid of corners, to be written in nine decimals
			if end := (vec{crossings[j], y}).point(); p.Distance(end) <= room || !a.Contains(p) {
				continue // cannot have more room than to the end of its stretch
			}
			if d := a.toBorder(p); d > room {
				best, room = p, d
			}
		}
	}
	return best
}

// MarshalJSON returns the area as a GeoJSON geometry: a Polygon, or a
// MultiPolygon if it has several parts, in the winding that RFC 7946 asks for
// and with at most nine decimals.
func (a *Area) MarshalJSON() ([]byte, error) {
	if len(a.polygons) == 1 {
		b := append([]byte(nil), `{"type":"Polygon","coordinates":`...)
		return append(appendPolygon(b, a.polygons[0]), '}'), nil
	}
	b := append([]byte(nil), `{"type":"MultiPolygon","coordinates":[`...)
	for i, p := range a.polygons {
		b = appendPolygon(appendComma(b, i), p)
	}
	return append(b, "]}"...), nil
}

func appendPolygon(b []byte, p polygon) []byte {
	b = append(b, '[')
	for i, r := range p {
		b = append(appendComma(b, i), '[')
		for j := range len(r) + 1 {
			v := r[j%len(r)].point()
			b = append(appendComma(b, j), '[')
			b = strconv.AppendFloat(b, v.Longitude, 'f', -1, 64)
			b = append(b, ',')
			b = strconv.AppendFloat(b, v.Latitude, 'f', -1, 64)
			b = append(b, ']')
		}
		b = append(b, ']')
	}
	return append(b, ']')
}

func appendComma(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ',')
}

// UnmarshalJSON is ParseArea: a stored area is as little believed as a sent one.
func (a *Area) UnmarshalJSON(data []byte) error {
	parsed, err := ParseArea(data)
	if err == nil {
		*a = *parsed
	}
	return err
}
