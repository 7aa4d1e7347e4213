package tracker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"ronde/session"
)

// Bounds of the recorder.
const (
	maxQueued    = 20_000                // pings waiting for a verdict on a node; beyond it sockets are not read
	maxAppend    = 2_000                 // pings of one transaction
	maxWait      = 5 * time.Millisecond  // for a batch to fill
	lockedPause  = 10 * time.Millisecond // before a batch is tried again that met a locked mission
	lockedFor    = time.Second           // until a locked mission's pings go back to the phone
	appendWithin = 6 * time.Second       // for one transaction; above the database's own statement timeout
)

// appender is what the recorder needs of session.Service.
type appender interface {
	Append(ctx context.Context, batch []*session.Submission) error
}

// job is what one frame, or one upload of a phone app, brought. Its submission
// may hold no ping: then it only keeps its place in the order.
type job struct {
	session.Submission
	room *room
	// settle is called once by the recorder, when every ping has its verdict.
	// Jobs of one mission settle in the order in which they were added. It
	// must not block.
	settle   func(*job)
	received time.Time
	deadline time.Time // until when a locked mission is waited for; zero before
}

// Recorder gathers pings into natural batches: while one transaction runs, the
// next fills. Each of its shards has one goroutine; a mission belongs to one
// shard, which keeps its pings in order.
type Recorder struct {
	store   appender
	metrics *metrics
	log     *slog.Logger
	// after is called with the jobs of each batch once they are settled.
	after  func([]*job)
	queued *semaphore.Weighted
	shards []*shard
	wg     sync.WaitGroup
}

type shard struct {
	wake chan struct{} // holds one token while the queue may be non-empty

	mu    sync.Mutex
	queue []*job // guarded by mu
	pings int    // guarded by mu: pings in queue
	gap   time.Duration
	last  time.Time // guarded by mu, like gap: when the last job came, and a moving average between two

	deferred []*job // owned by the shard's goroutine: met a locked mission
}

// newRecorder returns a recorder; run works until its context is done.
func newRecorder(store appender, shards int, m *metrics, log *slog.Logger, after func([]*job)) *Recorder {
	r := &Recorder{store: store, metrics: m, log: log, after: after, queued: semaphore.NewWeighted(maxQueued)}
	for range shards {
		s := &shard{wake: make(chan struct{}, 1), gap: time.Hour}
		r.shards = append(r.shards, s)
	}
	return r
}

// run processes jobs until ctx is done, and then those that are still queued.
func (r *Recorder) run(ctx context.Context) {
	for _, s := range r.shards {
		r.wg.Go(func() { r.serve(ctx, s) })
	}
	r.wg.Wait()
}

// Add queues a job and waits while the recorder is full. It fails only when
// ctx is done.
func (r *Recorder) Add(ctx context.Context, j *job) error {
	if err := r.queued.Acquire(ctx, weight(j)); err != nil {
		return err
	}
	r.metrics.queue.Add(float64(len(j.Pings)))
	s := r.shards[int(j.ID[15])%len(r.shards)]
	s.mu.Lock()
	s.queue = append(s.queue, j)
	s.pings += len(j.Pings)
	if !s.last.IsZero() {
		s.gap += (min(j.received.Sub(s.last), time.Second) - s.gap) / 8
	}
	s.last = j.received
	s.mu.Unlock()
	s.ring()
	return nil
}

// weight is what a job counts for in the bound of the queue; one without pings
// takes memory too.
func weight(j *job) int64 { return int64(max(1, len(j.Pings))) }

func (s *shard) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (r *Recorder) serve(ctx context.Context, s *shard) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			for batch := s.take(); len(batch) > 0; batch = s.take() {
				r.process(ctx, s, batch)
			}
			return
		}
		if s.busy() {
			pause(ctx, maxWait)
		}
		if batch := s.take(); len(batch) > 0 {
			r.process(ctx, s, batch)
		}
		if len(s.deferred) > 0 {
			pause(ctx, lockedPause)
			s.ring()
		}
	}
}

// busy reports whether waiting for maxWait will probably bring more jobs: a
// lone ping is not made to wait for company that will not come.
func (s *shard) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gap < maxWait && s.pings < maxAppend
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// take returns the next batch: first the jobs that met a locked mission, so
// that nothing of their mission overtakes them.
func (s *shard) take() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch, pings := s.deferred, 0
	s.deferred = nil
	n := 0
	for ; n < len(s.queue) && pings < maxAppend; n++ {
		pings += len(s.queue[n].Pings)
	}
	batch = append(batch, s.queue[:n]...)
	rest := copy(s.queue, s.queue[n:])
	clear(s.queue[rest:])
	s.queue = s.queue[:rest]
	s.pings -= pings
	if rest > 0 {
		s.ring()
	}
	return batch
}

// process judges a batch, answers its phones and hands it on. It runs to its
// end even while the recorder stops.
func (r *Recorder) process(ctx context.Context, s *shard, batch []*job) {
	subs := make([]*session.Submission, 0, len(batch))
	pings := 0
	for _, j := range batch {
		if len(j.Pings) > 0 {
			subs = append(subs, &j.Submission)
			pings += len(j.Pings)
		}
	}
	if len(subs) > 0 {
		r.metrics.batch.Observe(float64(pings))
		r.append(context.WithoutCancel(ctx), subs)
	}
	now := time.Now()
	settled := r.part(ctx, s, batch, now)
	for _, j := range settled {
		r.count(j, now)
		j.settle(j)
	}
	r.after(settled)
}

// part parts a judged batch: the jobs of a mission that a transition holds wait
// for the next batch, and with them whatever came after for the same mission,
// even if it needs no judging: an answer must not overtake an earlier one. The
// others are returned.
func (r *Recorder) part(ctx context.Context, s *shard, batch []*job, now time.Time) []*job {
	var held map[uuid.UUID]struct{}
	settled := batch[:0]
	for _, j := range batch {
		_, behind := held[j.ID]
		if waits := r.waits(ctx, j, now); !waits && !behind {
			settled = append(settled, j)
			continue
		}
		if held == nil {
			held = map[uuid.UUID]struct{}{}
		}
		held[j.ID] = struct{}{}
		s.deferred = append(s.deferred, j)
	}
	return settled
}

// waits reports whether a job is to be tried again, because a transition holds
// its mission.
func (r *Recorder) waits(ctx context.Context, j *job, now time.Time) bool {
	if !slices.Contains(j.Verdicts, session.Locked) || ctx.Err() != nil {
		return false
	}
	if j.deadline.IsZero() {
		j.deadline = now.Add(lockedFor)
	}
	return now.Before(j.deadline)
}

func (r *Recorder) count(j *job, now time.Time) {
	r.queued.Release(weight(j))
	r.metrics.queue.Sub(float64(len(j.Pings)))
	for _, v := range j.Verdicts {
		r.metrics.pings[v].Inc()
	}
	if len(j.Pings) > 0 {
		r.metrics.durable.Observe(now.Sub(j.received).Seconds())
	}
}

// append judges submissions in one transaction. If the store refuses the batch
// for good, it is halved until the ping at fault is alone, so that one poisoned
// ping does not fail its neighbours.
func (r *Recorder) append(ctx context.Context, subs []*session.Submission) {
	bounded, cancel := context.WithTimeout(ctx, appendWithin)
	err := r.store.Append(bounded, subs)
	late := bounded.Err() != nil
	cancel()
	if err == nil {
		return
	}
	pings := 0
	for _, sub := range subs {
		pings += len(sub.Pings)
	}
	temporary := late || errors.Is(err, session.ErrUnavailable)
	if temporary || pings == 1 {
		r.log.Warn("append_failed", "pings", pings, "temporary", temporary, "error", err)
		for _, sub := range subs {
			sub.Verdicts = make([]session.Verdict, len(sub.Pings)) // Undecided: the phone keeps them
			if pings == 1 && errors.Is(err, session.ErrInvalid) {
				sub.Verdicts[0] = session.Invalid
			}
		}
		return
	}
	if len(subs) > 1 {
		r.append(ctx, subs[:len(subs)/2])
		r.append(ctx, subs[len(subs)/2:])
		return
	}
	r.halve(ctx, subs[0])
}

func (r *Recorder) halve(ctx context.Context, sub *session.Submission) {
	half := len(sub.Pings) / 2
	first, second := *sub, *sub
	first.Pings, second.Pings = sub.Pings[:half], sub.Pings[half:]
	first.Sealed, second.Sealed, first.Verdicts, second.Verdicts = nil, nil, nil, nil
	r.append(ctx, []*session.Submission{&first})
	r.append(ctx, []*session.Submission{&second})
	sub.Verdicts = append(first.Verdicts, second.Verdicts...)
	sub.Now = max(first.Now, second.Now)
}
