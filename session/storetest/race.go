package storetest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

func testRace(w *world) {
	n := 2_000
	if Long() {
		n = 50_000
	}
	stored, outside := Race(w.T, w.Fixture, n)
	w.Logf("%d pings with true times raced against transitions: %d stored, %d outside", n, stored, outside)
	if outside != 0 {
		w.Errorf("%d of %d stored positions lie outside every window", outside, stored)
	}
	if stored < n/20 {
		w.Errorf("only %d of %d pings were stored: this was no race", stored, n)
	}
}

// Race lets phones append n pings or more, stamped with the true time, while
// missions are paused, resumed, ended and begun as fast as they can be. It
// returns how many pings were stored and how many of them now lie outside every
// window: on a store that keeps I1, none. It fails the test only if pings were
// lost or made up, which no way of judging explains.
func Race(t *testing.T, f Fixture, n int) (stored, outside int) {
	w := newWorld(t, f)
	w.clock(time.Time{})
	r := &race{world: w}
	r.left.Store(int64(n))
	var phones, dispatchers sync.WaitGroup
	over := make(chan struct{})
	for lane := range raceLanes {
		l := &raceLane{race: r, random: rand.New(rand.NewPCG(uint64(lane), 1))}
		for i := range racePhones {
			l.agents = append(l.agents, string(rune('a'+lane))+string(rune('1'+i)))
		}
		l.next()
		for i := range racePhones {
			random := rand.New(rand.NewPCG(uint64(lane), uint64(i+2)))
			phones.Go(func() { l.phone(i, random) })
		}
		dispatchers.Go(func() { l.dispatch(over) })
	}
	phones.Wait()
	close(over)
	dispatchers.Wait()

	outside = f.Outside(t)
	r.conserved(outside)
	return int(r.stored.Load()), outside
}

const (
	raceLanes  = 2 // missions at a time, each with its own dispatcher
	racePhones = 3 // agents of each
)

type race struct {
	*world
	left     atomic.Int64 // pings to send
	stored   atomic.Int64 // verdicts that said so
	doubtful atomic.Bool  // an answer was lost: the sums need not agree
}

type raceLane struct {
	*race
	agents  []string
	mission atomic.Pointer[session.Mission]
	// Owned by the dispatcher:
	random *rand.Rand
}

// unless reports whether err is nil, and fails the test for one that is
// neither expected here nor ErrUnavailable.
func (r *race) unless(err error, expected ...error) bool {
	for _, e := range expected {
		if errors.Is(err, e) {
			return false
		}
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, session.ErrUnavailable):
		r.doubtful.Store(true)
	default:
		r.Error(err)
	}
	return false
}

// next begins another mission.
func (l *raceLane) next() {
	m := l.plan(l.agents...)
	now := time.Now()
	m.StartsAt, m.EndsAt = session.Millis(now), session.Millis(now.Add(8*time.Hour))
	m.Deadline = m.EndsAt.Add(m.Overrun)
	m.Policy.MinInterval = time.Millisecond
	if l.unless(l.Store.CreateMission(l.Context(), m)) {
		_, err := l.try(m, session.Command{Action: session.Begin})
		l.unless(err)
	}
	l.mission.Store(m)
}

// phone sends what its receiver says now, and now and then a short backlog of
// true fixes.
func (l *raceLane) phone(i int, random *rand.Rand) {
	for l.left.Load() > 0 && !l.Failed() {
		m := l.mission.Load()
		times := []time.Time{time.Now()}
		for random.IntN(3) > 0 && len(times) < 8 {
			times = append(times, time.Now().Add(-time.Duration(random.IntN(20))*time.Millisecond))
		}
		s := submit(m, l.agents[i], 0, times...)
		l.left.Add(-int64(len(times)))
		if !l.unless(l.Store.Append(l.Context(), []*session.Submission{s})) {
			continue
		}
		for _, v := range s.Verdicts {
			if v == session.Stored {
				l.stored.Add(1)
			}
		}
	}
}

// dispatch opens and closes windows in every way there is.
func (l *raceLane) dispatch(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		m := l.mission.Load()
		agent := l.agents[l.random.IntN(len(l.agents))]
		earlier := time.Now().Add(-time.Duration(l.random.IntN(30)) * time.Millisecond)
		var there, back session.Command
		switch l.random.IntN(8) {
		case 0, 1, 2:
			there, back = session.Command{Action: session.Pause}, session.Command{Action: session.Resume}
		case 3, 4:
			there = session.Command{Action: session.PauseAgent, By: session.ByAgent, Agent: agent, At: earlier}
			back = session.Command{Action: session.ResumeAgent, By: session.ByAgent, Agent: agent}
		case 5, 6:
			there = session.Command{Action: session.Relieve, Agent: agent}
			back = session.Command{Action: session.AddAgent, Agent: agent}
		default:
			there = session.Command{Action: session.End, At: earlier}
		}
		_, err := l.try(m, there)
		l.unless(err)
		if back.Action == "" {
			l.next()
			continue
		}
		_, err = l.try(m, back)
		l.unless(err)
	}
}

// conserved checks I3: what was judged stored is there, or was removed and
// counted.
func (r *race) conserved(outside int) {
	var there, removed int64
	after := uuid.Nil
	for {
		list, err := r.Store.Missions(r.Context(), r.tenant, session.MissionFilter{}, after, 100)
		r.ok(err)
		if len(list) == 0 {
			break
		}
		for _, m := range list {
			after = m.ID
			there += int64(r.Count(r.T, m.ID))
			for _, a := range m.Agents {
				removed += a.Removed
			}
		}
	}
	if got := there + removed; got != r.stored.Load() && !r.doubtful.Load() {
		r.Errorf("%d pings judged stored, but %d are there (%d of them outside) and %d were removed", r.stored.Load(), there, outside, removed)
	}
}
