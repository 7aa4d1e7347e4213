package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// meddler lets somebody else act right before the change of a service that it is
// told by its number.
type meddler struct {
	until int
	act   func()
}

func (m *meddler) change() {
	if m.until == 0 {
		m.act()
	}
	m.until--
}

type meddledStore struct {
	session.Store
	*meddler
}

func (s meddledStore) LogAccess(ctx context.Context, batch []session.Access) error {
	s.change()
	return s.Store.LogAccess(ctx, batch)
}

func (s meddledStore) Bar(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	s.change()
	return s.Store.Bar(ctx, t)
}

func (s meddledStore) Erase(ctx context.Context, t session.Tombstone) (session.ErasureStep, error) {
	s.change()
	return s.Store.Erase(ctx, t)
}

type meddledRing struct {
	session.Keyring
	*meddler
}

func (r meddledRing) Tombstone(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	r.change()
	return r.Keyring.Tombstone(ctx, t)
}

// meddle erases an agent once for every change that this takes, with somebody
// acting right before it, and once more without.
func (in *installation) meddle(round func(i int, erase func(tenant, agent string, act func()) error)) {
	in.Helper()
	for i, acted := 0, true; acted; i++ {
		if i == 20 {
			in.Fatal("an erasure does not end")
		}
		acted = false
		round(i, func(tenant, agent string, act func()) error {
			m := &meddler{until: i, act: func() { acted = true; act() }}
			s := in.service()
			s.Store, s.Sealer = meddledStore{in.store, m}, session.NewSealer(in.root, meddledRing{in.ring, m})
			_, err := s.EraseAgent(in.Context(), platformOf(tenant), agent, "")
			return err
		})
	}
}

// tombstones returns how many there are.
func (in *installation) tombstones() int {
	in.Helper()
	list, err := in.ring.Tombstones(in.Context(), 0)
	in.ok(err)
	return len(list)
}

func (in *installation) hold(m *session.Mission) error {
	_, err := in.service().SetHold(in.Context(), platformOf(m.Tenant), m.ID, "a dispute", time.Now().Add(240*time.Hour))
	return err
}

func (in *installation) add(m *session.Mission, agent string) error {
	_, err := in.service().Do(in.Context(), platformOf(m.Tenant), m.ID, session.Command{Action: session.AddAgent, Agent: agent})
	return err
}

// TestHoldMeetsErasure (P37): whenever a hold is set while an agent is erased, one
// of the two is refused and the other is whole.
func TestHoldMeetsErasure(t *testing.T) {
	onBoth(t, func(in *installation) {
		held, refused := 0, 0
		in.meddle(func(i int, erase func(string, string, func()) error) {
			agent := fmt.Sprintf("badge-%d", i)
			m := in.mission("acme", 3, agent)
			in.end(m)
			before, holdErr := in.tombstones(), errors.New("not asked for")
			err := erase("acme", agent, func() { holdErr = in.hold(m) })
			switch left := in.stored(m); {
			case holdErr == nil && errors.Is(err, session.ErrHeld) && strings.Contains(err.Error(), m.ID.String()):
				held++
				if left != 3 || in.tombstones() != before {
					in.Errorf("round %d: %d positions of a held track, %d tombstones", i, left, in.tombstones()-before)
				}
			case err == nil && holdErr != nil:
				if errors.Is(holdErr, session.ErrErasing) {
					refused++
				}
				if left != 0 {
					in.Errorf("round %d: %d positions of an erased agent", i, left)
				}
			default:
				in.Errorf("round %d: erasing: %v, holding: %v, %d positions left", i, err, holdErr, left)
			}
		})
		if held < 2 || refused < 2 {
			in.Errorf("%d holds came before and %d too late", held, refused)
		}
	})
}

// TestDutyMeetsErasure (P39): the same of an agent who is put on another mission,
// an old or a new one.
func TestDutyMeetsErasure(t *testing.T) {
	onBoth(t, func(in *installation) {
		onDuty, refused := 0, 0
		for _, again := range []bool{false, true} {
			in.meddle(func(i int, erase func(string, string, func()) error) {
				agent := fmt.Sprintf("badge-%d-%t", i, again)
				in.end(in.mission("acme", 1, agent))
				active := in.mission("acme", 0, "other-"+agent)
				if again { // they were on it and come back
					in.ok(in.add(active, agent))
					_, err := in.service().Do(in.Context(), platformOf("acme"), active.ID, session.Command{Action: session.Relieve, Agent: agent})
					in.ok(err)
				}
				before, addErr := in.tombstones(), errors.New("not asked for")
				err := erase("acme", agent, func() { addErr = in.add(active, agent) })
				now, readErr := in.store.Mission(in.Context(), "acme", active.ID)
				in.ok(readErr)
				part := now.Agent(agent)
				switch {
				case addErr == nil && errors.Is(err, session.ErrOnDuty):
					onDuty++
					if part == nil || part.Open() == nil || in.tombstones() != before {
						in.Errorf("round %d: on duty %+v, %d tombstones", i, part, in.tombstones()-before)
					}
				case err == nil && addErr != nil:
					if errors.Is(addErr, session.ErrErasing) {
						refused++
					}
					if part != nil {
						in.Errorf("round %d: the erased agent is %+v", i, part)
					}
				default:
					in.Errorf("round %d: erasing: %v, adding: %v", i, err, addErr)
				}
				in.end(active)
			})
		}
		if onDuty < 4 || refused < 4 {
			in.Errorf("%d came on duty before and %d too late", onDuty, refused)
		}
	})
}

// TestErasureRaces is the same with true concurrency, on whatever interleavings
// the locks allow: who succeeds beside an erasure does so after it.
func TestErasureRaces(t *testing.T) {
	onBoth(t, func(in *installation) {
		active := in.mission("acme", 0, "dispatcher")
		both := 0
		for i := range 30 {
			agent := fmt.Sprintf("racer-%d", i)
			m := in.mission("acme", 1, agent)
			in.end(m)
			var erased session.Erasure
			var hold session.Hold
			var eraseErr, holdErr, addErr error
			var all sync.WaitGroup
			all.Go(func() { erased, eraseErr = in.service().EraseAgent(in.Context(), platformOf("acme"), agent, "") })
			if i%2 == 0 {
				all.Go(func() {
					hold, holdErr = in.service().SetHold(in.Context(), platformOf("acme"), m.ID, "a dispute", time.Now().Add(240*time.Hour))
				})
			} else {
				all.Go(func() { addErr = in.add(active, agent) })
			}
			all.Wait()
			now, err := in.store.Mission(in.Context(), "acme", active.ID)
			in.ok(err)
			switch {
			case eraseErr != nil && !errors.Is(eraseErr, session.ErrHeld) && !errors.Is(eraseErr, session.ErrOnDuty):
				in.Errorf("round %d: %v", i, eraseErr)
			case eraseErr != nil && in.stored(m) != 1, eraseErr == nil && in.stored(m) != 0:
				in.Errorf("round %d: %d positions are left: %v", i, in.stored(m), eraseErr)
			case i%2 == 0 && eraseErr == nil && holdErr == nil && hold.SetAt.Before(erased.DoneAt):
				in.Errorf("round %d: a hold of %v stands over what was erased until %v", i, hold.SetAt, erased.DoneAt)
			case i%2 == 1 && addErr == nil && now.Agent(agent) == nil:
				in.Errorf("round %d: who came on duty is gone", i)
			case eraseErr == nil && holdErr == nil && addErr == nil:
				both++
			}
			for _, err := range []error{holdErr, addErr} {
				if err != nil && !errors.Is(err, session.ErrErasing) {
					in.Errorf("round %d: %v", i, err)
				}
			}
			if i%2 == 1 && addErr == nil {
				_, err := in.service().Do(in.Context(), platformOf("acme"), active.ID, session.Command{Action: session.Relieve, Agent: agent})
				in.ok(err)
			}
		}
		in.Logf("in %d of 30 rounds one came after the other", both)
	})
}

// TestBarredAfterDeath: who was barred when a node died is erased by the next
// that sweeps, and nothing comes in between.
func TestBarredAfterDeath(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx := in.Context()
		m, others := in.mission("acme", 3, "badge-1"), in.mission("globex", 2, "badge-1")
		in.end(m)
		in.end(others)
		active := in.mission("acme", 0, "badge-2")
		first, err := in.store.Bar(ctx, session.Tombstone{Tenant: "acme", Agent: "badge-1", Pseudonym: "erased-1"})
		in.ok(err)
		second, err := in.store.Bar(ctx, session.Tombstone{Tenant: "acme", Agent: "badge-1", Pseudonym: "erased-2"})
		if err != nil || second != first || first.At.IsZero() || first.Pseudonym != "erased-1" {
			in.Errorf("barred as %+v, then as %+v, %v", first, second, err)
		}
		if list, err := in.store.Barred(ctx); err != nil || len(list) != 1 || list[0] != first {
			in.Errorf("barred are %+v, %v", list, err)
		}
		if err := in.hold(m); !errors.Is(err, session.ErrErasing) {
			in.Errorf("a hold: %v", err)
		}
		in.ok(in.hold(others))
		plan := m.Clone()
		plan.ID = session.NewID()
		plan.Agents = []session.Agent{{ID: "badge-1", Alias: "A1"}}
		if err := in.service().CreateMission(ctx, platformOf("acme"), plan); !errors.Is(err, session.ErrErasing) {
			in.Errorf("a new mission: %v", err)
		}
		n, err := in.service().ReplayTombstones(ctx)
		if err != nil || n != 1 || in.stored(m) != 0 || in.stored(others) != 2 {
			in.Errorf("%d carried out, %v; %d and %d positions are left", n, err, in.stored(m), in.stored(others))
		}
		if list, err := in.store.Barred(ctx); err != nil || len(list) != 0 {
			in.Errorf("barred are %+v, %v", list, err)
		}
		// The name may be somebody's again: whatever tombstone two nodes set for
		// the same erasure does not touch them.
		in.ok(in.service().CreateMission(ctx, platformOf("acme"), plan))
		in.ok(in.add(active, "badge-1"))
		again, err := in.ring.Tombstone(ctx, first)
		in.ok(err)
		_, err = in.service().ReplayTombstones(ctx)
		in.ok(err)
		for _, id := range []uuid.UUID{plan.ID, active.ID} {
			if now, err := in.store.Mission(ctx, "acme", id); err != nil || now.Agent("badge-1") == nil {
				in.Errorf("the agent is gone from %+v, %v", now, err)
			}
		}
		if e, err := in.store.Erasure(ctx, again.Number); err != nil || e.Erased != (session.Erased{}) || e.DoneAt.IsZero() {
			in.Errorf("the second receipt is %+v, %v", e, err)
		}
	})
}

// TestRestoredHold: an erasure that was carried out is carried out again out of a
// store in which a hold still stands, or a duty.
func TestRestoredHold(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx := in.Context()
		held, active := in.mission("acme", 3, "badge-1"), in.mission("acme", 3, "badge-2")
		in.end(held)
		in.ok(in.hold(held))
		now, err := in.store.Now(ctx)
		in.ok(err)
		for _, agent := range []string{"badge-1", "badge-2"} {
			_, err = in.ring.Tombstone(ctx, session.Tombstone{At: now, Tenant: "acme", Agent: agent, Pseudonym: "erased-" + agent})
			in.ok(err)
		}
		if n, err := in.service().ReplayTombstones(ctx); err != nil || n != 2 || in.stored(held)+in.stored(active) != 0 {
			in.Errorf("%d carried out, %v; %d and %d positions are left", n, err, in.stored(held), in.stored(active))
		}
	})
}

// TestClosingBars: from the moment on that a tenant is being closed, nothing of its
// name is made until that is over, and then nothing of the old one touches the new.
func TestClosingBars(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx, s := in.Context(), in.service()
		old, planned, other := in.mission("acme", 3, "badge-1"), in.mission("acme", 0, "badge-2"), in.mission("globex", 2, "badge-1")
		plan := planned.Clone()
		plan.ID, plan.Agents = session.NewID(), []session.Agent{{ID: "badge-3"}}
		in.ok(s.CreateMission(ctx, platformOf("acme"), plan))
		if _, err := in.store.Bar(ctx, session.Tombstone{Tenant: "acme"}); !errors.Is(err, session.ErrState) {
			in.Errorf("closing while missions are under way: %v", err)
		}
		in.end(old)
		in.end(planned)
		stone, err := in.store.Bar(ctx, session.Tombstone{Tenant: "acme"}) // and there it was killed
		in.ok(err)
		newKey := func(tenant string) error {
			return in.store.CreateAPIKey(ctx, session.APIKey{ID: session.NewID(), Tenant: tenant, Role: session.Platform, Hash: make([]byte, 32), CreatedAt: time.Now()})
		}
		late := plan.Clone()
		late.ID = session.NewID()
		_, beginErr := s.Do(ctx, platformOf("acme"), plan.ID, session.Command{Action: session.Begin})
		for what, err := range map[string]error{
			"the tenant": in.store.EnsureTenant(ctx, "acme"), "a key": newKey("acme"), "a mission": s.CreateMission(ctx, platformOf("acme"), late), "a begin": beginErr,
		} {
			if !errors.Is(err, session.ErrErasing) {
				in.Errorf("%s while the tenant is closed: %v", what, err)
			}
		}
		in.ok(in.store.EnsureTenant(ctx, "globex"))
		in.ok(newKey("globex"))
		if n, err := in.service().ReplayTombstones(ctx); err != nil || n != 1 {
			in.Errorf("%d carried out, %v", n, err)
		}
		if _, err := in.store.Mission(ctx, "acme", old.ID); !errors.Is(err, session.ErrNotFound) {
			in.Errorf("the old mission: %v", err)
		}

		in.ok(in.store.EnsureTenant(ctx, "acme"))
		in.ok(newKey("acme"))
		m := in.mission("acme", 4, "badge-1")
		_, err = in.ring.Tombstone(ctx, stone) // as another node would have
		in.ok(err)
		_, err = in.service().ReplayTombstones(ctx)
		in.ok(err)
		for _, m := range []*session.Mission{m, other} {
			if fixes, err := in.service().Track(ctx, m, session.Cursor{}, 10); err != nil || len(fixes) == 0 || len(fixes) != in.stored(m) {
				in.Errorf("the track of %s: %d positions, %v", m.Tenant, len(fixes), err)
			}
		}
		if keys, err := in.store.APIKeys(ctx, "acme"); err != nil || len(keys) != 1 {
			in.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

// restored hides a tenant as it is now behind what a backup of before knew of the
// name.
type restored struct {
	session.Store
	last    int64
	tenants []session.Tenant
}

func (r *restored) LastErasure(context.Context) (int64, error)        { return r.last, nil }
func (r *restored) Tenants(context.Context) ([]session.Tenant, error) { return r.tenants, nil }
func (r *restored) Erase(_ context.Context, t session.Tombstone) (session.ErasureStep, error) {
	r.last = t.Number
	return session.ErasureStep{Done: true}, nil
}
func (r *restored) Missions(context.Context, string, session.MissionFilter, uuid.UUID, int) ([]*session.Mission, error) {
	return nil, nil
}

// TestOldBackupSparesSalts: the tombstone of a tenant, carried out again on a
// backup of before, leaves alone the salts of a later tenant of the same name.
func TestOldBackupSparesSalts(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx := in.Context()
		in.end(in.mission("acme", 2, "badge-1"))
		tenants, err := in.store.Tenants(ctx)
		in.ok(err)
		_, err = in.service().CloseTenant(ctx, "acme", false, false)
		in.ok(err)
		m := in.mission("acme", 2, "badge-1")
		s := in.service()
		s.Store = &restored{Store: in.store, tenants: tenants}
		if n, err := s.ReplayTombstones(ctx); err != nil || n != 1 {
			in.Errorf("%d carried out, %v", n, err)
		}
		if fixes, err := in.service().Track(ctx, m, session.Cursor{}, 10); err != nil || len(fixes) != 2 {
			in.Errorf("the track of the later tenant: %d positions, %v", len(fixes), err)
		}
	})
}
