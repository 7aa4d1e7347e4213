package session

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Hold is a dated, reasoned stop of deletion for the track of one mission. It is
// recorded at once, also while the mission is active. Once the mission is over
// its track is copied and sealed under a salt of the hold's own; the originals
// expire as ever. While a hold stands, the track of a mission that is over is
// read with a reason only.
//
// A hold that an agent asks for keeps their part of the track alone, for them:
// until a request of theirs is answered. It stands beside a hold of the whole
// mission, nobody but the agent ends it early, and the mission is read as ever.
type Hold struct {
	ID         uuid.UUID
	Tenant     string
	Mission    uuid.UUID
	Agent      string // whose part it keeps, at their own request; "": of all
	Reason     string
	Role       Role      // who set it, or extended it last
	Subject    uuid.UUID // their API key
	SetAt      time.Time
	Until      time.Time // the hold ends by itself
	ReleasedAt time.Time // zero: not released

	// What became of the copy, which the store alone writes:

	CopiedAt time.Time // zero: there is no whole copy yet
	Copied   int64     // positions of it
	GoneAt   time.Time // zero: the copy, or its salt, may still be there
}

// MaxHold is how far ahead a hold may end. Who needs it longer gives a reason
// again, by extending it.
const MaxHold = 366 * 24 * time.Hour

// MaxRequest is how far ahead a hold that an agent asks for may end: a request is
// to be answered within a month, or three.
const MaxRequest = 90 * 24 * time.Hour

const (
	minReason = 3
	// MaxReason is the most characters of a reason.
	MaxReason = 300
)

// ErrReason says that what is held is read with a reason only.
var ErrReason = &Error{Code: "reason_required", Field: "Access-Reason", Detail: "is missing: the mission is over and held, and its data are read with a reason only"}

// ValidateReason returns ErrInvalid, naming the field, for a text that is no
// reason: 3 to MaxReason characters on one line, a letter among them.
func ValidateReason(field, reason string) error {
	n := utf8.RuneCountInString(strings.TrimSpace(reason))
	if n < minReason || n > MaxReason || !strings.ContainsFunc(reason, unicode.IsLetter) {
		return ErrInvalid.At(field).Because("must say why, in words of %d to %d characters", minReason, MaxReason)
	}
	return validLine(field, reason, MaxReason)
}

// Concerns reports whether the hold keeps anything of an agent.
func (h *Hold) Concerns(agent string) bool { return h.Agent == "" || h.Agent == agent }

// Stands reports whether the hold is in force.
func (h *Hold) Stands(now time.Time) bool {
	return h.ID != uuid.Nil && h.ReleasedAt.IsZero() && now.Before(h.Until)
}

// HoldChange is what Store.UpdateHold hands to its change: the mission under its
// lock, as it stands, and its latest hold of that agent's part or of all, which
// change may alter. A change of the hold's ID makes a new one. What change adds to Mission.Log is recorded in
// the same transaction.
type HoldChange struct {
	Mission *Mission
	Hold    Hold // its zero value: there never was one
	// Expired is the first day that no sweep has claimed yet: the salts of
	// those before it are destroyed, or are about to be.
	Expired Day
}

// HoldStore is the part of Store that keeps holds and what they preserve.
type HoldStore interface {
	// UpdateHold locks a mission as UpdateMission does, reads it, its latest hold
	// of the agent's part (of all, for "") and the clock, and stores the hold that change leaves. No sweep can claim
	// the mission's day between the reading and the commit. An error of change
	// is returned as it is and nothing is stored; change may be called more than
	// once. ErrErasing for a hold that would stand where an agent is barred.
	UpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *HoldChange) error) (Hold, error)
	// Holds returns the holds of missions, standing and ended, in order of
	// (Mission, ID). Missions that are missing or foreign have none.
	Holds(ctx context.Context, tenant string, missions ...uuid.UUID) ([]Hold, error)

	// StandingHolds returns which of these holds, of all tenants, stand, with the
	// time at which each ends. Those that the store does not know are left out.
	StandingHolds(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]time.Time, error)
	// UncopiedHolds returns holds, of all tenants, that stand on missions that
	// are over and have no whole copy yet; what expires first comes first.
	UncopiedHolds(ctx context.Context, limit int) ([]Hold, error)
	// CopyHeld adds positions to the copy of a hold, leaving those it has as they
	// are. A row that is not one of the stored positions that it keeps is left out.
	// ErrState if the hold does not stand or its copy is whole.
	CopyHeld(ctx context.Context, h Hold, rows []Row) error
	// CopyEnd returns the place of the last position in the copy, for whoever
	// goes on with it. Copiers that each go on from there in the order of the
	// track leave no hole.
	CopyEnd(ctx context.Context, h Hold) (Cursor, error)
	// HoldCopied declares the copy whole. ErrState, and nothing is changed, if
	// more of the positions that it keeps than lost, those that cannot be read,
	// are missing in it. Repeating it is harmless.
	HoldCopied(ctx context.Context, h Hold, lost int64) error
	// HeldTrack returns positions of the copy of a hold that stands, as Track
	// does; those of one agent, or all for "". ErrGone for a hold that does not
	// stand.
	HeldTrack(ctx context.Context, h Hold, agent string, after Cursor, limit int) ([]Row, error)

	// EndedHolds returns holds, of all tenants, that were released or have
	// passed, and whose copy may still be there.
	EndedHolds(ctx context.Context, limit int) ([]Hold, error)
	// DeleteHeld removes positions of the copy of a hold that does not stand, at
	// most limit, and returns how many; once none is left it sets GoneAt.
	DeleteHeld(ctx context.Context, h Hold, limit int) (int, error)
}

// SetHold holds the track of a mission until the time given, or extends the hold
// that stands: its reason, end and author are then the new ones. For an agent it
// is their own part of it. It returns ErrForbidden by who asks, ErrNotFound for a
// mission that the agent is not on, ErrState for one that keeps no track or has not
// begun, ErrGone once the track has expired, and ErrInvalid for a bad reason, an
// end that is past, beyond MaxHold or MaxRequest or earlier than that of the hold
// that stands.
func (s *Service) SetHold(ctx context.Context, p *Principal, mission uuid.UUID, reason string, until time.Time) (Hold, error) {
	if !mayHold(p.Role) {
		return Hold{}, ErrForbidden
	}
	if err := ValidateReason("reason", reason); err != nil {
		return Hold{}, err
	}
	h, err := s.Store.UpdateHold(ctx, p.Tenant, mission, p.Agent, func(c *HoldChange) error {
		err := c.set(p, strings.TrimSpace(reason), Millis(until))
		c.log(s, p, AccessHoldSet, c.Hold.Reason)
		return err
	})
	if err != nil || h.CopiedAt.IsZero() {
		return h, err
	}
	// The salt of the copy is to live as long. That of a copy which is being made
	// just now, and whatever fails here, the sweep extends.
	return h, s.Sealer.ring.ExtendHoldSalt(ctx, h.ID, h.Until)
}

// mayHold reports whether somebody of this role may hold what they may see. A token
// of an agent is good for all their missions, as it is for their export: that of a
// mission that is over may have expired.
func mayHold(r Role) bool { return r == Platform || r == Operator || r == AgentRole }

func (c *HoldChange) set(p *Principal, reason string, until time.Time) error {
	m, now := c.Mission, c.Mission.ReadAt
	stands, most := c.Hold.Stands(now), MaxHold
	if p.Role == AgentRole {
		most = MaxRequest
	}
	switch {
	case p.Role == AgentRole && m.Agent(p.Agent) == nil: // theirs is another, or they were erased
		return ErrNotFound
	case !until.After(now):
		return ErrInvalid.At("until").Because("must lie in the future")
	case until.After(now.Add(most)):
		return ErrInvalid.At("until").Because("must lie within %d days from now; a hold can be extended", most/(24*time.Hour))
	case stands && until.Before(c.Hold.Until):
		return ErrInvalid.At("until").Because("lies before the end of the hold that stands: release it instead")
	case stands:
		// A copy outlives the originals: it can be extended after them.
	case !m.Policy.Track:
		return ErrState.Because("the mission keeps no track: there is nothing to hold")
	case m.ExpiresOn == 0:
		return ErrState.Because("the mission has not begun: there is nothing to hold")
	case m.ExpiresOn <= DayOf(now) || m.ExpiresOn < c.Expired:
		return ErrGone
	}
	if !stands {
		c.Hold = Hold{ID: NewID(), Tenant: m.Tenant, Mission: m.ID, Agent: p.Agent, SetAt: now}
	}
	c.Hold.Reason, c.Hold.Until, c.Hold.Role, c.Hold.Subject = reason, until, p.Role, p.Subject
	return nil
}

// ReleaseHold ends the hold of a mission or, for an agent, that of their own part:
// its copy can no longer be read, and is deleted with its salt by the next sweep. The
// originals are then cut to the newest that the policy keeps, which had waited for
// it. Releasing it again is harmless. ErrNotFound where there never was one. why,
// which may be empty, goes into the access log.
func (s *Service) ReleaseHold(ctx context.Context, p *Principal, mission uuid.UUID, why string) (Hold, error) {
	if !mayHold(p.Role) {
		return Hold{}, ErrForbidden
	}
	h, err := s.Store.UpdateHold(ctx, p.Tenant, mission, p.Agent, func(c *HoldChange) error {
		if c.Hold.ID == uuid.Nil {
			return ErrNotFound
		}
		if c.Hold.Stands(c.Mission.ReadAt) {
			c.Hold.ReleasedAt = c.Mission.ReadAt
			c.log(s, p, AccessHoldRelease, why)
		}
		return nil
	})
	if err != nil {
		return Hold{}, err
	}
	_, err = s.Store.UpdateMission(ctx, p.Tenant, mission, func(*Mission) error { return nil })
	return h, err
}

func (c *HoldChange) log(s *Service, p *Principal, action AccessAction, why string) {
	row := Access{Role: p.Role, Subject: p.Subject, Action: action, Object: c.Hold.ID, Why: why}
	if p.Agent != "" {
		row.Agent = s.Pseudonym(p.Tenant, p.Agent)
	}
	c.Mission.Log = append(c.Mission.Log, row)
}

// StandingHolds returns the holds in force that keep an agent's part of a mission,
// that of the whole mission first; for "" that one alone.
func (s *Service) StandingHolds(ctx context.Context, m *Mission, agent string) ([]Hold, error) {
	holds, err := s.Store.Holds(ctx, m.Tenant, m.ID)
	holds = slices.DeleteFunc(holds, func(h Hold) bool { return !h.Stands(m.ReadAt) || !h.Concerns(agent) })
	slices.SortStableFunc(holds, func(a, b Hold) int { return strings.Compare(a.Agent, b.Agent) })
	return holds, err
}

// HeldTrack returns fixes of a mission that a hold preserves, in order of time,
// beginning after the cursor; those of one agent, or all for "". Whoever asks
// must have given a reason. It reads the copy or, until that is whole, the
// originals. ErrGone once the hold has ended.
func (s *Service) HeldTrack(ctx context.Context, m *Mission, h *Hold, agent string, after Cursor, limit int) ([]Fix, error) {
	if h.Agent != "" && h.Agent != agent {
		return nil, nil
	}
	if h.CopiedAt.IsZero() {
		if m.ExpiresOn <= DayOf(m.ReadAt) {
			return nil, ErrUnavailable.Because("the copy of the held track is being made")
		}
		return s.AgentTrack(ctx, m, agent, after, limit)
	}
	rows, err := s.Store.HeldTrack(ctx, *h, agent, after, limit)
	if err != nil || len(rows) == 0 { // of a track without positions there is no salt either, and yet it is not gone
		return nil, err
	}
	salt, err := s.Sealer.ring.HoldSalt(ctx, h.ID, time.Time{})
	if err != nil {
		return nil, err
	}
	key, err := newHoldKey(s.Sealer.root, salt, m, h.ID)
	if err != nil {
		return nil, err
	}
	return openRows(key, rows)
}
