package session_test

import (
	"testing"

	"ronde/geo"
	"ronde/session"
)

// TestBadFixes: what is not used is counted, moves nothing, and the next good
// fixes count again.
func TestBadFixes(t *testing.T) {
	f := newFolder()
	for s := 1; s <= 10; s++ { // a walk
		f.fold(s, 300-1.2*float64(s), 10)
	}
	good, at, where := f.Counts, f.Timestamp, f.Position.Point
	mock := metres(0, 10)
	mock.Mock = true
	f.fold(11, 5000, 10)
	f.fold(12, 280, 251)
	f.Fold(f.mission, 13_000, &mock)
	f.fold(13, 284, 10) // late
	f.fold(2, 284, 10)
	if f.Timestamp != at || f.Position.Point != where || f.Latest != 13_000 || f.Phase != session.Arriving {
		t.Errorf("bad fixes left %+v", f.Progress)
	}
	good.Jumps, good.Imprecise, good.Mock, good.Late = 1, 1, 1, 2
	if f.Counts != good {
		t.Errorf("%+v, want %+v", f.Counts, good)
	}
	f.fold(14, 283, 10)
	if good.Used++; f.Counts != good || f.Timestamp != 14_000 {
		t.Errorf("the next good fix: %+v, want %+v", f.Counts, good)
	}
}

// TestGateOpensAgain: a track that began at a bad fix, or was left behind, gives
// way to what three fixes in a row agree upon, and to nothing else.
func TestGateOpensAgain(t *testing.T) {
	f := newFolder()
	f.fold(1, 9000, 10)
	for s := 2; s <= 4; s++ {
		if f.Timestamp != 1000 {
			t.Fatalf("fix %d was used", s-1)
		}
		f.fold(s, 300+float64(s), 10)
	}
	if f.Timestamp != 4000 || f.Counts.Used != 2 || f.Counts.Jumps != 2 {
		t.Errorf("after three that agree: %+v", f.Progress)
	}
	for s := range 60 { // never in a row: nobody is there
		f.fold(5+2*s, 300, 10)
		f.fold(6+2*s, 3000+float64(s), 10)
	}
	if f.Counts.Used != 62 || f.Counts.Jumps != 62 {
		t.Errorf("every other fix is a jump: %+v", f.Counts)
	}
}

// TestRepeatsConfirmLate: the place of a mast, again and again, is not where an
// agent is; but who stays there for a minute is there.
func TestRepeatsConfirmLate(t *testing.T) {
	f := newFolder()
	f.fold(1, 300, 10)
	for s := 2; s <= 61; s++ {
		if f.fold(s, 9000, 10); f.Counts.Used != 1 {
			t.Fatalf("used in second %d", s)
		}
	}
	if f.fold(62, 9000, 10); f.Timestamp != 62_000 || f.Counts.Used != 2 {
		t.Errorf("after a minute: %+v", f.Progress)
	}
}

// TestFrozenReceiver: at 15 m/s a position that repeats is no stop; a car that
// braked has stopped.
func TestFrozenReceiver(t *testing.T) {
	tunnel := newFolder()
	for s := 1; s <= 30; s++ {
		tunnel.fold(s, 3000-15*float64(s), 10)
	}
	for s := 31; s <= 60; s++ {
		tunnel.fold(s, 3000-15*30, 10)
	}
	if tunnel.Counts.Frozen != 30 || tunnel.Timestamp != 30_000 {
		t.Errorf("in a tunnel: %+v", tunnel.Progress)
	}
	tunnel.fold(61, 3000-15*61, 10)
	if tunnel.Timestamp != 61_000 || tunnel.Counts.Jumps != 0 {
		t.Errorf("out of the tunnel: %+v", tunnel.Progress)
	}
	stops := newFolder()
	m := 3000.0
	for s := 1; s <= 60; s++ {
		m -= min(15, max(0, 3*float64(20-s))) // brakes with 3 m/s²
		stops.fold(s, m, 10)
	}
	if stops.Counts.Frozen != 0 || stops.Timestamp != 60_000 {
		t.Errorf("at a light: %+v", stops.Progress)
	}
}

// TestAccuracyWeighs: a vague fix draws the estimate less than a sharp one.
func TestAccuracyWeighs(t *testing.T) {
	drawn := func(accuracy float32) float64 {
		f := newFolder()
		for s := 1; s <= 30; s++ {
			f.fold(s, 200, 10)
		}
		before, _ := f.Estimated()
		f.fold(31, 210, accuracy)
		after, _ := f.Estimated()
		return before.Distance(after)
	}
	sharp, vague, unstated, zero := drawn(5), drawn(100), drawn(geo.Unknown), drawn(0)
	if sharp < 4 || vague > 1 || unstated != zero || unstated >= sharp || unstated <= vague {
		t.Errorf("drawn %v m by a sharp fix, %v by a vague one, %v by one that does not say, %v by an impossible zero", sharp, vague, unstated, zero)
	}
}
