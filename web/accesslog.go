package web

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

type accessLogParams struct {
	Mission   string                 `query:"mission" doc:"Rows about this mission, a UUIDv7"`
	Agent     string                 `query:"agent" doc:"Rows about this agent, by the tenant's own name; none for a name of which nothing else is stored (any more)" example:"badge-17"`
	Pseudonym string                 `query:"pseudonym" doc:"The same, by the name that the rows have"`
	Action    []session.AccessAction `query:"action,explode" nullable:"false" doc:"Rows of this action, or of one of several" example:"track.read"`
	From      instant                `query:"from" doc:"Rows not before this time" example:"2026-11-21T00:00:00Z"`
	To        instant                `query:"to" doc:"Rows before this time" example:"2026-11-22T00:00:00Z"`
	Limit     int                    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"The most items of a page"`
	Cursor    string                 `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before"`
}

// accessReply is one row of the access log.
type accessReply struct {
	ID      string               `json:"id"`
	At      time.Time            `json:"at"`
	Role    *session.Role        `json:"role" doc:"Who did it; null: Ronde itself, at a deadline or in a sweep"`
	Subject *string              `json:"subject" doc:"Which API key, agent token or link"`
	Action  session.AccessAction `json:"action" doc:"What was done; a change may have been asked for only, and refused then"`
	Mission *string              `json:"mission"`
	Agent   *string              `json:"agent" doc:"The agent concerned or acting, by pseudonym"`
	Object  *string              `json:"object" doc:"The link, hold, key or webhook concerned, or the viewer's connection"`
	Reason  *string              `json:"reason" doc:"Why, as far as it was said"`
	Leaf    *int64               `json:"leaf" doc:"The row's number in the tree that ronde audit verifies, from 0; null: it is about to get one"`
}

func (s *Server) getAccessLog(ctx context.Context, r *request[accessLogParams, none]) (*page[accessReply], error) {
	q, tenant := &r.Params, r.Principal.Tenant
	after, err := parseIDCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	filter := session.AccessFilter{Agent: q.Pseudonym, Actions: q.Action, From: q.From.Time, To: q.To.Time, Newest: true}
	if q.Mission != "" {
		if filter.Mission, err = parseID(q.Mission); err != nil {
			return nil, session.ErrInvalid.At("mission").Because("must be the id of a mission, a UUIDv7")
		}
	}
	if q.Agent != "" {
		if q.Pseudonym != "" {
			return nil, session.ErrInvalid.At("pseudonym").Because("must not come with agent")
		}
		// The log outlives an erasure. By their name nobody finds them in it any more.
		err := s.service.Knows(ctx, tenant, q.Agent)
		if errors.Is(err, session.ErrNotFound) {
			return &page[accessReply]{Items: []accessReply{}}, nil
		}
		if err != nil {
			return nil, err
		}
		filter.Agent = s.service.Pseudonym(tenant, q.Agent)
	}
	rows, err := s.service.AccessLog(ctx, tenant, filter, after, q.Limit+1)
	if err != nil {
		return nil, err
	}
	p := &page[accessReply]{Items: []accessReply{}}
	for i := range rows[:min(len(rows), q.Limit)] {
		p.Items = append(p.Items, newAccessReply(&rows[i]))
	}
	if len(rows) > q.Limit {
		p.NextCursor = idCursor(rows[q.Limit-1].ID)
	}
	return p, nil
}

func newAccessReply(a *session.LoggedAccess) accessReply {
	r := accessReply{
		ID: a.ID.String(), At: a.At, Role: orNull(a.Role), Subject: idOrNull(a.Subject), Action: a.Action,
		Mission: idOrNull(a.Mission), Agent: orNull(a.Agent), Object: idOrNull(a.Object), Reason: orNull(a.Why),
	}
	if a.Leaf >= 0 {
		r.Leaf = &a.Leaf
	}
	return r
}

// idOrNull returns nil for no object.
func idOrNull(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	return orNull(id.String())
}
