package session

import (
	"math"

	"ronde/geo"
)

// estimate is where an agent is taken to be and how they move: a Kalman filter
// with nearly constant velocity in the plane. Its process noise is white
// acceleration; both axes share one covariance, because neither the motion nor
// the error of a fix prefers a direction.
//
// After Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking
// and Navigation (Wiley 2001): the motion is the white noise acceleration model
// of section 6.2.2, and a fix is gated by its normalised innovation squared,
// which section 5.4.2 shows to follow the chi-square distribution with as many
// degrees of freedom as the fix has coordinates: two.
type estimate struct {
	at          int64     // milliseconds since the epoch; 0: there is none
	point       geo.Point // degrees
	east, north float64   // velocity, metres per second
	pp, pv, vv  float64   // covariance of an axis: m², m²/s, m²/s²
}

const (
	// acceleration is the power spectral density of the process noise, m²/s³:
	// after a second the velocity is uncertain by a metre per second, after a
	// minute by eight. It is one for walkers and for cars: what it gives away in
	// smoothing it gains in never losing either.
	acceleration = 1
	// startSpeed is the deviation of a velocity of which nothing is known yet, in
	// metres per second: single-point initiation.
	startSpeed = 15
	// gate is the quantile 0.999 of the chi-square distribution with two degrees
	// of freedom: -2 ln 0.001. Of good fixes, one in a thousand is rejected.
	gate = 13.815510557964274
	// coast is how long an estimate says anything without a fix, milliseconds.
	coast = 120_000
)

const (
	// perDeviation is how many deviations of one axis make the radius that holds
	// 95 % of a circular normal distribution: sqrt(-2 ln 0.05).
	perDeviation = 2.4477468306808166
	// unstated is the accuracy of a fix that states none, or an impossible zero;
	// finest is the best that a phone is believed. Metres, 95 %.
	unstated = 20
	finest   = 5
)

// variance returns the variance of one axis of a fix, m².
func variance(fix *geo.Position) float64 {
	accuracy := float64(unstated)
	if geo.Known(fix.Accuracy) && fix.Accuracy > 0 {
		accuracy = max(float64(fix.Accuracy), finest)
	}
	return (accuracy / perDeviation) * (accuracy / perDeviation)
}

// start returns the estimate after one fix.
func start(at int64, fix *geo.Position) estimate {
	return estimate{at: at, point: fix.Point, pp: variance(fix), vv: startSpeed * startSpeed}
}

// accept takes in a later fix, unless it lies outside the gate: then it reports
// false and the estimate stays as it was.
func (e *estimate) accept(at int64, fix *geo.Position) bool {
	next := e.predict(at)
	s := next.pp + variance(fix)
	east, north := next.point.Offset(fix.Point)
	if east*east+north*north > gate*s {
		return false
	}
	position, velocity := next.pp/s, next.pv/s // the gain
	next.point = next.point.Moved(position*east, position*north)
	next.east += velocity * east
	next.north += velocity * north
	next.vv -= velocity * next.pv
	next.pp *= 1 - position
	next.pv *= 1 - position
	*e = next
	return true
}

// predict returns the estimate for a later time.
func (e *estimate) predict(at int64) estimate {
	next, dt := *e, float64(at-e.at)/1000
	next.at = at
	next.point = e.point.Moved(e.east*dt, e.north*dt)
	next.pp += dt*(2*e.pv+dt*e.vv) + acceleration*dt*dt*dt/3
	next.pv += dt*e.vv + acceleration*dt*dt/2
	next.vv += acceleration * dt
	return next
}

// speed returns the metres per second.
func (e *estimate) speed() float64 { return math.Hypot(e.east, e.north) }

// radius returns the radius of 95 % confidence of the position, metres.
func (e *estimate) radius() float64 { return perDeviation * math.Sqrt(e.pp) }
