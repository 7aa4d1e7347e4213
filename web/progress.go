package web

import (
	"context"
	"time"

	"ronde/session"
)

// progressReply is where a mission stands: what a link with the profile exact
// would show, with the agents' identities.
type progressReply struct {
	Mission progressMission `json:"mission"`
	Agents  []progressAgent `json:"agents" nullable:"false"`
}

type progressMission struct {
	ID        string        `json:"id"`
	Reference string        `json:"reference"`
	Site      siteReply     `json:"site"`
	State     session.State `json:"state" enum:"scheduled,active,paused,ended,cancelled"`
	StartsAt  time.Time     `json:"starts_at"`
	EndsAt    time.Time     `json:"ends_at"`
}

// progressAgent is where one agent stands. What is not known, or not to be
// known because they are not located, is null.
type progressAgent struct {
	Agent     string          `json:"agent"`
	Alias     string          `json:"alias"`
	Duty      session.Duty    `json:"duty" enum:"off,on,paused"`
	Phase     *session.Phase  `json:"phase" enum:"en_route,arriving,on_site,left"`
	Signal    *session.Signal `json:"signal" enum:"live,stationary,lost,paused"`
	Timestamp *int64          `json:"timestamp" doc:"Of the newest fix, milliseconds since the epoch"`
	Position  *positionReply  `json:"position"`
	Heading   *float32        `json:"heading" doc:"Degrees clockwise from true north"`
	DistanceM *int64          `json:"distance_m" doc:"To the site, 0 inside it"`
	ETA       *int64          `json:"eta_seconds" doc:"To the site, counted from the timestamp; null if it cannot be known"`
	ETALower  *int64          `json:"eta_lower_seconds" doc:"The range that holds the arrival four times in five"`
	ETAUpper  *int64          `json:"eta_upper_seconds"`
}

type positionReply struct {
	Latitude  degrees  `json:"latitude"`
	Longitude degrees  `json:"longitude"`
	Accuracy  *float32 `json:"accuracy" doc:"Metres"`
}

func (s *Server) getProgress(ctx context.Context, r *request[missionParams, none]) (*progressReply, error) {
	m, err := s.mission(ctx, r.Principal, r.Params.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.heldBy(ctx, m, &r.Access); err != nil {
		return nil, err
	}
	progress, err := s.service.Progress(ctx, m)
	if err != nil {
		return nil, err
	}
	whole := newMissionReply(m)
	reply := &progressReply{
		Mission: progressMission{whole.ID, whole.Reference, whole.Site, whole.State, whole.StartsAt, whole.EndsAt},
		Agents:  []progressAgent{},
	}
	for i := range m.Agents {
		a := &m.Agents[i]
		if a.Relieved {
			continue
		}
		agent, err := newProgressAgent(m, a, progress[a.ID].Progress)
		if err != nil {
			return nil, err
		}
		reply.Agents = append(reply.Agents, agent)
	}
	return reply, nil
}

func newProgressAgent(m *session.Mission, a *session.Agent, p session.Progress) (progressAgent, error) {
	r := progressAgent{Agent: a.ID, Alias: a.Alias, Duty: m.Duty(a.ID)}
	if r.Duty == session.DutyPaused {
		r.Signal = orNull(session.OnBreak)
	}
	if r.Duty != session.DutyOn || !p.HasFix() {
		return r, nil
	}
	p.Signal = p.SignalAt(m, m.ReadAt.UnixMilli())
	seen, err := session.See(p, &m.Site, session.ProfileExact)
	if err != nil {
		return r, err
	}
	r.Phase, r.Signal, r.Timestamp = orNull(seen.Phase), orNull(seen.Signal), &seen.Timestamp
	if seen.ETA.Known() {
		r.ETA, r.ETALower, r.ETAUpper = rounded(seen.ETA.Seconds), rounded(seen.ETA.LowerS), rounded(seen.ETA.UpperS)
	}
	if seen.Shown {
		r.DistanceM, r.Heading = rounded(seen.DistanceM), known(seen.Position.Heading)
		r.Position = &positionReply{degrees(seen.Position.Latitude), degrees(seen.Position.Longitude), known(seen.Position.Accuracy)}
	}
	return r, nil
}

func rounded(v float64) *int64 {
	n := int64(v + 0.5)
	return &n
}
