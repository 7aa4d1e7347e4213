package web

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

type holdRequest struct {
	Reason string     `json:"reason" doc:"Why, in 3 to 300 characters; agents and auditors read it"`
	Until  *time.Time `json:"until" nullable:"false" doc:"When the hold ends by itself: within 366 days, an agent's own within 90. The hold that stands can be extended"`
}

type holdReply struct {
	ID         string       `json:"id"`
	Mission    string       `json:"mission"`
	Reason     string       `json:"reason"`
	By         session.Role `json:"by" enum:"platform,operator,agent" doc:"The role of who set it, or extended it last; an agent's own keeps their part of the track alone"`
	SetAt      time.Time    `json:"set_at"`
	Until      time.Time    `json:"until"`
	ReleasedAt *time.Time   `json:"released_at"`
	CopiedAt   *time.Time   `json:"copied_at" doc:"When the copy of the track was whole, which is made once the mission is over"`
}

func newHoldReply(h *session.Hold) *holdReply {
	return &holdReply{
		ID: h.ID.String(), Mission: h.Mission.String(), Reason: h.Reason, By: h.Role, SetAt: h.SetAt, Until: h.Until,
		ReleasedAt: orNull(h.ReleasedAt), CopiedAt: orNull(h.CopiedAt),
	}
}

func (s *Server) holdMission(ctx context.Context, r *request[missionParams, holdRequest]) (*holdReply, error) {
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	if r.Body.Until == nil {
		return nil, session.ErrInvalid.At("until").Because("is required")
	}
	h, err := s.service.SetHold(ctx, r.Principal, id, r.Body.Reason, *r.Body.Until)
	if err != nil {
		return nil, err
	}
	return newHoldReply(&h), nil
}

func (s *Server) releaseMission(ctx context.Context, r *request[missionParams, none]) (*holdReply, error) {
	id, err := parseID(r.Params.ID)
	if err != nil {
		return nil, err
	}
	h, err := s.service.ReleaseHold(ctx, r.Principal, id, r.Access.Why)
	if err != nil {
		return nil, err
	}
	return newHoldReply(&h), nil
}

// heldBy returns the hold that stands on a mission that is over, whose data are
// read with a reason only, and has the request's row say that it is what is held
// that is read. Nil: there is none, and the mission is read as ever. What an agent
// asked to be kept is no such hold: their right puts nothing in the way of others,
// and its copy is theirs, to be had by an export.
func (s *Server) heldBy(ctx context.Context, m *session.Mission, row *session.Access) (*session.Hold, error) {
	if !m.State.Over() {
		return nil, nil
	}
	holds, err := s.service.StandingHolds(ctx, m, "")
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	if row.Why == "" {
		return nil, session.ErrReason
	}
	row.Action, row.Object = session.AccessArchiveRead, holds[0].ID
	return &holds[0], nil
}

// missionReply returns what an answer says of a mission, its hold included.
func (s *Server) missionReply(ctx context.Context, m *session.Mission) (*missionReply, error) {
	replies, err := s.missionReplies(ctx, m.Tenant, []*session.Mission{m})
	if err != nil {
		return nil, err
	}
	return replies[0], nil
}

func (s *Server) missionReplies(ctx context.Context, tenant string, list []*session.Mission) ([]*missionReply, error) {
	ids, replies := make([]uuid.UUID, len(list)), make([]*missionReply, len(list))
	byID := map[uuid.UUID]int{}
	for i, m := range list {
		ids[i], byID[m.ID], replies[i] = m.ID, i, newMissionReply(m)
	}
	holds, err := s.service.Store.Holds(ctx, tenant, ids...)
	for _, h := range holds {
		if i := byID[h.Mission]; h.Agent == "" && h.Stands(list[i].ReadAt) {
			replies[i].HeldUntil = orNull(h.Until)
		}
	}
	return replies, err
}
