package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestTrackNotAnalysed: reading a track of many agents takes a plan that is good
// before the planner knows anything of the partition. By the plan that it likes
// best then, this one would take minutes, and is cut off.
func TestTrackNotAnalysed(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	s := d.open(t, postgres.Options{})
	if err := s.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	const agents, pings = 10, 5000
	m := newMission("badge-0", session.Millis(time.Now()))
	for i := 1; i < agents; i++ {
		m.Agents = append(m.Agents, session.Agent{ID: fmt.Sprintf("badge-%d", i), Alias: fmt.Sprintf("B%d", i)})
	}
	if err := s.CreateMission(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = apply(t, s, m, session.Begin)
	d.exec(t, "UPDATE windows SET opened = opened - interval '2 hours'")
	sealed := make([]byte, session.SealedSize)
	for _, a := range m.Agents {
		sub := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: a.ID}
		for i := range pings {
			sub.Pings = append(sub.Pings, session.Ping{Timestamp: m.BeganAt.Add(-2*time.Hour).UnixMilli() + int64(i)*1000})
			sub.Sealed = append(sub.Sealed, sealed)
		}
		if err := s.Append(t.Context(), []*session.Submission{sub}); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	rows, err := s.Track(t.Context(), m.Tenant, m.ID, session.Cursor{}, 1000)
	if err != nil || len(rows) != 1000 {
		t.Errorf("%d positions of the whole track, %v", len(rows), err)
	}
	t.Logf("a page of %d agents: %v", agents, time.Since(start))
	start = time.Now()
	for _, a := range m.Agents {
		rows, err := s.AgentTrack(t.Context(), m.Tenant, m.ID, a.ID, session.Cursor{}, 2*pings)
		if err != nil || len(rows) != pings {
			t.Errorf("%d positions of %s, %v", len(rows), a.ID, err)
		}
	}
	t.Logf("%d positions, agent by agent: %v", agents*pings, time.Since(start))
}
