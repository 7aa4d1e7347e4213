package tracker

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

const (
	// attendEvery is how often a node renews the lease by which its viewers count.
	attendEvery = session.AttendanceLife / 5
	// maxTurns bounds how many links one transaction is about.
	maxTurns = 1000
	// turnedAway is how long a link that another node holds is left alone.
	turnedAway = 5 * time.Millisecond
	// lastTurn bounds how long a hub that stops tries to say that its viewers left.
	lastTurn = 2 * time.Second
)

// errFull refuses one viewer more than a link allows.
var errFull = &session.Error{Code: "too_many_viewers", Detail: "as many as this link allows are watching"}

// turnstile lets viewers in, as many as their link allows over all nodes: the
// store grants every one, in natural batches. Whoever comes while a batch is
// under way goes with the next, and those who come through the same link are one
// row of it, so that a crowd costs little more than one viewer.
//
// What was granted holds while the node has its lease. If that lapses, others may
// have taken the places. Then the rooms show nothing more (room.lease), and all who
// are inside are asked for anew; those whose place is taken are sent away.
type turnstile struct {
	hub  *Hub
	wake chan struct{} // holds one token while there is something to ask
	// until is the end of the lease, as time since hub.start: written by run.
	until atomic.Int64

	// Owned by run:

	lease int64 // what until is once all who are inside were granted
	owed  bool  // they are not, under this lease

	mu     sync.Mutex
	node   uuid.UUID           // guarded by mu, like all below
	turns  map[uuid.UUID]*turn // by link
	queued []*turn             // to be asked about, in order
}

// turn is one link at this node.
type turn struct {
	tenant  string
	link    uuid.UUID
	inside  map[*viewer]struct{} // granted by the store
	waiting []*entrant
	granted int // what the store last heard and said
	queued  bool
}

// entrant is a viewer who waits to be let in.
type entrant struct {
	viewer *viewer
	done   chan error // receives the outcome, once
	gone   bool       // waits no more
}

func newTurnstile(h *Hub) *turnstile {
	t := &turnstile{hub: h, wake: make(chan struct{}, 1), turns: map[uuid.UUID]*turn{}}
	t.until.Store(math.MaxInt64) // nobody is inside for whom a lease could lapse
	return t
}

// enter returns nil once the viewer counts, errFull if the link allows no more.
// After a nil, leave must be called.
func (t *turnstile) enter(v *viewer) error {
	e := &entrant{viewer: v, done: make(chan error, 1)}
	t.mu.Lock()
	p := v.principal
	k := t.turns[p.Subject]
	if k == nil {
		k = &turn{tenant: p.Tenant, link: p.Subject, inside: map[*viewer]struct{}{}}
		t.turns[p.Subject] = k
	}
	k.waiting = append(k.waiting, e)
	t.queue(k)
	t.mu.Unlock()
	t.ask()

	timer := time.NewTimer(storeTimeout)
	defer timer.Stop()
	select {
	case err := <-e.done:
		return err
	case <-timer.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case err := <-e.done:
		return err
	default:
		e.gone = true
		return session.ErrUnavailable
	}
}

// leave gives up a viewer's place.
func (t *turnstile) leave(v *viewer) {
	t.mu.Lock()
	if k := t.turns[v.principal.Subject]; k != nil {
		delete(k.inside, v)
		t.queue(k)
	}
	t.mu.Unlock()
	t.ask()
}

// self returns which node this is to the store.
func (t *turnstile) self() uuid.UUID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.node
}

// queue has the store asked about a link. Call with mu held.
func (t *turnstile) queue(k *turn) {
	if !k.queued {
		k.queued = true
		t.queued = append(t.queued, k)
	}
}

func (t *turnstile) ask() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run asks the store until the hub stops.
func (t *turnstile) run() {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	t.attend(t.hub.ctx)
	for {
		select {
		case <-t.hub.ctx.Done():
			// Everybody has left. Saying so spares others the wait for the lease.
			ctx, cancel := context.WithTimeout(context.Background(), lastTurn)
			defer cancel()
			t.flush(ctx)
			return
		case <-tick.C:
			t.attend(t.hub.ctx)
		case <-t.wake:
		}
		t.flush(t.hub.ctx)
	}
}

// attend renews the lease. If it had lapsed, all who are inside are to be asked
// for.
func (t *turnstile) attend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	asked := time.Since(t.hub.start)
	node, err := t.hub.service.Store.Attend(ctx, t.self())
	if err != nil {
		if t.hub.ctx.Err() == nil {
			t.hub.log.Warn("attend_failed", "error", err)
		}
		return // the lease ends by itself
	}
	t.lease = int64(asked + session.AttendanceLife)
	t.mu.Lock()
	if node != t.node {
		t.node, t.owed = node, true
		for _, k := range t.turns {
			k.granted = 0
			t.queue(k)
		}
	}
	t.mu.Unlock()
	if !t.owed {
		t.until.Store(t.lease)
	}
}

// inquiry is what the store is asked about one link.
type inquiry struct {
	*turn
	called []*entrant // those who wait, as New in asked
	asked  *session.Attendance
}

// flush asks the store until there is nothing left to ask. What fails is asked
// again at the next occasion.
func (t *turnstile) flush(ctx context.Context) {
	for {
		batch := t.take()
		if len(batch) == 0 {
			if t.owed {
				t.owed = false
				t.until.Store(t.lease)
			}
			return
		}
		asked := make([]*session.Attendance, len(batch))
		for i := range batch {
			asked[i] = batch[i].asked
		}
		bound, cancel := context.WithTimeout(ctx, storeTimeout)
		err := t.hub.service.Store.Watch(bound, t.self(), asked)
		cancel()
		switch {
		case errors.Is(err, session.ErrNotFound): // the lease has lapsed
			t.putBack(batch, nil)
			t.attend(ctx)
			t.ask()
			return
		case err != nil:
			t.hub.log.Warn("watch_failed", "links", len(asked), "error", err)
			t.putBack(batch, session.ErrUnavailable)
			return
		}
		if t.settle(batch) {
			pause(ctx, turnedAway)
		}
	}
}

// take returns what to ask next.
func (t *turnstile) take() []inquiry {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.queued), maxTurns)
	batch := make([]inquiry, 0, n)
	for _, k := range t.queued[:n] {
		k.queued = false
		waiting := k.waiting[:0]
		for _, e := range k.waiting {
			if !e.gone {
				waiting = append(waiting, e)
			}
		}
		k.waiting = nil
		batch = append(batch, inquiry{k, waiting, &session.Attendance{
			Tenant: k.tenant, Link: k.link, Want: len(k.inside) + len(waiting), New: len(waiting),
		}})
	}
	t.queued = append([]*turn(nil), t.queued[n:]...)
	return batch
}

// putBack takes back what could not be asked. Those who wait get err or, if it is
// nil, go on waiting.
func (t *turnstile) putBack(batch []inquiry, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range batch {
		if err == nil {
			q.waiting = append(q.called, q.waiting...)
		} else {
			for _, e := range q.called {
				e.done <- err
			}
		}
		t.queue(q.turn) // what the store knows of this link may be wrong either way
	}
}

// settle carries out what the store has said: it lets in, refuses and sends away.
// It reports whether any link was locked.
func (t *turnstile) settle(batch []inquiry) (locked bool) {
	var out []*viewer
	t.mu.Lock()
	for _, q := range batch {
		if q.asked.Verdict == session.AttendanceLocked {
			q.waiting = append(q.called, q.waiting...)
			t.queue(q.turn)
			locked = true
			continue
		}
		out = append(out, q.settle()...)
		switch {
		case len(q.inside) != q.granted: // somebody left meanwhile
			t.queue(q.turn)
		case q.granted == 0 && !q.queued:
			delete(t.turns, q.link)
		}
	}
	t.mu.Unlock()
	for _, v := range out {
		v.hangUp(closeCodeOf(errFull), errFull.Detail)
	}
	return locked
}

// settle returns who has to go. Call with the turnstile's mu held.
func (q *inquiry) settle() (out []*viewer) {
	refusal := error(errFull)
	if q.asked.Verdict == session.AttendanceUnknown {
		refusal = session.ErrNotFound
	}
	q.granted = q.asked.Granted
	spare := q.granted - (q.asked.Want - q.asked.New)
	for v := range q.inside {
		if spare >= 0 || len(q.inside) <= q.granted {
			break
		}
		delete(q.inside, v)
		out = append(out, v)
	}
	for i, e := range q.called {
		switch {
		case i >= spare:
			e.done <- refusal
		case !e.gone:
			q.inside[e.viewer] = struct{}{}
			e.done <- nil
		}
	}
	return out
}
