package storetest

import (
	"testing"
	"time"

	"ronde/session"
)

// Restoring is a test of what a restored backup brings back.
type Restoring struct {
	Installation
	// Backup makes a backup of the store, and one of the keyring, apart. Each
	// returns what restores it.
	Backup     func(t *testing.T) (restore func(t *testing.T) Fixture)
	BackupKeys func(t *testing.T) (restore func(t *testing.T) session.Keyring)
}

// Restore (I7, P38): a backup of the store that is older than a track's expiry,
// restored after the sweep, does not bring the track back, whatever the time that
// its clock tells; what was held is readable. A copy of the keyring as old as that
// brings it back: copies of keys must not be kept.
func Restore(t *testing.T, r Restoring) {
	p := newSweepWorld(t, r.Fixture, r.Keys)
	expired, held, later := p.ended(2, 10, "badge-1"), p.ended(2, 10, "badge-2"), p.ended(5, 10, "badge-3")
	h := p.hold(held, 90)
	p.sweep()
	p.readable(expired, 10)
	before := p.now
	restoreStore, restoreKeys := r.Backup(t), r.BackupKeys(t)

	p.clock(p.expiry(expired))
	p.sweep()
	p.readable(expired, 0)
	p.overdue()

	f := restoreStore(t)
	restored := &sweepWorld{world: &world{T: t, Fixture: f, tenant: p.tenant}, Keys: p.Keys, signer: p.signer, rows: p.rows}
	restored.Store = p.rows.Store(f.Store)
	restored.service = restored.node(f.Store, p.Ring)
	if n := f.Count(t, expired.ID); n != 10 {
		t.Fatalf("the backup holds %d positions of the expired track, want 10: it proves nothing", n)
	}
	for _, clock := range []time.Time{p.now, before} { // a restored machine may tell any time
		restored.clock(clock)
		restored.readable(expired, 0)
		restored.readable(held, 0)
		restored.readable(later, 10)
		restored.held(held, h, 10)
	}
	stale := restoreKeys(t)
	restored.Ring, restored.service = stale, restored.node(f.Store, stale)
	restored.readable(expired, 10) // what nothing but the end of old copies of the keyring prevents
	restored.clock(p.now)
	restored.sweep()
	restored.clock(before)
	restored.readable(expired, 0)
	restored.held(held, h, 10)
}
