package session

import (
	"math"
	"time"
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

const (
	// movingSilence is how long an agent under way may be silent before they are
	// lost: a phone that sends every 25 metres of a walk is silent that long at a
	// red light.
	movingSilence = 90 * time.Second
	// shortSilence is how long an agent at rest may be silent before the client's
	// page, too, stops saying that they are where they were.
	shortSilence = 5 * time.Minute
	// agreedSilence is how many of the agreed intervals either lasts at least.
	agreedSilence = 3

	// restM and restAfter say who is stationary: who stays within so many metres
	// of one place, and the estimate's error, for so long.
	restM     = 30
	restAfter = 2 * time.Minute
)

// silence is the longest time between two positions that is still an answer to
// where the agent was meanwhile: shortSilence or, if the mission agreed upon
// rarer positions, three of its intervals.
func silence(m *Mission) time.Duration {
	return max(shortSilence, agreedSilence*m.Policy.MinInterval)
}

// SignalAt returns the signal at a time, milliseconds since the epoch: Lost once
// the newest used fix is older than the signal it left allows. An agent under
// way may be silent for 90 seconds, one at rest for five minutes, and either for
// three of the mission's intervals.
func (p *Progress) SignalAt(m *Mission, now int64) Signal {
	limit := max(movingSilence, agreedSilence*m.Policy.MinInterval)
	if p.Signal == Stationary {
		limit = silence(m)
	}
	if p.HasFix() && now-p.Timestamp > limit.Milliseconds() {
		return Lost
	}
	return p.Signal
}

// rest decides, after a used fix, whether the agent is stationary.
func (p *Progress) rest(m *Mission, at int64) {
	east, north := p.resting.Offset(p.track.point)
	if p.restingAt == 0 || math.Hypot(east, north) > restM+p.track.radius() {
		p.resting, p.restingAt = p.track.point, at
	}
	p.Signal = Live
	if at-p.restingAt >= max(restAfter, agreedSilence*m.Policy.MinInterval).Milliseconds() {
		p.Signal = Stationary
	}
}
