package session

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Action names a change of a mission.
type Action string

// The actions on a mission. The first five change its state; the others
// concern one agent or the plan.
const (
	Begin  Action = "begin"
	Pause  Action = "pause"
	Resume Action = "resume"
	End    Action = "end"
	Cancel Action = "cancel"

	PauseAgent   Action = "pause_agent"   // the agent's own pause
	ResumeAgent  Action = "resume_agent"  // the end of it
	AddAgent     Action = "add_agent"     // also puts a relieved agent back
	Relieve      Action = "relieve"       // takes an agent off the mission
	RevokeTokens Action = "revoke_tokens" // voids an agent's tokens so far
	Extend       Action = "extend"        // moves the planned end

	RaiseSOS       Action = "raise_sos"       // the agent's alarm; needs no window
	WithdrawSOS    Action = "withdraw_sos"    // the agent takes it back
	AcknowledgeSOS Action = "acknowledge_sos" // an operator has seen every alarm raised
	CloseSOS       Action = "close_sos"       // an operator closes every alarm
)

// Command asks for one action.
type Command struct {
	Action Action
	By     Reason // ByAgent, ByPlatform or ByOperator
	Agent  string // who acts if ByAgent; otherwise whom the action concerns
	// Subject, Pseudonym and Why are what the access log is to say of who asks,
	// of the agent and of the reason.
	Subject   uuid.UUID
	Pseudonym string
	Why       string

	Alias  string    // of AddAgent; "" for the next free one, or the one that the agent has
	At     time.Time // of End and PauseAgent: when it took effect; zero or ahead of now: now
	EndsAt time.Time // of Extend
}

// rule says who may do an action, and what it does in which state. A state
// that is not named forbids it.
type rule struct {
	by []Reason
	// do lists the states in which the action changes something.
	do []State
	// again lists the states in which it was done already: repeating it
	// changes nothing and is no error.
	again []State
}

var (
	everybody = []Reason{ByAgent, ByPlatform, ByOperator}
	staff     = []Reason{ByPlatform, ByOperator}
	agent     = []Reason{ByAgent}
	unended   = []State{Scheduled, Active, Paused}

	everyState = []State{Scheduled, Active, Paused, Ended, Cancelled}
)

// rules is the table of transitions: who may do what, and when.
var rules = map[Action]rule{
	Begin:        {by: everybody, do: []State{Scheduled}, again: []State{Active}},
	Pause:        {by: staff, do: []State{Active}, again: []State{Paused}},
	Resume:       {by: staff, do: []State{Paused}, again: []State{Active}},
	End:          {by: everybody, do: []State{Active, Paused}, again: []State{Ended}},
	Cancel:       {by: staff, do: []State{Scheduled}, again: []State{Cancelled}},
	PauseAgent:   {by: agent, do: []State{Active, Paused}},
	ResumeAgent:  {by: agent, do: []State{Active, Paused}},
	AddAgent:     {by: staff, do: unended},
	Relieve:      {by: staff, do: unended},
	RevokeTokens: {by: staff, do: unended},
	Extend:       {by: staff, do: unended},

	RaiseSOS:       {by: agent, do: unended},
	WithdrawSOS:    {by: agent, do: unended},
	AcknowledgeSOS: {by: staff, do: everyState},
	CloseSOS:       {by: staff, do: everyState},
}

// Settle ends the mission if its deadline has passed: with ByDeadline, or with
// ByMissed if it never began. It reports whether it did. It needs no process
// to have run at the deadline: whoever reads the mission next sees it ended,
// dated at the deadline.
func (m *Mission) Settle(now time.Time) bool {
	if m.State.Over() || now.Before(m.Deadline) {
		return false
	}
	reason, logged := ByDeadline, AccessDeadline
	if m.State == Scheduled {
		reason, logged = ByMissed, AccessMissed
	}
	m.end(reason, m.Deadline)
	m.Log = append(m.Log, Access{Action: logged})
	return true
}

// Apply carries out one command at the store's time now, or returns why not
// and leaves m as Settle leaves it. Repeating a command that took effect
// changes nothing and is no error. What changed something is added to Log.
//
// It returns ErrNotFound for an agent who is not on the mission, ErrForbidden
// and ErrAgentPause by who asks, ErrState and ErrTooEarly by the mission's
// state, ErrInvalid for a bad value.
func (m *Mission) Apply(c Command, now time.Time) error {
	now = Millis(now)
	m.Settle(now)
	r, ok := rules[c.Action]
	if !ok {
		return ErrInvalid.At("action").Because("is no action")
	}
	if err := m.mayAct(c, r); err != nil {
		return err
	}
	switch {
	case slices.Contains(r.again, m.State):
		return m.repeat(c)
	case !slices.Contains(r.do, m.State):
		return ErrState.Because("a mission that is %s cannot %s", m.State, c.Action.verb())
	}
	before := m.Clone()
	err := m.carryOut(c, now)
	if err == nil && !reflect.DeepEqual(before, m) {
		m.Log = append(m.Log, Access{Role: Role(c.By), Subject: c.Subject, Action: recorded[c.Action], Agent: c.Pseudonym, Why: c.Why})
	}
	return err
}

func (a Action) verb() string {
	switch a {
	case PauseAgent:
		return "be paused for an agent"
	case ResumeAgent:
		return "be resumed for an agent"
	case AddAgent:
		return "get another agent"
	case Relieve:
		return "relieve an agent"
	case RevokeTokens:
		return "revoke tokens"
	case Extend:
		return "be extended"
	case RaiseSOS, WithdrawSOS:
		return "have its alarms changed"
	default:
		return string(a)
	}
}

func (m *Mission) mayAct(c Command, r rule) error {
	if !slices.Contains(r.by, c.By) {
		if c.Action == ResumeAgent {
			return ErrAgentPause
		}
		return ErrForbidden
	}
	if c.By != ByAgent {
		return nil
	}
	a := m.Agent(c.Agent)
	if a == nil {
		return ErrNotFound
	}
	if a.Relieved {
		return ErrForbidden.Because("the agent has been relieved")
	}
	if (c.Action == Begin || c.Action == End) && !m.Policy.AgentControls {
		return ErrForbidden.Because("agents do not begin or end this mission")
	}
	return nil
}

// repeat is an action on a mission that is already where the action leads. A
// resume of an active mission in which an agent is on their own pause is an
// attempt to end that pause, which nobody else may.
func (m *Mission) repeat(c Command) error {
	if c.Action == Resume && slices.ContainsFunc(m.Agents, func(a Agent) bool { return a.Paused && !a.Relieved }) {
		return ErrAgentPause
	}
	return nil
}

func (m *Mission) carryOut(c Command, now time.Time) error {
	switch c.Action {
	case Begin:
		return m.begin(c.By, now)
	case Pause:
		m.State, m.ChangedBy = Paused, c.By
		for i := range m.Agents {
			m.Agents[i].close(now)
		}
	case Resume:
		m.State, m.ChangedBy = Active, c.By
		m.openAll(now)
	case End:
		m.end(c.By, m.effective(c.At, now))
	case Cancel:
		m.State, m.ChangedBy, m.EndedAt = Cancelled, c.By, now
	case PauseAgent:
		return m.pauseAgent(c, now)
	case ResumeAgent:
		return m.resumeAgent(c, now)
	case AddAgent:
		return m.addAgent(c, now)
	case Extend:
		return m.extend(c, now)
	case RaiseSOS, WithdrawSOS, AcknowledgeSOS, CloseSOS:
		m.alarm(c)
	case Relieve, RevokeTokens:
		a := m.Agent(c.Agent)
		if a == nil {
			return ErrNotFound
		}
		if c.Action == RevokeTokens {
			a.TokensAfter = now
			return nil
		}
		a.Relieved = true
		a.close(now)
	}
	return nil
}

func (m *Mission) begin(by Reason, now time.Time) error {
	if earliest := m.StartsAt.Add(-m.EarlyBegin); now.Before(earliest) {
		return ErrTooEarly.Because("the mission may begin from %s on", earliest.Format(time.RFC3339))
	}
	m.State, m.ChangedBy, m.BeganAt = Active, by, now
	m.ExpiresOn = DayOf(now) + Day(m.Policy.RetentionDays)
	m.setDeadline()
	m.openAll(now)
	return nil
}

// setDeadline derives the deadline from the plan: planned end and overrun, but
// never longer than MaxDuration after the begin.
func (m *Mission) setDeadline() {
	m.Deadline = m.EndsAt.Add(m.Overrun)
	if longest := m.BeganAt.Add(MaxDuration); !m.BeganAt.IsZero() && m.Deadline.After(longest) {
		m.Deadline = longest
	}
}

// effective returns the time at which a dated end or pause takes effect: not
// ahead of now, and not before the mission began.
func (m *Mission) effective(at, now time.Time) time.Time {
	at = Millis(at)
	if at.IsZero() || at.After(now) {
		return now
	}
	if at.Before(m.BeganAt) {
		return m.BeganAt
	}
	return at
}

func (m *Mission) end(by Reason, at time.Time) {
	m.State, m.ChangedBy, m.EndReason, m.EndedAt = Ended, by, by, at
	for i := range m.Agents {
		m.Agents[i].close(at)
	}
}

func (m *Mission) openAll(now time.Time) {
	for i := range m.Agents {
		m.Agents[i].open(now)
	}
}

func (m *Mission) pauseAgent(c Command, now time.Time) error {
	a := m.Agent(c.Agent)
	if a.Paused {
		return nil
	}
	a.Paused = true
	// Even while the mission is paused: the agent's pause may be dated before
	// the mission's.
	a.close(m.effective(c.At, now))
	return nil
}

func (m *Mission) resumeAgent(c Command, now time.Time) error {
	a := m.Agent(c.Agent)
	if !a.Paused {
		return nil
	}
	a.Paused = false
	if m.State == Active {
		a.open(now)
	}
	return nil
}

func (m *Mission) addAgent(c Command, now time.Time) error {
	a := m.Agent(c.Agent)
	switch {
	case a != nil && c.Alias != "" && c.Alias != a.Alias:
		i := slices.IndexFunc(m.Agents, func(other Agent) bool { return other.ID == a.ID })
		return ErrInvalid.At(fmt.Sprintf("agents[%d].alias", i)).Because("must be the one that the agent has on this mission, or none")
	case a != nil && !a.Relieved:
		return nil
	case a != nil:
		a.Relieved = false
	case len(m.Agents) >= MaxAgents:
		return ErrInvalid.At("agents").Because("may name at most %d agents", MaxAgents)
	default:
		if c.Alias == "" {
			c.Alias = m.freeAlias(len(m.Agents) + 1)
		}
		m.Agents = append(m.Agents, Agent{ID: c.Agent, Alias: c.Alias})
		if err := m.validateAgents(); err != nil {
			m.Agents = m.Agents[:len(m.Agents)-1]
			return err
		}
		a = &m.Agents[len(m.Agents)-1]
	}
	if m.State == Active {
		a.open(now)
	}
	return nil
}

// freeAlias returns the first of A1, A2, … from n on that no agent has.
func (m *Mission) freeAlias(n int) string {
	for ; ; n++ {
		alias := fmt.Sprintf("A%d", n)
		if !slices.ContainsFunc(m.Agents, func(a Agent) bool { return a.Alias == alias }) {
			return alias
		}
	}
}

func (m *Mission) extend(c Command, now time.Time) error {
	before := *m
	m.EndsAt = Millis(c.EndsAt)
	m.setDeadline()
	var err error
	switch {
	case m.outlivesTrack():
		err = ErrInvalid.At("ends_at").Because("with the overrun must lie before the day on which the track expires")
	case !m.Deadline.After(now):
		err = ErrInvalid.At("ends_at").Because("with the overrun lies in the past: end the mission instead")
	default:
		err = m.validatePlan()
	}
	if err != nil {
		m.EndsAt, m.Deadline = before.EndsAt, before.Deadline
	}
	return err
}

// alarm changes the alarm of the agent who asks or, for staff, every alarm
// that stands.
func (m *Mission) alarm(c Command) {
	for i := range m.Agents {
		a := &m.Agents[i]
		stands := a.SOS == SOSRaised || a.SOS == SOSAcknowledged
		switch {
		case c.By == ByAgent && a.ID != c.Agent:
		case c.Action == RaiseSOS && !stands:
			a.SOS = SOSRaised
		case c.Action == AcknowledgeSOS && a.SOS == SOSRaised:
			a.SOS = SOSAcknowledged
		case (c.Action == WithdrawSOS || c.Action == CloseSOS) && stands:
			a.SOS = SOSClosed
		}
	}
}

// open starts a window, unless the agent is on their own pause, relieved, or
// located already.
func (a *Agent) open(now time.Time) {
	if a.Paused || a.Relieved || a.Open() != nil {
		return
	}
	// The store's clock may have been set back since the last window closed:
	// the next one waits for it, because windows never overlap.
	if n := len(a.Windows); n > 0 && now.Before(a.Windows[n-1].Closed) {
		now = a.Windows[n-1].Closed
	}
	a.Windows = append(a.Windows, Window{Opened: now})
}

// close ends every window at the latest at t. A window that would be empty is
// dropped: it located nobody.
func (a *Agent) close(t time.Time) {
	kept := a.Windows[:0]
	for _, w := range a.Windows {
		if w.Closed.IsZero() || w.Closed.After(t) {
			w.Closed = t
		}
		if w.Opened.Before(t) {
			kept = append(kept, w)
		}
	}
	a.Windows = kept
	// Of several changes made at once, the one that reaches furthest back says
	// what is removed.
	if a.Trim.IsZero() || t.Before(a.Trim) {
		a.Trim = t
	}
}
