package session

import "ronde/geo"

// Counts says what became of the fixes that were folded into a progress. All
// of them are stored; only the used ones say where the agent is.
type Counts struct {
	Used int64
	// Imprecise fixes state an accuracy of more than 250 m.
	Imprecise int64
	// Jumps lie where the agent cannot have come to since the last used fix, and
	// were not confirmed by what followed.
	Jumps int64
	// Frozen fixes repeat a position that the agent was driving away from.
	Frozen int64
	// Mock fixes were made up by an app on the phone.
	Mock int64
	// Late fixes are not newer than one that was folded before, or are that one
	// again.
	Late int64
}

// Add adds the counts of other fixes.
func (c *Counts) Add(more *Counts) {
	c.Used += more.Used
	c.Imprecise += more.Imprecise
	c.Jumps += more.Jumps
	c.Frozen += more.Frozen
	c.Mock += more.Mock
	c.Late += more.Late
}

const (
	// impreciseM is the accuracy beyond which a fix says nothing about a site.
	impreciseM = 250
	// confirmations is how many fixes in a row that all lie outside the gate, but
	// within each other's, show that it is the estimate that is wrong.
	confirmations = 3
	// repeats is how long the same position again confirms nothing, milliseconds:
	// a phone that finds itself by a mast or a hotspot repeats the place of that.
	repeats = 30_000
	// braking is the hardest deceleration that is believed, m/s². A receiver that
	// lost its satellites repeats its last position: as if from one fix to the next
	// the agent had stopped dead.
	braking = 6
)

// clean decides whether a fix that is newer than all before is used, and counts
// it. Then the track follows it.
//
// A fix outside the gate of the track starts, or continues, a tentative track
// of its own. Once that has confirmations it becomes the track: so a filter that
// was led astray, or started at a bad fix, cannot go on refusing good ones. One
// fix that the track accepts ends the tentative track.
func (p *Progress) clean(at int64, fix *geo.Position) bool {
	switch {
	case fix.Mock:
		p.Counts.Mock++
	case geo.Known(fix.Accuracy) && fix.Accuracy > impreciseM:
		p.Counts.Imprecise++
	case p.isFrozen(at, fix):
		p.Counts.Frozen++
	case p.follow(at, fix) || p.follows(at, fix):
		p.Counts.Used++
		return true
	default:
		p.Counts.Jumps++
	}
	return false
}

// follow takes a fix into the track.
func (p *Progress) follow(at int64, fix *geo.Position) bool {
	switch {
	case p.track.at == 0 || at-p.track.at > coast:
		p.restart(start(at, fix))
	case !p.track.accept(at, fix):
		return false
	}
	p.tentative, p.rejects = estimate{}, 0
	return true
}

// follows takes a fix that the track rejected into the tentative track, and
// reports whether that has become the track.
func (p *Progress) follows(at int64, fix *geo.Position) bool {
	if p.rejects > 0 && fix.Point == p.tentative.point && at-p.tentative.at < repeats {
		return false
	}
	if p.rejects == 0 || at-p.tentative.at > coast || !p.tentative.accept(at, fix) {
		p.tentative, p.rejects = start(at, fix), 1
		return false
	}
	if p.rejects++; p.rejects < confirmations {
		return false
	}
	p.restart(p.tentative)
	p.tentative, p.rejects = estimate{}, 0
	return true
}

// restart goes on from another estimate, which no way leads to from the last.
func (p *Progress) restart(e estimate) {
	p.track = e
	p.journey = journey{}
}

// isFrozen reports whether a fix repeats the last used position of an agent who
// was too fast to stop there, by the last step as well as by the track. It
// remembers that until the position changes or the track has nothing to say any
// more.
func (p *Progress) isFrozen(at int64, fix *geo.Position) bool {
	if p.track.at == 0 || fix.Point != p.Position.Point || at-p.track.at > coast {
		p.frozen = false
		return false
	}
	p.frozen = p.frozen || min(p.step, p.track.speed())*1000 > braking*float64(at-p.track.at)
	return p.frozen
}
