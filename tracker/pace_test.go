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

// TestPaceExcusesStalls: a process that stood still finds all that was sent to it
// meanwhile at once. It is counted once, by whoever looks first.
func TestPaceExcusesStalls(t *testing.T) {
	var s stalls
	for now := time.Duration(0); now <= 3*time.Second; now += watchEvery {
		if stood := s.total(now); stood != 0 {
			t.Fatalf("stood still for %v while it ran", stood)
		}
		s.tick(now)
	}
	const froze = 3 * time.Second
	thawed := froze + 10*time.Second
	atOnce := s.total(thawed)
	s.tick(thawed)
	if later := s.total(thawed); atOnce != later || later < 9*time.Second || later > 10*time.Second {
		t.Fatalf("stood still for 10s, counted as %v before and %v after the tick", atOnce, later)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	p := &pace{}
	p.take(now, 0, 0)
	for range 2 { // the second finds nothing new to excuse
		p.excuse(s.total(thawed))
	}
	frames := 0
	for p.take(now.Add(10*time.Second), 1, 0) {
		frames++
	}
	if want := 10 * framesPerSecond; frames < want || frames > want+2*framesPerSecond {
		t.Errorf("%d frames after a stall of 10s, want %d", frames, want)
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
