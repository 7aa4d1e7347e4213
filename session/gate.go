package session

import "sync/atomic"

// Gate refuses early, from a node's memory, what can never be accepted:
// impossible values, and anything of a mission that is over. It knows no fact
// that could be undone, so it can never refuse what the store would accept; and
// it never accepts: only the store does.
//
// The zero Gate is usable by many goroutines.
type Gate struct{ over atomic.Bool }

// Shut makes the gate refuse everything, for good. Call it once the mission is
// known to be ended or cancelled.
func (g *Gate) Shut() { g.over.Store(true) }

// Admit returns Undecided if the store is to judge p, or the refusal.
func (g *Gate) Admit(p *Ping) Verdict {
	if g.over.Load() {
		return NotActive
	}
	if !p.Valid() {
		return Invalid
	}
	return Undecided
}
