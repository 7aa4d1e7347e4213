package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// TombstoneLife is how long a tombstone is kept, from when it was set. No backup
// of the store that is older may be restored: what it says would come back. It is
// longer than the longest retention of a track, and a month.
const TombstoneLife = 400 * 24 * time.Hour

// Tombstone says that everything stored of somebody until some time is erased.
// It is set in the keyring before anything is removed from the store: a crash in
// between, and a backup of the store restored later, are made good by carrying
// it out again, which finds nothing to do where it was carried out before.
//
// Whether somebody may be erased is settled before it is set: Store.Bar looks at
// holds and duties under the locks that those take, and in the same transaction
// sees to it that none comes until the erasure is done. So a tombstone is never
// taken back, and carrying it out asks no more: what was erased once is erased
// again out of a backup in which a hold still stood. Who is barred without a
// tombstone, because a node died between the two, gets one from the next node
// that starts or sweeps. The salts of a tenant are destroyed between the two: a
// tombstone never touches those of a later tenant of the same name.
type Tombstone struct {
	Number int64     // given by the keyring, from 1
	At     time.Time // when they were barred, by the store's clock; what came to be later is not meant
	Tenant string
	Agent  string // "": the whole tenant
	// Pseudonym takes the agent's place in the records of missions.
	Pseudonym string
}

// Erased counts what a tombstone removed from the store, over all that carried
// it out.
type Erased struct {
	Missions         int64 // whose records lost the agent's name or, of a tenant, that went
	Positions        int64
	Refusals         int64 // counters of refused pings
	Acknowledgements int64
	Links            int64
	APIKeys          int64
	Notices          int64
}

// Erasure is what the store remembers of a tombstone: counts and times, nobody's
// name. It is the receipt of a deletion.
type Erasure struct {
	Number int64
	DoneAt time.Time // zero: not all of it was carried out yet
	Erased
}

// ErasureStep is what one step of Store.Erase did.
type ErasureStep struct {
	// Mission is one whose record changed or went; zero for none.
	Mission uuid.UUID
	Done    bool // nothing is left to do
}

// newPseudonym returns a name for somebody who is to have none: it can be an
// agent's id and an alias, and nothing leads from it to anybody.
func newPseudonym() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it aborts the process instead
	return "erased-" + hex.EncodeToString(b[:])
}

// ReplayTombstones carries out every tombstone of the keyring that the store has
// not carried out, and returns how many there were: those of a backup that was
// restored, and those that a crash left half done. A node does it before it
// serves anything. It is safe on all nodes at once, and two reads of the store and
// one of the keyring if there is nothing to do.
func (s *Service) ReplayTombstones(ctx context.Context) (int, error) {
	last, err := s.Store.LastErasure(ctx)
	if err != nil {
		return 0, err
	}
	barred, err := s.Store.Barred(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range barred {
		if _, err := s.entomb(ctx, t, last); err != nil {
			return 0, err
		}
	}
	pending, err := s.Sealer.ring.Tombstones(ctx, last)
	if err != nil {
		return 0, err
	}
	for i, t := range pending {
		if err := s.carryOut(ctx, t); err != nil {
			return i, fmt.Errorf("carry out tombstone %d: %w", t.Number, err)
		}
	}
	return len(pending), nil
}

// purgeTombstones removes tombstones that are older than any backup that may still
// be restored. What the store has not carried out yet it carries out before.
func (s *Service) purgeTombstones(ctx context.Context) (int, error) {
	if _, err := s.ReplayTombstones(ctx); err != nil {
		return 0, err
	}
	now, err := s.Store.Now(ctx)
	if err != nil {
		return 0, err
	}
	return s.Sealer.ring.PurgeTombstones(ctx, now.Add(-TombstoneLife))
}

// bury bars whom t names, sets the tombstone and carries it out, after every
// other that is pending: the store counts one as carried out only if all before
// it were. Errors of Store.Bar as they are.
func (s *Service) bury(ctx context.Context, t Tombstone) (Erasure, error) {
	// Read first: what another node may set and carry out meanwhile lies above.
	last, err := s.Store.LastErasure(ctx)
	if err != nil {
		return Erasure{}, err
	}
	if t, err = s.Store.Bar(ctx, t); err != nil {
		return Erasure{}, err
	}
	number, err := s.entomb(ctx, t, last)
	if err != nil {
		return Erasure{}, err
	}
	if _, err := s.ReplayTombstones(ctx); err != nil {
		return Erasure{}, err
	}
	return s.Store.Erasure(ctx, number)
}

// entomb sees to it that somebody who is barred has a tombstone, and returns its
// number: above last, which was read before it was known that they are barred.
// Before that of a tenant is set the tenant's salts go: that moment its positions
// are unreadable, in every backup too.
func (s *Service) entomb(ctx context.Context, t Tombstone, last int64) (int64, error) {
	number, err := s.tombstoneOf(ctx, t, last)
	if err != nil || number != 0 {
		return number, err
	}
	if t.Agent == "" {
		if err := s.destroySaltsOf(ctx, t.Tenant); err != nil {
			return 0, err
		}
	}
	t.Number = last
	if _, err := s.Sealer.ring.Tombstone(ctx, t); err != nil {
		return 0, err
	}
	// Of two nodes that did so at once, the first number is the one with the counts.
	return s.tombstoneOf(ctx, t, last)
}

// tombstoneOf returns the first number above last under which the keyring has t,
// and 0 for none.
func (s *Service) tombstoneOf(ctx context.Context, t Tombstone, last int64) (int64, error) {
	pending, err := s.Sealer.ring.Tombstones(ctx, last)
	for _, p := range pending {
		if p.Tenant == t.Tenant && p.Agent == t.Agent && p.Pseudonym == t.Pseudonym && p.At.Equal(t.At) {
			return p.Number, err
		}
	}
	return 0, err
}

// carryOut takes the steps of a tombstone.
func (s *Service) carryOut(ctx context.Context, t Tombstone) error {
	for {
		step, err := s.Store.Erase(ctx, t)
		if err != nil {
			return err
		}
		if step.Mission != uuid.Nil {
			s.erasedFrom(ctx, t, step.Mission)
		}
		if step.Done {
			return nil
		}
	}
}

// destroySaltsOf destroys the salts of a tenant, and those of the copies of its
// holds.
func (s *Service) destroySaltsOf(ctx context.Context, tenant string) error {
	if _, err := s.Sealer.ring.DestroyTenantSalts(ctx, tenant); err != nil {
		return err
	}
	return s.destroyHoldSaltsOf(ctx, tenant)
}

// destroyHoldSaltsOf destroys the salts of the copies of a tenant's holds.
func (s *Service) destroyHoldSaltsOf(ctx context.Context, tenant string) error {
	return eachPage(listPage, func(after uuid.UUID) ([]*Mission, error) {
		return s.Store.Missions(ctx, tenant, MissionFilter{}, after, listPage)
	}, idOfMission, func(page []*Mission) error {
		ids := make([]uuid.UUID, len(page))
		for i, m := range page {
			ids[i] = m.ID
		}
		holds, err := s.Store.Holds(ctx, tenant, ids...)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if err := s.Sealer.ring.DestroyHoldSalt(ctx, h.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// erasedFrom tells this node, and through it the others, of a mission whose
// record has changed: rooms forget the agent, and their sockets close.
func (s *Service) erasedFrom(ctx context.Context, t Tombstone, id uuid.UUID) {
	m, err := s.Store.Mission(ctx, t.Tenant, id)
	switch {
	case err == nil:
		s.changed(m)
	case errors.Is(err, ErrNotFound): // it went with its tenant
		s.Sealer.Forget(id)
	default: // what nobody was told of, the next reconciling brings
		s.Log.Warn("erasure_not_announced", "mission", id, "error", err)
	}
}
