package geo

import "math"

// Unknown is the value of an optional member of a Position that the receiver
// did not give. Test for it with Known: NaN equals nothing, itself included.
var Unknown = float32(math.NaN())

// Known reports whether an optional member was given.
func Known(v float32) bool { return v == v }

// Position is one fix of a receiver. Its optional members are Unknown when
// the receiver did not give them.
type Position struct {
	Point
	Accuracy float32 // radius of 95 % confidence, metres, not negative
	Altitude float32 // metres above the ellipsoid
	Heading  float32 // degrees clockwise from true north, 0 to 360
	Speed    float32 // metres per second, not negative
	Battery  float32 // charge of the phone, 0 to 1
	Mock     bool    // the phone says that an app made this fix up
}

// NewPosition returns a Position at p of which nothing else is known.
func NewPosition(p Point) Position {
	return Position{Point: p, Accuracy: Unknown, Altitude: Unknown, Heading: Unknown, Speed: Unknown, Battery: Unknown}
}

// Limits of what a phone can honestly report. Beyond them the whole fix is
// refused: a receiver that is wrong about one member is not to be believed
// about the others.
const (
	maxAccuracy = 1e6    // a fix good to 1,000 km is no fix
	minAltitude = -12000 // below the deepest trench
	maxAltitude = 100000 // the edge of space
	maxSpeed    = 1000   // metres per second, above any airliner
)

// Valid reports whether every member that is present lies within its range.
func (p *Position) Valid() bool {
	return p.Point.Valid() &&
		within(p.Accuracy, 0, maxAccuracy) &&
		within(p.Altitude, minAltitude, maxAltitude) &&
		within(p.Heading, 0, 360) &&
		within(p.Speed, 0, maxSpeed) &&
		within(p.Battery, 0, 1)
}

func within(v, lo, hi float32) bool { return !Known(v) || (v >= lo && v <= hi) }
