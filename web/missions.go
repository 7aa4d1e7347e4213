package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ronde/session"
)

type missionParams struct {
	ID string `path:"id" doc:"The mission, a UUIDv7"`
}

// page is one page of a list. The cursor is null on the last one.
type page[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor"`
}

func (s *Server) createMission(ctx context.Context, r *request[none, missionRequest]) (*missionReply, error) {
	m, err := r.Body.mission()
	if err != nil {
		return nil, err
	}
	if err := s.service.PrepareMission(ctx, r.Principal, m); err != nil {
		return nil, err
	}
	c := session.Creation{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Mission: m}
	return create(ctx, s, c, r.Once, func() *missionReply { return newMissionReply(m) })
}

func (s *Server) getMission(ctx context.Context, r *request[missionParams, none]) (*missionReply, error) {
	m, err := s.mission(ctx, r.Principal, r.Params.ID)
	if err != nil {
		return nil, err
	}
	return s.missionReply(ctx, m)
}

// mission reads the mission that a path names.
func (s *Server) mission(ctx context.Context, p *session.Principal, text string) (*session.Mission, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, err
	}
	return s.service.Mission(ctx, p.Tenant, id)
}

// transition binds the operation of one action that changes a mission's state.
func transition(action session.Action) binder {
	return operation(func(s *Server, ctx context.Context, r *request[missionParams, empty]) (*missionReply, error) {
		return s.do(ctx, r.Principal, r.Params.ID, session.Command{Action: action})
	})
}

func (s *Server) do(ctx context.Context, p *session.Principal, text string, commands ...session.Command) (*missionReply, error) {
	id, err := parseID(text)
	if err != nil {
		return nil, err
	}
	m, err := s.service.Do(ctx, p, id, commands...)
	if err != nil {
		return nil, err
	}
	return s.missionReply(ctx, m)
}

type missionChange struct {
	EndsAt        *time.Time     `json:"ends_at,omitempty" nullable:"false" doc:"The new planned end"`
	AddAgents     []agentRequest `json:"add_agents,omitempty" maxItems:"50" nullable:"false"`
	RelieveAgents []string       `json:"relieve_agents,omitempty" maxItems:"50" nullable:"false"`
}

func (s *Server) changeMission(ctx context.Context, r *request[missionParams, missionChange]) (*missionReply, error) {
	commands, fields, err := r.Body.commands()
	if err != nil {
		return nil, err
	}
	reply, err := s.do(ctx, r.Principal, r.Params.ID, commands...)
	var refused *session.CommandError
	if errors.As(err, &refused) {
		return nil, inField(refused.Err, fields[refused.Index])
	}
	return reply, err
}

// commands returns what was asked for, and for each command the member that
// asks for it. Agents are relieved before others are added, so that one may
// take another's place.
func (q *missionChange) commands() (commands []session.Command, fields []string, err error) {
	if q.EndsAt != nil {
		commands = append(commands, session.Command{Action: session.Extend, EndsAt: *q.EndsAt})
		fields = append(fields, "ends_at")
	}
	for i, agent := range q.RelieveAgents {
		commands = append(commands, session.Command{Action: session.Relieve, Agent: agent})
		fields = append(fields, fmt.Sprintf("relieve_agents[%d]", i))
	}
	for i, a := range q.AddAgents {
		field := fmt.Sprintf("add_agents[%d]", i)
		if slices.Contains(q.RelieveAgents, a.Agent) {
			return nil, nil, session.ErrInvalid.At(field).Because("is to be relieved too")
		}
		commands = append(commands, session.Command{Action: session.AddAgent, Agent: a.Agent, Alias: a.Alias})
		fields = append(fields, field)
	}
	if len(commands) == 0 {
		return nil, nil, session.ErrInvalid.Because("one of ends_at, add_agents and relieve_agents is required")
	}
	return commands, fields, nil
}

// inField names the member of the change that was refused: the rules know the
// mission's own members, and of agents only those that it has.
func inField(err error, field string) error {
	var e *session.Error
	switch {
	case errors.Is(err, session.ErrNotFound):
		return session.ErrInvalid.At(field).Because("is no agent of this mission")
	case !errors.Is(err, session.ErrInvalid) || !errors.As(err, &e) || !strings.HasPrefix(e.Field, "agents"):
		return err
	}
	if _, member, ok := strings.Cut(e.Field, "]."); ok {
		field += "." + member
	}
	return e.At(field)
}
