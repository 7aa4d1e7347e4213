package geo

import "math"

// metresPerDegree is the length of a degree of latitude on a sphere of
// EarthRadius.
const metresPerDegree = EarthRadius * math.Pi / 180

// Offset returns how far q lies east and north of p, in metres on the plane that
// touches the sphere at p. Within a few kilometres it agrees with Distance to a
// thousandth; it is for steps between fixes, not for the length of a journey.
func (p Point) Offset(q Point) (east, north float64) {
	return wrapped(q.Longitude-p.Longitude) * metresPerDegree * math.Cos(radians(p.Latitude)),
		(q.Latitude - p.Latitude) * metresPerDegree
}

// Moved returns the point that lies so many metres east and north of p: the
// inverse of Offset, kept in range at the poles and at the antimeridian.
func (p Point) Moved(east, north float64) Point {
	// At a pole itself there is no east; a centimetre beside it there is.
	perDegree := metresPerDegree * max(math.Cos(radians(p.Latitude)), 1e-9)
	return Point{
		Latitude:  min(max(p.Latitude+north/metresPerDegree, -90), 90),
		Longitude: wrapped(p.Longitude + math.Remainder(east/perDegree, 360)),
	}
}

// wrapped returns the longitude, or difference of two, within ±180 degrees.
func wrapped(degrees float64) float64 {
	switch {
	case degrees > 180:
		return degrees - 360
	case degrees < -180:
		return degrees + 360
	}
	return degrees
}
