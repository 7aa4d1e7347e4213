package geo

// Site is the place a mission is about: a circle for now; areas with exact
// outlines join it behind the same methods.
type Site struct {
	Name    string
	Center  Point
	RadiusM float64
}

// Contains reports whether p lies inside the site or on its border.
func (s *Site) Contains(p Point) bool { return s.Center.Distance(p) <= s.RadiusM }

// Distance returns the metres from p to the nearest point of the site, 0
// inside it.
func (s *Site) Distance(p Point) float64 {
	return max(0, s.Center.Distance(p)-s.RadiusM)
}
