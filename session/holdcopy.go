package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// copyPage is how many positions are copied in one transaction.
const copyPage = 2000

// CopyHolds makes the copies that standing holds on missions that are over still
// lack, and returns how many became whole. Every node may do so at once; each
// position is copied once. One that fails holds up no other, and the errors are
// joined.
func (s *Service) CopyHolds(ctx context.Context) (copied int, err error) {
	var failed error
	for {
		holds, err := s.Store.UncopiedHolds(ctx, sweepAtOnce)
		if err != nil {
			return copied, errors.Join(failed, err)
		}
		settled := 0
		for i := range holds {
			switch whole, err := s.copyHold(ctx, &holds[i]); {
			case err == nil && whole:
				copied++
				settled++
			case err == nil:
				settled++
			case !errors.Is(err, ErrState): // otherwise it has ended meanwhile
				failed = errors.Join(failed, fmt.Errorf("copy what hold %s preserves: %w", holds[i].ID, err))
			}
		}
		// Those that were not settled would only come first again.
		if settled < sweepAtOnce {
			return copied, failed
		}
	}
}

// copyHold copies one track: opened under its own key, sealed under the hold's.
// It goes on where another copier, or an earlier attempt, has come to. It reports
// whether the copy became whole; otherwise the hold has ended.
func (s *Service) copyHold(ctx context.Context, h *Hold) (whole bool, err error) {
	m, err := s.Store.Mission(ctx, h.Tenant, h.Mission)
	if err != nil {
		return false, err
	}
	salt, err := s.Sealer.ring.HoldSalt(ctx, h.ID, h.Until)
	if errors.Is(err, ErrGone) {
		return false, s.endReleased(ctx, h)
	}
	if err != nil {
		return false, err
	}
	from, err := s.Sealer.copyKey(ctx, m)
	if errors.Is(err, ErrGone) {
		// It cannot have happened through a sweep, which waits. Nothing is left
		// to copy.
		s.Log.Error("held_track_lost", "hold", h.ID, "mission", m.ID)
		return true, s.Store.HoldCopied(ctx, *h, m.mostPositions())
	}
	if err != nil {
		return false, err
	}
	to, err := newHoldKey(s.Sealer.root, salt, m, h.ID)
	if err != nil {
		return false, err
	}
	return true, s.copyRows(ctx, m, h, from, to)
}

// endReleased releases a hold whose salt is destroyed, which happens only to one
// that has ended: a backup of the store has brought it back. It would preserve
// what nobody may read any more.
func (s *Service) endReleased(ctx context.Context, h *Hold) error {
	const why = "its salt was destroyed: it had ended before a backup brought it back"
	_, err := s.Store.UpdateHold(ctx, h.Tenant, h.Mission, h.Agent, func(c *HoldChange) error {
		if c.Hold.ID != h.ID || !c.Hold.Stands(c.Mission.ReadAt) {
			return nil
		}
		c.Hold.ReleasedAt = c.Mission.ReadAt
		c.Mission.Log = append(c.Mission.Log, Access{Action: AccessHoldRelease, Object: h.ID, Why: why})
		return nil
	})
	if err == nil {
		s.Log.Warn("restored_hold_released", "hold", h.ID, "mission", h.Mission, "because", why)
	}
	return err
}

// copyRows copies what is missing and declares the copy whole. An attempt before
// may have left out damaged positions that this one never came past: then it
// counts them from the start.
func (s *Service) copyRows(ctx context.Context, m *Mission, h *Hold, from, to *TrackKey) error {
	end, err := s.Store.CopyEnd(ctx, *h)
	if err != nil {
		return err
	}
	err = s.copyFrom(ctx, m, h, from, to, end)
	if errors.Is(err, ErrState) && end != (Cursor{}) {
		err = s.copyFrom(ctx, m, h, from, to, Cursor{})
	}
	return err
}

func (s *Service) copyFrom(ctx context.Context, m *Mission, h *Hold, from, to *TrackKey, after Cursor) (err error) {
	lost := int64(0)
	for {
		var rows []Row
		if h.Agent == "" {
			rows, err = s.Store.Track(ctx, h.Tenant, h.Mission, after, copyPage)
		} else {
			rows, err = s.Store.AgentTrack(ctx, h.Tenant, h.Mission, h.Agent, after, copyPage)
		}
		if err != nil || len(rows) == 0 {
			break
		}
		last := rows[len(rows)-1]
		after = Cursor{At: last.At, Agent: last.Agent, Slot: last.Slot}
		resealed, damaged := reseal(rows, from, to)
		lost += damaged
		if err = s.Store.CopyHeld(ctx, *h, resealed); err != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if lost > 0 {
		s.Log.Error("held_positions_damaged", "hold", h.ID, "mission", m.ID, "lost", lost)
	}
	return s.Store.HoldCopied(ctx, *h, lost)
}

// reseal returns rows sealed under another key, without those that cannot be
// opened: nobody will ever read them.
func reseal(rows []Row, from, to *TrackKey) (resealed []Row, damaged int64) {
	for _, row := range rows {
		fix, err := from.Open(row.Agent, row.Slot, row.Sealed)
		if err != nil {
			damaged++
			continue
		}
		row.Sealed = to.Seal(nil, row.Agent, row.Slot, &fix)
		resealed = append(resealed, row)
	}
	return resealed, damaged
}

// mostPositions is more than a track of the mission can hold.
func (m *Mission) mostPositions() int64 {
	return int64(MaxAgents) * int64(MaxDuration/m.Policy.MinInterval+1)
}

// deleteHeld deletes the copies of holds that have ended: first the salt, then
// what it sealed.
func (s *Service) deleteHeld(ctx context.Context) (deleted int, err error) {
	for {
		holds, err := s.Store.EndedHolds(ctx, sweepAtOnce)
		if err != nil || len(holds) == 0 {
			return deleted, err
		}
		for _, h := range holds {
			err := s.Record(ctx, nil, Access{Tenant: h.Tenant, Action: AccessKeysDestroy, Mission: h.Mission, Object: h.ID})
			if err != nil {
				return deleted, err
			}
			if err := s.Sealer.ring.DestroyHoldSalt(ctx, h.ID); err != nil {
				return deleted, err
			}
			for n := purgeAtOnce; n == purgeAtOnce; {
				if n, err = s.Store.DeleteHeld(ctx, h, purgeAtOnce); err != nil {
					return deleted, err
				}
			}
			deleted++
		}
	}
}

// holdSaltSlack is for how long the salt of a hold is left alone after its time:
// until whatever the store was about then, an extension, is done.
const holdSaltSlack = time.Minute

// destroyHoldSalts destroys salts of holds whose time is over, whether the store
// knows them or not: one that was restored from a backup may have forgotten the
// hold, and another backup may still have the copy.
func (s *Service) destroyHoldSalts(ctx context.Context) (destroyed int, err error) {
	over, standing, err := s.overdueHoldSalts(ctx, holdSaltSlack)
	if err != nil {
		return 0, err
	}
	for hold, until := range standing {
		if err := s.Sealer.ring.ExtendHoldSalt(ctx, hold, until); err != nil {
			return 0, err
		}
	}
	for _, hold := range over {
		if err := s.Record(ctx, nil, Access{Action: AccessKeysDestroy, Object: hold, Why: "of the copy of a hold that has ended"}); err != nil {
			return destroyed, err
		}
		if err := s.Sealer.ring.DestroyHoldSalt(ctx, hold); err != nil {
			return destroyed, err
		}
		destroyed++
	}
	return destroyed, nil
}

// overdueHoldSalts returns the holds whose salts have outlived their time by so
// much, in order; and apart those of them that stand by what the store says,
// whose salts are to live as long as they do.
func (s *Service) overdueHoldSalts(ctx context.Context, slack time.Duration) (over []uuid.UUID, standing map[uuid.UUID]time.Time, err error) {
	now, err := s.Store.Now(ctx)
	if err != nil {
		return nil, nil, err
	}
	ends, err := s.Sealer.ring.HoldSalts(ctx)
	if err != nil {
		return nil, nil, err
	}
	over = OverdueHoldSalts(ends, now.Add(-slack))
	if len(over) == 0 {
		return nil, nil, nil
	}
	if standing, err = s.Store.StandingHolds(ctx, over); err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(over, func(hold uuid.UUID) bool { _, stands := standing[hold]; return stands }), standing, nil
}

// OverdueHoldSalts returns which of the salts that Keyring.HoldSalts gives were to
// live no longer than until then, in order.
func OverdueHoldSalts(ends map[uuid.UUID]time.Time, then time.Time) (late []uuid.UUID) {
	for hold, until := range ends {
		if !until.After(then) {
			late = append(late, hold)
		}
	}
	slices.SortFunc(late, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return late
}
