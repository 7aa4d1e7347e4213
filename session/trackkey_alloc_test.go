//go:build !race

package session_test

import (
	"testing"

	"ronde/session"
)

// TestSealAllocatesNothing is left out under the race detector, which makes
// sync.Pool drop what it is given at random.
func TestSealAllocatesNothing(t *testing.T) {
	key, p := trackKey(t, newFakeRing(), sealedMission()), fullPing()
	dst := make([]byte, 0, session.SealedSize)
	if n := testing.AllocsPerRun(500, func() { dst = key.Seal(dst[:0], "badge-17", 5, &p) }); n >= 1 {
		t.Errorf("sealing allocates %v times", n)
	}
	if n := testing.AllocsPerRun(500, func() { _, _ = key.Open("badge-17", 5, dst) }); n >= 1 {
		t.Errorf("opening allocates %v times", n)
	}
}
