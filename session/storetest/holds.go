package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// testHoldLife (P37): set on an active mission, a hold preserves its track beyond
// the expiry of the originals; it can be extended, and its release destroys the
// copy and its salt.
func testHoldLife(p *sweepWorld) {
	m := p.planNow("badge-1", "badge-2")
	m.Policy.RetentionDays = 2
	m = p.do(p.create(m), session.Begin)
	h := p.hold(m, 10)
	p.fill(m, 12)
	p.sweep()
	if n := p.archived(); n != 0 {
		p.Errorf("%d positions of a mission that goes on were copied", n)
	}
	p.readable(m, 24)
	m = p.do(m, session.End)
	p.held(m, h, 24) // from the originals
	if done := p.sweep(); done.Copied != 1 {
		p.Errorf("swept %+v, want 1 copy", done)
	}
	p.held(m, h, 24)
	p.readable(m, 24)
	p.clock(p.expiry(m))
	p.sweep()
	p.stored(m, 0)
	p.readable(m, 0)
	p.held(m, h, 24)

	longer := p.hold(m, 300) // long after the originals are gone
	if longer.ID != h.ID || !longer.SetAt.Equal(h.SetAt) || !longer.Until.After(h.Until) {
		p.Errorf("extended to %+v, was %+v", longer, h)
	}
	p.clock(h.Until)
	p.sweep()
	p.held(m, h, 24)
	released, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
	p.ok(err)
	if !released.ReleasedAt.Equal(p.now) {
		p.Errorf("released at %v, now %v", released.ReleasedAt, p.now)
	}
	p.held(m, h, 0) // before anything was deleted
	p.sweep()
	p.holdGone(h)
	if again, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, ""); err != nil || !again.ReleasedAt.Equal(released.ReleasedAt) {
		p.Errorf("released again: %+v, %v", again, err)
	}
	_, err = p.service.SetHold(p.Context(), p.staff(), m.ID, "too late by now", p.now.Add(time.Hour))
	p.is(err, session.ErrGone, "a hold on a track that has expired")
	log, err := p.Store.AccessLog(p.Context(), p.tenant, session.AccessFilter{
		Mission: m.ID, Actions: []session.AccessAction{session.AccessHoldSet, session.AccessHoldRelease},
	}, uuid.Nil, 10)
	if err != nil || len(log) != 3 || log[0].Why != "an incident at the gate" || log[2].Action != session.AccessHoldRelease || log[2].Object != h.ID {
		p.Errorf("the access log says %+v, %v", log, err)
	}
}

// holdGone checks that nothing is left of a copy, its salt included.
func (p *sweepWorld) holdGone(h session.Hold) {
	p.Helper()
	if n := p.Number(p.T, "SELECT count(*) FROM archive WHERE hold = '"+h.ID.String()+"'"); n != 0 {
		p.Errorf("%d positions are left of the copy", n)
	}
	for _, until := range []time.Time{{}, p.now.Add(time.Hour)} {
		_, err := p.Ring.HoldSalt(p.Context(), h.ID, until)
		p.is(err, session.ErrGone, "the salt of a hold that has ended")
	}
	holds, err := p.Store.Holds(p.Context(), p.tenant, h.Mission)
	if err != nil || len(holds) == 0 || holds[0].GoneAt.IsZero() || holds[0].Reason != h.Reason {
		p.Errorf("the hold reads %+v, %v", holds, err)
	}
}

// testHoldUntil: a hold ends by itself, to the millisecond.
func testHoldUntil(p *sweepWorld) {
	m := p.ended(20, 5, "badge-1")
	h := p.hold(m, 3)
	p.sweep()
	p.clock(h.Until.Add(-time.Millisecond))
	p.sweep()
	p.held(m, h, 5)
	p.clock(h.Until)
	p.held(m, h, 0)
	p.sweep()
	p.holdGone(h)
	p.readable(m, 5) // the originals never cared
	next := p.hold(m, 2)
	if next.ID == h.ID {
		p.Error("a hold that has passed came back")
	}
	p.sweep()
	p.held(m, next, 5)
}

// testHoldKeepsAll (P37): while a hold stands, no position of the mission is cut
// off for being one too many; the copy has all. Once it ends, the originals are
// cut: at its release at once, otherwise by the next sweep.
func testHoldKeepsAll(p *sweepWorld) {
	begin := func(agent string) *session.Mission {
		m := p.planNow(agent)
		m.Policy.MaxPoints = 2
		return p.do(p.create(m), session.Begin)
	}
	released, passes := begin("badge-1"), begin("badge-2")
	h, other := p.hold(released, 10), p.hold(passes, 5)
	for _, m := range []*session.Mission{released, passes} {
		p.fill(m, 7)
		m = p.do(m, session.End)
		p.stored(m, 7)
		p.overdue()
		p.sweep()
		p.stored(m, 7)
	}
	p.held(released, h, 7)
	p.held(passes, other, 7)
	if _, err := p.service.ReleaseHold(p.Context(), p.staff(), released.ID, ""); err != nil {
		p.Fatal(err)
	}
	p.stored(released, 2)
	p.stored(passes, 7)
	p.sweep()
	p.clock(other.Until)
	p.overdue() // the next sweep has a moment
	p.clock(other.Until.Add(session.TidyingSlack))
	p.overdue(session.ClassExcess, session.ClassHeld, session.ClassHoldSalts)
	if done := p.sweep(); done.Trimmed != 1 {
		p.Errorf("swept %+v, want one track cut", done)
	}
	p.stored(passes, 2)
	p.overdue()
}

// testHoldRules: who may hold what, why and for how long.
func testHoldRules(p *sweepWorld) {
	m := p.ended(2, 2, "badge-1")
	scheduled, untracked := p.create(p.planNow("badge-2")), p.planNow("badge-3")
	untracked.Policy.Track = false
	untracked = p.do(p.create(untracked), session.Begin)
	day := 24 * time.Hour
	foreign := p.staff()
	foreign.Tenant = p.newTenant()
	client := p.staff()
	client.Role = session.Viewer
	for _, c := range []struct {
		what    string
		by      *session.Principal
		mission uuid.UUID
		reason  string
		until   time.Duration
		want    error
	}{
		{"a client", client, m.ID, "why not", day, session.ErrForbidden},
		{"another tenant", foreign, m.ID, "a dispute", day, session.ErrNotFound},
		{"a missing mission", p.staff(), session.NewID(), "a dispute", day, session.ErrNotFound},
		{"no reason", p.staff(), m.ID, "", day, session.ErrInvalid},
		{"a reason that says nothing", p.staff(), m.ID, "...", day, session.ErrInvalid},
		{"a reason on two lines", p.staff(), m.ID, "a\ndispute", day, session.ErrInvalid},
		{"the past", p.staff(), m.ID, "a dispute", 0, session.ErrInvalid},
		{"too long", p.staff(), m.ID, "a dispute", session.MaxHold + time.Millisecond, session.ErrInvalid},
		{"a mission that has not begun", p.staff(), scheduled.ID, "a dispute", day, session.ErrState},
		{"a mission without a track", p.staff(), untracked.ID, "a dispute", day, session.ErrState},
		{"as long as can be", p.staff(), m.ID, "a dispute", session.MaxHold, nil},
		{"shorter than it stands", p.staff(), m.ID, "a dispute", day, session.ErrInvalid},
	} {
		_, err := p.service.SetHold(p.Context(), c.by, c.mission, c.reason, p.now.Add(c.until))
		p.is(err, c.want, "%s", c.what)
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), scheduled.ID, "")
	p.is(err, session.ErrNotFound, "the release of no hold")
	_, err = p.service.ReleaseHold(p.Context(), foreign, m.ID, "")
	p.is(err, session.ErrNotFound, "another tenant's release")
	if holds, err := p.Store.Holds(p.Context(), foreign.Tenant, m.ID); err != nil || len(holds) != 0 {
		p.Errorf("another tenant sees %v, %v", holds, err)
	}
	other := p.ended(1, 2, "badge-4")
	p.clock(p.expiry(other))
	_, err = p.service.SetHold(p.Context(), p.staff(), other.ID, "a dispute", p.now.Add(day))
	p.is(err, session.ErrGone, "a hold on the expiry day")
	// One that read the clock just before a sweep claimed the day comes too late.
	_, _, err = p.Store.ClaimDays(p.Context())
	p.ok(err)
	p.clock(p.expiry(other).Add(-time.Millisecond))
	_, err = p.service.SetHold(p.Context(), p.staff(), other.ID, "a dispute", p.now.Add(day))
	p.is(err, session.ErrGone, "a hold on a day that a sweep has claimed")
}

// failing lets a store or a keyring fail after so many calls.
type failing struct {
	session.Store
	copies int // how many calls of CopyHeld succeed; negative: all
}

func (f *failing) CopyHeld(ctx context.Context, h session.Hold, rows []session.Row) error {
	if f.copies == 0 {
		return session.ErrUnavailable
	}
	f.copies--
	return f.Store.CopyHeld(ctx, h, rows)
}

// testSweepWaits: what a hold preserves is not swept before its copy is whole,
// and keeps nothing else: neither another tenant's track of that day, nor
// another mission's positions, nor any other day.
func testSweepWaits(p *sweepWorld) {
	first, held, later := p.ended(1, 4, "badge-1"), p.ended(2, 4, "badge-2"), p.ended(3, 4, "badge-3")
	beside := p.ended(2, 4, "badge-4")
	own := p.tenant
	p.tenant = p.newTenant()
	foreign := p.ended(2, 4, "badge-2")
	p.tenant = own
	h := p.hold(held, 30)
	p.clock(p.expiry(later))
	done, err := p.node(&failing{Store: p.Store}, p.Ring).Sweep(p.Context())
	p.is(err, session.ErrUnavailable, "a sweep that could not copy")
	if done.Salts != 3 || done.Kept != 1 {
		p.Errorf("swept %+v, want all salts but one, which is kept", done)
	}
	for _, gone := range []*session.Mission{first, later, beside, foreign} {
		p.stored(gone, 0)
	}
	p.stored(held, 4)
	p.overdue(session.ClassPositions, session.ClassSalts)
	p.saltGone(foreign)
	p.saltGone(later)
	for _, m := range []*session.Mission{first, held, later, beside} {
		p.readable(m, 0)
	}
	if done := p.sweep(); done.Copied != 1 || done.Salts != 1 || done.Kept != 0 {
		p.Errorf("swept %+v, want the copy made and its salt destroyed", done)
	}
	p.stored(held, 0)
	p.held(held, h, 4)
	p.saltGone(held)
	p.overdue()
}

// saltGone checks that a track's salt is destroyed.
func (p *sweepWorld) saltGone(m *session.Mission) {
	p.Helper()
	_, err := p.Ring.Salt(p.Context(), m.Tenant, m.ExpiresOn, m.ExpiresOn+1)
	p.is(err, session.ErrGone, "the salt of an expired track")
}

// testRestoredHold (I7, P38): a backup of the store brings back a hold that was
// released, whose salt is destroyed. It ends again, which the access log says, and
// no track outlives its day for it.
func testRestoredHold(p *sweepWorld) {
	held, other := p.ended(2, 4, "badge-1"), p.ended(2, 4, "badge-2")
	h := p.hold(held, 300)
	p.ok(p.Ring.DestroyHoldSalt(p.Context(), h.ID)) // as the release did, after the backup
	p.clock(p.expiry(held))
	if done := p.sweep(); done.Salts != 1 || done.Deleted != 1 || done.Kept != 0 {
		p.Errorf("swept %+v, want the day's salt destroyed and the hold deleted", done)
	}
	for _, m := range []*session.Mission{held, other} {
		p.stored(m, 0)
		p.readable(m, 0)
	}
	p.holdGone(h)
	p.saltGone(held)
	p.overdue()
	log, err := p.Store.AccessLog(p.Context(), p.tenant, session.AccessFilter{
		Mission: held.ID, Actions: []session.AccessAction{session.AccessHoldRelease},
	}, uuid.Nil, 10)
	if err != nil || len(log) != 1 || log[0].Role != "" || log[0].Object != h.ID || log[0].Why == "" {
		p.Errorf("the access log says %+v, %v", log, err)
	}
	if _, err := p.service.SetHold(p.Context(), p.staff(), held.ID, "too late by now", p.now.Add(time.Hour)); !errors.Is(err, session.ErrGone) {
		p.Errorf("held again: %v", err)
	}
}

// testOrphanedHoldSalt (I7): a backup of the store has forgotten a hold, and another
// backup still has its copy. The salt goes at the time that was the hold's, and
// not before; that of one which stands, only with the hold.
func testOrphanedHoldSalt(p *sweepWorld) {
	kept, forgotten := p.ended(20, 3, "badge-1"), p.ended(20, 3, "badge-2")
	h := p.hold(kept, 5)
	p.hold(forgotten, 5)
	p.sweep()
	orphan := p.hold(forgotten, 8) // its salt is told
	id := orphan.ID.String()
	p.Exec(p.T, "DELETE FROM archive WHERE hold = '"+id+"'")
	p.Exec(p.T, "DELETE FROM holds WHERE id = '"+id+"'")
	there := func(want ...uuid.UUID) {
		p.Helper()
		ends, err := p.Ring.HoldSalts(p.Context())
		p.ok(err)
		if got := slices.Collect(maps.Keys(ends)); len(got) != len(want) || slices.ContainsFunc(want, func(id uuid.UUID) bool { return !slices.Contains(got, id) }) {
			p.Errorf("at %v there are the salts of %v, want %v", p.now, got, want)
		}
	}
	// One is extended while the keyring cannot be told.
	_, err := p.node(p.Store, deafRing{p.Ring}).SetHold(p.Context(), p.staff(), kept.ID, "it takes longer", p.now.AddDate(0, 0, 60))
	p.is(err, session.ErrUnavailable, "an extension that the keyring missed")
	h.Until = p.now.AddDate(0, 0, 60)
	p.clock(orphan.Until.Add(-time.Millisecond))
	p.sweep()
	there(h.ID, orphan.ID)
	p.held(kept, h, 3)
	p.clock(orphan.Until.Add(session.TidyingSlack))
	p.overdue(session.ClassHoldSalts)
	if done := p.sweep(); done.HoldSalts != 1 {
		p.Errorf("swept %+v, want the salt of a forgotten hold destroyed", done)
	}
	there(h.ID)
	p.overdue()
	_, err = p.Ring.HoldSalt(p.Context(), orphan.ID, p.now.Add(time.Hour))
	p.is(err, session.ErrGone, "the salt of a hold that is over")
	p.clock(h.Until.Add(-time.Millisecond))
	p.sweep()
	p.held(kept, h, 3)
	p.clock(h.Until)
	p.sweep()
	there()
}

// deafRing is a keyring that does not hear of extensions.
type deafRing struct{ session.Keyring }

func (deafRing) ExtendHoldSalt(context.Context, uuid.UUID, time.Time) error {
	return session.ErrUnavailable
}

// testCopyResumed: a copy that was stopped goes on where it was.
func testCopyResumed(p *sweepWorld) {
	m := p.ended(1, 4500, "badge-1")
	h := p.hold(m, 30)
	copied, err := p.node(&failing{Store: p.Store, copies: 1}, p.Ring).CopyHolds(p.Context())
	p.is(err, session.ErrUnavailable, "a copy that was stopped")
	if n := p.archived(); copied != 0 || n != 2000 {
		p.Errorf("%d holds copied, %d positions: want none, and the first 2000", copied, n)
	}
	p.is(p.Store.HoldCopied(p.Context(), h, 0), session.ErrState, "a copy that is not whole")
	_, err = p.node(&failing{Store: p.Store, copies: 2}, p.Ring).CopyHolds(p.Context()) // no more than what is missing
	p.ok(err)
	p.held(m, h, 4500)
}

// testCopyDamaged: positions that nobody can open are left out, told of by their
// number, and hold up neither the others nor the sweep.
func testCopyDamaged(p *sweepWorld) {
	m := p.ended(1, 6, "badge-1")
	h := p.hold(m, 30)
	key, err := session.NewSealer(session.NewRootSecret(), p.Ring).Key(p.Context(), p.read(m)) // of a stranger
	p.ok(err)
	strange := &failing{Store: &strangeTrack{p.Store, key}, copies: -1}
	copied, err := p.node(strange, p.Ring).CopyHolds(p.Context())
	if err != nil || copied != 1 {
		p.Errorf("%d copied, %v", copied, err)
	}
	p.held(m, h, 5)
	p.clock(p.expiry(m))
	p.sweep()
	p.stored(m, 0)
	p.held(m, h, 5)
}

// strangeTrack seals the third position of each page under another key.
type strangeTrack struct {
	session.Store
	key *session.TrackKey
}

func (s *strangeTrack) Track(ctx context.Context, tenant string, id uuid.UUID, after session.Cursor, limit int) ([]session.Row, error) {
	rows, err := s.Store.Track(ctx, tenant, id, after, limit)
	if len(rows) > 2 {
		rows[2].Sealed = s.key.Seal(nil, rows[2].Agent, rows[2].Slot, &session.Ping{})
	}
	return rows, err
}

// testCopiersAtOnce: each position is copied once, and can be opened, however
// many nodes copy.
func testCopiersAtOnce(p *sweepWorld) {
	m := p.ended(1, 2500, "badge-1", "badge-2")
	h := p.hold(m, 30)
	nodes := []*session.Service{p.service, p.node(p.Another(p.T), p.Ring), p.node(p.Another(p.T), p.Ring)}
	together(len(nodes), func(i int) {
		if _, err := nodes[i].CopyHolds(p.Context()); err != nil && !errors.Is(err, session.ErrUnavailable) {
			p.Error(err)
		}
	})
	p.sweep()
	p.held(m, h, 5000)
	if n := p.archived(); n != 5000 {
		p.Errorf("%d positions in the archive", n)
	}
}

// testHoldRacesSweep (P37): while the expiry day comes, a hold is set and two
// nodes sweep. Either the hold is refused, or the whole track is preserved.
func testHoldRacesSweep(p *sweepWorld) {
	rounds := 12
	if Long() {
		rounds = 500
	}
	nodes := []*session.Service{p.service, p.node(p.Another(p.T), p.Ring)}
	won, lost := 0, 0
	for range rounds {
		p.clock(p.now.Add(3 * 24 * time.Hour).Truncate(24 * time.Hour).Add(9 * time.Hour))
		m := p.ended(1, 10, "badge-1")
		p.clock(p.expiry(m).Add(-time.Millisecond))
		until := p.now.Add(90 * 24 * time.Hour)
		var h session.Hold
		var refused error
		together(4, func(i int) {
			switch i {
			case 0:
				h, refused = p.service.SetHold(p.Context(), p.staff(), m.ID, "an incident", until)
			case 1:
				p.SetClock(p.expiry(m))
			default:
				if _, err := nodes[i-2].Sweep(p.Context()); err != nil && !errors.Is(err, session.ErrUnavailable) {
					p.Error(err)
				}
			}
		})
		p.clock(p.expiry(m))
		p.sweep()
		p.stored(m, 0)
		switch {
		case refused == nil:
			won++
			p.held(m, h, 10)
		case errors.Is(refused, session.ErrGone):
			lost++
		default:
			p.Fatal(refused)
		}
		if p.Failed() {
			return
		}
	}
	p.Logf("%d holds in time, %d too late", won, lost)
}
