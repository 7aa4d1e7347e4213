package session

import (
	"context"
	"errors"
	"time"
)

// Report is what is known of how a mission went: facts, and no coordinate. Make
// one with NewReport, then Add each agent's positions and Finish.
type Report struct {
	Mission *Mission
	Track   TrackState
	Agents  []AgentReport // in the mission's order
}

// TrackState says whether a report's mission has a track to ask.
type TrackState string

// The states of a track. TrackNone is that of a mission whose policy keeps none,
// TrackGone that of one whose key was destroyed.
const (
	TrackKept TrackState = "kept"
	TrackNone TrackState = "none"
	TrackGone TrackState = "gone"
)

// AgentReport is what is known of one agent's part.
type AgentReport struct {
	*Agent
	// Pauses are the intervals between, and after, the agent's windows in which
	// the mission went on without locating them. One that lasts has the zero
	// Closed, and so has a break of an agent who was relieved during it: when
	// that was nobody recorded.
	Pauses []Window
	// Refused counts the pings that Store.Append refused, by Verdict.Code.
	Refused map[string]int64
	// The rest is what the track says, and means nothing without one.

	Stored int64 // positions
	// Counts says what they were good for.
	Counts Counts
	// ArrivedAt is when the agent first arrived on the site: see Progress.
	ArrivedAt time.Time
	// LeftAt is when they last were there, if they were then seen to leave and not
	// to come back.
	LeftAt time.Time
	// OnSite is how long the agent was on the site as far as positions show it:
	// from position to position, and not over the end of a window. Of an interval
	// longer than silence(m) only that much counts: whether the agent stayed for
	// the rest of it nobody knows.
	OnSite time.Duration
	// Gap is the longest interval inside of one window in which no position is
	// stored; the zero Window if the agent never had a window.
	Gap Window

	fold fold
}

// fold is where the reading of an agent's track stands.
type fold struct {
	window   int       // the present one, by its place in Windows
	since    time.Time // the last position in it, or its opening
	progress Progress
}

// NewReport returns the report of a mission without its track.
func NewReport(m *Mission, refusals []Refusal) *Report {
	r := &Report{Mission: m, Track: TrackKept}
	if !m.Policy.Track {
		r.Track = TrackNone
	}
	for i := range m.Agents {
		a := AgentReport{Agent: &m.Agents[i], Refused: map[string]int64{}}
		a.Pauses = m.pauses(a.Agent)
		for _, refusal := range refusals {
			if refusal.Agent == a.ID {
				a.Refused[refusal.Reason] = refusal.Count
			}
		}
		if len(a.Windows) > 0 {
			a.fold.since = a.Windows[0].Opened
		}
		r.Agents = append(r.Agents, a)
	}
	return r
}

// pauses returns the intervals of a mission in which one of its agents was not
// located after they had been.
func (m *Mission) pauses(a *Agent) (pauses []Window) {
	for i, w := range a.Windows {
		next := m.EndedAt // zero while it goes on
		switch {
		case i+1 < len(a.Windows):
			next = a.Windows[i+1].Opened
		case w.Closed.IsZero() || a.Relieved && !a.Paused:
			return pauses
		case a.Relieved:
			next = time.Time{}
		}
		if next.IsZero() || next.After(w.Closed) {
			pauses = append(pauses, Window{Opened: w.Closed, Closed: next})
		}
	}
	return pauses
}

// Add takes in the agent's next stored position, not earlier than the one before.
func (a *AgentReport) Add(m *Mission, fix *Fix) {
	for a.fold.window < len(a.Windows) {
		if w := a.Windows[a.fold.window]; w.Closed.IsZero() || fix.At.Before(w.Closed) {
			break
		}
		a.leaveWindow(m)
	}
	if a.fold.window == len(a.Windows) {
		return // of a window that opened after the mission was read
	}
	f := &a.fold
	a.Stored++
	a.gap(fix.At)
	f.since = fix.At
	was := f.progress
	f.progress.Fold(m, fix.At.UnixMilli(), &fix.Position)
	a.visit(m, &was, &f.progress)
}

// visit takes in what a position changed about the agent's being on the site.
func (a *AgentReport) visit(m *Mission, was, now *Progress) {
	switch {
	case now.Phase == OnSite:
		from := was.onSite
		if was.Phase != OnSite {
			from = now.since
			a.LeftAt = time.Time{}
		}
		if a.ArrivedAt.IsZero() {
			a.ArrivedAt = TimeOf(now.ArrivedAt)
		}
		a.OnSite += min(time.Duration(now.onSite-from)*time.Millisecond, silence(m))
	case was.Phase == OnSite:
		a.LeftAt = TimeOf(now.LeftAt)
	}
}

// leaveWindow goes on to the agent's next window. Progress is forgotten between
// two: what happened there nobody is to know.
func (a *AgentReport) leaveWindow(m *Mission) {
	end := a.Windows[a.fold.window].Closed
	if end.IsZero() {
		end = m.ReadAt
	}
	a.gap(end)
	a.Counts.Add(&a.fold.progress.Counts)
	a.fold = fold{window: a.fold.window + 1}
	if a.fold.window < len(a.Windows) {
		a.fold.since = a.Windows[a.fold.window].Opened
	}
}

func (a *AgentReport) gap(until time.Time) {
	if until.Sub(a.fold.since) > a.Gap.Closed.Sub(a.Gap.Opened) {
		a.Gap = Window{Opened: a.fold.since, Closed: until}
	}
}

// Finish closes what the track says after the last position.
func (a *AgentReport) Finish(m *Mission) {
	for a.fold.window < len(a.Windows) {
		a.leaveWindow(m)
	}
}

// reportPage is how many positions of a track are in memory at once.
const reportPage = 5000

// Report returns the report of a mission that Service.Mission returned. It reads
// the whole track; of one that is gone it tells the rest.
func (s *Service) Report(ctx context.Context, m *Mission) (*Report, error) {
	return s.report(ctx, m, func(agent string, after Cursor) ([]Fix, error) {
		return s.AgentTrack(ctx, m, agent, after, reportPage)
	})
}

// HeldReport is Report from what a hold preserves: see HeldTrack.
func (s *Service) HeldReport(ctx context.Context, m *Mission, h *Hold) (*Report, error) {
	return s.report(ctx, m, func(agent string, after Cursor) ([]Fix, error) {
		return s.HeldTrack(ctx, m, h, agent, after, reportPage)
	})
}

// trackReader reads the next positions of an agent, at most reportPage.
type trackReader func(agent string, after Cursor) ([]Fix, error)

func (s *Service) report(ctx context.Context, m *Mission, read trackReader) (*Report, error) {
	refusals, err := s.Store.Refusals(ctx, m.Tenant, m.ID)
	if err != nil {
		return nil, err
	}
	r := NewReport(m, refusals)
	if r.Track == TrackNone {
		return r, nil
	}
	for i := range r.Agents {
		err := r.Agents[i].readAll(m, read)
		if errors.Is(err, ErrGone) {
			r = NewReport(m, refusals)
			r.Track = TrackGone
			return r, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// readAll adds the agent's whole track and finishes the report.
func (a *AgentReport) readAll(m *Mission, read trackReader) error {
	err := eachPage(reportPage, func(after Cursor) ([]Fix, error) { return read(a.ID, after) }, (*Fix).Cursor, func(page []Fix) error {
		for i := range page {
			a.Add(m, &page[i])
		}
		return nil
	})
	if err == nil {
		a.Finish(m)
	}
	return err
}
