package session

import "math"

// ETA is the time that an agent still needs to the site, counted from the
// newest used fix: a range, in seconds, that is meant to hold the truth four
// times in five. The zero ETA says that nobody can know.
type ETA struct {
	LowerS, UpperS float64
}

// Known reports whether the ETA says anything.
func (e ETA) Known() bool { return e.UpperS > 0 }

// Seconds returns the middle of the range.
func (e ETA) Seconds() float64 { return (e.LowerS + e.UpperS) / 2 }

const (
	// The closing speed is averaged over two horizons, seconds. Where both agree
	// the journey is steady; where they do not, the truth lies between or beyond.
	soonS, longS = 60, 300
	// observedS is how long an approach is watched before anything is said of it.
	observedS = 60
	// slowest is the closing speed, m/s, below which an agent is not coming.
	slowest = 0.3
	// margin widens the range beyond what the two horizons say: the last part of a
	// way is not like the one before.
	margin = 0.25
	// vaguest is the greatest ratio of the ends of a range that still says
	// something, and farthest the longest time that is foretold, seconds.
	vaguest, farthest = 4, 4 * 3600

	// So much do the ends of a range move at most for each second that passes,
	// beyond that second itself: a share of what they are, and a constant.
	driftShare, driftS = 0.01, 0.5
)

// closing is how fast an agent comes nearer to the site.
type closing struct {
	distance float64 // metres, at the last used fix
	watched  float64 // seconds since the first
	soon     float64 // mean closing speed, m/s, over soonS
	long     float64 // and over longS
}

// near takes in the distance after another dt seconds.
func (c *closing) near(distance, dt float64) {
	if dt > 0 {
		speed := (c.distance - distance) / dt
		c.watched += dt
		c.soon += share(dt, c.watched, soonS) * (speed - c.soon)
		c.long += share(dt, c.watched, longS) * (speed - c.long)
	}
	c.distance = distance
}

// share is the weight of the last dt seconds in a mean over a horizon: that of
// an exponential one, or of the plain one while that is not over.
func share(dt, watched, horizon float64) float64 {
	return max(1-math.Exp(-dt/horizon), dt/watched)
}

// estimate returns the ETA that distance and speed alone give.
func (c *closing) eta() ETA {
	fast, slow := max(c.soon, c.long), min(c.soon, c.long)
	if c.watched < observedS || slow < slowest {
		return ETA{}
	}
	e := ETA{c.distance / fast / (1 + margin), c.distance / slow * (1 + margin)}
	if e.UpperS > vaguest*e.LowerS || e.UpperS > farthest {
		return ETA{}
	}
	return e
}

// towards returns the ETA dt seconds after e if now the estimate is next. The
// time of arrival moves by no more than the drift allows, so that the figure on
// a client's screen does not jump about.
func (e ETA) towards(next ETA, dt float64) ETA {
	if !e.Known() || !next.Known() {
		return next
	}
	return ETA{drift(e.LowerS, next.LowerS, dt), drift(e.UpperS, next.UpperS, dt)}
}

func drift(from, to, dt float64) float64 {
	bound := dt * (driftShare*from + driftS)
	from -= dt
	return max(0, min(max(to, from-bound), from+bound))
}
