package session_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"ronde/session"
)

// The outcomes of an action, as the table below names them.
const (
	does   = "do"    // it changes the mission
	again  = "again" // it was done already: no error, no change
	state  = "state" // ErrState
	role   = "role"  // ErrForbidden
	theirs = "pause" // ErrAgentPause: only the agent ends their own pause
)

// transitions is the whole table: what an action comes to in each state, in
// the order scheduled, active, paused, ended, cancelled.
var transitions = []struct {
	action            session.Action
	agent, theirStaff string
}{
	{session.Begin, "do again state state state", "do again state state state"},
	{session.Pause, "role role role role role", "state do again state state"},
	{session.Resume, "role role role role role", "state again do state state"},
	{session.End, "state do do again state", "state do do again state"},
	{session.Cancel, "role role role role role", "do state state state again"},
	{session.PauseAgent, "state do do state state", "role role role role role"},
	{session.ResumeAgent, "state do do state state", "pause pause pause pause pause"},
	{session.AddAgent, "role role role role role", "do do do state state"},
	{session.Relieve, "role role role role role", "do do do state state"},
	{session.RevokeTokens, "role role role role role", "do do do state state"},
	{session.Extend, "role role role role role", "do do do state state"},
	{session.RaiseSOS, "do do do state state", "role role role role role"},
	{session.WithdrawSOS, "do do do state state", "role role role role role"},
	{session.AcknowledgeSOS, "role role role role role", "do do do do do"},
	{session.CloseSOS, "role role role role role", "do do do do do"},
}

var states = []session.State{session.Scheduled, session.Active, session.Paused, session.Ended, session.Cancelled}

// missionIn returns a mission in that state in which the action, where it is
// allowed, has something to do.
func missionIn(t *testing.T, s session.State, action session.Action) *session.Mission {
	t.Helper()
	m := newMission()
	switch action {
	case session.WithdrawSOS, session.AcknowledgeSOS, session.CloseSOS:
		apply(t, m, start, session.Command{Action: session.RaiseSOS, By: session.ByAgent, Agent: "me"})
	default: // finds enough to do
	}
	if s == session.Scheduled {
		return m
	}
	if s == session.Cancelled {
		apply(t, m, start, session.Command{Action: session.Cancel})
		return m
	}
	apply(t, m, start, session.Command{Action: session.Begin})
	if action == session.ResumeAgent {
		apply(t, m, start.Add(time.Second), session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: "me"})
	}
	switch s {
	case session.Paused:
		apply(t, m, minute(1), session.Command{Action: session.Pause})
	case session.Ended:
		apply(t, m, minute(1), session.Command{Action: session.End})
	default: // it is active
	}
	return m
}

// TestTransitions walks the table: every action in every state on behalf of
// everybody, those who have no say included.
func TestTransitions(t *testing.T) {
	walked := 0
	for _, row := range transitions {
		rows := map[session.Reason]string{
			session.ByAgent: row.agent, session.ByPlatform: row.theirStaff, session.ByOperator: row.theirStaff,
		}
		// The clock, a viewer, an auditor, nobody: they ask for nothing.
		nobody := strings.Repeat(role+" ", len(states))
		if row.action == session.ResumeAgent {
			nobody = row.theirStaff
		}
		for _, by := range []session.Reason{session.ByDeadline, session.ByMissed, "viewer", "auditor", ""} {
			rows[by] = nobody
		}
		for by, outcomes := range rows {
			for i, want := range strings.Fields(outcomes) {
				walkTransition(t, row.action, by, states[i], want)
				walked++
			}
		}
	}
	if want := 15 * 8 * 5; walked != want {
		t.Errorf("walked %d cases of %d", walked, want)
	}
}

func walkTransition(t *testing.T, action session.Action, by session.Reason, s session.State, want string) {
	t.Helper()
	m := missionIn(t, s, action)
	before := m.Clone()
	c := session.Command{Action: action, By: by, Agent: "me", EndsAt: start.Add(9 * time.Hour)}
	if action == session.AddAgent {
		c.Agent = "third"
	}
	err := m.Apply(c, minute(2))
	refusal := map[string]error{state: session.ErrState, role: session.ErrForbidden, theirs: session.ErrAgentPause}[want]
	switch changed := !reflect.DeepEqual(m, before); {
	case !errors.Is(err, refusal):
		t.Errorf("%s by %q when %s: error %v, want %s", action, by, s, err, want)
	case changed != (want == does):
		t.Errorf("%s by %q when %s: changed is %v, want %s", action, by, s, changed, want)
	}
}

// TestUnknownAction: what is no action is refused, whoever asks.
func TestUnknownAction(t *testing.T) {
	m := begun(t)
	for _, a := range []session.Action{"", "explode", "Begin"} {
		if err := m.Apply(session.Command{Action: a, By: session.ByPlatform}, minute(1)); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("action %q: %v", a, err)
		}
	}
}

// TestAgentsWithoutControl: the policy may keep begin and end from agents; the
// pause is theirs in any case.
func TestAgentsWithoutControl(t *testing.T) {
	m := newMission()
	m.Policy.AgentControls = false
	mine := func(a session.Action) error {
		return m.Apply(session.Command{Action: a, By: session.ByAgent, Agent: "me"}, minute(1))
	}
	if err := mine(session.Begin); !errors.Is(err, session.ErrForbidden) {
		t.Errorf("begin: %v", err)
	}
	apply(t, m, minute(1), session.Command{Action: session.Begin})
	if err := mine(session.PauseAgent); err != nil {
		t.Errorf("pause: %v", err)
	}
	if err := mine(session.End); !errors.Is(err, session.ErrForbidden) {
		t.Errorf("end: %v", err)
	}
}
