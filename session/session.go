// Package session holds the rules of Ronde: what a mission is, when an agent
// may be located, who may change that, what is kept of a position and for how
// long. It knows no network and no database; the adapters below it keep what
// it decides, and packages tracker and web carry it to the wire.
//
// The one promise everything here serves: a position is accepted, stored,
// published or shown only if its time lies inside a window of its agent and it
// arrived while the mission was active. Three places decide over it.
//
//   - Mission.Apply is the table of transitions. It opens and closes windows
//     and runs inside Store.UpdateMission, under the mission's lock.
//   - Mission.Judge is the verdict on one ping. Store.Append gives it under
//     the same lock, on the store's own clock read after the lock.
//   - Gate.Admit refuses early, from memory, only what can never be accepted.
//
// # Times
//
// All times of the domain have the resolution of a phone's, one millisecond,
// and are UTC. On the path of a ping they are milliseconds since the Unix
// epoch (int64), elsewhere time.Time.
package session

import (
	"time"

	"github.com/google/uuid"
)

// Limits of the domain.
const (
	// MaxDuration is the longest that a mission may be active, from its begin
	// (or planned start) to its deadline.
	MaxDuration = 72 * time.Hour
	// MaxAhead is how far a phone's clock may run ahead of the store's. A
	// device time up to it is stored as the store's clock.
	MaxAhead = 60 * time.Second
	// MaxAgents is the most agents one mission may have.
	MaxAgents = 50
)

// Millis rounds t down to the resolution of the domain, in UTC.
func Millis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// TimeOf returns the time that is so many milliseconds after the Unix epoch,
// and the zero Time for 0, which no phone means.
func TimeOf(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// NewID returns a new UUIDv7: it sorts by the time it was made.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// Day is a calendar day in UTC, as days since the Unix epoch. The zero Day is
// none.
type Day int32

// DayOf returns the UTC day that holds t.
func DayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

// Time returns the first instant of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String returns the day as 2006-01-02, or "" for the zero Day.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}
