package tracker

import (
	"sync"
	"sync/atomic"
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
	frames, pings float64       // guarded by mu, like all below
	last          time.Time     // when frames and pings were brought up to date
	stalled       time.Duration // of the process, as far as it is credited
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

// excuse credits the time in which the whole process stood still, given all of it
// so far.
func (p *pace) excuse(stalled time.Duration) {
	p.mu.Lock()
	more := stalled - p.stalled
	p.stalled = stalled
	p.mu.Unlock()
	if more > 0 {
		p.credit(more)
	}
}

// stalls sums up the time in which this process stood still: frozen with its
// machine, or out of processor time. Reading is not all it then fails to do, so
// a goroutine that is to wake up at a steady pace finds it out.
type stalls struct {
	last atomic.Int64 // when it last woke up, since the hub's start
	sum  atomic.Int64
}

// tick is called every watchEvery, with the time since the hub's start.
func (s *stalls) tick(now time.Duration) {
	s.sum.Store(int64(s.total(now)))
	s.last.Store(int64(now))
}

// total returns the sum, what stands still at this moment included.
func (s *stalls) total(now time.Duration) time.Duration {
	return time.Duration(s.sum.Load()) + max(0, now-time.Duration(s.last.Load())-2*watchEvery)
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
		h.paces[key] = &pace{stalled: h.stalls.total(time.Since(h.start))}
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
