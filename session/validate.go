package session

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a mission may state.
const (
	maxText           = 200 // characters of a reference or a name
	maxCheckpoints    = 200
	maxRadiusM        = 50_000
	minRadiusM        = 1
	maxInterval       = time.Hour
	maxOverrun        = 24 * time.Hour
	maxEarly          = 24 * time.Hour
	maxRetention      = 60  // days, for purpose "mission"
	maxRetentionProof = 365 // days, for purpose "proof"
	maxPoints         = 1_000_000
)

var (
	tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	agentName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	aliasName  = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,31}$`)
)

const agentRule = "must be 1 to 64 letters, digits or . _ @ - and begin with a letter or digit"

// ValidateTenant returns ErrInvalid unless name can name a tenant: lower-case
// letters, digits and hyphens, at most 63 of them.
func ValidateTenant(name string) error {
	if !tenantName.MatchString(name) {
		return ErrInvalid.At("tenant").Because("must be 1 to 63 lower-case letters, digits or hyphens, and not begin with a hyphen")
	}
	return nil
}

// Validate checks a mission that is about to be created and returns
// ErrInvalid, naming the member and the rule, for the first that breaks one.
func (m *Mission) Validate() error {
	for _, check := range []func() error{
		func() error { return ValidateTenant(m.Tenant) },
		func() error { return validText("reference", m.Reference) },
		m.validateSite, m.validatePolicy, m.validatePlan, m.validateAgents,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mission) validateSite() error {
	if err := validText("site.name", m.Site.Name); err != nil {
		return err
	}
	if !m.Site.Center.Valid() {
		return ErrInvalid.At("site.point").Because("must lie within ±90 latitude and ±180 longitude and not be exactly 0,0")
	}
	// An area was checked when it was parsed, and nobody can make one otherwise.
	if m.Site.Area == nil && !(m.Site.RadiusM >= minRadiusM && m.Site.RadiusM <= maxRadiusM) {
		return ErrInvalid.At("site.radius_m").Because("must be %d to %d metres", minRadiusM, maxRadiusM)
	}
	if len(m.Checkpoints) > maxCheckpoints {
		return ErrInvalid.At("checkpoints").Because("may be at most %d", maxCheckpoints)
	}
	for i, c := range m.Checkpoints {
		field := fmt.Sprintf("checkpoints[%d]", i)
		if err := validText(field+".name", c.Name); err != nil {
			return err
		}
		if !c.Point.Valid() {
			return ErrInvalid.At(field).Because("must lie within ±90 latitude and ±180 longitude and not be exactly 0,0")
		}
		if !(c.RadiusM >= minRadiusM && c.RadiusM <= maxRadiusM) {
			return ErrInvalid.At(field+".radius_m").Because("must be %d to %d metres", minRadiusM, maxRadiusM)
		}
	}
	return nil
}

func (m *Mission) validatePlan() error {
	switch {
	case m.StartsAt.IsZero():
		return ErrInvalid.At("starts_at").Because("is required")
	case m.EndsAt.IsZero():
		return ErrInvalid.At("ends_at").Because("is required")
	case !m.EndsAt.After(m.StartsAt):
		return ErrInvalid.At("ends_at").Because("must lie after starts_at")
	case m.Overrun < 0 || m.Overrun > maxOverrun:
		return ErrInvalid.At("overrun_minutes").Because("must be 0 to %d", int(maxOverrun.Minutes()))
	case m.EarlyBegin < 0 || m.EarlyBegin > maxEarly:
		return ErrInvalid.At("early_minutes").Because("must be 0 to %d", int(maxEarly.Minutes()))
	case m.EndsAt.Add(m.Overrun).Sub(m.StartsAt) > MaxDuration:
		return ErrInvalid.At("ends_at").Because("plus the overrun must lie within %d hours of starts_at", int(MaxDuration.Hours()))
	case m.outlivesTrack():
		return ErrInvalid.At("policy.retention_days").Because("must reach beyond the day on which the mission ends with its overrun")
	}
	return nil
}

// outlivesTrack reports whether the key of the track could be destroyed under the
// running mission.
func (m *Mission) outlivesTrack() bool {
	return DayOf(m.EndsAt.Add(m.Overrun)) >= DayOf(m.StartsAt.Add(-m.EarlyBegin))+Day(m.Policy.RetentionDays)
}

func (m *Mission) validatePolicy() error {
	p := &m.Policy
	longest := maxRetention
	if p.Proof {
		longest = maxRetentionProof
	}
	switch {
	case p.RetentionDays < 1 || p.RetentionDays > longest:
		return ErrInvalid.At("policy.retention_days").Because("must be 1 to %d for this purpose", longest)
	case p.MinInterval < time.Millisecond || p.MinInterval > maxInterval || p.MinInterval%time.Millisecond != 0:
		return ErrInvalid.At("policy.min_interval_ms").Because("must be 1 to %d", maxInterval.Milliseconds())
	case p.MaxPoints < 0 || p.MaxPoints > maxPoints:
		return ErrInvalid.At("policy.max_points").Because("must be 1 to %d, or null", maxPoints)
	}
	return nil
}

func (m *Mission) validateAgents() error {
	if len(m.Agents) == 0 || len(m.Agents) > MaxAgents {
		return ErrInvalid.At("agents").Because("must name 1 to %d agents", MaxAgents)
	}
	ids, aliases := map[string]bool{}, map[string]bool{}
	for i, a := range m.Agents {
		field := fmt.Sprintf("agents[%d]", i)
		switch {
		case !agentName.MatchString(a.ID):
			return ErrInvalid.At(field + ".agent").Because(agentRule)
		case !aliasName.MatchString(a.Alias):
			return ErrInvalid.At(field + ".alias").Because("must be 1 to 32 letters, digits, spaces or . _ - and begin with a letter or digit")
		case ids[a.ID]:
			return ErrInvalid.At(field + ".agent").Because("is named twice")
		case aliases[a.Alias]:
			return ErrInvalid.At(field + ".alias").Because("is used twice")
		}
		ids[a.ID], aliases[a.Alias] = true, true
	}
	return nil
}

// validText accepts what a person can read on one line: no control or
// direction-changing characters, which would falsify a log line or a page.
func validText(field, s string) error { return validLine(field, s, maxText) }

// validLine is validText of at most so many characters.
func validLine(field, s string, most int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return ErrInvalid.At(field).Because("is required")
	case !utf8.ValidString(s) || utf8.RuneCountInString(s) > most:
		return ErrInvalid.At(field).Because("must be UTF-8 of at most %d characters", most)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		return ErrInvalid.At(field).Because("must not contain control or formatting characters")
	}
	return nil
}
