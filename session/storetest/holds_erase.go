package storetest

import (
	"errors"
	"time"

	"ronde/session"
)

// exported returns how many positions of an agent an export has, and the state of
// the track.
func (p *sweepWorld) exported(agent string) (n int, track session.TrackState) {
	p.Helper()
	p.ok(p.service.Parts(p.Context(), p.tenant, agent, func(part *session.Part) error {
		track = part.Track
		return p.service.AgentFixes(p.Context(), part, func(page []session.Fix) error {
			n += len(page)
			return nil
		})
	}))
	return n, track
}

// testHoldKeepsFromErasure (P39): while a hold stands nobody on its mission is
// erased, and each can have what it keeps; once it ends they can.
func testHoldKeepsFromErasure(p *sweepWorld) {
	platform := &session.Principal{Role: session.Platform, Tenant: p.tenant}
	m := p.ended(2, 12, "badge-1", "badge-2")
	p.hold(m, 10)
	refused := func() {
		p.Helper()
		_, err := p.service.EraseAgent(p.Context(), platform, "badge-1", "")
		p.is(err, session.ErrHeld, "erasing an agent whose mission is held")
	}
	refused()
	p.sweep()
	p.clock(p.expiry(m))
	p.sweep()
	p.stored(m, 0)
	refused()
	if n, track := p.exported("badge-1"); n != 12 || track != session.TrackGone {
		p.Errorf("exported %d positions of a track that is %s, want what the hold keeps", n, track)
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
	p.ok(err)
	if n, _ := p.exported("badge-1"); n != 0 {
		p.Errorf("exported %d positions of a hold that was released", n)
	}
	e, err := p.service.EraseAgent(p.Context(), platform, "badge-1", "")
	p.ok(err)
	if e.Positions != 12 || p.archived() != 12 {
		p.Errorf("erased %+v, %d positions are left of the copy", e, p.archived())
	}
	p.sweep()
	if n := p.archived(); n != 0 {
		p.Errorf("%d positions are left of the copy of a hold that was released", n)
	}
}

// testCopyErased: a restored backup in which a hold still stands loses the copy of
// an erased agent, and keeps that of the others.
func testCopyErased(p *sweepWorld) {
	m := p.ended(20, 12, "badge-1", "badge-2")
	h := p.hold(m, 30)
	p.sweep()
	stone := p.stone("badge-1")
	p.erase(stone)
	p.erased(stone, session.Erased{Missions: 1, Positions: 24})
	if n := p.archived(); n != 12 {
		p.Errorf("%d positions are left of the copy, want 12", n)
	}
	m = p.read(m)
	p.held(m, h, 12)
	if left := naming(p.Rows(p.T), "badge-1"); len(left) != 0 {
		p.Errorf("left: %q", left)
	}
	p.sweep()
	p.overdue()
}

// testErasedUncopied: in a restored backup of the moment in which a day was claimed
// and its holds were not copied yet, an agent is erased all the same, and what the
// hold preserves of the others is copied.
func testErasedUncopied(p *sweepWorld) {
	m := p.ended(2, 12, "badge-1", "badge-2")
	h := p.hold(m, 30)
	p.clock(p.expiry(m))
	_, _, err := p.Store.ClaimDays(p.Context())
	p.ok(err)
	stone := p.stone("badge-1")
	p.erase(stone)
	p.erased(stone, session.Erased{Missions: 1, Positions: 12})
	p.sweep()
	p.held(p.read(m), h, 12)
	p.stored(m, 0)
}

// testClosedWithHold: a tenant with a hold that stands is closed only by whoever
// says so. Then it goes with the holds on their missions, the copies
// and the salts of those.
func testClosedWithHold(p *sweepWorld) {
	m := p.ended(2, 12, "badge-1")
	h := p.hold(m, 10)
	p.sweep()
	p.clock(p.now.Add(time.Hour))
	_, err := p.service.CloseTenant(p.Context(), p.tenant, false, false)
	p.is(err, session.ErrHeld, "closing a tenant with a hold that stands")
	p.held(m, h, 12)
	e, err := p.service.CloseTenant(p.Context(), p.tenant, false, true)
	p.ok(err)
	if e.Missions != 1 || e.Positions != 24 || p.archived() != 0 {
		p.Errorf("erased %+v, %d positions are left of the copy", e, p.archived())
	}
	for _, until := range []time.Time{{}, p.now.Add(time.Hour)} {
		if _, err := p.Ring.HoldSalt(p.Context(), h.ID, until); !errors.Is(err, session.ErrGone) {
			p.Errorf("the salt of the copy: %v, want gone", err)
		}
	}
}
