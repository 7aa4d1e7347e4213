package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"ronde/geo"
	"ronde/session"
)

// fakeAppender stands for the service: these tests are about when the recorder
// calls it and what it makes of the answer. Time in them is that of a bubble.
type fakeAppender struct {
	mu    sync.Mutex
	calls [][]*session.Submission // guarded by mu
	// do answers a batch; nil stores everything.
	do func(ctx context.Context, batch []*session.Submission) error
}

func (f *fakeAppender) Append(ctx context.Context, batch []*session.Submission) error {
	f.mu.Lock()
	f.calls = append(f.calls, slices.Clone(batch))
	f.mu.Unlock()
	for _, sub := range batch {
		judge(sub, session.Stored)
	}
	if f.do == nil {
		return nil
	}
	return f.do(ctx, batch)
}

func judge(sub *session.Submission, v session.Verdict) {
	sub.Verdicts = make([]session.Verdict, len(sub.Pings))
	for i := range sub.Verdicts {
		sub.Verdicts[i] = v
	}
	sub.Now = time.Now().UnixMilli()
}

// appends returns how many transactions there were so far.
func (f *fakeAppender) appends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// submitted returns how many submissions they held.
func (f *fakeAppender) submitted() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, batch := range f.calls {
		n += len(batch)
	}
	return n
}

// recording is a recorder at work and what came out of it.
type recording struct {
	*Recorder
	store *fakeAppender
	stop  func() // stops the recorder and waits for it

	mu      sync.Mutex
	settled []*job                 // guarded by mu: in the order of settling
	took    map[*job]time.Duration // guarded by mu: from adding to settling
	after   []*job                 // guarded by mu: in the order in which they were handed on
}

func record(t *testing.T, shards int, store *fakeAppender) *recording {
	t.Helper()
	rec := &recording{store: store, took: map[*job]time.Duration{}}
	rec.Recorder = newRecorder(store, shards, newMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler), func(jobs []*job) {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.after = append(rec.after, jobs...)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); rec.run(ctx) }()
	rec.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(rec.stop)
	return rec
}

var (
	missionA = uuid.MustParse("00000000-0000-7000-8000-00000000000a")
	missionB = uuid.MustParse("00000000-0000-7000-8000-00000000000b")
)

// job makes a job of n pings.
func (rec *recording) job(mission uuid.UUID, n int) *job {
	j := &job{received: time.Now()}
	j.ID, j.Tenant, j.Agent = mission, "acme", "badge-17"
	for i := range n {
		j.Pings = append(j.Pings, session.Ping{Seq: uint64(i + 1), Position: geo.NewPosition(geo.Point{Latitude: 48, Longitude: 2})})
	}
	j.settle = func(j *job) {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.settled = append(rec.settled, j)
		rec.took[j] = time.Since(j.received)
	}
	return j
}

func (rec *recording) add(t *testing.T, jobs ...*job) {
	t.Helper()
	for _, j := range jobs {
		if err := rec.Add(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
}

// verdicts waits until nothing moves any more and returns what a job got; nil
// if it is not settled.
func (rec *recording) verdicts(j *job) []session.Verdict {
	synctest.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !slices.Contains(rec.settled, j) {
		return nil
	}
	return j.Verdicts
}

func (rec *recording) order() []*job {
	synctest.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.settled)
}

// waiting returns how many pings the metrics say are waiting.
func waiting(t *testing.T, rec *recording) float64 {
	t.Helper()
	var m dto.Metric
	if err := rec.metrics.queue.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// advance lets time pass: in a bubble that takes none.
func advance(d time.Duration) { time.Sleep(d) }

func all(n int, v session.Verdict) []session.Verdict { return slices.Repeat([]session.Verdict{v}, n) }

func TestRecorderAppendsALonePingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := record(t, 1, &fakeAppender{})
		for range 300 {
			j := rec.job(missionA, 1)
			rec.add(t, j)
			if got := rec.verdicts(j); !slices.Equal(got, all(1, session.Stored)) {
				t.Fatalf("verdicts %v", got)
			}
			if rec.took[j] != 0 {
				t.Fatalf("a lone ping waited %v", rec.took[j])
			}
			advance(200 * time.Millisecond)
		}
	})
}

// Under load a batch gets at most maxWait to fill; when the load is gone, nobody
// waits.
func TestRecorderFillsBatchesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := record(t, 1, &fakeAppender{})
		const every, warm, n = 500 * time.Microsecond, 400, 1000
		var jobs []*job
		before := 0
		for i := range warm + n {
			if i == warm {
				before = rec.store.appends()
			}
			j := rec.job(missionA, 1)
			jobs = append(jobs, j)
			rec.add(t, j)
			advance(every)
		}
		advance(maxWait)
		for _, j := range jobs {
			if rec.verdicts(j) == nil || rec.took[j] > maxWait {
				t.Fatalf("a ping waited %v", rec.took[j])
			}
		}
		if got := rec.store.appends() - before; got > n/int(maxWait/every)+2 {
			t.Errorf("%d transactions for %d pings", got, n)
		}
		advance(10 * time.Second)
		lone := rec.job(missionA, 1)
		rec.add(t, lone)
		if rec.verdicts(lone); rec.took[lone] != 0 {
			t.Errorf("after the load, a lone ping waited %v", rec.took[lone])
		}
	})
}

// Jobs of one mission settle in the order in which they came, and are handed on
// in that order, whatever the load and the number of shards.
func TestRecorderKeepsTheOrder(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := record(t, shards, &fakeAppender{do: func(context.Context, []*session.Submission) error {
					advance(3 * time.Millisecond)
					return nil
				}})
				var added []*job
				for i := range 2000 {
					j := rec.job(uuid.UUID{15: byte(rand.IntN(7))}, i%3) // some without any ping
					added = append(added, j)
					rec.add(t, j)
					advance(time.Duration(rand.IntN(1000)) * time.Microsecond)
				}
				rec.stop()
				settled, after := byMission(rec.settled), byMission(rec.after)
				for id, want := range byMission(added) {
					if !slices.Equal(settled[id], want) || !slices.Equal(after[id], want) {
						t.Errorf("mission %s: jobs were settled or handed on out of order", id)
					}
				}
			})
		})
	}
}

func byMission(jobs []*job) map[uuid.UUID][]*job {
	missions := map[uuid.UUID][]*job{}
	for _, j := range jobs {
		missions[j.ID] = append(missions[j.ID], j)
	}
	return missions
}

// While the recorder is full, Add waits: then sockets are not read.
func TestRecorderPushesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		rec := record(t, 1, &fakeAppender{do: func(context.Context, []*session.Submission) error {
			<-open
			return nil
		}})
		for range maxQueued / maxBatch {
			rec.add(t, rec.job(missionA, maxBatch))
		}
		added := make(chan error, 1)
		one := rec.job(missionB, 1)
		go func() { added <- rec.Add(t.Context(), one) }()
		synctest.Wait()
		select {
		case err := <-added:
			t.Fatalf("one ping more was taken: %v", err)
		default:
		}
		if got := waiting(t, rec); got != maxQueued {
			t.Errorf("%v pings wait", got)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := rec.Add(gone, rec.job(missionB, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("adding with a context that is done: %v", err)
		}
		close(open)
		synctest.Wait()
		if err := <-added; err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		if got := len(rec.order()); got != maxQueued/maxBatch+1 {
			t.Errorf("%d jobs settled", got)
		}
		if got := waiting(t, rec); got != 0 {
			t.Errorf("%v pings wait in an empty queue", got)
		}
	})
}

// What stops with pings in hand settles them all: those that are queued, those
// that are being judged, and those that wait for a lock.
func TestRecorderFlushesWhenItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := record(t, 2, &fakeAppender{do: func(_ context.Context, batch []*session.Submission) error {
			advance(100 * time.Millisecond)
			for _, sub := range batch {
				if sub.ID == missionB {
					judge(sub, session.Locked)
				}
			}
			return nil
		}})
		var jobs []*job
		for i := range 500 {
			jobs = append(jobs, rec.job([]uuid.UUID{missionA, missionB}[i%2], 10))
		}
		rec.add(t, jobs[:100]...)
		advance(250 * time.Millisecond) // the first batches are judged, B is deferred
		rec.add(t, jobs[100:]...)
		rec.stop()
		if got := len(rec.order()); got != len(jobs) {
			t.Fatalf("%d of %d jobs settled", got, len(jobs))
		}
		for _, j := range jobs {
			want := session.Stored
			if j.ID == missionB {
				want = session.Locked
			}
			if !slices.Equal(j.Verdicts, all(10, want)) {
				t.Fatalf("verdicts %v", j.Verdicts)
			}
		}
		if got := waiting(t, rec); got != 0 {
			t.Errorf("%v pings wait", got)
		}
	})
}
