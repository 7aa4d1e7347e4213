// Package geo holds the geometry of Ronde: points and positions in WGS 84,
// great-circle distance, the site that a mission is about, a circle or an
// outline, and the H3 cells that coarse views and coverage are made of. Everything in it is pure: no clock, no I/O,
// no allocation on the path of a ping.
//
// Angles are degrees, lengths metres, speeds metres per second. Field names
// are those of the W3C Geolocation API.
package geo

import "math"

// EarthRadius is the mean radius of the Earth in metres, as the IUGG defines
// it (2a+b)/3 for WGS 84.
const EarthRadius = 6_371_008.8

// Point is a place on the WGS 84 ellipsoid, in degrees.
type Point struct {
	Latitude  float64
	Longitude float64
}

// Valid reports whether p is a place a receiver can really be at: finite
// numbers within ±90 and ±180, and not exactly 0,0, which is what broken
// receivers send when they have no fix.
func (p Point) Valid() bool {
	return p.InRange() && (p.Latitude != 0 || p.Longitude != 0)
}

// InRange reports whether p lies within ±90 and ±180 degrees. NaN does not.
func (p Point) InRange() bool {
	return math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) <= 180
}

// Distance returns the great-circle distance from p to q in metres, by the
// haversine formula on a sphere of EarthRadius. Against the ellipsoid its
// error stays below 0.57 %, far less than a phone's own over the distances of
// one mission.
func (p Point) Distance(q Point) float64 {
	lat1, lat2 := radians(p.Latitude), radians(q.Latitude)
	sinLat := math.Sin((lat2 - lat1) / 2)
	sinLon := math.Sin(radians(q.Longitude-p.Longitude) / 2)
	h := sinLat*sinLat + math.Cos(lat1)*math.Cos(lat2)*sinLon*sinLon
	return 2 * EarthRadius * math.Asin(math.Sqrt(math.Min(h, 1)))
}

func radians(degrees float64) float64 { return degrees * (math.Pi / 180) }
