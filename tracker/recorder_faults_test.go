package tracker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ronde/session"
)

// A store that refuses a batch for good because of one ping is asked again
// with ever smaller parts of it. The ping at fault suffers alone.
func TestRecorderBisects(t *testing.T) {
	poison := session.ErrInvalid.Because("the ping at fault")
	for _, c := range []struct {
		name string
		err  error
		want session.Verdict
	}{
		{"the store names the value", poison, session.Invalid},
		{"the store does not say why", errors.New("constraint failed"), session.Undecided},
	} {
		t.Run(c.name, func(t *testing.T) {
			for at := range 40 {
				synctest.Test(t, func(t *testing.T) { bisect(t, at, c.err, c.want) })
			}
		})
	}
}

// bisect has a recorder judge ten jobs of four pings of which one is bad.
func bisect(t *testing.T, bad int, failure error, want session.Verdict) {
	const latitude = 66.6
	rec := record(t, 1, &fakeAppender{do: func(_ context.Context, batch []*session.Submission) error {
		for _, sub := range batch {
			for i := range sub.Pings {
				if sub.Pings[i].Latitude == latitude {
					return fmt.Errorf("append: %w", failure)
				}
			}
		}
		return nil
	}})
	blocked := rec.job(missionB, 1) // while it is judged, the others gather in one batch
	release := make(chan struct{})
	inner := rec.store.do
	rec.store.do = func(ctx context.Context, batch []*session.Submission) error {
		if batch[0].ID == missionB {
			<-release
		}
		return inner(ctx, batch)
	}
	rec.add(t, blocked)
	synctest.Wait()
	var jobs []*job
	for range 10 {
		jobs = append(jobs, rec.job(missionA, 4))
	}
	jobs[bad/4].Pings[bad%4].Latitude = latitude
	rec.add(t, jobs...)
	close(release)
	synctest.Wait()
	for i, j := range jobs {
		verdicts := all(4, session.Stored)
		if i == bad/4 {
			verdicts[bad%4] = want
		}
		if got := rec.verdicts(j); !slices.Equal(got, verdicts) {
			t.Fatalf("ping %d is bad: job %d got %v, want %v", bad, i, got, verdicts)
		}
	}
	// Forty pings halve six times over; each failure is followed by two tries.
	if got := rec.store.appends(); got > 1+1+2*6+2 {
		t.Errorf("%d transactions to find one ping of forty", got)
	}
	if !slices.Equal(rec.order()[1:], jobs) {
		t.Error("jobs settled out of order")
	}
}

// A store that is down keeps nothing and loses nothing: every ping goes back to
// its phone, with one try a batch.
func TestRecorderGivesBackWhatTheStoreCannotTake(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(ctx context.Context) error
		took time.Duration
	}{
		{"unavailable", func(context.Context) error { return fmt.Errorf("append: %w", session.ErrUnavailable) }, 0},
		{"hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, appendWithin},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				down.Store(true)
				rec := record(t, 1, &fakeAppender{do: func(ctx context.Context, _ []*session.Submission) error {
					if down.Load() {
						return c.do(ctx)
					}
					return nil
				}})
				var jobs []*job
				for range 7 {
					jobs = append(jobs, rec.job(missionA, 3))
				}
				rec.add(t, jobs...)
				advance(2*c.took + time.Second)
				for _, j := range jobs {
					if got := rec.verdicts(j); !slices.Equal(got, all(3, session.Undecided)) {
						t.Fatalf("verdicts %v", got)
					}
				}
				if got := rec.store.submitted(); got != len(jobs) {
					t.Errorf("%d submissions for %d jobs: a batch was tried twice", got, len(jobs))
				}
				down.Store(false)
				again := rec.job(missionA, 3)
				rec.add(t, again)
				if got := rec.verdicts(again); !slices.Equal(got, all(3, session.Stored)) {
					t.Errorf("once the store is back: %v", got)
				}
			})
		})
	}
}

// lockA lets a fake store find mission A locked as long as held says.
func lockA(held func() bool) func(context.Context, []*session.Submission) error {
	return func(_ context.Context, batch []*session.Submission) error {
		for _, sub := range batch {
			if sub.ID == missionA && held() {
				judge(sub, session.Locked)
			}
		}
		return nil
	}
}

// The pings of a mission that a transition holds wait for it. Nothing of their
// mission overtakes them, and no other mission waits.
func TestRecorderWaitsForALockedMission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var locked atomic.Bool
		locked.Store(true)
		rec := record(t, 1, &fakeAppender{do: lockA(locked.Load)})
		first, same, beside := rec.job(missionA, 2), rec.job(missionA, 1), rec.job(missionB, 2)
		rec.add(t, first, beside)
		if got := rec.verdicts(beside); !slices.Equal(got, all(2, session.Stored)) {
			t.Fatalf("the neighbour of a locked mission got %v", got)
		}
		// Refused by the gate, so there is nothing to judge: its answer would
		// acknowledge what came before it.
		empty := rec.job(missionA, 0)
		rec.add(t, same, empty)
		advance(300 * time.Millisecond)
		later := rec.job(missionB, 1)
		rec.add(t, later)
		advance(lockedPause)
		if got := rec.verdicts(later); !slices.Equal(got, all(1, session.Stored)) {
			t.Fatalf("later, a neighbour got %v", got)
		}
		if got := rec.order(); !slices.Equal(got, []*job{beside, later}) {
			t.Fatalf("%d jobs settled while mission A is locked, want the two of B", len(got))
		}
		locked.Store(false)
		advance(2 * lockedPause)
		if got := rec.order(); !slices.Equal(got, []*job{beside, later, first, same, empty}) {
			t.Fatalf("out of order: %v", got)
		}
		if !slices.Equal(first.Verdicts, all(2, session.Stored)) {
			t.Errorf("verdicts %v", first.Verdicts)
		}
	})
}

// A lock that does not go away gives the pings back to the phone after a
// second, all of the same mission at once.
func TestRecorderGivesUpOnALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := record(t, 1, &fakeAppender{do: lockA(func() bool { return true })})
		var jobs []*job
		for range 5 {
			jobs = append(jobs, rec.job(missionA, 2))
		}
		rec.add(t, jobs...)
		advance(lockedFor - lockedPause)
		if got := rec.order(); len(got) != 0 {
			t.Fatalf("%d jobs were given back early", len(got))
		}
		advance(3 * lockedPause)
		if got := rec.order(); !slices.Equal(got, jobs) {
			t.Fatalf("%d of %d jobs were given back", len(got), len(jobs))
		}
		for _, j := range jobs {
			if !slices.Equal(j.Verdicts, all(2, session.Locked)) {
				t.Errorf("verdicts %v", j.Verdicts)
			}
		}
	})
}

// Not even a batch that is taken apart lets a job overtake one of its mission:
// the parts are judged one after the other, and the lock may go in between.
func TestRecorderKeepsTheOrderOfPartsBehindALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		release := make(chan struct{})
		rec := record(t, 1, nil)
		rec.Recorder.store = &fakeAppender{do: func(_ context.Context, batch []*session.Submission) error {
			switch {
			case batch[0].ID == missionB:
				<-release
			case len(batch) > 1:
				return errors.New("not as a whole")
			case first:
				first = false
				judge(batch[0], session.Locked)
			}
			return nil
		}}
		blocked := rec.job(missionB, 1)
		rec.add(t, blocked)
		synctest.Wait()
		one, two := rec.job(missionA, 1), rec.job(missionA, 1)
		rec.add(t, one, two)
		close(release)
		if got := rec.order(); !slices.Equal(got, []*job{blocked}) {
			t.Fatalf("%d jobs settled", len(got))
		}
		advance(2 * lockedPause)
		if got := rec.order(); !slices.Equal(got, []*job{blocked, one, two}) {
			t.Fatalf("out of order: %d jobs settled", len(got))
		}
	})
}
