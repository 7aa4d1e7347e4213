package web

import (
	"time"

	"ronde/geo"
	"ronde/session"
)

// What an answer says of a mission. Members without a value are null, never
// absent: the keys of every answer are the same.

type missionReply struct {
	ID             string            `json:"id" doc:"UUIDv7"`
	Reference      string            `json:"reference"`
	State          session.State     `json:"state" enum:"scheduled,active,paused,ended,cancelled"`
	Site           siteReply         `json:"site"`
	Checkpoints    []checkpointReply `json:"checkpoints" nullable:"false"`
	StartsAt       time.Time         `json:"starts_at"`
	EndsAt         time.Time         `json:"ends_at"`
	OverrunMinutes int64             `json:"overrun_minutes"`
	EarlyMinutes   int64             `json:"early_minutes"`
	Deadline       time.Time         `json:"deadline" doc:"When the mission ends by itself"`
	BeganAt        *time.Time        `json:"began_at"`
	EndedAt        *time.Time        `json:"ended_at" doc:"Also when it was cancelled"`
	EndReason      *session.Reason   `json:"end_reason" enum:"agent,platform,operator,deadline,missed"`
	ExpiresOn      *string           `json:"expires_on" format:"date" doc:"From this day on the track is gone; null before the mission began"`
	HeldUntil      *time.Time        `json:"held_until" doc:"Until then a hold keeps a copy of the track, which is read with a reason only once the mission is over; null: none"`
	CreatedAt      time.Time         `json:"created_at"`
	Agents         []agentReply      `json:"agents" nullable:"false"`
	Policy         policyReply       `json:"policy"`
	Revision       int64             `json:"revision" doc:"Rises with every change"`
}

// siteReply has the members with which the site was made, and no others: it
// can be sent again as it is.
type siteReply struct {
	Name    string      `json:"name"`
	Point   *pointReply `json:"point,omitempty" doc:"The middle of a circle; an area has none"`
	RadiusM *float64    `json:"radius_m,omitempty" nullable:"false" doc:"Of a circle, metres; an area has none"`
	Area    *areaReply  `json:"area,omitempty"`
}

type pointReply struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

type checkpointReply struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	RadiusM   float64 `json:"radius_m"`
}

type agentReply struct {
	Agent    string `json:"agent"`
	Alias    string `json:"alias"`
	Windows  int    `json:"windows" doc:"How many intervals the agent has been located in"`
	Paused   bool   `json:"paused" doc:"The agent's own pause; only they end it"`
	Relieved bool   `json:"relieved"`
}

type policyReply struct {
	Track         string `json:"track" enum:"full,none"`
	Purpose       string `json:"purpose" enum:"mission,proof"`
	RetentionDays int    `json:"retention_days"`
	MinIntervalMS int64  `json:"min_interval_ms"`
	MaxPoints     *int   `json:"max_points"`
	Speed         bool   `json:"speed"`
	AgentControls bool   `json:"agent_controls"`
}

func newMissionReply(m *session.Mission) *missionReply {
	r := &missionReply{
		ID: m.ID.String(), Reference: m.Reference, State: m.State,
		Site:        newSiteReply(&m.Site),
		Checkpoints: make([]checkpointReply, len(m.Checkpoints)),
		StartsAt:    m.StartsAt, EndsAt: m.EndsAt, Deadline: m.Deadline,
		OverrunMinutes: int64(m.Overrun / time.Minute), EarlyMinutes: int64(m.EarlyBegin / time.Minute),
		BeganAt: orNull(m.BeganAt), EndedAt: orNull(m.EndedAt), EndReason: orNull(m.EndReason), ExpiresOn: orNull(m.ExpiresOn.String()),
		CreatedAt: m.CreatedAt, Agents: make([]agentReply, len(m.Agents)), Policy: newPolicyReply(&m.Policy), Revision: m.Revision,
	}
	for i, c := range m.Checkpoints {
		r.Checkpoints[i] = checkpointReply{c.Name, c.Point.Latitude, c.Point.Longitude, c.RadiusM}
	}
	for i, a := range m.Agents {
		r.Agents[i] = agentReply{Agent: a.ID, Alias: a.Alias, Windows: len(a.Windows), Paused: a.Paused, Relieved: a.Relieved}
	}
	return r
}

func newSiteReply(s *geo.Site) siteReply {
	if s.Area != nil {
		return siteReply{Name: s.Name, Area: &areaReply{s.Area}}
	}
	center := pointReply(s.Center)
	return siteReply{Name: s.Name, Point: &center, RadiusM: &s.RadiusM}
}

func newPolicyReply(p *session.Policy) policyReply {
	r := policyReply{
		Track: "none", Purpose: "mission", RetentionDays: p.RetentionDays, MinIntervalMS: p.MinInterval.Milliseconds(),
		MaxPoints: orNull(p.MaxPoints), Speed: p.Speed, AgentControls: p.AgentControls,
	}
	if p.Track {
		r.Track = "full"
	}
	if p.Proof {
		r.Purpose = "proof"
	}
	return r
}

// orNull returns nil for the zero value, which stands for none.
func orNull[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
