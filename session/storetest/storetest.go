// Package storetest is the contract of session.Store as a program: every
// adapter passes the same suite.
//
// An adapter's test hands Run a function that opens a store, and gets a subtest
// for every sentence of the contract, a property test of invariant I1 against a
// model that shares no code with the rules, and races on the real clock. Race
// and Kill are exported too, so that an adapter can show that they catch what
// they are for: by running them against a version that is broken on purpose.
//
// Set RONDE_CHAOS=1 for the long forms.
package storetest

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// Fixture is an open store and what the suite needs beside it. Several
// fixtures of one test run may share a database: the suite keeps to tenants of
// its own, and runs one test after the other.
type Fixture struct {
	Store session.Store
	// SetClock stops the store's clock at t; the zero Time lets it follow the
	// real one.
	SetClock func(t time.Time)
	// Outside returns how many stored positions have a time that lies in no
	// window of their agent and mission: counted by raw SQL, past the adapter.
	Outside func(t *testing.T) int
	// Count returns how many positions of a mission are stored, by raw SQL.
	Count func(t *testing.T, mission uuid.UUID) int
	// Latest returns how many latest positions of a mission without a track
	// are stored, by raw SQL. Without it that is left unchecked.
	Latest func(t *testing.T, mission uuid.UUID) int
	// Rows returns all rows of every table, as text, by raw SQL.
	Rows func(t *testing.T) map[string][]string
	// OneWriter says that the store has one lock for everything: Append waits
	// for a transition of any mission, and nothing is ever Locked.
	OneWriter bool
}

// Run runs the whole suite. open is called for every test; it closes what it
// opens by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	tests := []struct {
		name string
		run  func(w *world)
	}{
		{"Now", testNow},
		{"Keyring", testKeyring},
		{"Tenants", testTenants},
		{"APIKeys", testAPIKeys},
		{"Notices", testNotices},
		{"Links", testLinks},
		{"Viewers", testViewers},
		{"ViewersLapse", testViewersLapse},
		{"ViewersConcurrently", testViewersConcurrently},
		{"Receipts", testReceipts},
		{"ReceiptsRefused", testReceiptsRefused},
		{"ReceiptsLife", testReceiptsLife},
		{"AccessLog", testAccessLog},
		{"AccessFilters", testAccessFilters},
		{"AccessOfMissions", testAccessOfMissions},
		{"Isolation", testIsolation},

		{"CreateMission", testCreateMission},
		{"Missions", testMissions},
		{"MissionFilters", testMissionFilters},
		{"UpdateMission", testUpdateMission},
		{"Lifecycle", testLifecycle},
		{"Deadline", testDeadline},
		{"Missed", testMissed},
		{"Located", testLocated},
		{"Trim", testTrim},
		{"TrimCountsFastPhones", testTrimFastPhones},
		{"TrimTwice", testTrimTwice},
		{"News", testNews},

		{"EraseAgent", testEraseAgent},
		{"EraseSteps", testEraseSteps},
		{"EraseLaterStays", testEraseLaterStays},
		{"EraseUnderPings", testEraseUnderPings},
		{"EraseUntracked", testEraseUntracked},
		{"EraseTenant", testEraseTenant},
		{"EraseTogether", testEraseTogether},
		{"Erasures", testErasures},

		{"Verdicts", testVerdicts},
		{"Boundaries", testBoundaries},
		{"Ahead", testAhead},
		{"Slots", testSlots},
		{"Fingerprints", testFingerprints},
		{"Unsealed", testUnsealed},
		{"NoticeMissing", testNoticeMissing},
		{"Refusals", testRefusals},
		{"Batches", testBatches},
		{"NoTrack", testNoTrack},
		{"Track", testTrack},
		{"Latest", testLatest},
		{"SaveProgress", testSaveProgress},
		{"ProgressGoes", testProgressGoes},

		{"Cancelled", testCancelled},
		{"UpdatesSerialise", testUpdatesSerialise},
		{"AppendsStoreOnce", testAppendsStoreOnce},
		{"OneBeginWins", testOneBeginWins},
		{"TransitionHoldsAppend", testTransitionHoldsAppend},
		{"NoticesConcurrently", testNoticesConcurrently},
		{"ReceiptsConcurrently", testReceiptsConcurrently},

		{"I1", testModel},
		{"Race", testRace},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(newWorld(t, open(t))) })
	}
}

// Long reports whether the long forms of tests are asked for.
func Long() bool { return os.Getenv("RONDE_CHAOS") == "1" }
