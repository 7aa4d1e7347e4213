package session

import "ronde/geo"

// Phase is how far an agent has come.
type Phase string

// The phases, in the order in which a mission usually passes them.
const (
	EnRoute  Phase = "en_route"
	Arriving Phase = "arriving"
	OnSite   Phase = "on_site"
	Left     Phase = "left"
)

// Signal says what an agent's silence means.
type Signal string

// The signals that progress itself knows.
const (
	Live       Signal = "live"
	Stationary Signal = "stationary"
	Lost       Signal = "lost"
	OnBreak    Signal = "paused"
)

// Progress is what an agent's stored fixes mean: a pure fold over them. It
// holds for one window and is forgotten when that closes.
type Progress struct {
	// Version rises with every change that is published. Together with
	// Timestamp it tells the newer of two states, whichever node made them.
	Version   int64
	Phase     Phase
	Signal    Signal
	Timestamp int64 // of the newest fix, milliseconds since the epoch; 0: none yet
	Position  geo.Position
	away      int8 // fixes in a row that say the agent left the site
}

// Distances of the arrival rule.
const (
	arrivingM = 500 // closer to the site than this, an agent is arriving
	leaveM    = 30  // this far outside, and by the fix's own accuracy, is away
	leaveRun  = 2   // as many fixes in a row confirm that the agent left
)

// HasFix reports whether there is a position to show.
func (p *Progress) HasFix() bool { return p.Timestamp != 0 }

// Newer reports whether p supersedes q: a later fix, or another state of the
// same fix.
func (p *Progress) Newer(q *Progress) bool {
	return p.Timestamp > q.Timestamp || p.Timestamp == q.Timestamp && p.Version > q.Version
}

// Fold takes in one stored fix with its stored time (milliseconds since the
// epoch) and reports whether it changed anything. A fix older than the newest,
// or made up by an app, changes nothing.
//
// A fix inside the site is an arrival at once; leaving takes two fixes in a row
// that are clearly outside, their accuracy allowed for, so that a noisy fix at
// the border does not flap.
func (p *Progress) Fold(site *geo.Site, at int64, fix *geo.Position) bool {
	if fix.Mock || at <= p.Timestamp {
		return false
	}
	p.Timestamp, p.Position, p.Signal = at, *fix, Live
	distance := site.Distance(fix.Point)
	switch {
	case distance == 0:
		p.Phase, p.away = OnSite, 0
	case p.Phase == OnSite:
		if distance <= leaveM+accuracyOf(fix) {
			p.away = 0
			break
		}
		if p.away++; p.away >= leaveRun {
			p.Phase = Left
		}
	case p.Phase == Left:
	default:
		p.Phase = approach(distance)
	}
	return true
}

// approach is the phase of an agent who has not been on the site yet.
func approach(distance float64) Phase {
	if distance <= arrivingM {
		return Arriving
	}
	return EnRoute
}

func accuracyOf(fix *geo.Position) float64 {
	if !geo.Known(fix.Accuracy) {
		return 0
	}
	return float64(fix.Accuracy)
}
