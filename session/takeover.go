package session

import (
	"context"
	"time"
)

const (
	// recentFixes is how many of the newest fixes of a window are read at once:
	// more than come between two savings of a progress, as a rule.
	recentFixes = 50
	// refoldPage and maxRefold bound the fixes that are read when that is not
	// enough. Who is further behind than maxRefold starts from recentFixes.
	refoldPage = 2_000
	maxRefold  = 20_000
)

// Progress returns the progress of every agent with an open window: what was
// saved of it, and the stored positions that came after folded in. So a node
// that takes an agent over goes on where another stopped.
func (s *Service) Progress(ctx context.Context, m *Mission) (map[string]Progress, error) {
	found := map[string]Progress{}
	if m.State != Active || m.ExpiresOn == 0 {
		return found, nil
	}
	saved, err := s.Store.SavedProgress(ctx, m.Tenant, m.ID)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.Latest(ctx, m.Tenant, m.ID, recentFixes)
	if err != nil || len(saved)+len(rows) == 0 {
		return found, err
	}
	key, err := s.Sealer.Key(ctx, m)
	if err != nil {
		return nil, err
	}
	for _, p := range saved {
		if w := located(m, p.Agent); w == nil || !w.Opened.Equal(p.Opened) {
			continue
		}
		progress, err := key.OpenProgress(p.Agent, p.Opened, p.Sealed)
		if err != nil { // it is a cache: the positions say the same
			s.Log.Warn("saved_progress_unreadable", "mission", m.ID, "error", err)
			continue
		}
		found[p.Agent] = progress
	}
	if err := s.catchUp(ctx, m, key, found, rows); err != nil {
		return nil, err
	}
	return found, foldRows(m, key, found, rows)
}

func located(m *Mission, agent string) *Window {
	if a := m.Agent(agent); a != nil {
		return a.Open()
	}
	return nil
}

// catchUp folds what lies between an agent's progress and the first of their
// recent rows, for every agent who has as many of those as were asked for.
func (s *Service) catchUp(ctx context.Context, m *Mission, key *TrackKey, found map[string]Progress, rows []Row) error {
	behind := map[string]bool{}
	var from time.Time
	for first, i := 0, 0; i < len(rows); i++ {
		agent := rows[i].Agent
		if rows[first].Agent != agent {
			first = i
		}
		w := located(m, agent)
		if i-first+1 < recentFixes || w == nil {
			continue
		}
		since := w.Opened
		if p, ok := found[agent]; ok && p.HasFix() {
			since = TimeOf(p.Timestamp)
		}
		if rows[first].At.After(since) {
			behind[agent] = true
			if from.IsZero() || since.Before(from) {
				from = since
			}
		}
	}
	if len(behind) == 0 {
		return nil
	}
	for read, after := 0, (Cursor{At: from}); read < maxRefold; read += refoldPage {
		page, err := s.Store.Track(ctx, m.Tenant, m.ID, after, refoldPage)
		if err != nil {
			return err
		}
		var theirs []Row
		for _, row := range page {
			if w := located(m, row.Agent); behind[row.Agent] && w != nil && !row.At.Before(w.Opened) {
				theirs = append(theirs, row)
			}
		}
		if err := foldRows(m, key, found, theirs); err != nil || len(page) < refoldPage {
			return err
		}
		last := page[len(page)-1]
		after = Cursor{At: last.At, Agent: last.Agent, Slot: last.Slot}
	}
	return nil
}

// foldRows opens rows and folds them into the progress of their agents, in their
// order.
func foldRows(m *Mission, key *TrackKey, found map[string]Progress, rows []Row) error {
	for _, row := range rows {
		fix, err := key.Open(row.Agent, row.Slot, row.Sealed)
		if err != nil {
			return err
		}
		p := found[row.Agent]
		p.Fold(&m.Site, row.At.UnixMilli(), &fix.Position)
		found[row.Agent] = p
	}
	return nil
}
