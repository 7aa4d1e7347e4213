package session_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ronde/session"
)

func TestBegin(t *testing.T) {
	m := newMission()
	if err := m.Apply(session.Command{Action: session.Begin, By: session.ByAgent, Agent: "me"}, start.Add(-time.Hour-time.Millisecond)); !errors.Is(err, session.ErrTooEarly) {
		t.Errorf("too early: %v", err)
	}
	early := start.Add(-time.Hour + 999*time.Microsecond) // rounded down to the millisecond
	apply(t, m, early, session.Command{Action: session.Begin, By: session.ByAgent, Agent: "me"})
	began := start.Add(-time.Hour)
	if m.State != session.Active || !m.BeganAt.Equal(began) || m.ChangedBy != session.ByAgent {
		t.Errorf("begun: %s by %s at %v", m.State, m.ChangedBy, m.BeganAt)
	}
	if m.ExpiresOn.String() != "2026-12-21" {
		t.Errorf("expires on %s", m.ExpiresOn)
	}
	for _, agent := range []string{"me", "other"} {
		windows(t, m, agent, session.Window{Opened: began})
	}
	apply(t, m, minute(5), session.Command{Action: session.Begin})
	if !m.BeganAt.Equal(began) || m.ChangedBy != session.ByAgent {
		t.Error("repeating a begin moved it")
	}
}

// TestLongest: a mission is active for 72 hours at most, however it was
// planned or extended.
func TestLongest(t *testing.T) {
	m := newMission()
	m.EarlyBegin, m.EndsAt, m.Overrun = 24*time.Hour, start.Add(60*time.Hour), 12*time.Hour
	m.Deadline = m.EndsAt.Add(m.Overrun)
	began := start.Add(-24 * time.Hour)
	apply(t, m, began, session.Command{Action: session.Begin})
	if want := began.Add(72 * time.Hour); !m.Deadline.Equal(want) {
		t.Errorf("deadline %v, want %v", m.Deadline, want)
	}
	apply(t, m, start, session.Command{Action: session.Extend, EndsAt: start.Add(59 * time.Hour)})
	if want := began.Add(72 * time.Hour); !m.Deadline.Equal(want) {
		t.Errorf("extended: deadline %v, want %v", m.Deadline, want)
	}
}

func TestExtend(t *testing.T) {
	m := begun(t)
	apply(t, m, minute(1), session.Command{Action: session.Extend, EndsAt: start.Add(10*time.Hour + time.Microsecond)})
	if !m.EndsAt.Equal(start.Add(10*time.Hour)) || !m.Deadline.Equal(start.Add(12*time.Hour)) {
		t.Errorf("ends at %v, deadline %v", m.EndsAt, m.Deadline)
	}
	for what, ends := range map[string]time.Time{
		"before its start":      start.Add(-time.Hour),
		"at its start":          start,
		"into the past":         start.Add(time.Minute),
		"beyond the longest":    start.Add(71 * time.Hour),
		"to no time at all":     {},
		"to a deadline of now":  start.Add(3 * time.Hour),
		"with overrun too long": start.Add(70*time.Hour + time.Millisecond),
	} {
		err := m.Apply(session.Command{Action: session.Extend, By: session.ByPlatform, EndsAt: ends}, start.Add(5*time.Hour))
		if domain := (*session.Error)(nil); !errors.As(err, &domain) || domain.Code != "invalid" || domain.Field != "ends_at" {
			t.Errorf("extending %s: %v", what, err)
		}
		if !m.EndsAt.Equal(start.Add(10*time.Hour)) || !m.Deadline.Equal(start.Add(12*time.Hour)) {
			t.Fatalf("refusing to extend %s moved the end to %v, the deadline to %v", what, m.EndsAt, m.Deadline)
		}
	}

	// P7: past the deadline the mission is over, and stays so.
	err := m.Apply(session.Command{Action: session.Extend, By: session.ByPlatform, EndsAt: start.Add(20 * time.Hour)}, m.Deadline)
	if !errors.Is(err, session.ErrState) || m.State != session.Ended || m.EndReason != session.ByDeadline {
		t.Errorf("extending past the deadline: %v, %s", err, m.State)
	}
}

func TestSettle(t *testing.T) {
	m := begun(t)
	if m.Settle(m.Deadline.Add(-time.Nanosecond)) {
		t.Error("settled before its deadline")
	}
	if !m.Settle(m.Deadline.Add(3*time.Hour)) || m.Settle(m.Deadline.Add(4*time.Hour)) {
		t.Error("want one settling, whenever somebody looks")
	}
	if m.State != session.Ended || m.EndReason != session.ByDeadline || m.ChangedBy != session.ByDeadline || !m.EndedAt.Equal(m.Deadline) {
		t.Errorf("settled: %+v", m)
	}
	windows(t, m, "me", session.Window{Opened: start, Closed: m.Deadline})
	if !m.Agent("me").Trim.Equal(m.Deadline) {
		t.Errorf("trims from %v, want the deadline", m.Agent("me").Trim)
	}

	missed := newMission()
	if !missed.Settle(missed.Deadline) || missed.EndReason != session.ByMissed || len(missed.Agent("me").Windows) != 0 {
		t.Errorf("missed: %+v", missed)
	}
	cancelled := newMission()
	apply(t, cancelled, start, session.Command{Action: session.Cancel})
	if cancelled.Settle(cancelled.Deadline) {
		t.Error("a cancelled mission was settled")
	}
	// Whatever is asked for, the deadline comes first.
	late := begun(t)
	err := late.Apply(session.Command{Action: session.Pause, By: session.ByOperator}, late.Deadline)
	if !errors.Is(err, session.ErrState) || late.EndReason != session.ByDeadline {
		t.Errorf("pausing past the deadline: %v, %+v", err, late)
	}
	if err := late.Apply(session.Command{Action: session.End, By: session.ByPlatform}, late.Deadline); err != nil || late.EndReason != session.ByDeadline {
		t.Errorf("ending past the deadline: %v, %s", err, late.EndReason)
	}
}

// TestDatedEnd: an end takes effect when it says, but not ahead of now and not
// before the begin; windows beyond it shrink or vanish.
func TestDatedEnd(t *testing.T) {
	for _, c := range []struct {
		what string
		at   time.Time
		want time.Time
		left []session.Window
	}{
		{"undated", time.Time{}, minute(60), []session.Window{window(0, 10), window(20, 30), window(40, 60)}},
		{"ahead of now", minute(90), minute(60), []session.Window{window(0, 10), window(20, 30), window(40, 60)}},
		{"in the open window", minute(50), minute(50), []session.Window{window(0, 10), window(20, 30), window(40, 50)}},
		{"between windows", minute(35), minute(35), []session.Window{window(0, 10), window(20, 30)}},
		{"where a window opens", minute(40), minute(40), []session.Window{window(0, 10), window(20, 30)}},
		{"where a window closes", minute(30), minute(30), []session.Window{window(0, 10), window(20, 30)}},
		{"in an earlier window", minute(5), minute(5), []session.Window{window(0, 5)}},
		{"before the begin", minute(-30), start, nil},
		{"more exactly than a phone", minute(50).Add(999 * time.Microsecond), minute(50), []session.Window{window(0, 10), window(20, 30), window(40, 50)}},
	} {
		m := begun(t)
		for _, at := range []int{10, 30} {
			apply(t, m, minute(at), session.Command{Action: session.Pause})
			apply(t, m, minute(at+10), session.Command{Action: session.Resume})
		}
		apply(t, m, minute(60), session.Command{Action: session.End, By: session.ByAgent, Agent: "me", At: c.at})
		if !m.EndedAt.Equal(c.want) || m.EndReason != session.ByAgent {
			t.Errorf("%s: ended at %v by %s, want %v", c.what, m.EndedAt, m.EndReason, c.want)
		}
		if got := m.Agent("other").Trim; got.After(c.want) {
			t.Errorf("%s: trims from %v", c.what, got)
		}
		windows(t, m, "me", c.left...)
		windows(t, m, "other", c.left...)
	}
}

// TestAgentPause is P6: it concerns the one agent, and nobody else ends it.
func TestAgentPause(t *testing.T) {
	m := begun(t)
	pause := session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me"}
	apply(t, m, minute(10), pause)
	windows(t, m, "me", window(0, 10))
	windows(t, m, "other", window(0, 0))
	if m.State != session.Active || m.ChangedBy != session.ByPlatform {
		t.Errorf("an agent's pause left the mission %s by %s", m.State, m.ChangedBy)
	}
	apply(t, m, minute(11), pause) // again
	windows(t, m, "me", window(0, 10))

	for _, c := range []session.Command{
		{Action: session.ResumeAgent, By: session.ByPlatform, Agent: "me"},
		{Action: session.ResumeAgent, By: session.ByOperator, Agent: "me"},
		{Action: session.Resume, By: session.ByOperator}, // of a mission that is active
	} {
		if err := m.Apply(c, minute(12)); !errors.Is(err, session.ErrAgentPause) {
			t.Errorf("%s by %s: %v", c.Action, c.By, err)
		}
	}
	// Nor do a pause and a resume of the whole mission, or being relieved and
	// put back.
	apply(t, m, minute(20), session.Command{Action: session.Pause})
	apply(t, m, minute(30), session.Command{Action: session.Resume})
	windows(t, m, "me", window(0, 10))
	windows(t, m, "other", window(0, 20), window(30, 0))
	apply(t, m, minute(31), session.Command{Action: session.Relieve, Agent: "me"})
	apply(t, m, minute(32), session.Command{Action: session.AddAgent, Agent: "me"})
	windows(t, m, "me", window(0, 10))

	apply(t, m, minute(40), session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "me"})
	windows(t, m, "me", window(0, 10), window(40, 0))
	apply(t, m, minute(41), session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "me"})
	windows(t, m, "me", window(0, 10), window(40, 0))

	// One that ends while the mission is paused opens nothing yet.
	apply(t, m, minute(50), session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me", At: minute(45)})
	apply(t, m, minute(51), session.Command{Action: session.Pause})
	apply(t, m, minute(52), session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "me"})
	windows(t, m, "me", window(0, 10), window(40, 45))
	apply(t, m, minute(60), session.Command{Action: session.Resume})
	windows(t, m, "me", window(0, 10), window(40, 45), window(60, 0))

	// One that is reported during the mission's pause may have begun before it:
	// of two changes at once, the one that reaches further back trims.
	m.Agent("me").Trim = time.Time{} // as the store leaves it
	apply(t, m, minute(70), session.Command{Action: session.Pause})
	apply(t, m, minute(71), session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me", At: minute(65)})
	windows(t, m, "me", window(0, 10), window(40, 45), window(60, 65))
	if !m.Agent("me").Trim.Equal(minute(65)) {
		t.Errorf("trims from %v", m.Agent("me").Trim)
	}
}

func TestRelieve(t *testing.T) {
	m := begun(t)
	apply(t, m, minute(10), session.Command{Action: session.Relieve, Agent: "me"})
	windows(t, m, "me", window(0, 10))
	for _, a := range []session.Action{session.PauseAgent, session.ResumeAgent, session.End, session.RaiseSOS} {
		if err := m.Apply(session.Command{Action: a, By: session.ByAgent, Agent: "me"}, minute(11)); !errors.Is(err, session.ErrForbidden) {
			t.Errorf("%s by a relieved agent: %v", a, err)
		}
	}
	apply(t, m, minute(20), session.Command{Action: session.AddAgent, Agent: "me"})
	windows(t, m, "me", window(0, 10), window(20, 0))
	for _, a := range []session.Action{session.Relieve, session.RevokeTokens} {
		if err := m.Apply(session.Command{Action: a, By: session.ByPlatform, Agent: "stranger"}, minute(21)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s of a stranger: %v", a, err)
		}
	}
	if err := m.Apply(session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "stranger"}, minute(21)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a stranger's pause: %v", err)
	}
	apply(t, m, minute(22), session.Command{Action: session.RevokeTokens, Agent: "me"})
	if !m.Agent("me").TokensAfter.Equal(minute(22)) || !m.Agent("other").TokensAfter.IsZero() {
		t.Errorf("tokens after %v and %v", m.Agent("me").TokensAfter, m.Agent("other").TokensAfter)
	}
}

func TestAddAgent(t *testing.T) {
	m := begun(t)
	apply(t, m, minute(10), session.Command{Action: session.AddAgent, Agent: "third"})
	if a := m.Agent("third"); a == nil || a.Alias != "A3" {
		t.Fatalf("added %+v", a)
	}
	windows(t, m, "third", window(10, 0))
	apply(t, m, minute(11), session.Command{Action: session.AddAgent, Agent: "third", Alias: "A3"})
	windows(t, m, "third", window(10, 0))
	for what, c := range map[string]session.Command{
		"a bad name":   {Agent: "no spaces"},
		"no name":      {},
		"a bad alias":  {Agent: "fourth", Alias: "-"},
		"a used alias": {Agent: "fourth", Alias: "A1"},
		"a new alias":  {Agent: "third", Alias: "other name"},
	} {
		c.Action, c.By = session.AddAgent, session.ByPlatform
		if err := m.Apply(c, minute(12)); !errors.Is(err, session.ErrInvalid) || len(m.Agents) != 3 {
			t.Errorf("%s: %v, %d agents", what, err, len(m.Agents))
		}
	}
	apply(t, m, minute(13), session.Command{Action: session.Pause})
	apply(t, m, minute(14), session.Command{Action: session.AddAgent, Agent: "fourth", Alias: "A9"})
	windows(t, m, "fourth")
	for n := len(m.Agents); n < session.MaxAgents; n++ {
		apply(t, m, minute(15), session.Command{Action: session.AddAgent, Agent: fmt.Sprintf("agent-%d", n)})
	}
	if err := m.Apply(session.Command{Action: session.AddAgent, By: session.ByPlatform, Agent: "one-more"}, minute(16)); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("agent number %d: %v", session.MaxAgents+1, err)
	}
}

// TestClockSetBack: the store's clock may be set back, by a failover or by
// hand. Windows never overlap all the same.
func TestClockSetBack(t *testing.T) {
	m := begun(t)
	apply(t, m, minute(10), session.Command{Action: session.Pause})
	apply(t, m, minute(8), session.Command{Action: session.Resume})
	windows(t, m, "me", window(0, 10), window(10, 0))
	apply(t, m, minute(9), session.Command{Action: session.Pause})
	windows(t, m, "me", window(0, 9))
	if !m.Agent("me").Trim.Equal(minute(9)) {
		t.Errorf("trims from %v", m.Agent("me").Trim)
	}
}
