package session

import (
	"context"
	"time"
)

const (
	// recentFixes is how many of the newest fixes of a window are read at once:
	// more than come between two savings of a progress, as a rule.
	recentFixes = 50
	// refoldPage and maxRefold bound the fixes of one agent that are read when
	// that is not enough. Who is further behind starts from recentFixes.
	refoldPage = 2_000
	maxRefold  = 20_000
)

// Reading is an agent's progress as the store knows it.
type Reading struct {
	Progress
	// Opened is when the window opened that the progress holds for.
	Opened time.Time
	// Seen is the time of the newest stored position that was looked at, even if
	// only to ignore it; milliseconds since the epoch, 0 for none.
	Seen int64
}

// Progress returns the progress of every agent with an open window: what was
// saved of it, and the stored positions that came after folded in. So a node
// that takes an agent over goes on where another stopped.
func (s *Service) Progress(ctx context.Context, m *Mission) (map[string]Reading, error) {
	found := map[string]Reading{}
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
		found[p.Agent] = Reading{Progress: progress, Opened: p.Opened, Seen: p.At.UnixMilli()}
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Agent == rows[0].Agent {
			n++
		}
		if w := located(m, rows[0].Agent); w != nil {
			r, ok := found[rows[0].Agent]
			if !ok {
				r.Opened = w.Opened
			}
			if err := s.readOn(ctx, m, key, &r, rows[:n]); err != nil {
				return nil, err
			}
			found[rows[0].Agent] = r
		}
		rows = rows[n:]
	}
	return found, nil
}

func located(m *Mission, agent string) *Window {
	if a := m.Agent(agent); a != nil {
		return a.Open()
	}
	return nil
}

// readOn folds an agent's recent rows into their progress, and before them what
// lies between the two.
func (s *Service) readOn(ctx context.Context, m *Mission, key *TrackKey, r *Reading, recent []Row) error {
	since := r.Opened
	if r.Seen != 0 {
		since = TimeOf(r.Seen)
	}
	if len(recent) < recentFixes || !recent[0].At.After(since) {
		return r.fold(m, key, recent)
	}
	for read, after := 0, (Cursor{At: since}); read < maxRefold; read += refoldPage {
		page, err := s.Store.AgentTrack(ctx, m.Tenant, m.ID, recent[0].Agent, after, refoldPage)
		if err != nil {
			return err
		}
		if err := r.fold(m, key, page); err != nil {
			return err
		}
		if len(page) < refoldPage {
			break
		}
		after = page[len(page)-1].Cursor()
	}
	return r.fold(m, key, recent)
}

// fold opens rows of the window and folds them, in their order.
func (r *Reading) fold(m *Mission, key *TrackKey, rows []Row) error {
	for _, row := range rows {
		if row.At.Before(r.Opened) {
			continue
		}
		fix, err := key.Open(row.Agent, row.Slot, row.Sealed)
		if err != nil {
			return err
		}
		at := row.At.UnixMilli()
		r.Seen = max(r.Seen, at)
		if at > r.Latest { // to read a row again is not to be sent it again
			r.Fold(m, at, &fix.Position)
		}
	}
	return nil
}
