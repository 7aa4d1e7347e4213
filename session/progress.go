package session

import (
	"math"

	"ronde/geo"
)

// Progress is what an agent's stored fixes mean: a pure fold over them. It
// holds for one window and is forgotten when that closes.
//
// What is stored and what is used are two things: see Counts. Where this
// speaks of the newest fix without more, it means the newest used one.
type Progress struct {
	// Version rises with every change that is published. Together with Latest it
	// tells the newer of two states, whichever node made them.
	Version   int64
	Phase     Phase
	Signal    Signal // as the newest fix left it; see SignalAt
	Timestamp int64  // of the newest fix, milliseconds since the epoch; 0: none yet
	Position  geo.Position
	// Latest is the time of the newest fix that was folded, used or not.
	Latest int64
	// ArrivedAt is when the agent first was on the site, and LeftAt when they last
	// were before they left; 0: not yet. Who comes back has not left.
	ArrivedAt, LeftAt int64
	Counts            Counts

	track     estimate
	tentative estimate // what rejected fixes in a row agree upon
	rejects   int8     // how many they are
	frozen    bool     // the receiver repeats its last position
	step      float64  // metres per second from the last used fix but one to the last
	run       int8     // fixes in a row that say the agent arrived or left
	since     int64    // the first of them
	onSite    int64    // the newest fix that did not say the agent is away
	resting   geo.Point
	restingAt int64 // since when the agent has not moved from there
	journey   journey
	straight  float64 // what the ETA rests on, seconds; 0: it cannot be known
}

// HasFix reports whether there is a position to show.
func (p *Progress) HasFix() bool { return p.Timestamp != 0 }

// Newer reports whether p supersedes q: a later fix, or another state of the
// same fix.
func (p *Progress) Newer(q *Progress) bool {
	return p.Latest > q.Latest || p.Latest == q.Latest && p.Version > q.Version
}

// Fold takes in one stored fix with its stored time (milliseconds since the
// epoch) and reports whether there is a new state to publish.
//
// A fix that is not newer than the newest folded is late: it is counted, which
// any order of late fixes does alike, and changes nothing else. So a fold is that
// of the fixes that were news when they came, in their order. What late ones
// would have said, the report says, which folds the sorted track.
//
// It allocates nothing, and its size does not grow.
func (p *Progress) Fold(m *Mission, at int64, fix *geo.Position) bool {
	if at <= p.Latest {
		p.Counts.Late++
		return false
	}
	p.Latest = at
	stored := asStored(fix, m.Policy.Speed)
	fix = &stored
	if !p.clean(at, fix) {
		return true
	}
	dt := float64(at-p.Timestamp) / 1000
	east, north := p.Position.Offset(fix.Point)
	p.step = math.Hypot(east, north) / dt
	p.Timestamp, p.Position = at, *fix
	distance := m.Site.Distance(p.track.point)
	p.enter(at, distance, p.track.radius())
	p.rest(m, at)
	p.expect(distance, dt)
	return true
}

// Estimated returns where the agent is taken to be, and the radius in metres that
// holds the truth with 95 % confidence, as of the newest fix. It is smoother than
// Position, which is the fix itself.
func (p *Progress) Estimated() (point geo.Point, radiusM float64) {
	return p.track.point, p.track.radius()
}
