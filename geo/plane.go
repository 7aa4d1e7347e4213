package geo

import "math"

// turn returns more than 0 if the way from a over b to c turns left, less if it
// turns right, and 0 if the three lie on one line: twice the area between them.
func turn(a, b, c vec) int64 { return (b.x-a.x)*(c.y-a.y) - (c.x-a.x)*(b.y-a.y) }

// holds reports whether v, which lies on the edge's line, lies on the edge.
func (e edge) holds(v vec) bool {
	return v.x >= min(e.a.x, e.b.x) && v.x <= max(e.a.x, e.b.x) && v.y >= min(e.a.y, e.b.y) && v.y <= max(e.a.y, e.b.y)
}

// place is where a point lies, seen from an area.
type place int

const (
	outside place = iota
	border
	inside
)

// locate returns where v lies, seen from what the edges enclose, by whether a
// line from it to the east crosses an odd number of them. With the holes' edges
// among them, what lies in a hole is outside.
func locate(edges []edge, v vec) place {
	odd := false
	for i := range edges {
		e := &edges[i]
		if (e.a.y > v.y) == (e.b.y > v.y) {
			// The line does not cross the edge, but v can be its upper end, or lie
			// on it if it is level.
			if max(e.a.y, e.b.y) == v.y && (e.a == v || e.a.y == e.b.y && e.holds(v)) {
				return border
			}
			continue
		}
		side := turn(e.a, e.b, v)
		if side == 0 {
			return border
		}
		if (side > 0) == (e.b.y > e.a.y) {
			odd = !odd
		}
	}
	if odd {
		return inside
	}
	return outside
}

// meeting is what two edges have in common.
type meeting int

const (
	apart   meeting = iota
	touch           // one point, which is an end of at least one of them
	cross           // one point within both
	overlap         // more than a point
)

// meet returns what two edges have in common.
func meet(e, f edge) meeting {
	fa, fb, ea, eb := turn(e.a, e.b, f.a), turn(e.a, e.b, f.b), turn(f.a, f.b, e.a), turn(f.a, f.b, e.b)
	switch {
	case fa == 0 && fb == 0:
		return meetOnLine(e, f)
	case opposite(fa, fb) && opposite(ea, eb):
		return cross
	case fa == 0 && e.holds(f.a), fb == 0 && e.holds(f.b), ea == 0 && f.holds(e.a), eb == 0 && f.holds(e.b):
		return touch
	}
	return apart
}

func opposite(a, b int64) bool { return a < 0 && b > 0 || a > 0 && b < 0 }

// meetOnLine is meet for edges of one line, measured along whichever axis the
// line is not perpendicular to.
func meetOnLine(e, f edge) meeting {
	ea, eb, fa, fb := e.a.x, e.b.x, f.a.x, f.b.x
	if ea == eb {
		ea, eb, fa, fb = e.a.y, e.b.y, f.a.y, f.b.y
	}
	from, to := max(min(ea, eb), min(fa, fb)), min(max(ea, eb), max(fa, fb))
	switch {
	case from < to:
		return overlap
	case from == to:
		return touch
	}
	return apart
}

// toBorder returns the metres from p to the nearest edge. The nearest point is
// sought on a plane on which a degree of longitude is as long as halfway between
// p and the area, and its distance is that on the sphere.
func (a *Area) toBorder(p Point) float64 {
	px, py := p.Longitude*gridStep, p.Latitude*gridStep
	const around = 360 * gridStep
	switch west := px - (a.west + a.east); { // twice the middle, in billionths: the middle on the grid
	case west > around/2:
		px -= around
	case west < -around/2:
		px += around
	}
	across := math.Cos(radians((py + min(max(py, 2*a.south), 2*a.north)) / (2 * gridStep)))
	best, along, which := math.Inf(1), 0.0, 0
	for i := range a.edges {
		e := &a.edges[i]
		x, y := (float64(e.a.x)-px)*across, float64(e.a.y)-py
		dx, dy := float64(e.b.x-e.a.x)*across, float64(e.b.y-e.a.y)
		t := min(max(-(x*dx+y*dy)/(dx*dx+dy*dy), 0), 1)
		x, y = x+t*dx, y+t*dy
		if d := x*x + y*y; d < best {
			best, along, which = d, t, i
		}
	}
	e := &a.edges[which]
	return p.Distance(Point{
		Latitude:  (float64(e.a.y) + along*float64(e.b.y-e.a.y)) / gridStep,
		Longitude: (float64(e.a.x) + along*float64(e.b.x-e.a.x)) / gridStep,
	})
}
