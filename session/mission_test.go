package session_test

import (
	"reflect"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// start is the planned start of newMission.
var start = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// newMission returns a valid mission of eight hours, with two hours of overrun
// and the agents "me" and "other".
func newMission() *session.Mission {
	m := &session.Mission{
		ID: session.NewID(), Tenant: "acme", Reference: "M-1", State: session.Scheduled,
		Site:     geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: start, EndsAt: start.Add(8 * time.Hour), Overrun: 2 * time.Hour, EarlyBegin: time.Hour,
		Policy: session.DefaultPolicy(),
		Agents: []session.Agent{{ID: "me", Alias: "A1"}, {ID: "other", Alias: "A2"}},
	}
	m.Deadline = m.EndsAt.Add(m.Overrun)
	return m
}

// apply carries out a command that must succeed.
func apply(t *testing.T, m *session.Mission, at time.Time, c session.Command) {
	t.Helper()
	if c.By == "" {
		c.By = session.ByPlatform
	}
	if err := m.Apply(c, at); err != nil {
		t.Fatalf("%s: %v", c.Action, err)
	}
}

// begun returns newMission, begun at its start.
func begun(t *testing.T) *session.Mission {
	t.Helper()
	m := newMission()
	apply(t, m, start, session.Command{Action: session.Begin})
	return m
}

// window returns a window of minutes after start; closed 0 for an open one.
func window(opened, closed int) session.Window {
	w := session.Window{Opened: minute(opened)}
	if closed != 0 {
		w.Closed = minute(closed)
	}
	return w
}

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// windows checks an agent's windows.
func windows(t *testing.T, m *session.Mission, agent string, want ...session.Window) {
	t.Helper()
	got := m.Agent(agent).Windows
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("windows of %s: %v, want %v", agent, got, want)
	}
}

func TestClone(t *testing.T) {
	m := begun(t)
	m.Checkpoints = []session.Checkpoint{{Name: "door"}}
	m.RevokedLinks = append(m.RevokedLinks, session.NewID())
	c := m.Clone()
	if !reflect.DeepEqual(c, m) {
		t.Fatalf("clone %+v, want %+v", c, m)
	}
	c.Agents[0].Windows[0].Closed = minute(5)
	c.Agents[1].Paused = true
	c.Checkpoints[0].Name = "gate"
	c.RevokedLinks[0] = session.NewID()
	if m.Agents[0].Open() == nil || m.Agents[1].Paused || m.Checkpoints[0].Name != "door" || m.RevokedLinks[0] == c.RevokedLinks[0] {
		t.Error("a change of the clone changed the original")
	}
}

func TestDuty(t *testing.T) {
	m := newMission()
	duty := func(want session.Duty) {
		t.Helper()
		if got := m.Duty("me"); got != want {
			t.Errorf("duty %s, want %s", got, want)
		}
	}
	duty(session.DutyOff)
	apply(t, m, start, session.Command{Action: session.Begin})
	duty(session.DutyOn)
	apply(t, m, minute(1), session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me"})
	duty(session.DutyPaused)
	apply(t, m, minute(2), session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: "me"})
	apply(t, m, minute(3), session.Command{Action: session.Pause})
	duty(session.DutyPaused)
	apply(t, m, minute(4), session.Command{Action: session.Resume})
	duty(session.DutyOn)
	apply(t, m, minute(5), session.Command{Action: session.Relieve, Agent: "me"})
	duty(session.DutyOff)
	apply(t, m, minute(6), session.Command{Action: session.AddAgent, Agent: "me"})
	duty(session.DutyOn)
	apply(t, m, minute(7), session.Command{Action: session.End})
	duty(session.DutyOff)
	if got := m.Duty("stranger"); got != session.DutyOff {
		t.Errorf("a stranger's duty is %s", got)
	}
}

func TestTimes(t *testing.T) {
	paris := time.FixedZone("CET", 3600)
	exact := time.Date(2026, 11, 21, 20, 0, 0, 1_999_999, paris)
	if got, want := session.Millis(exact), start.Add(time.Millisecond); got != want {
		t.Errorf("Millis: %v, want %v", got, want)
	}
	if !session.Millis(time.Time{}).IsZero() {
		t.Error("Millis of the zero time is not zero")
	}
	if got := session.Millis(time.UnixMilli(-1).Add(-time.Microsecond)).UnixMilli(); got != -2 {
		t.Errorf("Millis rounds %d before the epoch", got)
	}
	if got := session.DayOf(time.Date(2026, 12, 1, 0, 30, 0, 0, paris)).String(); got != "2026-11-30" {
		t.Errorf("the UTC day is %s", got)
	}
	if got := session.Day(0).String(); got != "" {
		t.Errorf("no day is %q", got)
	}
	if day := session.DayOf(start); session.DayOf(day.Time()) != day || !day.Time().Equal(start.Truncate(24*time.Hour)) {
		t.Errorf("day %v begins at %v", day, day.Time())
	}
}
