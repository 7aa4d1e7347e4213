package bustest

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ronde/session"
	"ronde/tracker"
)

func arrivesAsPublished(t *testing.T, bus tracker.Bus) {
	m := mission()
	e, _ := listen(t, bus, m)
	want := []*tracker.Message{
		moves(m),
		changed(m, 1<<62),
		{Mission: m.ID, Kind: tracker.Connected, Agent: "badge-17", Conn: 1<<62 + 1},
	}
	before := texts(want...)
	publish(t, bus, want...)
	same(t, e.until(t, want[2]), before)
	same(t, texts(want...), before) // and nobody altered them
}

func reachesItsMissions(t *testing.T, bus tracker.Bus) {
	a, b, c := mission(), mission(), mission()
	earA, _ := listen(t, bus, a)
	earB, _ := listen(t, bus, b)
	earC, _ := listen(t, bus, c)
	publish(t, bus, changed(a, 1), changed(b, 1), changed(a, 2))
	publish(t, bus, changed(c, 1))
	same(t, earA.until(t, changed(a, 2)), texts(changed(a, 1), changed(a, 2)))
	same(t, earB.until(t, changed(b, 1)), texts(changed(b, 1)))
	same(t, earC.until(t, changed(c, 1)), texts(changed(c, 1)))
	same(t, earA.all(), texts(changed(a, 1), changed(a, 2)))
	same(t, earB.all(), texts(changed(b, 1)))
}

func everySubscriberHears(t *testing.T, bus tracker.Bus) {
	m := mission()
	var ears []*ear
	for range 5 {
		e, _ := listen(t, bus, m)
		ears = append(ears, e)
	}
	publish(t, bus, changed(m, 1), changed(m, 2))
	for _, e := range ears {
		same(t, e.until(t, changed(m, 2)), texts(changed(m, 1), changed(m, 2)))
	}
}

func inOrder(t *testing.T, bus tracker.Bus) {
	const publishers, n = 4, 300
	m, end := mission(), int64(publishers*n)
	e, _ := listen(t, bus, m)
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range n {
				// The revision says who published it, and as which one.
				if err := bus.Publish(t.Context(), []*tracker.Message{changed(m, int64(i*publishers+p))}); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	publish(t, bus, changed(m, end))
	want := map[string]int64{}
	for i := range end {
		want[text(changed(m, i))] = i
	}
	var next [publishers]int64
	heard := e.until(t, changed(m, end))
	for _, s := range heard[:len(heard)-1] {
		p := want[s] % publishers
		if i := want[s] / publishers; i != next[p] {
			t.Fatalf("publisher %d: message %d came where %d was due", p, i, next[p])
		}
		next[p]++
	}
	if len(heard) != publishers*n+1 {
		t.Errorf("%d messages of %d", len(heard), publishers*n+1)
	}
}

func notBefore(t *testing.T, bus tracker.Bus) {
	m := mission()
	witness, _ := listen(t, bus, m)
	publish(t, bus, changed(m, 1))
	witness.until(t, changed(m, 1))
	late, _ := listen(t, bus, m)
	publish(t, bus, changed(m, 2))
	same(t, late.until(t, changed(m, 2)), texts(changed(m, 2)))
}

func cancelEnds(t *testing.T, bus tracker.Bus) {
	m := mission()
	e, cancel := listen(t, bus, m)
	witness, _ := listen(t, bus, m)
	publish(t, bus, changed(m, 1))
	e.until(t, changed(m, 1))
	witness.until(t, changed(m, 1))
	cancel()
	publish(t, bus, changed(m, 2), changed(m, 3))
	same(t, witness.until(t, changed(m, 3)), texts(changed(m, 1), changed(m, 2), changed(m, 3)))
	same(t, e.all(), texts(changed(m, 1)))
}

func cancelTwice(t *testing.T, bus tracker.Bus) {
	m := mission()
	_, cancel := listen(t, bus, m)
	other, after := listen(t, bus, m)
	cancel()
	cancel()
	publish(t, bus, changed(m, 1))
	other.until(t, changed(m, 1)) // the second cancel was not for somebody else
	if err := bus.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	after()
}

func again(t *testing.T, bus tracker.Bus) {
	m := mission()
	for i := range int64(20) {
		e, cancel := listen(t, bus, m)
		publish(t, bus, changed(m, i))
		same(t, e.until(t, changed(m, i)), texts(changed(m, i)))
		cancel()
	}
}

func nobody(t *testing.T, bus tracker.Bus) {
	m := mission()
	publish(t, bus)
	publish(t, bus, changed(m, 1), moves(m))
	e, cancel := listen(t, bus, m)
	publish(t, bus, changed(m, 2))
	e.until(t, changed(m, 2))
	cancel()
	publish(t, bus, changed(m, 3))
}

// races lets subscriptions come and go while messages are published. Each hears
// all that was published between its Subscribe and its cancel, and nothing that
// was published after it.
func races(t *testing.T, bus tracker.Bus) {
	const missions, rounds = 3, 50
	list := make([]session.Ref, missions)
	published := make([]atomic.Int64, missions) // how many Publish has returned for
	for i := range list {
		list[i] = mission()
	}
	stop := make(chan struct{})
	var publishers, subscribers sync.WaitGroup
	for i, m := range list {
		publishers.Go(func() {
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := bus.Publish(t.Context(), []*tracker.Message{changed(m, n)}); err != nil {
					t.Errorf("publish: %v", err)
					return
				}
				published[i].Store(n)
				runtime.Gosched()
			}
		})
		for range 2 {
			subscribers.Go(func() {
				for range rounds {
					comeAndGo(t, bus, m, &published[i])
				}
			})
		}
	}
	subscribers.Wait()
	close(stop)
	publishers.Wait()
}

// comeAndGo subscribes, waits for some messages and cancels. Messages that were on
// their way when it subscribed may come first; from then on none is left out.
func comeAndGo(t *testing.T, bus tracker.Bus, m session.Ref, published *atomic.Int64) {
	revisions := make(chan int64, 100)
	cancel, err := bus.Subscribe(t.Context(), m.ID, func(m *tracker.Message) {
		select {
		case revisions <- m.Revision:
		default: // enough was heard
		}
	})
	if err != nil {
		t.Errorf("subscribe: %v", err)
		return
	}
	defer cancel()
	// One more may have been handed to Publish before Subscribe returned.
	before := published.Load() + 1
	limit := time.After(patience)
	for last, heard := before, 0; heard < 5; heard++ {
		select {
		case got := <-revisions:
			if heard == 0 && got > before+1 || heard > 0 && got != last+1 {
				t.Errorf("message %d came when the last one was %d", got, last)
			}
			last = got
		case <-limit:
			t.Errorf("%d messages, and no more", heard)
			return
		}
	}
}

func closed(t *testing.T, bus tracker.Bus) {
	m := mission()
	e, _ := listen(t, bus, m)
	if err := bus.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	unavailable(t, "publish", bus.Publish(t.Context(), []*tracker.Message{changed(m, 1)}))
	_, err := bus.Subscribe(t.Context(), m.ID, func(*tracker.Message) { t.Error("heard something on a closed bus") })
	unavailable(t, "subscribe", err)
	same(t, e.all(), nil)
}

func closeRaces(t *testing.T, bus tracker.Bus) {
	m := mission()
	e, _ := listen(t, bus, m)
	var wg sync.WaitGroup
	start := time.Now()
	for range 4 {
		wg.Go(func() {
			for n := int64(1); bus.Publish(t.Context(), []*tracker.Message{changed(m, n)}) == nil; n++ {
				if time.Since(start) > patience {
					t.Error("the closed bus goes on publishing")
					return
				}
				runtime.Gosched()
			}
		})
	}
	e.until(t, changed(m, 10))
	if err := bus.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
}
