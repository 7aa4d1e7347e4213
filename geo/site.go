package geo

import "math"

// Site is the place a mission is about: a circle of RadiusM around Center, or,
// if Area is set, an outline.
type Site struct {
	Name    string
	Center  Point   // of an area: a point inside it, for a label
	RadiusM float64 // 0 for an area
	Area    *Area   // nil for a circle
}

// NewAreaSite returns the site of an outline.
func NewAreaSite(name string, area *Area) Site {
	return Site{Name: name, Center: area.inside, Area: area}
}

// Contains reports whether p lies inside the site or on its border. A
// courtyard that is a hole of the area is not inside, its border is.
func (s *Site) Contains(p Point) bool {
	if s.Area != nil {
		return s.Area.Contains(p)
	}
	return s.Center.Distance(p) <= s.RadiusM
}

// Distance returns the metres from p to the nearest point of the site; 0 if
// the site contains p, and only then.
func (s *Site) Distance(p Point) float64 {
	if s.Area != nil && s.Area.Contains(p) {
		return 0
	}
	return max(0, s.ToBorder(p))
}

// ToBorder returns the metres from p to the nearest border of the site, of a
// hole's too: how clearly p is outside if positive, and how clearly inside if
// negative. It is above 0 exactly where the site does not contain p.
func (s *Site) ToBorder(p Point) float64 {
	if s.Area == nil {
		return s.Center.Distance(p) - s.RadiusM
	}
	d := s.Area.toBorder(p)
	if s.Area.Contains(p) {
		return -d
	}
	return math.Max(d, nearest)
}

// nearest is how far outside of an area a point is at least, in metres: a
// millionth of a millimetre, so that rounding takes nobody inside.
const nearest = 1e-9
