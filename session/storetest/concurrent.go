package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"ronde/session"
)

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	var ready sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	all.Wait()
}

// patiently calls f again as long as it says that something stood in its way:
// ErrUnavailable says that asking again is safe.
func (w *world) patiently(f func() error) {
	for range 1000 {
		err := f()
		if err == nil {
			return
		}
		if !errors.Is(err, session.ErrUnavailable) {
			w.Error(err)
			return
		}
	}
	w.Error("unavailable a thousand times in a row")
}

// testUpdatesSerialise: of changes made at once, each sees the one before.
func testUpdatesSerialise(w *world) {
	m := w.begun("badge-1")
	const n = 24
	together(n, func(int) {
		_, err := w.Store.UpdateMission(w.Context(), w.tenant, m.ID, func(m *session.Mission) error {
			return m.Apply(session.Command{Action: session.Extend, By: session.ByPlatform, EndsAt: m.EndsAt.Add(time.Minute)}, m.ReadAt)
		})
		if err != nil {
			w.Error(err)
		}
	})
	got := w.read(m)
	if want := m.EndsAt.Add(n * time.Minute); !got.EndsAt.Equal(want) {
		w.Errorf("ends at %v, want %v: changes were lost", got.EndsAt, want)
	}
	if got.Revision < m.Revision+n {
		w.Errorf("revision %d after %d changes of revision %d", got.Revision, n, m.Revision)
	}
}

// testAppendsStoreOnce: several phones and nodes that send the same pings at
// once store them once.
func testAppendsStoreOnce(w *world) {
	m := w.begun("badge-1")
	w.at(10 * time.Minute)
	const phones, pings = 8, 100
	var times []time.Time
	for i := range pings {
		times = append(times, start.Add(time.Duration(i)*time.Second))
	}
	var stored, again atomic.Int64
	together(phones, func(int) {
		for from := 0; from < pings; from += 10 {
			s := submit(m, "badge-1", 0, times[from:from+10]...)
			w.patiently(func() error {
				if err := w.Store.Append(w.Context(), []*session.Submission{s}); err != nil {
					return err
				}
				if s.Verdicts[0] == session.Locked {
					return session.ErrUnavailable
				}
				return nil
			})
			for _, v := range s.Verdicts {
				switch v {
				case session.Stored:
					stored.Add(1)
				case session.Unchanged:
					again.Add(1)
				default:
					w.Errorf("verdict %s", name(v))
				}
			}
		}
	})
	if stored.Load() != pings || again.Load() != pings*(phones-1) {
		w.Errorf("%d stored and %d unchanged, want %d and %d", stored.Load(), again.Load(), pings, pings*(phones-1))
	}
	w.stored(m, pings)
}

// testOneBeginWins: of missions that would locate one agent, one begins; of
// missions made under one id, one is stored.
func testOneBeginWins(w *world) {
	const n = 8
	var missions [n]*session.Mission
	for i := range missions {
		missions[i] = w.create(w.plan("badge-1"))
	}
	var begun, located atomic.Int64
	together(n, func(i int) {
		w.patiently(func() error {
			_, err := w.try(missions[i], session.Command{Action: session.Begin})
			switch {
			case err == nil:
				begun.Add(1)
			case errors.Is(err, session.ErrLocated):
				located.Add(1)
				return nil
			}
			return err
		})
	})
	if begun.Load() != 1 || located.Load() != n-1 {
		w.Errorf("%d missions of one agent begun, %d refused", begun.Load(), located.Load())
	}

	id := session.NewID()
	var created atomic.Int64
	together(n, func(int) {
		m := w.plan("badge-2")
		m.ID = id
		switch err := w.Store.CreateMission(w.Context(), m); {
		case err == nil:
			created.Add(1)
		case !errors.Is(err, session.ErrExists):
			w.Error(err)
		}
	})
	if created.Load() != 1 {
		w.Errorf("%d missions created under one id", created.Load())
	}
}

// testTransitionHoldsAppend: while a transition runs, no ping of its mission is
// judged. Where missions are locked one by one, it stalls nobody else; where
// there is one lock, Append waits and judges by what the transition left.
func testTransitionHoldsAppend(w *world) {
	held, free := w.begun("badge-1"), w.begun("badge-2")
	w.at(time.Minute)
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var transition sync.WaitGroup
	transition.Go(func() {
		_, err := w.Store.UpdateMission(w.Context(), w.tenant, held.ID, func(m *session.Mission) error {
			once.Do(func() { close(entered) })
			<-leave
			return m.Apply(session.Command{Action: session.End, By: session.ByPlatform}, m.ReadAt)
		})
		if err != nil {
			w.Error(err)
		}
	})
	<-entered
	batch := []*session.Submission{
		submit(held, "badge-1", 0, start.Add(30*time.Second)), submit(free, "badge-2", 0, start.Add(30*time.Second)),
	}
	want := session.Locked
	if w.OneWriter {
		want = session.NotActive
		var appended sync.WaitGroup
		appended.Go(func() {
			if err := w.Store.Append(w.Context(), batch); err != nil {
				w.Error(err)
			}
		})
		close(leave)
		appended.Wait()
		transition.Wait()
	} else {
		err := w.Store.Append(w.Context(), batch) // returns while the lock is held
		close(leave)
		transition.Wait()
		w.ok(err)
	}
	if v := batch[0].Verdicts[0]; v != want {
		w.Errorf("the mission in transition: verdict %s, want %s", name(v), name(want))
	}
	if v := batch[1].Verdicts[0]; v != session.Stored {
		w.Errorf("the other mission: verdict %s, want stored", name(v))
	}
	w.judged(held, "badge-1", start.Add(30*time.Second), session.NotActive)
	w.stored(held, 0)
	w.stored(free, 1)
}

// testNoticesConcurrently: every published notice gets a version of its own.
func testNoticesConcurrently(w *world) {
	const n = 8
	var seen [n + 1]atomic.Int64
	together(n, func(int) {
		w.patiently(func() error {
			got, err := w.Store.PublishNotice(w.Context(), w.tenant, session.Notice{Text: "avis"})
			if err == nil && got.Version >= 1 && got.Version <= n {
				seen[got.Version].Add(1)
			}
			return err
		})
	})
	for version := 1; version <= n; version++ {
		if seen[version].Load() != 1 {
			w.Errorf("version %d was given %d times", version, seen[version].Load())
		}
	}
}
