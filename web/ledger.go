package web

import (
	"context"
	"time"

	"ronde/session"
)

type ledgerParams struct {
	Agent  string `path:"agent" doc:"The tenant's own name for the agent"`
	Limit  int    `query:"limit" minimum:"1" maximum:"50" default:"10" doc:"The most missions of a page"`
	Cursor string `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before"`
}

// ledgerReply is what an agent may know of one mission: who watched and when,
// what was located, paused and refused, and who holds the track beyond its expiry.
// It has no coordinate.
type ledgerReply struct {
	Mission ledgerMission  `json:"mission"`
	Windows []reportWindow `json:"windows" nullable:"false" doc:"When the agent was located"`
	Pauses  []reportPause  `json:"pauses" nullable:"false" doc:"When the mission went on and did not locate the agent, after it had"`
	Refused reportRefused  `json:"refused" doc:"Pings that were judged and refused, by reason"`
	Watched []ledgerWatch  `json:"watched" nullable:"false" doc:"Who watched the mission live"`
	Reads   []ledgerReads  `json:"reads" nullable:"false" doc:"What the tenant's own people and systems read of it"`
	Holds   []ledgerHold   `json:"holds" nullable:"false" doc:"Which keep, or kept, the track beyond its expiry"`
}

type ledgerMission struct {
	ID        string        `json:"id"`
	Reference string        `json:"reference"`
	Site      string        `json:"site" doc:"The name of it"`
	State     session.State `json:"state" enum:"scheduled,active,paused,ended,cancelled"`
	StartsAt  time.Time     `json:"starts_at" doc:"Planned"`
	EndsAt    time.Time     `json:"ends_at" doc:"Planned"`
	BeganAt   *time.Time    `json:"began_at"`
	EndedAt   *time.Time    `json:"ended_at" doc:"Also when it was cancelled"`
}

type ledgerWatch struct {
	From        time.Time  `json:"from"`
	To          *time.Time `json:"to" doc:"null: they watch, as far as is known. Of a connection that was cut off with the server, the end of mission or link"`
	Connections int        `json:"connections" doc:"How often the page connected in this time"`
	Link        ledgerLink `json:"link"`
}

type ledgerLink struct {
	ID      string           `json:"id"`
	Label   *string          `json:"label" doc:"For whom the link was made"`
	Profile *session.Profile `json:"profile" doc:"What it showed: status, cell:<resolution>, exact or exact_on_site"`
	Trail   bool             `json:"trail" doc:"Whether it showed the way so far too"`
}

type ledgerHold struct {
	ID         string       `json:"id"`
	Reason     string       `json:"reason"`
	By         session.Role `json:"by" enum:"platform,operator,agent" doc:"The role of who set it, or extended it last; agent: at the agent's own request, for their part of the track"`
	From       time.Time    `json:"from"`
	Until      time.Time    `json:"until" doc:"When it ends, or would have ended, by itself"`
	ReleasedAt *time.Time   `json:"released_at" doc:"null: it was not ended before"`
}

type ledgerReads struct {
	Action  session.AccessAction `json:"action" doc:"track.read, say; archive.read, of a track that is held"`
	Role    session.Role         `json:"role" doc:"Who read"`
	Count   int                  `json:"count"`
	FirstAt time.Time            `json:"first_at"`
	LastAt  time.Time            `json:"last_at"`
}

func (s *Server) getLedger(ctx context.Context, r *request[ledgerParams, none]) (*page[ledgerReply], error) {
	if r.Principal.Role == session.AgentRole && r.Principal.Agent != r.Params.Agent {
		return nil, session.ErrNotFound
	}
	after, err := parseIDCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	ledgers, err := s.service.Ledgers(ctx, r.Principal.Tenant, r.Params.Agent, after, r.Params.Limit+1)
	if err != nil {
		return nil, err
	}
	p := &page[ledgerReply]{Items: []ledgerReply{}}
	for i := range ledgers[:min(len(ledgers), r.Params.Limit)] {
		p.Items = append(p.Items, newLedgerReply(&ledgers[i]))
	}
	if len(ledgers) > r.Params.Limit {
		p.NextCursor = idCursor(ledgers[r.Params.Limit-1].ID)
	}
	return p, nil
}

func newLedgerReply(l *session.Ledger) ledgerReply {
	part := newReportAgent(&l.Agent)
	r := ledgerReply{
		Mission: ledgerMission{
			ID: l.ID.String(), Reference: l.Reference, Site: l.Site.Name, State: l.State, StartsAt: l.StartsAt, EndsAt: l.EndsAt,
			BeganAt: orNull(l.BeganAt), EndedAt: orNull(l.EndedAt),
		},
		Windows: part.Windows, Pauses: part.Pauses, Refused: part.Refused,
		Watched: []ledgerWatch{}, Reads: []ledgerReads{}, Holds: []ledgerHold{},
	}
	for _, w := range l.Watched {
		link := ledgerLink{ID: w.Link.ID.String(), Label: orNull(w.Link.Label), Profile: orNull(w.Link.View.Profile), Trail: w.Link.View.Trail}
		r.Watched = append(r.Watched, ledgerWatch{w.From, orNull(w.To), w.Connections, link})
	}
	for _, read := range l.Reads {
		r.Reads = append(r.Reads, ledgerReads{read.Action, read.Role, read.Count, read.First, read.Last})
	}
	for _, h := range l.Holds {
		r.Holds = append(r.Holds, ledgerHold{h.ID.String(), h.Reason, h.Role, h.SetAt, h.Until, orNull(h.ReleasedAt)})
	}
	return r
}
