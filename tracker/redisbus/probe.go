package redisbus

import (
	"math/rand/v2"
	"time"
)

// probe tries the partitions that could not be reached until they can. It is
// apart from the writer, which a master that hangs must not hold up for the
// others.
func (b *Bus) probe() {
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.lost:
		}
		if err := b.Check(); err != nil {
			b.log.Warn("bus_unreachable", "error", err)
			b.regain()
		}
	}
}

// regain returns when every partition was reached, or the bus is closed.
func (b *Bus) regain() {
	for failures := 1; b.Check() != nil; failures++ {
		b.reload()
		b.rest(failures)
		if b.ctx.Err() != nil {
			return
		}
		b.send(b.beats(nil, true))
	}
	b.log.Info("bus_reached")
}

// The wait before something is tried again: from the one, doubled with each
// failure in a row, to the other.
const (
	minRest = 20 * time.Millisecond
	maxRest = 500 * time.Millisecond
)

// rest waits, not for as long as the other nodes and partitions do.
func (b *Bus) rest(failures int) {
	d := min(minRest<<min(failures, 10), maxRest)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.ctx.Done():
	}
}
