package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The months for which a tenant's mission records keep names, sites and links
// after the mission is over. See Store.SetMissionTerm.
const (
	DefaultMissionTerm = 12
	MaxMissionTerm     = 60
)

// TidyingSlack is how long what ends at a moment, and not with a day, may await
// the next sweep before it counts as overdue.
const TidyingSlack = 15 * time.Minute

// KeyBackupDays is for how many days copies of the keyring may be kept: for so
// long after its expiry a track can be read again by whoever restores both.
const KeyBackupDays = 7

// AccessOverdue returns the time before which rows of the access log are overdue.
// They go with the checkpoint that covers them, of which the last of each day is
// kept: two days are more than enough.
func AccessOverdue(now time.Time) time.Time { return now.UTC().AddDate(0, -AccessMonths, -2) }

// RetentionStore is the part of Store that removes what has outlived its limit,
// of all tenants. Every method is safe on all nodes at once and may be stopped
// anywhere and called again.
type RetentionStore interface {
	// MissionTerm returns for how many months after a mission is over the
	// tenant's record of it keeps names, and SetMissionTerm changes that.
	// ErrNotFound for a tenant that does not exist.
	MissionTerm(ctx context.Context, tenant string) (months int, err error)
	SetMissionTerm(ctx context.Context, tenant string, months int) error

	// ClaimDays claims all days until the store's today for a sweep: from then on
	// no hold can be set on a mission that expires on one of them. It returns the
	// first day whose tracks are not to be destroyed yet, which is tomorrow, and
	// what must stay all the same.
	ClaimDays(ctx context.Context) (before Day, kept []Pin, err error)
	// PurgePositions removes positions that expire before that day and that
	// ClaimDays would not keep, all but those of the missions concerned: some of
	// them, and whether there may be more. ErrUnavailable where a reader holds them; nobody who stores or reads other
	// days waits for that longer than a moment.
	PurgePositions(ctx context.Context, before Day) (more bool, err error)
	// Overfull returns missions that have ended with more positions than their
	// policy keeps, and on which no hold stands. UpdateMission mends each.
	Overfull(ctx context.Context, limit int) ([]Ref, error)
	// PurgeLocations removes latest positions and saved progress that belong to no
	// open window of a mission that is going on.
	PurgeLocations(ctx context.Context) (int, error)
	// AnonymizeMissions takes out of records whose tenant's term is over what
	// names anybody or any place, and their links and ended holds: at most limit
	// missions. States, counts and times stay. A record waits for its positions to
	// be gone and its holds' copies to be deleted.
	AnonymizeMissions(ctx context.Context, limit int) (int, error)
	// PurgeAcknowledgements removes acknowledgements of the notice that are older
	// than the tenant's term, by agents whom no mission record names any more, at
	// most limit.
	PurgeAcknowledgements(ctx context.Context, limit int) (int, error)
	// Overdue counts the rows that have outlived their limit: one entry for each
	// class that can be counted, in a fixed order, also where there are none.
	Overdue(ctx context.Context) ([]Overdue, error)
}

// Pin is what a sweep must leave although its day is over: a hold stands on a
// mission whose track has no whole copy yet.
type Pin struct {
	Hold uuid.UUID
	SaltID
}

// Overdue is how many rows of a class have outlived their limit.
type Overdue struct {
	Class Class
	Rows  int64
}

// Swept is what a sweep did.
type Swept struct {
	Closed       int `json:"closed_missions"`          // past their deadline
	Copied       int `json:"copied_holds"`             // whose copy became whole
	Salts        int `json:"destroyed_salts"`          // of days that are over
	Trimmed      int `json:"trimmed_missions"`         // to the newest positions that they may keep
	Locations    int `json:"removed_locations"`        // latest positions and saved progress of nobody located
	Deleted      int `json:"deleted_holds"`            // copies of those that have ended
	Anonymized   int `json:"anonymous_missions"`       // records
	Acknowledged int `json:"removed_acknowledgements"` // of former agents
	Receipts     int `json:"removed_receipts"`
	Recorded     int `json:"removed_access_log_rows"`
	Tombstones   int `json:"removed_tombstones"`   // older than any backup may be
	Kept         int `json:"kept_holds"`           // without a whole copy, for which a track whose day is over stays
	HoldSalts    int `json:"destroyed_hold_salts"` // of holds that the store does not know to have ended
}

const (
	// sweepAtOnce is how many objects one step asks the store for at a time.
	sweepAtOnce = 100
	// purgeAtOnce is how many small rows one transaction removes.
	purgeAtOnce = 1_000
)

// Sweep removes whatever has outlived its limit. It is safe on all nodes at once
// and can be stopped anywhere: the next one goes on. Copies of holds come first;
// salts go before the positions that they sealed. A track that cannot be copied
// keeps its tenant's salt of that day, and nothing else. A step that fails holds up
// only those that depend on it, and the errors are joined. It carries out the
// tombstones of what a node that died had begun to erase, or a restored database
// brought back.
func (s *Service) Sweep(ctx context.Context) (done Swept, err error) {
	var failed []error
	succeeds := func(name string, err error) bool {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
		return err == nil
	}
	step := func(name string, n *int, do func(ctx context.Context) (int, error)) bool {
		count, err := do(ctx)
		*n += count
		return succeeds(name, err)
	}
	step("close missions", &done.Closed, s.CloseDue)
	step("trim tracks", &done.Trimmed, s.trimOverfull)
	before, kept, err := s.claim(ctx, func() { step("copy held tracks", &done.Copied, s.CopyHolds) })
	done.Kept = len(kept)
	if succeeds("claim the days that are over", err) &&
		step("destroy salts", &done.Salts, func(ctx context.Context) (int, error) { return s.destroySalts(ctx, before, kept) }) {
		succeeds("remove positions", s.purgePositions(ctx, before))
	}
	step("remove locations", &done.Locations, s.Store.PurgeLocations)
	step("delete held copies", &done.Deleted, s.deleteHeld)
	step("destroy salts of holds", &done.HoldSalts, s.destroyHoldSalts)
	step("make records anonymous", &done.Anonymized, repeated(s.Store.AnonymizeMissions, sweepAtOnce))
	step("remove acknowledgements", &done.Acknowledged, repeated(s.Store.PurgeAcknowledgements, purgeAtOnce))
	step("remove receipts", &done.Receipts, repeated(s.Store.PurgeReceipts, purgeAtOnce))
	step("shorten the access log", &done.Recorded, s.purgeAccess)
	step("remove tombstones", &done.Tombstones, s.purgeTombstones)
	if done != (Swept{Kept: done.Kept}) {
		succeeds("record the sweep", s.Record(ctx, nil, Access{Action: AccessRetentionSweep}))
	}
	return done, errors.Join(failed...)
}

// destroySalts destroys the salts that expired before a day, once it is recorded
// that somebody does.
func (s *Service) destroySalts(ctx context.Context, before Day, kept []Pin) (int, error) {
	days, err := s.Sealer.ring.SaltDays(ctx)
	if err == nil && len(DaysBefore(days, before)) > 0 {
		err = s.Record(ctx, nil, Access{Action: AccessKeysDestroy, Why: "of tracks that expired before " + before.String()})
	}
	if err != nil {
		return 0, err
	}
	salts := make([]SaltID, len(kept))
	for i := range kept {
		salts[i] = kept[i].SaltID
	}
	return s.Sealer.ring.DestroySalts(ctx, before, salts...)
}

// claim returns the first day that is not to be swept, and what is to be kept of
// those before it. No hold can come once the days are claimed: what was held in
// time is copied after that.
func (s *Service) claim(ctx context.Context, copyHolds func()) (before Day, kept []Pin, err error) {
	now, err := s.Store.Now(ctx)
	if err != nil {
		return 0, nil, err
	}
	s.Sealer.expire(DayOf(now))
	if _, _, err := s.Store.ClaimDays(ctx); err != nil {
		return 0, nil, err
	}
	copyHolds()
	before, kept, err = s.Store.ClaimDays(ctx)
	if err != nil {
		return 0, nil, err
	}
	for _, p := range kept {
		s.Log.Warn("expired_track_kept", "hold", p.Hold, "day", p.Day.String(), "because", "the hold stands and has no whole copy")
	}
	return before, kept, nil
}

func (s *Service) purgePositions(ctx context.Context, before Day) error {
	for {
		more, err := s.Store.PurgePositions(ctx, before)
		if err != nil || !more {
			return err
		}
	}
}

// repeated calls do until it has no more to do.
func repeated(do func(ctx context.Context, limit int) (int, error), limit int) func(context.Context) (int, error) {
	return func(ctx context.Context) (total int, err error) {
		for {
			n, err := do(ctx, limit)
			total += n
			if err != nil || n < limit {
				return total, err
			}
		}
	}
}

// trimOverfull cuts tracks down to what their policy keeps. A mission's end does
// that by itself; here it is made sure.
func (s *Service) trimOverfull(ctx context.Context) (trimmed int, err error) {
	for {
		refs, err := s.Store.Overfull(ctx, sweepAtOnce)
		if err != nil || len(refs) == 0 {
			return trimmed, err
		}
		for _, ref := range refs {
			_, err := s.Store.UpdateMission(ctx, ref.Tenant, ref.ID, func(*Mission) error { return nil })
			if err != nil && !errors.Is(err, ErrNotFound) {
				return trimmed, err
			}
			trimmed++
		}
	}
}

// Overdue counts the rows that have outlived their limit, salts included.
func (s *Service) Overdue(ctx context.Context) ([]Overdue, error) {
	list, err := s.Store.Overdue(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	days, err := s.Sealer.ring.SaltDays(ctx)
	if err != nil {
		return nil, err
	}
	held, _, err := s.overdueHoldSalts(ctx, TidyingSlack)
	if err != nil {
		return nil, err
	}
	return append(list, Overdue{ClassSalts, int64(len(DaysBefore(days, DayOf(now)+1)))}, Overdue{ClassHoldSalts, int64(len(held))}), nil
}

// DaysBefore returns those of the days that come before one.
func DaysBefore(days []Day, day Day) (before []Day) {
	for _, d := range days {
		if d < day {
			before = append(before, d)
		}
	}
	return before
}
