package session

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
)

// State is where a mission stands.
type State string

// The states of a mission. Scheduled leads to Active or Cancelled, Active and
// Paused lead to each other and to Ended; Ended and Cancelled are final.
const (
	Scheduled State = "scheduled"
	Active    State = "active"
	Paused    State = "paused"
	Ended     State = "ended"
	Cancelled State = "cancelled"
)

// Over reports whether s is final.
func (s State) Over() bool { return s == Ended || s == Cancelled }

// Reason says why a mission ended, or on whose behalf it last changed.
type Reason string

// The reasons for which a mission ends. Of them ByAgent, ByPlatform,
// ByOperator and ByDeadline also say who last changed a mission's state.
const (
	ByAgent    Reason = "agent"
	ByPlatform Reason = "platform"
	ByOperator Reason = "operator"
	ByDeadline Reason = "deadline"
	ByMissed   Reason = "missed" // never begun
)

// Policy is what was agreed about a mission's data. It never changes once the
// mission exists.
type Policy struct {
	Track         bool          // keep the track; otherwise only the latest position while located
	Proof         bool          // purpose "proof" instead of "mission": allows a longer retention
	RetentionDays int           // days after the day of begin
	MinInterval   time.Duration // at most one position is kept per interval: the slot
	MaxPoints     int           // newest positions kept once the mission has ended; 0: all
	Speed         bool          // store and show speed
	AgentControls bool          // agents may begin and end the mission; their pause needs no permission
}

// What a mission's plan says if it says nothing.
const (
	DefaultOverrun    = 2 * time.Hour // from the planned end to the deadline
	DefaultEarlyBegin = time.Hour     // before the planned start
)

// DefaultPolicy is the policy of a mission that states none.
func DefaultPolicy() Policy {
	return Policy{Track: true, RetentionDays: 30, MinInterval: time.Second, AgentControls: true}
}

// Checkpoint is a place on a round that agents are to visit.
type Checkpoint struct {
	Name    string
	Point   geo.Point
	RadiusM float64
}

// Window is an interval [Opened, Closed) in which one agent of one mission is
// located. An open window has the zero Closed and ends at the mission's
// deadline at the latest.
type Window struct {
	Opened time.Time
	Closed time.Time
}

// SOS is the state of an agent's alarm: "" if there never was one.
type SOS string

// The states of an alarm. It concerns the agent and the operators; a client's
// link never shows it.
const (
	SOSRaised       SOS = "raised"
	SOSAcknowledged SOS = "acknowledged"
	SOSClosed       SOS = "closed"
)

// Agent is one agent's part in a mission.
type Agent struct {
	ID       string // the tenant's own name for them: "badge-17"
	Alias    string // what viewers see instead
	Paused   bool   // the agent's own pause stands; only they end it
	Relieved bool   // no longer on the mission
	Windows  []Window
	SOS      SOS
	// TokensAfter voids every agent token issued until then; zero voids none.
	TokensAfter time.Time
	// Removed counts positions that were stored and then removed, because a
	// pause or end was dated before them or Policy.MaxPoints newer ones are kept.
	Removed int64

	// Trim is set by Apply and consumed by Store.UpdateMission: this agent's
	// positions from this time on are removed in the same transaction.
	Trim time.Time
}

// Mission is one job at one site, with all that decides over its positions.
// It is a value: a change goes through Store.UpdateMission.
type Mission struct {
	ID           uuid.UUID
	Tenant       string
	Reference    string // the platform's own name for the job
	Site         geo.Site
	Checkpoints  []Checkpoint
	StartsAt     time.Time // planned
	EndsAt       time.Time // planned
	Overrun      time.Duration
	EarlyBegin   time.Duration // how long before StartsAt it may begin
	Policy       Policy
	State        State
	ChangedBy    Reason // who last changed the state; "" before any change
	EndReason    Reason // set when State is Ended
	CreatedAt    time.Time
	BeganAt      time.Time // zero before begin
	EndedAt      time.Time // zero before end or cancellation
	ExpiresOn    Day       // fixed at begin; zero before
	Deadline     time.Time
	Agents       []Agent
	RevokedLinks []uuid.UUID // links of this mission that were revoked
	// Revision rises with every stored change of anything above.
	Revision int64
	// ReadAt is the store's clock when this value was read.
	ReadAt time.Time

	// Log is appended to by Apply and Settle, and consumed by
	// Store.UpdateMission: rows for the access log, which commit with the
	// change. The tenant and the mission are set by the store.
	Log []Access
}

// Agent returns the agent of that id, or nil.
func (m *Mission) Agent(id string) *Agent {
	for i := range m.Agents {
		if m.Agents[i].ID == id {
			return &m.Agents[i]
		}
	}
	return nil
}

// Joining returns the agents who were not on the mission before, or no longer:
// with nil, all of them.
func (m *Mission) Joining(before *Mission) (names []string) {
	for i := range m.Agents {
		a, was := &m.Agents[i], (*Agent)(nil)
		if before != nil {
			was = before.Agent(a.ID)
		}
		if was == nil || was.Relieved && !a.Relieved {
			names = append(names, a.ID)
		}
	}
	return names
}

// Clone returns a deep copy.
func (m *Mission) Clone() *Mission {
	c := *m
	c.Checkpoints = slices.Clone(m.Checkpoints)
	c.RevokedLinks = slices.Clone(m.RevokedLinks)
	c.Log = slices.Clone(m.Log)
	c.Agents = slices.Clone(m.Agents)
	for i := range c.Agents {
		c.Agents[i].Windows = slices.Clone(c.Agents[i].Windows)
	}
	return &c
}

// Open returns the agent's open window, or nil.
func (a *Agent) Open() *Window {
	if n := len(a.Windows); n > 0 && a.Windows[n-1].Closed.IsZero() {
		return &a.Windows[n-1]
	}
	return nil
}

// Duty is what an agent's phone needs to know: whether it is to send
// positions.
type Duty string

// The duties of an agent. DutyPaused covers the agent's own pause and the
// mission's.
const (
	DutyOff    Duty = "off"
	DutyOn     Duty = "on"
	DutyPaused Duty = "paused"
)

// Duty returns what the agent's phone is to do in the mission's present state.
func (m *Mission) Duty(agent string) Duty {
	a := m.Agent(agent)
	switch {
	case a == nil || a.Relieved || m.State == Scheduled || m.State.Over():
		return DutyOff
	case m.State == Paused || a.Paused:
		return DutyPaused
	case a.Open() == nil:
		return DutyOff
	}
	return DutyOn
}
