package postgres

import (
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// missionColumns are the columns of mission_rows that a missionRow takes. They
// are named, so that a later schema may have more.
const missionColumns = `id, tenant, reference, site, checkpoints, starts_at, ends_at, overrun_ms, early_begin_ms,
	track, proof, retention_days, min_interval_ms, max_points, speed, agent_controls,
	state, changed_by, end_reason, created_at, began_at, ended_at, expires_on, deadline, revision, revoked_links, agents`

// missionRow is a mission as the view mission_rows shows it.
type missionRow struct {
	ID            uuid.UUID
	Tenant        string
	Reference     string
	Site          siteJSON
	Checkpoints   []checkpointJSON
	StartsAt      time.Time
	EndsAt        time.Time
	OverrunMS     int64 `db:"overrun_ms"`
	EarlyBeginMS  int64 `db:"early_begin_ms"`
	Track         bool
	Proof         bool
	RetentionDays int
	MinIntervalMS int64 `db:"min_interval_ms"`
	MaxPoints     int
	Speed         bool
	AgentControls bool
	State         session.State
	ChangedBy     session.Reason
	EndReason     session.Reason
	CreatedAt     time.Time
	BeganAt       *time.Time
	EndedAt       *time.Time
	ExpiresOn     *time.Time
	Deadline      time.Time
	Revision      int64
	RevokedLinks  []uuid.UUID
	Agents        []agentJSON
}

// siteJSON, checkpointJSON and agentJSON are the forms of what the database
// keeps as JSON. Times in it are milliseconds since the epoch.
type siteJSON struct {
	checkpointJSON
	Area *geo.Area `json:"area,omitempty"` // nil for a circle
}

type checkpointJSON struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	RadiusM   float64 `json:"radius_m"`
}

type agentJSON struct {
	ID          string      `json:"id"`
	Alias       string      `json:"alias"`
	Paused      bool        `json:"paused"`
	Relieved    bool        `json:"relieved"`
	SOS         session.SOS `json:"sos"`
	TokensAfter *int64      `json:"tokens_after"`
	Removed     int64       `json:"removed"`
	Windows     [][2]*int64 `json:"windows"`
}

func siteOf(s geo.Site) siteJSON {
	return siteJSON{checkpointJSON{Name: s.Name, Latitude: s.Center.Latitude, Longitude: s.Center.Longitude, RadiusM: s.RadiusM}, s.Area}
}

func (j *siteJSON) site() geo.Site {
	if j.Area != nil {
		return geo.NewAreaSite(j.Name, j.Area)
	}
	return geo.Site{Name: j.Name, Center: geo.Point{Latitude: j.Latitude, Longitude: j.Longitude}, RadiusM: j.RadiusM}
}

// checkpointsOf returns an empty list for none: null is no list of checkpoints.
func checkpointsOf(list []session.Checkpoint) []checkpointJSON {
	out := make([]checkpointJSON, len(list))
	for i, c := range list {
		out[i] = checkpointJSON{Name: c.Name, Latitude: c.Point.Latitude, Longitude: c.Point.Longitude, RadiusM: c.RadiusM}
	}
	return out
}

func (r *missionRow) mission() *session.Mission {
	m := &session.Mission{
		ID: r.ID, Tenant: r.Tenant, Reference: r.Reference,
		Site:     r.Site.site(),
		StartsAt: session.Millis(r.StartsAt), EndsAt: session.Millis(r.EndsAt),
		Overrun: millis(r.OverrunMS), EarlyBegin: millis(r.EarlyBeginMS),
		Policy: session.Policy{
			Track: r.Track, Proof: r.Proof, RetentionDays: r.RetentionDays, MinInterval: millis(r.MinIntervalMS),
			MaxPoints: r.MaxPoints, Speed: r.Speed, AgentControls: r.AgentControls,
		},
		State: r.State, ChangedBy: r.ChangedBy, EndReason: r.EndReason,
		CreatedAt: session.Millis(r.CreatedAt), BeganAt: required(r.BeganAt), EndedAt: required(r.EndedAt),
		Deadline: session.Millis(r.Deadline), Revision: r.Revision,
	}
	if r.ExpiresOn != nil {
		m.ExpiresOn = session.DayOf(*r.ExpiresOn)
	}
	if len(r.RevokedLinks) > 0 {
		m.RevokedLinks = r.RevokedLinks
	}
	for _, c := range r.Checkpoints {
		m.Checkpoints = append(m.Checkpoints, session.Checkpoint{
			Name: c.Name, RadiusM: c.RadiusM, Point: geo.Point{Latitude: c.Latitude, Longitude: c.Longitude},
		})
	}
	for i := range r.Agents {
		m.Agents = append(m.Agents, r.Agents[i].agent())
	}
	return m
}

func (j *agentJSON) agent() session.Agent {
	a := session.Agent{
		ID: j.ID, Alias: j.Alias, Paused: j.Paused, Relieved: j.Relieved, SOS: j.SOS, Removed: j.Removed,
		TokensAfter: timeOf(j.TokensAfter),
	}
	for _, w := range j.Windows {
		a.Windows = append(a.Windows, session.Window{Opened: timeOf(w[0]), Closed: timeOf(w[1])})
	}
	return a
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func timeOf(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// optional returns nil for the zero time, which is null in the database.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = session.Millis(t)
	return &t
}

func optionalDay(d session.Day) *time.Time {
	if d == 0 {
		return nil
	}
	t := d.Time()
	return &t
}

// required undoes optional.
func required(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return session.Millis(*t)
}
