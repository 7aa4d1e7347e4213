package web

import (
	"context"
	"time"

	"ronde/session"
)

// reportReply is how a mission went: facts, and no coordinate.
type reportReply struct {
	Mission reportMission      `json:"mission"`
	Track   session.TrackState `json:"track" enum:"kept,none,gone" doc:"Whether there are positions to ask: none by the mission's policy, or gone with its expiry. What only they could tell is then null"`
	Agents  []reportAgent      `json:"agents" nullable:"false"`
}

type reportMission struct {
	ID        string          `json:"id"`
	Reference string          `json:"reference"`
	State     session.State   `json:"state" enum:"scheduled,active,paused,ended,cancelled"`
	StartsAt  time.Time       `json:"starts_at" doc:"Planned"`
	EndsAt    time.Time       `json:"ends_at" doc:"Planned"`
	Deadline  time.Time       `json:"deadline"`
	BeganAt   *time.Time      `json:"began_at"`
	EndedAt   *time.Time      `json:"ended_at" doc:"Also when it was cancelled"`
	EndReason *session.Reason `json:"end_reason" enum:"agent,platform,operator,deadline,missed"`
}

type reportAgent struct {
	Agent         string          `json:"agent"`
	Alias         string          `json:"alias"`
	Relieved      bool            `json:"relieved"`
	Windows       []reportWindow  `json:"windows" nullable:"false" doc:"When the agent was located"`
	Pauses        []reportPause   `json:"pauses" nullable:"false" doc:"When the mission went on and did not locate the agent, after it had: a break of theirs, a pause of the mission, or relief until they were put back"`
	Positions     reportPositions `json:"positions"`
	Refused       reportRefused   `json:"refused" doc:"Pings that were judged and refused, by reason; one that was sent again is counted again. What a node refuses unseen, impossible values or pings after the end, is not among them"`
	ArrivedAt     *time.Time      `json:"arrived_at" doc:"The first position on the site; null: never"`
	LeftAt        *time.Time      `json:"left_at" doc:"The last position on the site, if the agent was then seen to leave and not to come back"`
	OnSiteSeconds *int64          `json:"on_site_seconds" doc:"As far as positions show it"`
	LongestGap    *reportGap      `json:"longest_gap" doc:"The longest time without a position while the agent was located; null: never located"`
}

type reportWindow struct {
	OpenedAt time.Time  `json:"opened_at"`
	ClosedAt *time.Time `json:"closed_at" doc:"null: open"`
}

type reportPause struct {
	From time.Time  `json:"from"`
	To   *time.Time `json:"to" doc:"null: it lasts"`
}

type reportPositions struct {
	Stored  *int64 `json:"stored"`
	Removed int64  `json:"removed" doc:"Stored first, and removed because a pause or end was dated before them or the policy keeps only the newest"`
}

type reportRefused struct {
	NotActive     int64 `json:"not_active"`
	OutsideWindow int64 `json:"outside_window"`
	Future        int64 `json:"future"`
	TooFrequent   int64 `json:"too_frequent"`
	NoticeMissing int64 `json:"notice_missing"`
}

type reportGap struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds int64     `json:"seconds"`
}

func (s *Server) getReport(ctx context.Context, r *request[heldParams, none]) (*reportReply, error) {
	m, err := s.mission(ctx, r.Principal, r.Params.ID)
	if err != nil {
		return nil, err
	}
	hold, err := s.heldBy(ctx, r.Principal, m, r.Params.Reason)
	if err != nil {
		return nil, err
	}
	var report *session.Report
	if hold != nil {
		report, err = s.service.HeldReport(ctx, m, hold)
	} else {
		report, err = s.service.Report(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	reply := &reportReply{
		Mission: reportMission{
			ID: m.ID.String(), Reference: m.Reference, State: m.State, StartsAt: m.StartsAt, EndsAt: m.EndsAt, Deadline: m.Deadline,
			BeganAt: orNull(m.BeganAt), EndedAt: orNull(m.EndedAt), EndReason: orNull(m.EndReason),
		},
		Track:  report.Track,
		Agents: make([]reportAgent, len(report.Agents)),
	}
	for i := range report.Agents {
		reply.Agents[i] = newReportAgent(&report.Agents[i])
		if report.Track == session.TrackKept {
			reply.Agents[i].askTrack(&report.Agents[i])
		}
	}
	return reply, nil
}

// newReportAgent returns what is known of an agent without the track.
func newReportAgent(a *session.AgentReport) reportAgent {
	refused := func(v session.Verdict) int64 { return a.Refused[v.Code()] }
	r := reportAgent{
		Agent: a.ID, Alias: a.Alias, Relieved: a.Relieved, Windows: []reportWindow{}, Pauses: []reportPause{},
		Positions: reportPositions{Removed: a.Removed},
		Refused: reportRefused{
			NotActive: refused(session.NotActive), OutsideWindow: refused(session.OutsideWindow), Future: refused(session.Future),
			TooFrequent: refused(session.TooFrequent), NoticeMissing: refused(session.NoticeMissing),
		},
	}
	for _, w := range a.Windows {
		r.Windows = append(r.Windows, reportWindow{w.Opened, orNull(w.Closed)})
	}
	for _, w := range a.Pauses {
		r.Pauses = append(r.Pauses, reportPause{w.Opened, orNull(w.Closed)})
	}
	return r
}

// askTrack adds what the track tells.
func (r *reportAgent) askTrack(a *session.AgentReport) {
	onSite := int64(a.OnSite / time.Second)
	r.Positions.Stored, r.OnSiteSeconds = &a.Stored, &onSite
	r.ArrivedAt, r.LeftAt = orNull(a.ArrivedAt), orNull(a.LeftAt)
	if gap := a.Gap.Closed.Sub(a.Gap.Opened); gap > 0 {
		r.LongestGap = &reportGap{a.Gap.Opened, a.Gap.Closed, int64(gap / time.Second)}
	}
}
