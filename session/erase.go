package session

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// listPage is how many missions are read at once where all of somebody's are
// gone through.
const listPage = 50

// EraseAgent erases an agent of the caller's tenant: positions, saved progress,
// counts of refused pings and acknowledgements go, and a random pseudonym takes
// the agent's place in the records of missions, which stay. It returns what was
// removed. An answer that was lost is had again by asking again.
//
// ErrNotFound for an agent of whom nothing is stored. ErrOnDuty while the agent
// is on a mission that is not over: relieve them first, or end it. ErrHeld while
// a hold keeps a track of theirs. Either nothing was erased then.
// why, which is empty or a reason, goes into the access log; ErrInvalid if it is
// neither.
func (s *Service) EraseAgent(ctx context.Context, p *Principal, agent, why string) (Erasure, error) {
	if p.Role != Platform {
		return Erasure{}, ErrForbidden
	}
	if why != "" {
		if err := ValidateReason("reason", why); err != nil {
			return Erasure{}, err
		}
	}
	if !agentName.MatchString(agent) {
		return Erasure{}, ErrNotFound
	}
	t := Tombstone{Tenant: p.Tenant, Agent: agent, Pseudonym: newPseudonym()}
	known, err := s.erasable(ctx, t)
	if err != nil {
		return Erasure{}, err
	}
	if !known {
		return Erasure{}, ErrNotFound
	}
	row := Access{Action: AccessAgentErase, Agent: s.Pseudonym(p.Tenant, agent), Why: why}
	if err := s.Record(ctx, p, row); err != nil {
		return Erasure{}, err
	}
	e, err := s.bury(ctx, t)
	if errors.Is(err, ErrOnDuty) || errors.Is(err, ErrHeld) {
		// It came since it was looked for. Now it can be named, unless it is gone.
		if _, named := s.erasable(ctx, t); named != nil {
			err = named
		}
	}
	return e, err
}

// erasable reports whether there is anything of the agent to erase, and returns
// why not yet.
func (s *Service) erasable(ctx context.Context, t Tombstone) (known bool, err error) {
	err = s.eachMissionOf(ctx, t.Tenant, t.Agent, func(m *Mission) error {
		known = true
		if err := m.keeps(t.Agent); err != nil {
			return err
		}
		holds, err := s.StandingHolds(ctx, m, t.Agent)
		switch {
		case err != nil || len(holds) == 0:
			return err
		case holds[0].Agent != "":
			return ErrHeld.Because("the agent's own request keeps their track of mission %s until %s: they release it, then erase", m.ID, holds[0].Until.Format(time.RFC3339))
		}
		return ErrHeld.Because("a hold on mission %s keeps its track until %s: release it, then erase", m.ID, holds[0].Until.Format(time.RFC3339))
	})
	if err != nil || known {
		return known, err
	}
	acknowledged, err := s.Store.Acknowledgements(ctx, t.Tenant, t.Agent)
	if err != nil || len(acknowledged) > 0 {
		return len(acknowledged) > 0, err
	}
	return s.halfErased(ctx, t)
}

// halfErased reports whether an erasure of the same agent was not finished.
func (s *Service) halfErased(ctx context.Context, t Tombstone) (bool, error) {
	last, err := s.Store.LastErasure(ctx)
	if err != nil {
		return false, err
	}
	pending, err := s.Sealer.ring.Tombstones(ctx, last)
	for _, p := range pending {
		if p.Tenant == t.Tenant && p.Agent == t.Agent {
			return true, err
		}
	}
	return false, err
}

// keeps returns why a mission's record still needs an agent's name, or nil.
func (m *Mission) keeps(agent string) error {
	if a := m.Agent(agent); a == nil || a.Relieved || m.State.Over() {
		return nil
	}
	return ErrOnDuty.Because("the agent is on mission %s, which is %s: relieve them or end it, then erase", m.ID, m.State)
}

// eachMissionOf calls do for every mission that the agent is or was on, the
// newest first, settled. It reads a few at a time.
func (s *Service) eachMissionOf(ctx context.Context, tenant, agent string, do func(m *Mission) error) error {
	return s.eachMission(ctx, tenant, MissionFilter{Agent: agent}, do)
}

// eachMission calls do for every mission of a tenant that f selects, the newest
// first, settled.
func (s *Service) eachMission(ctx context.Context, tenant string, f MissionFilter, do func(m *Mission) error) error {
	return eachPage(listPage, func(after uuid.UUID) ([]*Mission, error) {
		return s.Missions(ctx, tenant, f, after, listPage)
	}, idOfMission, func(page []*Mission) error {
		for _, m := range page {
			if err := do(m); err != nil {
				return err
			}
		}
		return nil
	})
}

func idOfMission(m **Mission) uuid.UUID { return (*m).ID }

// CloseTenant erases a tenant with everything that is theirs, and returns what
// was removed. With end, missions under way are ended; without, they make it
// ErrState. With holds, what standing holds preserve goes too; without, they make
// it ErrHeld. ErrNotFound for a name that is no tenant's. It is for the command
// line: no key may do it.
func (s *Service) CloseTenant(ctx context.Context, tenant string, end, holds bool) (Erasure, error) {
	t := Tombstone{Tenant: tenant}
	there, err := s.isTenant(ctx, tenant)
	if err == nil && !there {
		there, err = s.halfErased(ctx, t)
	}
	switch {
	case err != nil:
		return Erasure{}, err
	case !there:
		return Erasure{}, ErrNotFound.Because("there is no tenant of that name")
	}
	if !holds {
		if err := s.noneHeld(ctx, tenant); err != nil {
			return Erasure{}, err
		}
	}
	for try := 1; ; try++ {
		if err := s.endAll(ctx, tenant, end); err != nil {
			return Erasure{}, err
		}
		if try == 1 {
			if err := s.Record(ctx, nil, Access{Tenant: tenant, Action: AccessTenantClose}); err != nil {
				return Erasure{}, err
			}
		}
		// One that began since is ended too: a few at most can have been about it.
		if e, err := s.bury(ctx, t); !errors.Is(err, ErrState) || try == endTries {
			return e, err
		}
	}
}

// endTries is how often all missions of a tenant are ended that is being closed
// while its keys still begin others.
const endTries = 5

func (s *Service) isTenant(ctx context.Context, name string) (bool, error) {
	tenants, err := s.Store.Tenants(ctx)
	for _, t := range tenants {
		if t.Name == name {
			return true, err
		}
	}
	return false, err
}

// noneHeld returns ErrHeld if a hold stands on a mission of the tenant.
func (s *Service) noneHeld(ctx context.Context, tenant string) error {
	for after := uuid.Nil; ; {
		page, err := s.Store.Missions(ctx, tenant, MissionFilter{}, after, listPage)
		if err != nil {
			return err
		}
		ids := make([]uuid.UUID, len(page))
		for i, m := range page {
			ids[i] = m.ID
		}
		holds, err := s.Store.Holds(ctx, tenant, ids...)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.Stands(page[0].ReadAt) {
				return ErrHeld.Because("a hold on mission %s keeps its track until %s: release it first, or have what holds keep erased too", h.Mission, h.Until.Format(time.RFC3339))
			}
		}
		if len(page) < listPage {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// endAll sees to it that no mission of a tenant is under way.
func (s *Service) endAll(ctx context.Context, tenant string, end bool) error {
	p := &Principal{Role: Platform, Tenant: tenant}
	return s.eachMission(ctx, tenant, MissionFilter{States: []State{Active, Paused}}, func(m *Mission) error {
		if !end {
			return ErrState.Because("mission %s is %s: end it first, or have all ended", m.ID, m.State)
		}
		_, err := s.Do(ctx, p, m.ID, Command{Action: End})
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}
