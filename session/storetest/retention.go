package storetest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// Installation is a store and a keyring of a test's own: a sweep concerns all
// tenants, and what it has destroyed stays so.
type Installation struct {
	Fixture
	Keys
}

// Keys are the parts of an Installation that a Fixture lacks.
type Keys struct {
	Ring session.Keyring
	Root session.RootSecret
	// Another returns another handle on the same store, as another node has.
	Another func(t *testing.T) session.Store
	// Exec runs SQL past the adapter.
	Exec func(t *testing.T, sql string)
	// Number returns the number that SQL selects, past the adapter.
	Number func(t *testing.T, sql string) int
}

// RunRetention runs what the contract says of sweeps and holds. open is called
// for every test and makes a new, empty installation.
func RunRetention(t *testing.T, open func(t *testing.T) Installation) {
	for _, test := range []struct {
		name string
		run  func(p *sweepWorld)
	}{
		{"Expiry", testExpiry},
		{"SweepKilled", testSweepKilled},
		{"SweepsAtOnce", testSweepsAtOnce},
		{"SweepWaitsForCopies", testSweepWaits},
		{"NewestPoints", testNewestPoints},
		{"Anonymous", testAnonymous},
		{"Overdue", testOverdue},
		{"Tombstones", testTombstones},
		{"HoldLife", testHoldLife},
		{"HoldRules", testHoldRules},
		{"HoldUntil", testHoldUntil},
		{"HoldKeepsAll", testHoldKeepsAll},
		{"RestoredHold", testRestoredHold},
		{"OrphanedHoldSalt", testOrphanedHoldSalt},
		{"CopyResumed", testCopyResumed},
		{"CopyDamaged", testCopyDamaged},
		{"CopiersAtOnce", testCopiersAtOnce},
		{"HoldRacesSweep", testHoldRacesSweep},
		{"HoldKeepsFromErasure", testHoldKeepsFromErasure},
		{"CopyErased", testCopyErased},
		{"ErasedUncopied", testErasedUncopied},
		{"ClosedWithHold", testClosedWithHold},
		{"Request", testRequest},
		{"RequestRules", testRequestRules},
		{"RequestErased", testRequestErased},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := open(t)
			test.run(newSweepWorld(t, i.Fixture, i.Keys))
		})
	}
}

// sweepWorld is a world with a keyring and what runs on both.
type sweepWorld struct {
	*world
	Keys
	service *session.Service
	signer  *session.AccessSigner
	rows    session.AccessKey
}

func newSweepWorld(t *testing.T, f Fixture, k Keys) *sweepWorld {
	t.Helper()
	p := &sweepWorld{world: newWorld(t, f), Keys: k}
	p.signer, p.rows = newSigner(t)
	p.Store = p.rows.Store(p.Store)
	p.service = p.node(p.Store, k.Ring)
	return p
}

// clock sets the clock, once what was recorded until then is signed, as a node
// does within a second.
func (p *sweepWorld) clock(t time.Time) {
	p.Helper()
	_, _, err := session.GrowAccessTree(p.Context(), p.Store, p.signer)
	p.ok(err)
	p.world.clock(t)
}

// node returns a service on a store and a keyring of the installation, with
// nothing remembered.
func (p *sweepWorld) node(store session.Store, ring session.Keyring) *session.Service {
	return &session.Service{Store: p.rows.Store(store), Sealer: session.NewSealer(p.Root, ring), Log: slog.New(slog.DiscardHandler)}
}

// staff is who sets holds.
func (p *sweepWorld) staff() *session.Principal {
	return &session.Principal{Role: session.Operator, Tenant: p.tenant, Subject: session.NewID()}
}

// fill stores n positions of each agent of a mission, sealed, a second apart.
func (p *sweepWorld) fill(m *session.Mission, n int) {
	p.Helper()
	key, err := p.service.Sealer.Key(p.Context(), p.read(m))
	p.ok(err)
	p.clock(m.BeganAt.Add(time.Duration(n+1) * time.Second))
	for _, a := range m.Agents {
		s := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: a.ID}
		for i := range n {
			s.Pings = append(s.Pings, session.Ping{
				Timestamp: m.BeganAt.Add(time.Duration(i) * time.Second).UnixMilli(), Position: geo.NewPosition(m.Site.Center),
			})
		}
		key.SealAll(s)
		p.ok(p.Store.Append(p.Context(), []*session.Submission{s}))
		for i, v := range s.Verdicts {
			if v != session.Stored {
				p.Fatalf("position %d: verdict %s", i, name(v))
			}
		}
	}
}

// planNow returns a mission of two hours from now, without overrun, not stored.
func (p *sweepWorld) planNow(agents ...string) *session.Mission {
	m := p.plan(agents...)
	m.StartsAt, m.EndsAt, m.Overrun = p.now, p.now.Add(2*time.Hour), 0
	m.Deadline = m.EndsAt
	return m
}

// ended returns a mission that has ended with n positions of each agent, and
// expires after so many days.
func (p *sweepWorld) ended(days, n int, agents ...string) *session.Mission {
	p.Helper()
	m := p.planNow(agents...)
	m.Policy.RetentionDays = days
	m = p.do(p.create(m), session.Begin)
	p.fill(m, n)
	return p.do(m, session.End)
}

// sweep sweeps and must succeed.
func (p *sweepWorld) sweep() session.Swept {
	p.Helper()
	done, err := p.service.Sweep(p.Context())
	p.ok(err)
	return done
}

// hold holds a mission for so many days.
func (p *sweepWorld) hold(m *session.Mission, days int) session.Hold {
	p.Helper()
	h, err := p.service.SetHold(p.Context(), p.staff(), m.ID, "an incident at the gate", p.now.Add(time.Duration(days)*24*time.Hour))
	p.ok(err)
	return h
}

// readable checks how many positions of a mission can be read and opened, by a
// node with a memory and by one that has just started.
func (p *sweepWorld) readable(m *session.Mission, want int) {
	p.Helper()
	for who, s := range map[string]*session.Service{"this node": p.service, "a new node": p.node(p.Store, p.Ring)} {
		fixes, err := s.Track(p.Context(), p.read(m), session.Cursor{}, 10_000)
		if want == 0 {
			p.is(err, session.ErrGone, "%s reads an expired track", who)
			continue
		}
		if err != nil || len(fixes) != want {
			p.Errorf("%s reads %d positions, %v; want %d", who, len(fixes), err, want)
		}
	}
}

// held checks how many positions of a mission its hold preserves; 0: it is gone.
func (p *sweepWorld) held(m *session.Mission, h session.Hold, want int) {
	p.Helper()
	holds, err := p.Store.Holds(p.Context(), p.tenant, m.ID)
	p.ok(err)
	i := slices.IndexFunc(holds, func(o session.Hold) bool { return o.ID == h.ID })
	if i < 0 {
		p.Fatalf("hold %s is not listed", h.ID)
	}
	s := p.node(p.Store, p.Ring)
	all := 0
	for _, a := range m.Agents {
		fixes, err := s.HeldTrack(p.Context(), p.read(m), &holds[i], a.ID, session.Cursor{}, 10_000)
		if want == 0 {
			p.is(err, session.ErrGone, "the track of a hold that has ended")
			continue
		}
		p.ok(err)
		all += len(fixes)
		for _, f := range fixes {
			if f.Point != m.Site.Center || f.Agent != a.ID {
				p.Fatalf("a preserved position is another one: %+v", f.At)
			}
		}
	}
	if all != want {
		p.Errorf("%d positions are preserved, want %d", all, want)
	}
}

// overdue checks that exactly these classes have rows beyond their limit.
func (p *sweepWorld) overdue(want ...session.Class) {
	p.Helper()
	list, err := p.service.Overdue(p.Context())
	p.ok(err)
	var got []session.Class
	for _, o := range list {
		if o.Rows != 0 {
			got = append(got, o.Class)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("overdue: %v, want %v", list, want)
	}
}

// archived returns how many positions of holds are stored.
func (p *sweepWorld) archived() int { return p.Number(p.T, "SELECT count(*) FROM archive") }

func (p *sweepWorld) expiry(m *session.Mission) time.Time { return m.ExpiresOn.Time() }

// testExpiry (I7, P36): a track is readable up to its expiry day and from then on
// never, swept or not; the sweep takes its salt and its rows, and nothing else.
func testExpiry(p *sweepWorld) {
	short, long := p.ended(1, 20, "badge-1", "badge-2"), p.ended(3, 10, "badge-3")
	p.clock(p.expiry(short).Add(-time.Millisecond))
	p.sweep()
	p.readable(short, 40)
	p.overdue()
	p.clock(p.expiry(short))
	p.readable(short, 0)
	p.overdue(session.ClassPositions, session.ClassSalts)
	if done := p.sweep(); done.Salts != 1 {
		p.Errorf("swept %+v, want 1 salt", done)
	}
	p.stored(short, 0)
	p.readable(short, 0)
	p.readable(long, 10)
	p.overdue()
	if done := p.sweep(); done != (session.Swept{}) {
		p.Errorf("a second sweep did %+v", done)
	}
	days, err := p.Ring.SaltDays(p.Context())
	if err != nil || !slices.Equal(days, []session.Day{long.ExpiresOn}) {
		p.Errorf("salts of %v, %v: want %v", days, err, long.ExpiresOn)
	}
	if m := p.read(short); m.BeganAt.IsZero() || len(m.Agents[0].Windows) != 1 {
		p.Errorf("the record went with the track: %+v", m)
	}
}

// testSweepKilled: a sweep that stops at any step, before its effect or right
// after it, is finished by the next one.
func testSweepKilled(p *sweepWorld) {
	kills := 0
	for step := 0; ; step++ {
		for _, after := range []bool{false, true} {
			if !p.killedAt(step, after) {
				if kills < 20 {
					p.Errorf("only %d places to stop at", kills)
				}
				p.Logf("stopped at %d places", kills)
				return
			}
			kills++
		}
	}
}

// killedAt prepares something for every step of a sweep, stops one at the step
// of that number and finishes it. False: there is no such step.
func (p *sweepWorld) killedAt(step int, after bool) bool {
	p.Helper()
	// Every round has days of its own.
	p.clock(p.now.Add(10 * 24 * time.Hour).Truncate(24 * time.Hour).Add(9 * time.Hour))
	gone, kept := p.ended(1, 3, "badge-1"), p.ended(1, 3, "badge-2")
	h := p.hold(kept, 5)
	over := p.ended(5, 3, "badge-3")
	old := p.hold(over, 2)
	p.sweep()
	p.clock(p.expiry(gone).Add(time.Hour * 12))
	other := p.ended(5, 1, "badge-4") // what a sweep must leave
	later := p.hold(over, 4)
	if later.ID != old.ID {
		p.Fatal("a hold that stands was not extended")
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), over.ID, "")
	p.ok(err)

	k := &killer{at: step, after: after}
	_, err = p.node(&dyingStore{p.Store, k}, &dyingRing{p.Ring, k}).Sweep(p.Context())
	if k.step <= step {
		return false
	}
	if err == nil {
		p.Errorf("stopped at %s: the sweep says nothing of it", k.died)
	}
	p.readable(gone, 0)
	days, err := p.Ring.SaltDays(p.Context())
	p.ok(err)
	if p.Count(p.T, gone.ID) == 0 && slices.Contains(days, gone.ExpiresOn) {
		p.Errorf("stopped at %s: the positions went before their salt", k.died)
	}
	p.sweep()
	p.overdue()
	p.stored(gone, 0)
	p.stored(kept, 0)
	p.held(kept, h, 3)
	p.held(over, old, 0)
	p.readable(other, 1)
	if n := p.Number(p.T, "SELECT count(*) FROM archive WHERE hold = '"+old.ID.String()+"'"); n != 0 {
		p.Errorf("stopped at %s: %d positions of a hold that was released", k.died, n)
	}
	if p.Failed() {
		p.Fatalf("stopped at %s, after it: %v", k.died, after)
	}
	return true
}

// killer ends a sweep at its step of that number: from then on nothing works.
type killer struct {
	at    int
	after bool
	step  int
	died  string
}

var errKilled = errors.New("the process was killed")

// run does a step, unless the sweep has ended.
func run[T any](k *killer, name string, do func() (T, error)) (T, error) {
	var none T
	step := k.step
	k.step++
	switch {
	case step < k.at:
		return do()
	case step == k.at:
		k.died = name
		if k.after {
			_, _ = do()
		}
	}
	return none, errKilled
}

type dyingStore struct {
	session.Store
	*killer
}

func (d *dyingStore) ClaimDays(ctx context.Context) (before session.Day, kept []session.Pin, err error) {
	before, err = run(d.killer, "claim", func() (before session.Day, err error) {
		before, kept, err = d.Store.ClaimDays(ctx)
		return before, err
	})
	return before, kept, err
}

func (d *dyingStore) PurgePositions(ctx context.Context, before session.Day) (bool, error) {
	return run(d.killer, "purge positions", func() (bool, error) { return d.Store.PurgePositions(ctx, before) })
}

func (d *dyingStore) UncopiedHolds(ctx context.Context, limit int) ([]session.Hold, error) {
	return run(d.killer, "uncopied", func() ([]session.Hold, error) { return d.Store.UncopiedHolds(ctx, limit) })
}

func (d *dyingStore) CopyHeld(ctx context.Context, h session.Hold, rows []session.Row) error {
	_, err := run(d.killer, "copy", func() (any, error) { return nil, d.Store.CopyHeld(ctx, h, rows) })
	return err
}

func (d *dyingStore) HoldCopied(ctx context.Context, h session.Hold, lost int64) error {
	_, err := run(d.killer, "copied", func() (any, error) { return nil, d.Store.HoldCopied(ctx, h, lost) })
	return err
}

func (d *dyingStore) EndedHolds(ctx context.Context, limit int) ([]session.Hold, error) {
	return run(d.killer, "ended holds", func() ([]session.Hold, error) { return d.Store.EndedHolds(ctx, limit) })
}

func (d *dyingStore) DeleteHeld(ctx context.Context, h session.Hold, limit int) (int, error) {
	return run(d.killer, "delete held", func() (int, error) { return d.Store.DeleteHeld(ctx, h, limit) })
}

func (d *dyingStore) PurgeLocations(ctx context.Context) (int, error) {
	return run(d.killer, "purge locations", func() (int, error) { return d.Store.PurgeLocations(ctx) })
}

func (d *dyingStore) AnonymizeMissions(ctx context.Context, limit int) (int, error) {
	return run(d.killer, "anonymize", func() (int, error) { return d.Store.AnonymizeMissions(ctx, limit) })
}

func (d *dyingStore) PurgeAcknowledgements(ctx context.Context, limit int) (int, error) {
	return run(d.killer, "purge acknowledgements", func() (int, error) { return d.Store.PurgeAcknowledgements(ctx, limit) })
}

type dyingRing struct {
	session.Keyring
	*killer
}

func (d *dyingRing) DestroySalts(ctx context.Context, before session.Day, kept ...session.SaltID) (int, error) {
	return run(d.killer, "destroy salts", func() (int, error) { return d.Keyring.DestroySalts(ctx, before, kept...) })
}

func (d *dyingRing) HoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) ([]byte, error) {
	return run(d.killer, "hold salt", func() ([]byte, error) { return d.Keyring.HoldSalt(ctx, hold, until) })
}

func (d *dyingRing) DestroyHoldSalt(ctx context.Context, hold uuid.UUID) error {
	_, err := run(d.killer, "destroy hold salt", func() (any, error) { return nil, d.Keyring.DestroyHoldSalt(ctx, hold) })
	return err
}

// testSweepsAtOnce: of several sweeps at once each object is swept once.
func testSweepsAtOnce(p *sweepWorld) {
	var missions []*session.Mission
	for _, days := range []int{1, 2, 3} {
		missions = append(missions, p.ended(days, 30, "badge-1"))
	}
	h := p.hold(missions[1], 30)
	p.clock(p.expiry(missions[2]))
	nodes := []*session.Service{p.service, p.node(p.Another(p.T), p.Ring), p.node(p.Another(p.T), p.Ring)}
	results := make(chan session.Swept, 6)
	together(6, func(i int) {
		done, err := nodes[i%len(nodes)].Sweep(p.Context())
		if err != nil && !errors.Is(err, session.ErrUnavailable) {
			p.Error(err)
		}
		results <- done
	})
	salts := 0
	for range 6 {
		salts += (<-results).Salts
	}
	p.sweep()
	if salts != 3 {
		p.Errorf("%d salts destroyed, want 3", salts)
	}
	for _, m := range missions {
		p.stored(m, 0)
	}
	p.held(missions[1], h, 30)
	p.overdue()
}

// testNewestPoints (P13): of an ended mission the newest positions stay that its
// policy keeps, over all agents, and what goes is counted.
func testNewestPoints(p *sweepWorld) {
	m := p.plan("badge-1", "badge-2")
	m.Policy.MaxPoints = 5
	m = p.do(p.create(m), session.Begin)
	p.fill(m, 10)
	p.stored(m, 20) // not before it has ended
	p.do(m, session.Pause)
	p.stored(m, 20)
	m = p.do(m, session.End)
	p.stored(m, 5)
	rows := p.track(m, 100)
	if first := rows[0].At; first.Before(m.BeganAt.Add(7 * time.Second)) {
		p.Errorf("a position of %s was kept", clockTime(first))
	}
	if got := m.Agents[0].Removed + m.Agents[1].Removed; got != 15 {
		p.Errorf("%d counted as removed, want 15", got)
	}
	p.overdue()
	p.Exec(p.T, "UPDATE missions SET max_points = 2 WHERE id = '"+m.ID.String()+"'")
	p.overdue(session.ClassExcess)
	if done := p.sweep(); done.Trimmed != 1 {
		p.Errorf("swept %+v, want 1 mission trimmed", done)
	}
	p.stored(m, 2)
	p.overdue()
	// The deadline ends a mission as well, with nobody asking.
	late := p.planNow("badge-3")
	late.Policy.MaxPoints = 3
	late = p.do(p.create(late), session.Begin)
	p.fill(late, 10)
	p.clock(late.Deadline)
	p.sweep()
	p.stored(late, 3)
}

// testAnonymous: once the tenant's term is over a record names nobody and no
// place; counts and times stay.
func testAnonymous(p *sweepWorld) {
	m := p.plan("badge-secret", "badge-hidden")
	m.Reference, m.Agents[0].Alias = "ref-secret", "alias-secret"
	m.Checkpoints = []session.Checkpoint{{Name: "door-secret", Point: m.Site.Center, RadiusM: 20}}
	m.Site = p.outline("site-secret")
	m = p.do(p.create(m), session.Begin)
	p.fill(m, 3)
	p.judged(m, "badge-secret", m.BeganAt.Add(-time.Hour), session.OutsideWindow)
	link := p.link(m)
	link.Label = "label-secret"
	p.ok(p.Store.CreateLink(p.Context(), link))
	m = p.do(m, session.End)
	h := p.hold(m, 60)

	if months, err := p.Store.MissionTerm(p.Context(), p.tenant); err != nil || months != session.DefaultMissionTerm {
		p.Errorf("term %d, %v", months, err)
	}
	p.ok(p.Store.SetMissionTerm(p.Context(), p.tenant, 1))
	p.is(p.Store.SetMissionTerm(p.Context(), "nobody", 1), session.ErrNotFound, "the term of a missing tenant")
	p.clock(m.EndedAt.AddDate(0, 1, 0).Truncate(24 * time.Hour))
	p.sweep()
	if p.read(m).Reference == "" {
		p.Error("a mission that is held was made anonymous")
	}
	_, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
	p.ok(err)
	p.clock(p.now.Add(time.Hour))
	p.sweep()
	if done := p.sweep(); done != (session.Swept{}) {
		p.Errorf("another sweep did %+v", done)
	}
	got := p.read(m)
	if got.Reference != "" || got.Site != (geo.Site{}) || len(got.Checkpoints) != 0 {
		p.Errorf("the record still says %+v", got)
	}
	for i, a := range got.Agents {
		if strings.Contains(a.ID+a.Alias, "secret") || strings.Contains(a.ID, "hidden") || !slices.Equal(a.Windows, m.Agents[i].Windows) {
			p.Errorf("agent %+v, was %+v", a, m.Agents[i])
		}
	}
	if got.State != session.Ended || !got.BeganAt.Equal(m.BeganAt) || !got.EndedAt.Equal(m.EndedAt) || got.Revision <= m.Revision {
		p.Errorf("facts are lost: %+v", got)
	}
	if r, err := p.Store.Refusals(p.Context(), p.tenant, m.ID); err != nil || len(r) != 1 || r[0].Count != 1 || r[0].Agent != got.Agents[0].ID {
		p.Errorf("refusals %+v, %v", r, err)
	}
	if links, err := p.Store.Links(p.Context(), p.tenant, m.ID, uuid.Nil, 10); err != nil || len(links) != 0 {
		p.Errorf("links %+v, %v", links, err)
	}
	if holds, err := p.Store.Holds(p.Context(), p.tenant, m.ID); err != nil || len(holds) != 0 {
		p.Errorf("hold %s is still told of: %v, %v", h.ID, holds, err)
	}
	p.overdue()
}

// testOverdue (P40): what has outlived its limit is counted by its class, each in
// turn, and the sweep leaves none.
func testOverdue(p *sweepWorld) {
	month := 32 * 24 * time.Hour
	for _, c := range []struct {
		class session.Class
		plant func()
	}{
		{session.ClassReceipts, func() {
			m := p.create(p.planNow("badge-1"))
			p.ok(p.Store.CreateOnce(p.Context(), p.creation(m, "mission")))
			p.do(m, session.Cancel)
			p.clock(p.now.Add(session.ReceiptLife + session.TidyingSlack))
		}},
		{session.ClassLocations, func() {
			m := p.planNow("badge-1")
			m.Policy.Track = false
			m = p.do(p.create(m), session.Begin)
			p.judged(m, "badge-1", p.now, session.Stored)
			p.clock(m.Deadline.Add(session.TidyingSlack))
		}},
		{session.ClassHeld, func() {
			m := p.ended(5, 5, "badge-1")
			p.hold(m, 5)
			p.sweep()
			_, err := p.service.ReleaseHold(p.Context(), p.staff(), m.ID, "")
			p.ok(err)
			p.clock(p.now.Add(session.TidyingSlack))
		}},
		{session.ClassPositions, func() { p.clock(p.expiry(p.ended(1, 5, "badge-1"))) }},
		{session.ClassAcknowledgement, func() {
			_, err := p.Store.PublishNotice(p.Context(), p.tenant, session.Notice{Text: "We locate you."})
			p.ok(err)
			p.ok(p.Store.Acknowledge(p.Context(), p.tenant, "badge-9", 1))
			p.ok(p.Store.SetMissionTerm(p.Context(), p.tenant, 60))
			p.clock(p.now.Add(61 * month))
		}},
		{session.ClassRecords, func() {
			p.ok(p.Store.SetMissionTerm(p.Context(), p.tenant, 2))
			p.do(p.create(p.planNow("badge-7")), session.Cancel)
			p.clock(p.now.Add(2 * month))
		}},
		{session.ClassAccessLog, func() {
			p.ok(p.Store.LogAccess(p.Context(), []session.Access{p.access(session.AccessTrackRead)}))
			p.clock(p.now.AddDate(0, session.AccessMonths, 2).Add(time.Hour))
		}},
	} {
		c.plant()
		list, err := p.service.Overdue(p.Context())
		p.ok(err)
		if i := slices.IndexFunc(list, func(o session.Overdue) bool { return o.Class == c.class }); i < 0 || list[i].Rows == 0 {
			p.Errorf("no row of %s is overdue: %v", c.class, list)
		}
		p.sweep()
		p.overdue()
	}
}

// testTombstones: they go once no backup may be old enough to need them, and what
// one says is done by then.
func testTombstones(p *sweepWorld) {
	staff := p.staff()
	staff.Role = session.Platform
	for _, agent := range []string{"badge-1", "badge-2"} {
		p.ended(30, 1, agent)
		_, err := p.service.EraseAgent(p.Context(), staff, agent, "")
		p.ok(err)
	}
	p.ended(30, 1, "badge-3")
	left, err := p.Ring.Tombstone(p.Context(), session.Tombstone{Number: 2, At: p.now, Tenant: p.tenant, Agent: "badge-3", Pseudonym: "erased-3"})
	p.ok(err)
	p.clock(left.At.Add(session.TombstoneLife))
	if done := p.sweep(); done.Tombstones != 2 {
		p.Errorf("the sweep did %+v, want two tombstones gone", done)
	}
	stones, err := p.Ring.Tombstones(p.Context(), 0)
	p.ok(err)
	if len(stones) != 1 || stones[0].Number != left.Number {
		p.Errorf("tombstones %+v, want the last one", stones)
	}
	if e, err := p.Store.Erasure(p.Context(), left.Number); err != nil || e.DoneAt.IsZero() {
		p.Errorf("what it says is not done: %+v, %v", e, err)
	}
}
