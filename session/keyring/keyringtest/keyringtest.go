// Package keyringtest is the contract of session.Keyring as a program: every
// implementation passes Run.
package keyringtest

import (
	"testing"

	"github.com/google/uuid"

	"ronde/session"
)

// Opener opens one keyring. Each call gives another handle on the same secrets,
// as another process or node would have, or the same one after a restart. Run
// closes what it opens.
type Opener func(t *testing.T) session.Keyring

// Run runs the suite. fresh makes a new, empty keyring and returns its Opener;
// every test of the suite asks for its own.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Opener)
	}{
		{"ID", identity},
		{"SaltIsMadeOnce", saltIsMadeOnce},
		{"SaltsDiffer", saltsDiffer},
		{"SaltOfThePast", saltOfThePast},
		{"SaltOutlivesItsDay", saltOutlivesItsDay},
		{"SaltRefusesNonsense", saltRefusesNonsense},
		{"DestroyedStaysDestroyed", destroyedStaysDestroyed},
		{"DestroyIsSeenByOthers", destroyIsSeenByOthers},
		{"DestroySparesTheDay", destroySparesTheDay},
		{"MakersAgree", makersAgree},
		{"DestroyersShare", destroyersShare},
		{"DestroyRacesSalt", destroyRacesSalt},
		{"SomeSaltsAreKept", someSaltsAreKept},
		{"SaltDays", saltDays},
		{"HoldSalt", holdSalt},
		{"HoldSaltsEnd", holdSaltsEnd},
		{"HoldSaltStaysDestroyed", holdSaltStaysDestroyed},
		{"HoldSaltMakersAgree", holdSaltMakersAgree},
		{"DestroyRacesHoldSalt", destroyRacesHoldSalt},
		{"SigningKeysAreMadeOnce", signingKeysAreMadeOnce},
		{"SigningKeysRotate", signingKeysRotate},
		{"TenantSalts", tenantSalts},
		{"TenantSaltsRace", tenantSaltsRace},
		{"Tombstones", tombstones},
		{"TombstonesGoOn", tombstonesGoOn},
		{"TombstonesAtOnce", tombstonesAtOnce},
		{"TombstonesRefuseNonsense", tombstonesRefuseNonsense},
		{"TombstonesArePurged", tombstonesArePurged},
		{"SigningKeysAreRemoved", signingKeysAreRemoved},
		{"NothingShared", nothingShared},
		{"CallerGivesUp", callerGivesUp},
		{"Closed", closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			open := fresh(t)
			test.run(t, func(t *testing.T) session.Keyring {
				t.Helper()
				ring := open(t)
				t.Cleanup(func() { _ = ring.Close() })
				return ring
			})
		})
	}
}

// identity: every handle on a keyring knows it by the same name.
func identity(t *testing.T, open Opener) {
	id := open(t).ID()
	if id == uuid.Nil || open(t).ID() != id {
		t.Errorf("the identity is %v, then %v", id, open(t).ID())
	}
}
