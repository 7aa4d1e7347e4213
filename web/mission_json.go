package web

import (
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ronde/geo"
	"ronde/session"
)

// What a mission states when it is created. Members that must be told from
// absent ones are pointers; null is refused for all but nullable.

type missionRequest struct {
	Reference      string              `json:"reference" minLength:"1" maxLength:"200" doc:"The platform's own name for the job" example:"M-1"`
	Site           *siteRequest        `json:"site" doc:"What the mission is about"`
	Checkpoints    []checkpointRequest `json:"checkpoints,omitempty" maxItems:"200" nullable:"false"`
	StartsAt       time.Time           `json:"starts_at" doc:"Planned start" example:"2026-11-21T20:00:00+01:00"`
	EndsAt         time.Time           `json:"ends_at" doc:"Planned end" example:"2026-11-22T06:00:00+01:00"`
	OverrunMinutes *int64              `json:"overrun_minutes,omitempty" nullable:"false" default:"120" minimum:"0" maximum:"1440" doc:"How long after its planned end the mission ends by itself"`
	EarlyMinutes   *int64              `json:"early_minutes,omitempty" nullable:"false" default:"60" minimum:"0" maximum:"1440" doc:"How long before its planned start it may begin"`
	Agents         []agentRequest      `json:"agents" minItems:"1" maxItems:"50" nullable:"false"`
	Policy         *policyRequest      `json:"policy,omitempty"`
}

// siteRequest is a circle of Point and RadiusM, or an Area.
type siteRequest struct {
	Name    string        `json:"name" minLength:"1" maxLength:"200" example:"Entrepôt"`
	Point   *pointRequest `json:"point,omitempty" doc:"The middle of a circle"`
	RadiusM *float64      `json:"radius_m,omitempty" nullable:"false" minimum:"1" maximum:"50000" example:"80" doc:"Of a circle, metres"`
	Area    *areaRequest  `json:"area,omitempty"`
}

// TransformSchema gives an example, since no single member but the name is
// required.
func (siteRequest) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Examples = []any{map[string]any{"name": "Entrepôt", "point": map[string]any{"latitude": 48.84, "longitude": 2.41}, "radius_m": 80}}
	return s
}

type pointRequest struct {
	Latitude  *float64 `json:"latitude" nullable:"false" minimum:"-90" maximum:"90" example:"48.84"`
	Longitude *float64 `json:"longitude" nullable:"false" minimum:"-180" maximum:"180" example:"2.41"`
}

type checkpointRequest struct {
	Name      string   `json:"name" minLength:"1" maxLength:"200"`
	Latitude  *float64 `json:"latitude" nullable:"false" minimum:"-90" maximum:"90"`
	Longitude *float64 `json:"longitude" nullable:"false" minimum:"-180" maximum:"180"`
	RadiusM   *float64 `json:"radius_m" nullable:"false" minimum:"1" maximum:"50000" doc:"Metres"`
}

type agentRequest struct {
	Agent string `json:"agent" minLength:"1" maxLength:"64" example:"badge-17" doc:"The tenant's own name for the agent"`
	Alias string `json:"alias,omitempty" maxLength:"32" example:"A1" doc:"What viewers see instead; A1, A2, … by default"`
}

type policyRequest struct {
	Track         *string  `json:"track,omitempty" nullable:"false" enum:"full,none" default:"full"`
	Purpose       *string  `json:"purpose,omitempty" nullable:"false" enum:"mission,proof" default:"mission"`
	RetentionDays *int64   `json:"retention_days,omitempty" nullable:"false" minimum:"1" maximum:"365" default:"30" doc:"Above 60 only with purpose proof"`
	MinIntervalMS *int64   `json:"min_interval_ms,omitempty" nullable:"false" minimum:"1" maximum:"3600000" default:"1000" doc:"At most one position is kept in each"`
	MaxPoints     nullable `json:"max_points,omitzero" doc:"Newest positions kept after the end; null keeps all"`
	Speed         *bool    `json:"speed,omitempty" nullable:"false" default:"false"`
	AgentControls *bool    `json:"agent_controls,omitempty" nullable:"false" default:"true" doc:"Whether agents may begin and end the mission; their pause needs no permission"`
}

// mission returns the mission that was asked for. What no Go value can hold
// apart, such as a missing number, is refused here; every other rule is
// Mission.Validate's.
func (q *missionRequest) mission() (*session.Mission, error) {
	site, err := q.Site.site()
	if err != nil {
		return nil, err
	}
	policy, err := q.Policy.policy()
	if err != nil {
		return nil, err
	}
	m := &session.Mission{
		Reference: q.Reference, Site: site, StartsAt: q.StartsAt, EndsAt: q.EndsAt, Policy: policy,
		Overrun:    scaled(q.OverrunMinutes, time.Minute, session.DefaultOverrun),
		EarlyBegin: scaled(q.EarlyMinutes, time.Minute, session.DefaultEarlyBegin),
	}
	for i := range q.Checkpoints {
		c, err := q.Checkpoints[i].checkpoint(fmt.Sprintf("checkpoints[%d]", i))
		if err != nil {
			return nil, err
		}
		m.Checkpoints = append(m.Checkpoints, c)
	}
	for _, a := range q.Agents {
		m.Agents = append(m.Agents, session.Agent{ID: a.Agent, Alias: a.Alias})
	}
	return m, nil
}

func (q *siteRequest) site() (geo.Site, error) {
	switch {
	case q == nil:
		return geo.Site{}, required("site")
	case q.Area != nil && (q.Point != nil || q.RadiusM != nil):
		return geo.Site{}, session.ErrInvalid.At("site.area").Because("stands in place of point and radius_m, not beside them")
	case q.Area != nil:
		return q.outline()
	case q.Point == nil && q.RadiusM == nil:
		return geo.Site{}, session.ErrInvalid.At("site.point").Because("is required, with radius_m; or area in place of both")
	case q.Point == nil:
		return geo.Site{}, required("site.point")
	case q.RadiusM == nil:
		return geo.Site{}, required("site.radius_m")
	}
	center, err := point("site.point", q.Point.Latitude, q.Point.Longitude)
	return geo.Site{Name: q.Name, Center: center, RadiusM: *q.RadiusM}, err
}

// outline returns the site of an area.
func (q *siteRequest) outline() (geo.Site, error) {
	area, err := geo.ParseArea(q.Area.Value)
	var wrong *geo.AreaError
	switch {
	case err == nil:
		return geo.NewAreaSite(q.Name, area), nil
	case errors.As(err, &wrong) && wrong.Member != "":
		return geo.Site{}, session.ErrInvalid.At("site.area."+wrong.Member).Because("%s", wrong.Rule)
	case errors.As(err, &wrong):
		return geo.Site{}, session.ErrInvalid.At("site.area").Because("%s", wrong.Rule)
	}
	return geo.Site{}, err
}

func (q *checkpointRequest) checkpoint(field string) (session.Checkpoint, error) {
	if q.RadiusM == nil {
		return session.Checkpoint{}, required(field + ".radius_m")
	}
	p, err := point(field, q.Latitude, q.Longitude)
	return session.Checkpoint{Name: q.Name, Point: p, RadiusM: *q.RadiusM}, err
}

func (q *policyRequest) policy() (session.Policy, error) {
	p := session.DefaultPolicy()
	if q == nil {
		return p, nil
	}
	if err := choose(&p.Track, "policy.track", q.Track, "full", "none"); err != nil {
		return p, err
	}
	if err := choose(&p.Proof, "policy.purpose", q.Purpose, "proof", "mission"); err != nil {
		return p, err
	}
	p.RetentionDays = int(clamp(orElse(q.RetentionDays, int64(p.RetentionDays))))
	if n := q.MaxPoints.Value; n != nil {
		if p.MaxPoints = int(clamp(*n)); p.MaxPoints == 0 {
			p.MaxPoints = -1 // is no number of points; zero would mean all
		}
	}
	p.MinInterval = scaled(q.MinIntervalMS, time.Millisecond, p.MinInterval)
	p.Speed = orElse(q.Speed, p.Speed)
	p.AgentControls = orElse(q.AgentControls, p.AgentControls)
	return p, nil
}

func required(field string) error { return session.ErrInvalid.At(field).Because("is required") }

func point(field string, latitude, longitude *float64) (geo.Point, error) {
	switch {
	case latitude == nil:
		return geo.Point{}, required(field + ".latitude")
	case longitude == nil:
		return geo.Point{}, required(field + ".longitude")
	}
	return geo.Point{Latitude: *latitude, Longitude: *longitude}, nil
}

// choose sets a choice between two words; absent, it stays as it is.
func choose(choice *bool, field string, word *string, yes, no string) error {
	switch {
	case word == nil:
	case *word == yes:
		*choice = true
	case *word == no:
		*choice = false
	default:
		return session.ErrInvalid.At(field).Because("must be %s or %s", yes, no)
	}
	return nil
}

// orElse returns what v points to, or what stands for an absent member.
func orElse[T any](v *T, absent T) T {
	if v == nil {
		return absent
	}
	return *v
}

// clamp bounds a whole number, far outside of every rule's range, so that no
// conversion or multiplication by a unit of time can wrap it into one.
func clamp(n int64) int64 { return min(max(n, -1e8), 1e8) }

// scaled returns n units, or what stands for an absent member.
func scaled(n *int64, unit, absent time.Duration) time.Duration {
	if n == nil {
		return absent
	}
	return time.Duration(clamp(*n)) * unit
}
