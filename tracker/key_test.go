package tracker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"ronde/session"
)

// streamBeside sends a ping a second of the world's mission for a while, during
// which something else is going on, and checks that nobody notices it.
func (w *world) streamBeside(d time.Duration) {
	w.t.Helper()
	begin := time.Now()
	for end := begin.Add(d); time.Now().Before(end); w.wait(time.Second) {
		sent := time.Now()
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("the neighbour's ping: verdict %q", v.Code())
		}
		if took := time.Since(sent); took > 2*maxWait {
			w.t.Fatalf("the neighbour's ping took %v", took)
		}
		if len(w.positions(sent.Add(-1))) == 0 {
			w.t.Fatal("the neighbour's position was not shown")
		}
	}
	if w.told(begin, `{"type":"degraded"`) {
		w.t.Fatal("the neighbour's viewer was told to be missing something")
	}
}

// TestHungKeyringStopsNewMissionsAlone begins a mission while the keyring hangs:
// its pings go back to the phone, those of a mission whose key is known are
// stored and shown as ever (I9).
func TestHungKeyringStopsNewMissionsAlone(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.streamBeside(2 * time.Second)
		w.ring.hung.Store(true)
		m := w.begin(time.Hour, "badge-18")
		r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
		ok(w.t, err)
		defer w.hub.leave(r)
		for range 3 {
			answer := w.submit(m)
			w.streamBeside(storeTimeout - time.Second)
			select {
			case v := <-answer:
				w.t.Fatalf("verdict %q before anybody gave up", v.Code())
			default:
			}
			if v := <-answer; v != session.Unsealed {
				w.t.Fatalf("verdict %q while the keyring hangs", v.Code())
			}
		}
		w.ring.hung.Store(false)
		if v := <-w.submit(m); v != session.Stored {
			w.t.Fatalf("verdict %q once the keyring answers", v.Code())
		}
	})
}

// TestHungKeyringHoldsUpNoReconcile: a mission has a room here and no key, and
// another node stores positions of it. While the keyring hangs the other rooms
// keep their leases, and once it answers this one knows what there is.
func TestHungKeyringHoldsUpNoReconcile(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.streamBeside(2 * time.Second)
		w.ring.hung.Store(true)
		m := w.begin(time.Hour, "badge-18")
		r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
		ok(w.t, err)
		defer w.hub.leave(r)

		elsewhere := session.Service{Store: w.store, Sealer: session.NewSealer(w.root, w.ring.Keyring)}
		_, err = elsewhere.Sealer.Key(w.t.Context(), m)
		ok(w.t, err)
		sub := pingNow(m)
		ok(w.t, elsewhere.Append(w.t.Context(), []*session.Submission{&sub}))
		seen := func() int64 {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.people["badge-18"].shown.Timestamp
		}

		w.streamBeside(3 * storeTimeout)
		if at := seen(); at != 0 {
			w.t.Fatalf("a position of %d was opened without its key", at)
		}
		w.ring.hung.Store(false)
		for end := time.Now().Add(storeTimeout + Interval); w.service.Sealer.Cached(m.ID) == nil && time.Now().Before(end); {
			w.wait(10 * time.Millisecond)
		}
		w.wait(kickedEvery)
		if at := seen(); at != sub.Pings[0].Timestamp {
			w.t.Fatalf("the room knows the position of %d, want that of %d", at, sub.Pings[0].Timestamp)
		}
	})
}

// TestUnheardBegin: a mission begins on another node, and this one hears nothing
// of it but its own agent's pings. The first goes back to the phone, and with it
// the node learns what the next one needs, before reconcile would tell it.
func TestUnheardBegin(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		m := w.plan(time.Hour, "badge-18")
		r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
		ok(w.t, err)
		defer w.hub.leave(r)
		w.wait(reconcileEvery / 2)
		elsewhere := session.Service{Store: w.store}
		_, err = elsewhere.Do(w.t.Context(), operator, m.ID, session.Command{Action: session.Begin})
		ok(w.t, err)
		if v := <-w.submit(m); v != session.Unsealed {
			w.t.Fatalf("verdict %q before the node has heard of the begin", v.Code())
		}
		w.wait(reconcileEvery / 4)
		if v := <-w.submit(m); v != session.Stored {
			w.t.Fatalf("verdict %q afterwards", v.Code())
		}
	})
}

// TestKeyGoesWithTheRoom: a key that comes after the last socket has left is not
// kept.
func TestKeyGoesWithTheRoom(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.ring.slow.Store(true)
		m := w.begin(time.Hour, "badge-18")
		r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
		ok(w.t, err)
		w.hub.refillApart(r)
		w.hub.leave(r)
		w.wait(2 * time.Second)
		if w.service.Sealer.Cached(m.ID) != nil {
			w.t.Fatal("the key is in memory, and nobody follows the mission")
		}
	})
}

// TestHungKeyringHoldsUpNoRefill: however many rooms wait for their keys, one
// whose key is known is filled.
func TestHungKeyringHoldsUpNoRefill(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.ping()
		w.ring.hung.Store(true)
		for i := range maxFills {
			m := w.begin(time.Hour, fmt.Sprintf("badge-%d", 18+i))
			r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
			ok(w.t, err)
			defer w.hub.leave(r)
			w.hub.refillApart(r)
		}
		synctest.Wait()
		before := w.store.reads.Load()
		w.hub.refillApart(w.hub.room(w.mission.ID))
		synctest.Wait()
		if n := w.store.reads.Load() - before; n != 1 {
			w.t.Errorf("%d rooms were filled, want 1", n)
		}
	})
}

// TestRoomBeforeBegin: a room whose mission has not begun has no key to wait
// for, and is reconciled without.
func TestRoomBeforeBegin(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		m := w.plan(time.Hour, "badge-18")
		r, err := w.hub.join(session.Ref{Tenant: m.Tenant, ID: m.ID})
		ok(w.t, err)
		defer w.hub.leave(r)
		r.mu.Lock()
		r.refresh()
		r.mu.Unlock()
		w.wait(kickedEvery)
		if stale := w.hub.staleRooms(); len(stale) != 0 {
			w.t.Errorf("%d rooms ask to be reconciled again", len(stale))
		}
	})
}
