package session

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Part is an agent's part in one mission, without positions.
type Part struct {
	Mission *Mission
	Track   TrackState
	Hold    *Hold // the one that stands, or nil; of a track that is gone it may have a copy
	// AgentReport holds nothing of what only a track can tell.
	AgentReport
}

// exportPage is how many positions, or rows of the access log, are in memory at
// once.
const exportPage = 1_000

// Knows returns ErrNotFound unless something of the agent is stored in the
// tenant.
func (s *Service) Knows(ctx context.Context, tenant, agent string) error {
	if !agentName.MatchString(agent) {
		return ErrNotFound
	}
	list, err := s.Store.Missions(ctx, tenant, MissionFilter{Agent: agent}, uuid.Nil, 1)
	if err != nil || len(list) > 0 {
		return err
	}
	acknowledged, err := s.Store.Acknowledgements(ctx, tenant, agent)
	if err == nil && len(acknowledged) == 0 {
		return ErrNotFound
	}
	return err
}

// Held reports whether a mission that the agent is or was on is over and held: its
// track is then read with a reason only.
func (s *Service) Held(ctx context.Context, tenant, agent string) (held bool, err error) {
	err = s.eachMissionOf(ctx, tenant, agent, func(m *Mission) error {
		if held || !m.State.Over() {
			return nil
		}
		hold, err := s.StandingHold(ctx, m)
		held = hold != nil
		return err
	})
	return held, err
}

// Parts calls do for every mission that the agent is or was on, the newest
// first, a few in memory at once. An error of do ends it.
func (s *Service) Parts(ctx context.Context, tenant, agent string, do func(*Part) error) error {
	return s.eachMissionOf(ctx, tenant, agent, func(m *Mission) error {
		refusals, err := s.Store.Refusals(ctx, tenant, m.ID)
		if err != nil {
			return err
		}
		report := NewReport(m, refusals)
		if report.Track == TrackKept && m.ExpiresOn != 0 {
			_, err = s.Sealer.Key(ctx, m)
			if errors.Is(err, ErrGone) {
				report.Track, err = TrackGone, nil
			}
		}
		if err != nil {
			return err
		}
		hold, err := s.StandingHold(ctx, m)
		if err != nil {
			return err
		}
		for _, a := range report.Agents {
			if a.ID == agent {
				return do(&Part{Mission: m, Track: report.Track, Hold: hold, AgentReport: a})
			}
		}
		return nil // erased since it was listed
	})
}

// AgentFixes calls do for all that is stored of where the agent was in a mission
// that Parts gave, page by page in the order of time; of a track that is gone,
// what a hold has kept. Of a mission without a track that is the latest position
// at most. An error of do ends it.
func (s *Service) AgentFixes(ctx context.Context, p *Part, do func(page []Fix) error) error {
	read := s.fixesOf(ctx, p)
	for after := (Cursor{}); ; {
		page, err := read(p.ID, after)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			if err := do(page); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		last := &page[len(page)-1].Row
		after = Cursor{At: last.At, Agent: last.Agent, Slot: last.Slot}
	}
}

// fixesOf returns what reads the positions of a part, exportPage at once.
func (s *Service) fixesOf(ctx context.Context, p *Part) trackReader {
	m := p.Mission
	switch {
	case p.Track == TrackNone:
		return func(agent string, _ Cursor) ([]Fix, error) {
			return s.open(ctx, m, func() ([]Row, error) { return s.agentLatest(ctx, m, agent) })
		}
	case p.Track == TrackGone && p.Hold != nil:
		return func(agent string, after Cursor) ([]Fix, error) {
			return s.HeldTrack(ctx, m, p.Hold, agent, after, exportPage)
		}
	case p.Track == TrackGone:
		return func(string, Cursor) ([]Fix, error) { return nil, nil }
	}
	return func(agent string, after Cursor) ([]Fix, error) { return s.AgentTrack(ctx, m, agent, after, exportPage) }
}

func (s *Service) agentLatest(ctx context.Context, m *Mission, agent string) ([]Row, error) {
	rows, err := s.Store.Latest(ctx, m.Tenant, m.ID, 1)
	for i := range rows {
		if rows[i].Agent == agent {
			return rows[i : i+1], err
		}
	}
	return nil, err
}

// AgentAccess calls do, page by page, for the rows of the access log about a
// mission and its agent: who watched it and read it, and what was done. With the
// zero id they are those about the agent and no mission. Those about other agents
// are left out. An error of do ends it.
func (s *Service) AgentAccess(ctx context.Context, tenant, agent string, mission uuid.UUID, do func(page []Access) error) error {
	pseudonym := s.Pseudonym(tenant, agent)
	f := AccessFilter{Mission: mission}
	if mission == uuid.Nil {
		f.Agent = pseudonym
	}
	for after := uuid.Nil; ; {
		page, err := s.Store.AccessLog(ctx, tenant, f, after, exportPage)
		if err != nil {
			return err
		}
		var own []Access
		for _, a := range page {
			if a.Mission == mission && (a.Agent == "" || a.Agent == pseudonym) {
				own = append(own, a.Access)
			}
		}
		if len(own) > 0 {
			if err := do(own); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}
