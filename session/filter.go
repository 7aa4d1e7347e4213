package session

import (
	"slices"
	"time"
)

// MissionFilter selects missions of a list. The zero MissionFilter selects all.
type MissionFilter struct {
	// States selects missions that stand in one of these states at the store's
	// time: past its deadline a mission is ended, whatever state is stored.
	States []State
	// From and To select missions whose planned time, [StartsAt, EndsAt),
	// overlaps [From, To). A zero one leaves its side open.
	From, To  time.Time
	Agent     string // who is on the mission, or was
	Reference string // exactly
}

// Validate returns ErrInvalid, naming the member, for a filter that can select
// nothing because no mission could ever be like that.
func (f *MissionFilter) Validate() error {
	for _, s := range f.States {
		if !slices.Contains(everyState, s) {
			return ErrInvalid.At("state").Because("must be scheduled, active, paused, ended or cancelled")
		}
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.To.After(f.From) {
		return ErrInvalid.At("to").Because("must lie after from")
	}
	if f.Agent != "" && !agentName.MatchString(f.Agent) {
		return ErrInvalid.At("agent").Because(agentRule)
	}
	if f.Reference != "" {
		return validText("reference", f.Reference)
	}
	return nil
}

// Unended reports whether f selects, by their state, only missions that are not
// over. It is for adapters: those are few among all that ever were.
func (f *MissionFilter) Unended() bool {
	return len(f.States) > 0 && !slices.ContainsFunc(f.States, State.Over)
}
