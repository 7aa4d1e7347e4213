package web

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ronde/session"
)

type listParams struct {
	State     []session.State `query:"state,explode" nullable:"false" enum:"scheduled,active,paused,ended,cancelled" doc:"Those that stand in this state, or in one of several"`
	From      instant         `query:"from" doc:"Those whose planned time reaches beyond this time" example:"2026-11-21T00:00:00Z"`
	To        instant         `query:"to" doc:"Those whose planned time begins before this time" example:"2026-11-22T00:00:00Z"`
	Agent     string          `query:"agent" doc:"Those that this agent is or was on" example:"badge-17"`
	Reference string          `query:"reference" doc:"Those of this very reference" example:"M-1"`
	Limit     int             `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most items of a page"`
	Cursor    string          `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before"`
}

func (s *Server) listMissions(ctx context.Context, r *request[listParams, none]) (*page[*missionReply], error) {
	q := &r.Params
	after, err := parseIDCursor(q.Cursor)
	if err != nil {
		return nil, err
	}
	filter := session.MissionFilter{States: q.State, From: q.From.Time, To: q.To.Time, Agent: q.Agent, Reference: q.Reference}
	list, err := s.service.Missions(ctx, r.Principal.Tenant, filter, after, q.Limit+1)
	if err != nil {
		return nil, err
	}
	p := &page[*missionReply]{Items: []*missionReply{}}
	if p.Items, err = s.missionReplies(ctx, r.Principal.Tenant, list[:min(len(list), q.Limit)]); err != nil {
		return nil, err
	}
	if len(list) > q.Limit {
		p.NextCursor = idCursor(list[q.Limit-1].ID)
	}
	return p, nil
}

// idCursor names the place after an object in a list in the order of ids.
func idCursor(last uuid.UUID) *string { return orNull(encodeCursor(last[:])) }

// parseIDCursor returns the id after which a page begins; the zero one for no
// cursor.
func parseIDCursor(text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	b, err := decodeCursor(text)
	if err != nil || len(b) != len(uuid.UUID{}) {
		return uuid.Nil, errCursor
	}
	return uuid.UUID(b), nil
}

// instant is a time in a query.
type instant struct{ time.Time }

var errInstant = errors.New("must be a time as in RFC 3339, with its zone, from 1970 on: 2026-11-21T20:00:00Z; a + is written %2B in a query")

// UnmarshalText reads RFC 3339 as in a body, with capital letters T and Z:
// package time would take a comma and other things that it does not know.
func (i *instant) UnmarshalText(text []byte) error {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return errInstant
	}
	var t time.Time
	if json.Unmarshal(quoted, &t) != nil || t.Unix() < 0 {
		return errInstant
	}
	i.Time = t
	return nil
}

// Schema documents an instant.
func (instant) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[time.Time](), true, "")
}
