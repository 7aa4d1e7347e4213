package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// tombstones counts over all tests: they may share a store.
var tombstones atomic.Int64

// stone returns the tombstone of an agent ("": of the tenant), set now.
func (w *world) stone(agent string) session.Tombstone {
	t := session.Tombstone{Number: tombstones.Add(1), At: w.now, Tenant: w.tenant, Agent: agent}
	if agent != "" {
		t.Pseudonym = "erased-" + uuid.NewString()[:8]
	}
	return t
}

// erase takes steps until all is done, and returns them.
func (w *world) erase(t session.Tombstone) (steps []session.ErasureStep) {
	w.Helper()
	for range 1000 {
		step, err := w.Store.Erase(w.Context(), t)
		w.ok(err)
		steps = append(steps, step)
		if step.Done {
			return steps
		}
	}
	w.Fatal("an erasure does not end")
	return nil
}

// erased checks the receipt of a tombstone.
func (w *world) erased(t session.Tombstone, want session.Erased) {
	w.Helper()
	got, err := w.Store.Erasure(w.Context(), t.Number)
	w.ok(err)
	if got.Erased != want || got.Number != t.Number || !got.DoneAt.Equal(w.now) {
		w.Errorf("receipt %+v, want %+v at %v", got, want, w.now)
	}
}

// naming returns the rows that hold a text and none of the others.
func naming(all map[string][]string, text string, but ...string) (found []string) {
	for _, table := range slices.Sorted(maps.Keys(all)) {
		for _, row := range all[table] {
			if strings.Contains(row, text) && !slices.ContainsFunc(but, func(b string) bool { return strings.Contains(row, b) }) {
				found = append(found, table+": "+row)
			}
		}
	}
	return found
}

// populated is a tenant with two agents on the same missions and one without the
// first, and another tenant whose agent has the name of the first.
type populated struct {
	*world
	doomed, spared string
	shared         []*session.Mission // of both agents, all over
	alone, foreign *session.Mission   // of the second agent; of the other tenant
	other          string             // the other tenant
}

// populate makes it. A mission has ten pings of each agent, a minute apart, and
// as many that are refused.
func (w *world) populate() *populated {
	w.Helper()
	p := &populated{world: w, doomed: "doomed-" + uuid.NewString()[:13], spared: "spared-" + uuid.NewString()[:13]}
	notices := func() {
		_, err := w.Store.PublishNotice(w.Context(), w.tenant, session.Notice{Text: "avis"})
		w.ok(err)
		w.ok(w.Store.Acknowledge(w.Context(), w.tenant, p.doomed, 1))
		w.ok(w.Store.Acknowledge(w.Context(), w.tenant, p.spared, 1))
	}
	notices()
	round := func(agents ...string) *session.Mission {
		m := w.plan(agents...)
		m.StartsAt, m.EndsAt = w.now, w.now.Add(8*time.Hour)
		m.Deadline = m.EndsAt.Add(m.Overrun)
		c := w.creation(m, m.ID.String())
		c.Mission = m
		w.ok(w.Store.CreateOnce(w.Context(), c))
		w.ok(w.Store.CreateLink(w.Context(), session.Link{ID: session.NewID(), Tenant: w.tenant, Mission: m.ID, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}))
		m = w.do(m, session.Begin)
		began := w.now
		for range 10 {
			w.clock(w.now.Add(time.Minute))
			for _, agent := range agents {
				w.append(m, agent, w.now, began.Add(-time.Hour))
				w.save(progress(m, agent, began, w.now, 1))
			}
		}
		w.clock(w.now.Add(time.Minute))
		return m
	}
	for range 2 {
		p.shared = append(p.shared, w.do(round(p.doomed, p.spared), session.End))
	}
	p.alone = w.do(round(p.spared), session.End)
	own := w.tenant
	p.other = w.newTenant()
	w.tenant = p.other
	notices()
	p.foreign = w.do(round(p.doomed), session.PauseAgent, p.doomed)
	w.tenant = own
	w.clock(w.now.Add(time.Minute))
	return p
}

// untouched returns all rows that an erasure of the doomed agent has nothing to
// do with.
func (p *populated) untouched() map[string][]string {
	rest := map[string][]string{}
	for table, rows := range p.Rows(p.T) {
		if table == "erasures" || table == "access_log" {
			continue
		}
		for _, row := range rows {
			shared := slices.ContainsFunc(p.shared, func(m *session.Mission) bool { return strings.Contains(row, m.ID.String()) })
			own := strings.Contains(row, p.doomed) && !strings.Contains(row, p.other) && !strings.Contains(row, p.foreign.ID.String())
			if own || shared && !strings.Contains(row, p.spared) {
				continue
			}
			rest[table] = append(rest[table], row)
		}
	}
	return rest
}

// testEraseAgent: no row names the agent any more, the record of their missions
// stays, and nothing else changes by a byte.
func testEraseAgent(w *world) {
	p := w.populate()
	if n := len(naming(p.Rows(p.T), p.doomed, p.other, p.foreign.ID.String())); n < 2*10+2*2+1 {
		w.Fatalf("only %d rows name the agent; this tests nothing", n)
	}
	before, foreign := p.untouched(), naming(p.Rows(p.T), p.foreign.ID.String())
	was := []*session.Mission{w.read(p.shared[0]), w.read(p.shared[1])}
	stone := w.stone(p.doomed)
	w.erase(stone)
	w.erased(stone, session.Erased{Missions: 2, Positions: 20, Refusals: 2, Acknowledgements: 1})

	if left := naming(p.Rows(p.T), p.doomed, p.other, p.foreign.ID.String()); len(left) != 0 {
		w.Errorf("the agent is still named in %q", left)
	}
	if after := p.untouched(); !maps.EqualFunc(before, after, slices.Equal) {
		w.Errorf("rows of others changed:\n%v\n%v", before, after)
	}
	if after := naming(p.Rows(p.T), p.foreign.ID.String()); !slices.Equal(foreign, after) {
		w.Errorf("rows of the other tenant changed:\n%v\n%v", foreign, after)
	}
	for i, m := range p.shared {
		now := w.read(m)
		if got := now.Agents[0]; got.ID != stone.Pseudonym || got.Alias != stone.Pseudonym || !got.Relieved || !slices.Equal(got.Windows, was[i].Agents[0].Windows) {
			w.Errorf("the agent's part is %+v, was %+v", got, was[i].Agents[0])
		}
		if now.Revision <= was[i].Revision || now.State != session.Ended || now.Agents[1].ID != p.spared || w.Count(w.T, m.ID) != 10 {
			w.Errorf("the mission's record is %+v", now)
		}
		w.receipt(m.ID.String(), "") // what it answered named the agent
	}
	w.stored(p.alone, 10)
}

// testEraseSteps: however often an erasure stops and begins again, it comes to
// the same, and its receipt counts all of it once.
func testEraseSteps(w *world) {
	m := w.begun("badge-1", "badge-2")
	const n = session.ErasureLimit + 3
	var times []time.Time
	for i := range n {
		times = append(times, start.Add(time.Duration(i)*time.Second))
	}
	w.at(n * time.Second)
	for page := range slices.Chunk(times, 1000) {
		w.append(m, "badge-1", page...)
	}
	w.append(m, "badge-2", times[0])
	m = w.do(m, session.End)
	stone := w.stone("badge-1")
	for i, want := range []session.ErasureStep{{}, {Mission: m.ID}, {Done: true}, {Done: true}} {
		step, err := w.Store.Erase(w.Context(), stone)
		if err != nil || step != want {
			w.Errorf("step %d: %+v, %v, want %+v", i, step, err, want)
		}
		if last, err := w.Store.LastErasure(w.Context()); err != nil || (last == stone.Number) != want.Done {
			w.Errorf("step %d: the last erasure is %d, %v", i, last, err)
		}
		if left := w.Count(w.T, m.ID); left != []int{4, 1, 1, 1}[i] {
			w.Errorf("step %d: %d positions left", i, left)
		}
	}
	w.erased(stone, session.Erased{Missions: 1, Positions: n})
}

// testEraseLaterStays: a tombstone means what came before it. Who comes back
// under the same name is another.
func testEraseLaterStays(w *world) {
	_, err := w.Store.PublishNotice(w.Context(), w.tenant, session.Notice{Text: "avis"})
	w.ok(err)
	stone := w.stone("badge-1")
	w.at(time.Minute)
	w.ok(w.Store.Acknowledge(w.Context(), w.tenant, "badge-1", 1))
	m := w.begun("badge-1")
	w.judged(m, "badge-1", w.now, session.Stored)
	w.erase(stone)
	w.erased(stone, session.Erased{})
	w.stored(m, 1)
	if list, err := w.Store.Acknowledgements(w.Context(), w.tenant, "badge-1"); err != nil || len(list) != 1 || list[0].Version != 1 || !list[0].At.Equal(w.now) {
		w.Errorf("acknowledged %v, %v", list, err)
	}
	if m = w.read(m); m.Agent("badge-1") == nil || m.Agent("badge-1").Open() == nil {
		w.Errorf("the later mission is %+v", m)
	}
}

// testEraseUnderPings: while an agent's late pings arrive, and another's go on,
// the agent is erased. Nothing comes back, and each ping that was stored before
// is counted as removed.
func testEraseUnderPings(w *world) {
	w.SetClock(time.Time{})
	now, err := w.Store.Now(w.Context())
	w.ok(err)
	m := w.plan("badge-1", "badge-2")
	m.StartsAt, m.EndsAt, m.Deadline = now, now.Add(8*time.Hour), now.Add(10*time.Hour)
	m.Policy.MinInterval = time.Millisecond
	m = w.do(w.create(m), session.Begin)
	w.ok(w.until(m.BeganAt.Add(400 * time.Millisecond)))
	m, err = w.try(m, session.Command{Action: session.Relieve, Agent: "badge-1"})
	w.ok(err)
	var stored atomic.Int64
	var over sync.WaitGroup
	first := make(chan struct{})
	var once sync.Once
	for worker := range 4 {
		over.Go(func() {
			for i := 0; i < 100; i++ {
				at := m.BeganAt.Add(time.Duration(4*i+worker) * time.Millisecond)
				batch := []*session.Submission{submit(m, "badge-1", 0, at), submit(m, "badge-2", 0, at)}
				if err := w.Store.Append(w.Context(), batch); err != nil {
					w.Error(err)
					return
				}
				switch batch[0].Verdicts[0] {
				case session.Stored:
					if stored.Add(1) == 20 {
						once.Do(func() { close(first) })
					}
				case session.NotActive:
				case session.Locked:
					i--
				default:
					w.Errorf("verdict %s", name(batch[0].Verdicts[0]))
				}
			}
		})
	}
	<-first
	w.now, err = w.Store.Now(w.Context())
	w.ok(err)
	stone := w.stone("badge-1")
	w.erase(stone)
	over.Wait()
	e, err := w.Store.Erasure(w.Context(), stone.Number)
	w.ok(err)
	if e.Positions != stored.Load() {
		w.Errorf("%d positions of the agent were acknowledged, %d removed", stored.Load(), e.Positions)
	}
	if left := naming(w.Rows(w.T), "badge-1"); slices.ContainsFunc(left, func(row string) bool { return strings.Contains(row, m.ID.String()) }) {
		w.Errorf("left: %q", left)
	}
	if n := w.Outside(w.T); n != 0 {
		w.Errorf("%d positions outside every window", n)
	}
	w.Logf("%d of 400 pings were stored and removed", e.Positions)
}

// until waits for the store's clock.
func (w *world) until(t time.Time) error {
	for {
		now, err := w.Store.Now(w.Context())
		if err != nil || !now.Before(t) {
			return err
		}
	}
}

// testEraseUntracked: what a mission without a track knows of an agent goes too,
// even out of a mission that a restored backup takes for one under way.
func testEraseUntracked(w *world) {
	m := w.plan("badge-1", "badge-2")
	m.Policy.Track = false
	m = w.do(w.create(m), session.Begin)
	w.at(time.Minute)
	w.judged(m, "badge-1", w.now, session.Stored)
	w.judged(m, "badge-2", w.now, session.Stored)
	w.save(progress(m, "badge-1", m.BeganAt, w.now, 1), progress(m, "badge-2", m.BeganAt, w.now, 2))
	stone := w.stone("badge-1")
	w.erase(stone)
	w.erased(stone, session.Erased{Missions: 1, Positions: 1})
	w.latest(m, 1)
	w.saved(m, 2)
	m = w.read(m)
	want := session.Window{Opened: start, Closed: w.now}
	if a := m.Agents[0]; a.ID != stone.Pseudonym || len(a.Windows) != 1 || a.Windows[0] != want || m.Agents[1].Open() == nil {
		w.Errorf("the agents are %+v", m.Agents)
	}
	w.judged(m, "badge-1", w.now, session.NotActive)
	w.judged(m, "badge-2", w.now.Add(time.Second), session.Stored)
	w.do(m, session.End) // the record is still a whole one
}

// testEraseTenant: nothing of a tenant is left, and nothing of another changes.
func testEraseTenant(w *world) {
	p := w.populate()
	w.ok(w.Store.CreateAPIKey(w.Context(), session.APIKey{ID: session.NewID(), Tenant: w.tenant, Role: session.Platform, Hash: make([]byte, 32), CreatedAt: w.now}))
	own := func(row string) bool {
		return strings.Contains(row, w.tenant) || slices.ContainsFunc(append(p.shared, p.alone), func(m *session.Mission) bool { return strings.Contains(row, m.ID.String()) })
	}
	split := func() (mine []string, rest map[string][]string) {
		rest = w.Rows(w.T)
		delete(rest, "erasures")
		delete(rest, "access_log") // it outlives what it tells of, and names agents by pseudonym
		for table, rows := range rest {
			for _, row := range rows {
				if own(row) {
					mine = append(mine, table+": "+row)
				}
			}
			rest[table] = slices.DeleteFunc(rows, own)
		}
		return mine, rest
	}
	mine, before := split()
	if len(mine) < 50 {
		w.Fatalf("only %d rows are the tenant's", len(mine))
	}
	stone := w.stone("")
	steps := w.erase(stone)
	w.erased(stone, session.Erased{Missions: 3, Positions: 50, Refusals: 5, Acknowledgements: 2, Links: 3, APIKeys: 1, Notices: 1})
	if len(steps) != 4 {
		w.Errorf("%d steps: %v", len(steps), steps)
	}
	left, after := split()
	if len(left) != 0 {
		w.Errorf("left: %q", left)
	}
	if !maps.EqualFunc(before, after, slices.Equal) {
		w.Error("rows of others changed")
	}

	// Another tenant of that name is another.
	w.clock(w.now.Add(time.Hour))
	w.ok(w.Store.EnsureTenant(w.Context(), w.tenant))
	w.erase(stone)
	tenants, err := w.Store.Tenants(w.Context())
	w.ok(err)
	if !slices.Contains(tenants, session.Tenant{Name: w.tenant, CreatedAt: w.now}) {
		w.Errorf("the tenant that came later is not among %v", tenants)
	}
}

// testEraseTogether: several nodes that carry out one tombstone share the work,
// and its receipt counts it once.
func testEraseTogether(w *world) {
	p := w.populate()
	stone := w.stone(p.doomed)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				step, err := w.Store.Erase(w.Context(), stone)
				if err != nil {
					w.Error(err)
				}
				if step.Done || err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	w.erased(stone, session.Erased{Missions: 2, Positions: 20, Refusals: 2, Acknowledgements: 1})
}

// testErasures: what was never begun has no receipt.
func testErasures(w *world) {
	_, err := w.Store.Erasure(w.Context(), 1<<40)
	w.is(err, session.ErrNotFound, "the receipt of an unknown tombstone")
	list, err := w.Store.Acknowledgements(w.Context(), w.tenant, "badge-1")
	if err != nil || len(list) != 0 {
		w.Errorf("acknowledged %v, %v", list, err)
	}
	tenants, err := w.Store.Tenants(w.Context())
	if err != nil || !slices.IsSortedFunc(tenants, func(a, b session.Tenant) int { return strings.Compare(a.Name, b.Name) }) || len(tenants) == 0 {
		w.Errorf("tenants %v, %v", tenants, err)
	}
	foreign := w.stone(fmt.Sprintf("badge-%d", 1))
	foreign.Tenant = "nobody"
	m := w.begun("badge-1")
	w.judged(m, "badge-1", w.now, session.Stored)
	w.erase(foreign)
	w.erased(foreign, session.Erased{})
	w.stored(m, 1)
}
