package session

import "ronde/geo"

// Ping is one position as a phone sends it.
type Ping struct {
	Seq       uint64 // correlates answers on one connection; it identifies nothing
	Timestamp int64  // device time of the fix, milliseconds since the epoch
	geo.Position
}

// The years that a device time may name; what lies outside is no time.
const (
	minTimestamp = -62135596800000 // 0001-01-01
	maxTimestamp = 253402300799999 // 9999-12-31
)

// Valid reports whether the values of p are possible at all. Whether its time
// is acceptable is for Judge to say.
func (p *Ping) Valid() bool {
	return p.Timestamp >= minTimestamp && p.Timestamp <= maxTimestamp && p.Position.Valid()
}

// Slot returns the number of the interval that holds the device time: the
// part of a ping's identity that no connection, phone or resend changes.
// intervalMS must be positive.
func Slot(timestamp, intervalMS int64) int64 {
	slot := timestamp / intervalMS
	if timestamp%intervalMS < 0 {
		slot--
	}
	return slot
}

// Verdict is what became of one ping. The zero Verdict is Undecided, which
// tells the phone to keep it.
type Verdict int8

// The verdicts. Stored to Unchanged settle a ping silently. NotActive to
// NoticeMissing are refusals, final and named to the phone. The rest tell it
// to keep the ping and send it again later.
const (
	Undecided Verdict = iota
	Stored            // stored (or, in a mission without a track, judged good)
	Unchanged         // this very ping was stored before

	NotActive     // the mission is not active, whatever the time
	OutsideWindow // the time lies in no window of this agent
	Future        // the device time is too far ahead of the store's clock
	Invalid       // the values are impossible
	TooFrequent   // another position of this slot is stored
	NoticeMissing // the agent has not acknowledged the privacy notice

	// MissionPaused: the mission is paused; the ping's time lies in a window,
	// so it will be stored if it comes again after the pause.
	MissionPaused
	// MissionPausedOutside: the mission is paused and the ping's time lies in
	// no window, nor ever will: nothing is lost if it never comes again.
	MissionPausedOutside
	// Locked: a transition holds the mission; ask again at once.
	Locked
	// Unsealed: the mission has begun but the ping came without a sealed
	// position, because its node did not know yet or has no key. Read the
	// mission, seal, and append again.
	Unsealed
)

var verdictCodes = map[Verdict]string{
	NotActive: "not_active", OutsideWindow: "outside_window", Future: "future", Invalid: "invalid",
	TooFrequent: "too_frequent", NoticeMissing: "notice_missing",
	MissionPaused: "paused", MissionPausedOutside: "paused",
	Locked: "overloaded", Unsealed: "store_unavailable", Undecided: "store_unavailable",
}

// Code returns the stable code of a refusal or a retry, and "" for a ping that
// settled silently.
func (v Verdict) Code() string { return verdictCodes[v] }

// Refused reports whether v is final and bad.
func (v Verdict) Refused() bool { return v >= NotActive && v <= NoticeMissing }

// Settled reports whether v is final: the phone may forget the ping.
func (v Verdict) Settled() bool { return v >= Stored && v <= NoticeMissing }

// Judge decides on a ping of one agent with the given device time that arrives
// at the store's time now. m must have been read after its lock was taken, and
// now after that. acknowledged says that the agent has acknowledged the
// tenant's notice, or needs not.
//
// It returns the time under which to store the ping and Stored, or the
// refusal. That the slot is free, only the insert can tell.
func (m *Mission) Judge(agent string, acknowledged bool, timestamp, now int64) (at int64, v Verdict) {
	at = min(timestamp, now)
	a := m.Agent(agent)
	if a == nil || m.State == Scheduled || m.State.Over() || now >= m.Deadline.UnixMilli() {
		return at, NotActive
	}
	inside := a.Located(at)
	switch {
	case m.State == Paused && inside:
		return at, MissionPaused
	case m.State == Paused:
		return at, MissionPausedOutside
	case !acknowledged:
		return at, NoticeMissing
	case timestamp > now+MaxAhead.Milliseconds():
		return at, Future
	case !inside:
		return at, OutsideWindow
	}
	return at, Stored
}

// Located reports whether a window of the agent holds the time at,
// milliseconds since the epoch.
func (a *Agent) Located(at int64) bool {
	for _, w := range a.Windows {
		if at >= w.Opened.UnixMilli() && (w.Closed.IsZero() || at < w.Closed.UnixMilli()) {
			return true
		}
	}
	return false
}
