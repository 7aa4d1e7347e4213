package tracker

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestPace: twenty frames a second, forty at once after a silence, and as many
// more as came while the server did not read.
func TestPace(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	taken := func(p *pace) (n int) {
		for p.take(now, 1, 0) {
			n++
		}
		return n
	}
	p := &pace{}
	if n := taken(p); n != 2*framesPerSecond {
		t.Fatalf("%d frames at once, want %d", n, 2*framesPerSecond)
	}
	now = now.Add(time.Second)
	if n := taken(p); n != framesPerSecond {
		t.Fatalf("%d frames in the next second, want %d", n, framesPerSecond)
	}
	now = now.Add(time.Hour)
	if n := taken(p); n != 2*framesPerSecond {
		t.Fatalf("%d frames after an hour, want %d", n, 2*framesPerSecond)
	}
	// A phone at its full rate, behind a server that did not read for 5 s.
	now = now.Add(5 * time.Second)
	p.credit(5 * time.Second)
	if n := taken(p); n < 5*framesPerSecond {
		t.Fatalf("%d of %d frames that were sent in time", n, 5*framesPerSecond)
	}
	if p.take(now, 0, 3*pingsPerSecond+5*pingsPerSecond) {
		t.Fatal("more pings than the rate and the credit allow")
	}
}

// TestPaceOutlivesConnections: whoever connects anew has no new allowance, until
// they were silent for a while.
func TestPaceOutlivesConnections(t *testing.T) {
	h := &Hub{paces: map[paceKey]*pace{}}
	mission, now := uuid.New(), time.Now()
	h.paceOf(mission, "badge-17").take(now, 2*framesPerSecond, 0)
	h.forgetPaces(now.Add(time.Second))
	if h.paceOf(mission, "badge-17").take(now, 1, 0) {
		t.Error("a new connection brought a new allowance")
	}
	if !h.paceOf(mission, "badge-18").take(now, 1, 0) {
		t.Error("another agent paid for it")
	}
	h.forgetPaces(now.Add(time.Hour))
	if len(h.paces) != 0 {
		t.Errorf("%d paces are remembered for ever", len(h.paces))
	}
}
