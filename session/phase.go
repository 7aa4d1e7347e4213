package session

// Phase is how far an agent has come.
type Phase string

// The phases, in the order in which a mission usually passes them.
const (
	EnRoute  Phase = "en_route"
	Arriving Phase = "arriving"
	OnSite   Phase = "on_site"
	Left     Phase = "left"
)

// The rules of the phases. Distances are metres from the border of the site to
// where the agent is estimated, times milliseconds.
const (
	arrivingM = 500 // as near as this, an agent is arriving
	turnedM   = 100 // so much farther, and by the estimate's error, they are not any more

	// An estimate of a site of a few metres is rarely inside: its own error is
	// allowed for, up to graceM.
	graceM = 10
	// So far outside, and by the estimate's error, an agent is away.
	leaveM = 30

	confirmRun  = 2      // as many used fixes in a row confirm an arrival or a departure,
	arriveDwell = 10_000 // if they span this time: who drives past has not arrived
	leaveDwell  = 20_000 // and who reflections throw about has not left
)

// approach is the phase of an agent who has not been on the site yet, by
// distance alone.
func approach(distance float64) Phase {
	if distance <= arrivingM {
		return Arriving
	}
	return EnRoute
}

// enter goes on to the phase that a used fix leads to. It takes the distance
// and the radius of 95 % confidence of the estimate, both in metres.
//
// Arriving and leaving are facts that a client relies on. Each is confirmed by a
// second fix and by time, and dated by what confirmed it: an arrival by the
// first of the fixes on the site, a departure by the last one before those away.
func (p *Progress) enter(at int64, distance, radius float64) {
	if p.Phase == OnSite {
		p.leave(at, distance > leaveM+radius)
		return
	}
	if p.confirm(at, distance <= min(radius, graceM), arriveDwell) {
		if p.Phase, p.LeftAt, p.onSite = OnSite, 0, at; p.ArrivedAt == 0 {
			p.ArrivedAt = p.since
		}
		p.run = 0
		return
	}
	switch {
	case p.Phase == Left:
	case p.Phase != Arriving || distance > arrivingM+turnedM+radius:
		p.Phase = approach(distance)
	}
}

// leave looks whether an agent on the site has left it.
func (p *Progress) leave(at int64, away bool) {
	if !away {
		p.onSite = at
	}
	if p.confirm(at, away, leaveDwell) {
		p.Phase, p.LeftAt, p.run = Left, p.onSite, 0
	}
}

// confirm counts the fixes in a row that say the same, and reports whether they
// are enough.
func (p *Progress) confirm(at int64, yes bool, dwell int64) bool {
	if !yes {
		p.run = 0
		return false
	}
	if p.run == 0 {
		p.since = at
	}
	p.run = min(p.run+1, confirmRun)
	return p.run == confirmRun && at-p.since >= dwell
}
