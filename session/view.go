package session

import (
	"fmt"
	"strconv"
	"strings"

	"ronde/geo"
)

// View is what a link shows: how exact, and whether with a trail.
type View struct {
	Profile Profile
	Trail   bool
}

// Profile says how exactly a view shows where an agent is: ProfileStatus,
// ProfileExact, ProfileOnSite, or "cell:" and an H3 resolution.
type Profile string

// The profiles with a name of their own.
const (
	// ProfileStatus shows no position.
	ProfileStatus Profile = "status"
	// ProfileExact shows each fix as it is.
	ProfileExact Profile = "exact"
	// ProfileOnSite shows a fix exactly if it lies inside the site, and its
	// cell of resolution 8 otherwise: the way to work may begin at the
	// agent's home.
	ProfileOnSite Profile = "exact_on_site"
)

// awayResolution is the H3 resolution of ProfileOnSite off the site: cells of
// about 0.7 km².
const awayResolution = 8

// ParseProfile returns the profile that s names, or ErrInvalid.
func ParseProfile(s string) (Profile, error) {
	p := Profile(s)
	switch p {
	case ProfileStatus, ProfileExact, ProfileOnSite:
		return p, nil
	}
	if digits, ok := strings.CutPrefix(s, "cell:"); ok {
		res, err := strconv.Atoi(digits)
		if err == nil && res >= 0 && res <= geo.MaxResolution && strconv.Itoa(res) == digits {
			return p, nil
		}
	}
	return "", ErrInvalid.At("profile").Because("must be status, exact, exact_on_site or cell: and a resolution of 0 to %d", geo.MaxResolution)
}

// resolution returns the H3 resolution at which the profile shows a fix that
// lies inside the site or not, or -1 for exactly.
func (p Profile) resolution(inside bool) int {
	switch {
	case p == ProfileExact || p == ProfileOnSite && inside:
		return -1
	case p == ProfileOnSite:
		return awayResolution
	}
	res, err := strconv.Atoi(strings.TrimPrefix(string(p), "cell:"))
	if err != nil {
		return 0 // no such profile passes ParseProfile: show as little as can be
	}
	return res
}

// Seen is what one view shows of one agent: coarsened first, and everything
// else derived from the coarse position, so that nothing finer shines through.
type Seen struct {
	Progress
	// Shown reports whether Position is to be shown.
	Shown bool
	// Cell is the cell whose centre Position is, or 0 if it is exact.
	Cell geo.Cell
	// DistanceM is the distance from the shown position to the site, metres.
	DistanceM float64
	// ETA is that of an exact position whose agent is not lost. That of a cell
	// would have to come from cells alone: the speed of the fixes in it is finer
	// than the cell.
	ETA ETA
}

// See returns what profile shows of an agent's progress at the site.
func See(p Progress, site *geo.Site, profile Profile) (Seen, error) {
	seen := Seen{Progress: p}
	if profile == ProfileStatus || !p.HasFix() {
		seen.Position = geo.Position{}
		return seen, nil
	}
	seen.Shown = true
	if res := profile.resolution(site.Contains(p.Position.Point)); res >= 0 {
		cell, err := geo.CellOf(p.Position.Point, res)
		if err != nil {
			return Seen{}, fmt.Errorf("coarsen: %w", err)
		}
		center, err := cell.Center()
		if err != nil {
			return Seen{}, fmt.Errorf("coarsen: %w", err)
		}
		seen.Cell, seen.Position = cell, geo.NewPosition(center)
	}
	seen.DistanceM = site.Distance(seen.Position.Point)
	if seen.Cell == 0 && seen.Signal != Lost {
		seen.ETA = p.ETA()
	}
	if seen.Cell != 0 && (seen.Phase == EnRoute || seen.Phase == Arriving) {
		seen.Phase = approach(seen.DistanceM)
	}
	return seen, nil
}
