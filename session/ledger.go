package session

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Ledger is what an agent may know of one of their missions: when they were
// located, what was refused, who watched, who read, and what holds there are.
type Ledger struct {
	*Mission
	// Agent is the agent's part, without what a track could tell.
	Agent AgentReport
	// Watched is in the order of From, Reads in that of First.
	Watched []Watch
	Reads   []Reads
	Holds   []Hold // standing and ended, in the order in which they were set
}

// Watch is a time in which somebody watched through a link. What another
// connection of the link follows within a minute is one with it: a browser that
// lost its way, as a rule.
type Watch struct {
	Link        Link // only the ID, if it is no more
	From        time.Time
	To          time.Time // zero: they watch, as far as is known
	Connections int
}

// Reads is how often a role read something of the mission over the API.
type Reads struct {
	Action      AccessAction
	Role        Role
	Count       int
	First, Last time.Time
}

const (
	// watchGap is how long nobody must have watched through a link for the next
	// to begin another Watch.
	watchGap = time.Minute
	// ledgerPage is how many rows of the access log, or links, are read at once.
	ledgerPage = 1000
)

// ledgerReads are the reads that an agent is told of.
var ledgerReads = []AccessAction{AccessProgressRead, AccessTrackRead, AccessReportRead, AccessArchiveRead}

// Ledgers returns the ledgers of an agent, of the newest mission first, beginning
// after the id given (zero: at the newest). ErrNotFound for an agent whom no
// mission of the tenant ever had.
func (s *Service) Ledgers(ctx context.Context, tenant, agent string, after uuid.UUID, limit int) ([]Ledger, error) {
	if !agentName.MatchString(agent) {
		return nil, ErrNotFound
	}
	missions, err := s.Missions(ctx, tenant, MissionFilter{Agent: agent}, after, limit)
	if err != nil {
		return nil, err
	}
	if len(missions) == 0 && after == uuid.Nil {
		return nil, ErrNotFound
	}
	exports, err := s.exports(ctx, tenant, agent)
	if err != nil {
		return nil, err
	}
	ledgers := make([]Ledger, len(missions))
	for i, m := range missions {
		if ledgers[i], err = s.ledger(ctx, m, agent, exports); err != nil {
			return nil, err
		}
	}
	return ledgers, nil
}

// exports returns who else exported all there is of an agent: rows of no mission,
// which tell of every one that there was.
func (s *Service) exports(ctx context.Context, tenant, agent string) (rows []Access, err error) {
	filter := AccessFilter{Agent: s.Pseudonym(tenant, agent), Actions: []AccessAction{AccessAgentExport}}
	err = pages(func(after uuid.UUID) (uuid.UUID, int, error) {
		page, err := s.Store.AccessLog(ctx, tenant, filter, after, ledgerPage)
		for i := range page {
			after = page[i].ID
			if page[i].Role != AgentRole {
				rows = append(rows, page[i].Access)
			}
		}
		return after, len(page), err
	})
	return rows, err
}

func (s *Service) ledger(ctx context.Context, m *Mission, agent string, exports []Access) (Ledger, error) {
	l := Ledger{Mission: m}
	refusals, err := s.Store.Refusals(ctx, m.Tenant, m.ID)
	if err != nil {
		return l, err
	}
	for _, a := range NewReport(m, refusals).Agents {
		if a.ID == agent {
			l.Agent = a
		}
	}
	holds, err := s.Store.Holds(ctx, m.Tenant, m.ID)
	if err != nil {
		return l, err
	}
	l.Holds = slices.DeleteFunc(holds, func(h Hold) bool { return !h.Concerns(agent) })
	links := map[uuid.UUID]Link{}
	err = pages(func(after uuid.UUID) (uuid.UUID, int, error) {
		page, err := s.Store.Links(ctx, m.Tenant, m.ID, after, ledgerPage)
		for _, link := range page {
			links[link.ID], after = link, link.ID
		}
		return after, len(page), err
	})
	if err != nil {
		return l, err
	}
	var seen onlookers
	filter := AccessFilter{Mission: m.ID, Actions: append([]AccessAction{AccessLiveOpen, AccessLiveClose}, ledgerReads...)}
	err = pages(func(after uuid.UUID) (uuid.UUID, int, error) {
		page, err := s.Store.AccessLog(ctx, m.Tenant, filter, after, ledgerPage)
		for i := range page {
			seen.add(&page[i].Access)
			after = page[i].ID
		}
		return after, len(page), err
	})
	for i := range exports {
		if !exports[i].At.Before(m.CreatedAt) {
			seen.add(&exports[i])
		}
	}
	slices.SortStableFunc(seen.reads, func(a, b Reads) int { return a.First.Compare(b.First) })
	l.Watched, l.Reads = seen.finish(m, links), seen.reads
	return l, err
}

// pages calls read for one page after another. It returns after which id the next
// one begins, and how many the page has.
func pages(read func(after uuid.UUID) (uuid.UUID, int, error)) error {
	after, n, err := uuid.Nil, ledgerPage, error(nil)
	for err == nil && n == ledgerPage {
		after, n, err = read(after)
	}
	return err
}

// onlookers sums up the rows of the access log about one mission.
type onlookers struct {
	watched []*watched // in the order of From
	last    map[uuid.UUID]*watched
	reads   []Reads
}

// watched is a Watch with the connections that are open in it.
type watched struct {
	Watch
	open map[uuid.UUID]bool
}

// add takes in the next row. That of a close whose open is not there, because it
// never came to be, says nothing.
func (o *onlookers) add(row *Access) {
	switch row.Action {
	case AccessLiveOpen:
		w := o.last[row.Subject]
		if w == nil || len(w.open) == 0 && row.At.Sub(w.To) > watchGap {
			w = &watched{Watch{Link: Link{ID: row.Subject}, From: row.At}, map[uuid.UUID]bool{}}
			if o.last == nil {
				o.last = map[uuid.UUID]*watched{}
			}
			o.last[row.Subject] = w
			o.watched = append(o.watched, w)
		}
		w.open[row.Object] = true
		w.Connections++
		w.To = row.At
	case AccessLiveClose:
		if w := o.last[row.Subject]; w != nil && w.open[row.Object] {
			delete(w.open, row.Object)
			w.To = row.At
		}
	default:
		i := slices.IndexFunc(o.reads, func(r Reads) bool { return r.Action == row.Action && r.Role == row.Role })
		if i < 0 {
			i = len(o.reads)
			o.reads = append(o.reads, Reads{Action: row.Action, Role: row.Role, First: row.At})
		}
		o.reads[i].Count++
		o.reads[i].Last = row.At
	}
}

// finish returns who watched. A connection that nobody saw close is watching, or
// its node died; it ended, at the latest, with the mission or the link.
func (o *onlookers) finish(m *Mission, links map[uuid.UUID]Link) []Watch {
	list := make([]Watch, len(o.watched))
	for i, w := range o.watched {
		link, known := links[w.Link.ID]
		if known {
			w.Link = link
		}
		if len(w.open) > 0 {
			w.To = passed(w.To, m.ReadAt, m.EndedAt, link.ExpiresAt, link.RevokedAt)
		}
		list[i] = w.Watch
	}
	return list
}

// passed returns the first of several ends that has passed by now, but nothing
// before from; the zero time if none has. A zero end is none.
func passed(from, now time.Time, ends ...time.Time) (end time.Time) {
	for _, t := range ends {
		if !t.IsZero() && !t.After(now) && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	if !end.IsZero() && end.Before(from) {
		return from
	}
	return end
}
