package tracker_test

import (
	"testing"

	"ronde/tracker"
	"ronde/tracker/bustest"
)

func TestMemBus(t *testing.T) {
	bustest.Run(t, func(*testing.T) tracker.Bus { return new(tracker.MemBus) })
}
