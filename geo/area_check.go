package geo

import (
	"cmp"
	"fmt"
	"slices"
)

// checker finds what is wrong with the rings of an area as they were sent.
type checker struct {
	polygons []polygon
	multi    bool // they are a MultiPolygon's, which has one more index
}

// check returns an *AreaError unless the polygons are those of an area: see
// ParseArea.
func check(polygons []polygon, multi bool) error {
	c := checker{polygons, multi}
	for _, rule := range []func() error{c.extent, c.crossings, c.holes, c.parts} {
		if err := rule(); err != nil {
			return err
		}
	}
	return nil
}

// at names a ring, or with one more index a position.
func (c *checker) at(polygon int, rest ...int) string {
	if c.multi {
		rest = append([]int{polygon}, rest...)
	}
	return memberAt(rest...)
}

// extent keeps an area within maxExtent. All that follows computes exactly only
// within it.
func (c *checker) extent() error {
	var west, south, east, north int64
	first := true
	for _, p := range c.polygons {
		for _, r := range p {
			for _, v := range r {
				if first {
					west, south, east, north, first = v.x, v.y, v.x, v.y, false
				}
				west, east, south, north = min(west, v.x), max(east, v.x), min(south, v.y), max(north, v.y)
			}
		}
	}
	switch wide, high := east-west, north-south; {
	case wide > 180*gridStep:
		return &AreaError{"coordinates", "seems to cross the antimeridian, which is not supported"}
	case wide > maxExtent*gridStep || high > maxExtent*gridStep:
		return &AreaError{"coordinates", fmt.Sprintf("may extend over at most %d° of latitude and of longitude", maxExtent)}
	}
	return nil
}

// side is an edge that knows where it comes from.
type side struct {
	edge
	polygon, ring, position int
	of                      int // how many sides its ring has
}

// crossings refuses edges that have in common what edges may not: see forbidden.
// Of several it names the first that goes wrong.
func (c *checker) crossings() error {
	var sides []side
	for i, p := range c.polygons {
		for j, r := range p {
			for k, e := range r.edges(nil) {
				sides = append(sides, side{e, i, j, k, len(r)})
			}
		}
	}
	// From south to north: then each is compared with those of its latitudes alone.
	slices.SortStableFunc(sides, func(s, t side) int { return cmp.Compare(min(s.a.y, s.b.y), min(t.a.y, t.b.y)) })
	var first, with *side
	rule := ""
	for i := range sides {
		s := &sides[i]
		for j := i + 1; j < len(sides) && min(sides[j].a.y, sides[j].b.y) <= max(s.a.y, s.b.y); j++ {
			t := &sides[j]
			if max(s.a.x, s.b.x) < min(t.a.x, t.b.x) || max(t.a.x, t.b.x) < min(s.a.x, s.b.x) {
				continue
			}
			why := forbidden(s, t, meet(s.edge, t.edge))
			earlier, later := s, t
			if later.before(earlier) {
				earlier, later = t, s
			}
			if why != "" && (first == nil || later.before(first)) {
				first, with, rule = later, earlier, why
			}
		}
	}
	if first == nil {
		return nil
	}
	return &AreaError{
		c.at(first.polygon, first.ring, first.position),
		fmt.Sprintf("begins an edge that %s %s", rule, c.at(with.polygon, with.ring, with.position)),
	}
}

// before reports whether s was sent before t.
func (s *side) before(t *side) bool {
	return cmp.Or(cmp.Compare(s.polygon, t.polygon), cmp.Compare(s.ring, t.ring), cmp.Compare(s.position, t.position)) < 0
}

// forbidden returns the rule that two edges break by what they have in common,
// or "". Neighbours have a corner in common; rings may touch at points.
func forbidden(s, t *side, m meeting) string {
	same := s.polygon == t.polygon && s.ring == t.ring
	neighbours := same && ((s.position+1)%s.of == t.position || (t.position+1)%s.of == s.position)
	switch {
	case m == cross:
		return "crosses the edge from"
	case m == overlap && neighbours:
		return "runs back along the edge from"
	case m == overlap:
		return "runs along the edge from"
	case m == touch && same && !neighbours:
		return "touches, in the same ring, the edge from"
	}
	return ""
}

// holes refuses holes that do not lie in their outer ring, or lie in each other.
func (c *checker) holes() error {
	for i, p := range c.polygons {
		outer := p[0].edges(nil)
		for j := 1; j < len(p); j++ {
			switch in, out := sidesOf(p[j], outer); {
			case in && out:
				return &AreaError{c.at(i, j), "is a hole that crosses its outer ring"}
			case out:
				return &AreaError{c.at(i, j), "is a hole outside of its outer ring"}
			}
			for k := 1; k < j; k++ {
				if overlapping([]ring{p[j]}, []ring{p[k]}) {
					return &AreaError{c.at(i, j), "is a hole that overlaps " + c.at(i, k)}
				}
			}
		}
	}
	return nil
}

// parts refuses polygons that overlap. One may lie in a hole of another.
func (c *checker) parts() error {
	for i, p := range c.polygons {
		for j, q := range c.polygons[:i] {
			if overlapping(p, q) {
				return &AreaError{c.at(i), "is a polygon that overlaps " + c.at(j)}
			}
		}
	}
	return nil
}

// overlapping reports whether two polygons, no edges of which cross or overlap,
// have more in common than points: then the outer ring of one runs inside the
// other.
func overlapping(p, q []ring) bool {
	var ofP, ofQ []edge
	for _, r := range p {
		ofP = r.edges(ofP)
	}
	for _, r := range q {
		ofQ = r.edges(ofQ)
	}
	in, _ := sidesOf(p[0], ofQ)
	if !in {
		in, _ = sidesOf(q[0], ofP)
	}
	return in
}

// sidesOf reports whether some of a ring lies inside what the edges enclose, and
// whether some lies outside of it. The ring crosses them at corners at most: cut
// wherever a corner of theirs lies on it, each piece lies on one side.
func sidesOf(r ring, edges []edge) (in, out bool) {
	var cuts []vec
	for _, e := range r.edges(nil) {
		cuts = append(cuts[:0], e.a, e.b)
		for i := range edges {
			if v := edges[i].a; v != e.a && v != e.b && e.holds(v) && turn(e.a, e.b, v) == 0 {
				cuts = append(cuts, v)
			}
		}
		slices.SortFunc(cuts, func(v, w vec) int { return cmp.Or(cmp.Compare(v.x, w.x), cmp.Compare(v.y, w.y)) })
		for i := 1; i < len(cuts); i++ {
			switch locate(edges, vec{(cuts[i-1].x + cuts[i].x) / 2, (cuts[i-1].y + cuts[i].y) / 2}) {
			case inside:
				in = true
			case outside:
				out = true
			case border: // two corners at one place
			}
		}
	}
	return in, out
}
