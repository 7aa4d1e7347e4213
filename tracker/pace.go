package tracker

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// Rates of one agent, over all connections that they open. Twice as much may
// come at once, after a silence.
const (
	framesPerSecond = 20
	pingsPerSecond  = 1000
)

// paceKept is how long the pace of an agent who is gone is remembered: by then
// both allowances are full again.
const paceKept = time.Minute

// paceKey names an agent of a mission.
type paceKey struct {
	mission uuid.UUID
	agent   string
}

// pace is what an agent may still send: two token buckets. The time in which
// the server did not read is credited, because what arrives meanwhile was sent
// in time and only waited in the network.
type pace struct {
	mu            sync.Mutex
	frames, pings float64   // guarded by mu, like last
	last          time.Time // when frames and pings were brought up to date
}

// take takes a frame and some pings from the allowance, and reports whether
// they were in it.
func (p *pace) take(now time.Time, frames, pings int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := max(0, now.Sub(p.last).Seconds())
	p.last = now
	p.frames = refill(p.frames, elapsed, framesPerSecond)
	p.pings = refill(p.pings, elapsed, pingsPerSecond)
	if p.frames < float64(frames) || p.pings < float64(pings) {
		return false
	}
	p.frames -= float64(frames)
	p.pings -= float64(pings)
	return true
}

// refill adds what a rate brings in a time, up to two seconds' worth. What was
// credited above that stays.
func refill(tokens, elapsed, rate float64) float64 {
	return max(tokens, min(tokens+elapsed*rate, 2*rate))
}

// credit makes up for a time, since the last take, in which the server did not
// read.
func (p *pace) credit(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frames += d.Seconds() * framesPerSecond
	p.pings += d.Seconds() * pingsPerSecond
	p.last = p.last.Add(d) // or it would be counted twice
}

func (p *pace) idleSince() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// paceOf returns the pace of an agent of a mission.
func (h *Hub) paceOf(mission uuid.UUID, agent string) *pace {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := paceKey{mission, agent}
	if h.paces[key] == nil {
		h.paces[key] = &pace{}
	}
	return h.paces[key]
}

// forgetPaces drops those of agents who have sent nothing for a while.
func (h *Hub) forgetPaces(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, p := range h.paces {
		if now.Sub(p.idleSince()) > paceKept {
			delete(h.paces, key)
		}
	}
}
