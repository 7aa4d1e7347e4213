package session

import "math"

// ETA is the time that an agent still needs to the site, in seconds from the
// newest used fix: a figure, and the range that is meant to hold the truth four
// times in five. The zero ETA says that nobody can know.
//
// It rests on the distance as the crow flies and on the agent's mean speed, stops
// included. What the streets add to the way, or a motorway takes off the time,
// it does not know: hence the wide range, which is measured on recorded drives
// (see TestETAOnTraces).
type ETA struct {
	LowerS, Seconds, UpperS float64
}

// Known reports whether the ETA says anything.
func (e ETA) Known() bool { return e.Seconds > 0 }

const (
	// pathS is the horizon of the mean speed, seconds: some traffic lights.
	pathS = 300
	// observedS is how long a way is watched before anything is said of its end.
	observedS = 60
	// slowest is the mean speed, m/s, below which an agent is not coming.
	slowest = 0.3
	// farthest is the longest time that is foretold, seconds.
	farthest = 4 * 3600

	// Of the time that the straight way takes at the mean speed, this is what the
	// real way took on the recorded drives: the median, and the range that holds
	// four in five. The median is near the circuity of road networks that
	// geographers measure (Ballou, Rahardja, Sakai, Selected country circuity
	// factors for road travel distance estimation, 2002: 1.2 to 1.5 in Europe).
	lowerWay, middleWay, upperWay = 0.5, 1.2, 2.5

	// The straight time moves by no more than this for each second that passes,
	// beyond that second itself: a share of what it was, and a constant, in
	// seconds.
	driftShare, driftS = 0.05, 1
)

// journey is how an agent has come along lately.
type journey struct {
	distance float64 // metres from the site, at the last used fix
	watched  float64 // seconds since the first
	speed    float64 // mean speed, m/s
	closing  float64 // mean speed towards the site, m/s
}

// travel takes in the distance and the speed after another dt seconds.
func (j *journey) travel(distance, speed, dt float64) {
	if dt > 0 {
		j.watched += dt
		// An exponential mean, or the plain one while the horizon is not over.
		share := max(1-math.Exp(-dt/pathS), dt/j.watched)
		j.speed += share * (speed - j.speed)
		j.closing += share * ((j.distance-distance)/dt - j.closing)
	}
	j.distance = distance
}

// straight returns how many seconds the straight way takes at the mean speed; 0
// if that means nothing.
func (j *journey) straight() float64 {
	if j.watched < observedS || j.speed < slowest || j.closing <= 0 {
		return 0
	}
	if s := j.distance / j.speed; s*middleWay <= farthest {
		return s
	}
	return 0
}

// ETA returns when the agent is expected, if that can be known: not before a
// minute of their way was seen, nor while they rest or do not come nearer.
func (p *Progress) ETA() ETA {
	return ETA{LowerS: lowerWay * p.straight, Seconds: middleWay * p.straight, UpperS: upperWay * p.straight}
}

// expect goes on to the ETA after a used fix that came dt seconds after the last.
func (p *Progress) expect(distance, dt float64) {
	if p.journey == (journey{}) { // a track begins
		p.straight, dt = 0, 0
	}
	p.journey.travel(distance, p.track.speed(), dt)
	next := p.journey.straight()
	switch {
	case p.Phase == OnSite || p.Phase == Left || p.Signal == Stationary:
		p.straight = 0
	case p.straight == 0 || next == 0:
		p.straight = next
	default: // so that the figure on a client's screen does not jump about
		bound := dt * (driftShare*p.straight + driftS)
		due := p.straight - dt
		p.straight = max(0, min(max(next, due-bound), due+bound))
	}
}
