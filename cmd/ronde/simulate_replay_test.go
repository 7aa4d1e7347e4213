package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ronde/geo"
)

// recording makes points at the given seconds of a recording; a negative one has no time.
func recording(seconds ...float64) []point {
	var points []point
	for i, s := range seconds {
		p := point{Position: geo.NewPosition(geo.Point{Latitude: 48.84, Longitude: 2.41 + float64(i)*1e-4})}
		if s >= 0 {
			p.Time = time.Date(2021, 7, 16, 9, 0, 0, int(s*1e9), time.UTC)
		}
		points = append(points, p)
	}
	return points
}

func still(points []point) func(serverFrame) (track, error) {
	return func(serverFrame) (track, error) { return func(int) []point { return points }, nil }
}

// withReplay runs a test in a bubble with one simulated agent and an obliging server.
func withReplay(t *testing.T, state string, points []point, options replayOptions, test func(t *testing.T, o *obliging, r *replay)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := newObliging(t, state)
		p := newPhone(phoneConfig{URL: "http://ronde.test", Token: "secret", Client: o.peer.client})
		test(t, o, newReplay(p, still(points), options))
	})
}

// A recording at ten times its speed: gaps, order and repetitions are kept, a tenth as long, both on the wire and in
// the device times, which are the server's.
func TestReplayKeepsTime(t *testing.T) {
	points := recording(0, 10, 20, -1, 19, 80, 80, 1000)
	withReplay(t, "active", points, replayOptions{Speed: 10}, func(t *testing.T, o *obliging, r *replay) {
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, _ := o.got()
		var offsets, delays []int64
		var order []float64
		for _, p := range got {
			offsets = append(offsets, p.Timestamp-got[0].Timestamp)
			delays = append(delays, p.arrived-p.Timestamp)
			order = append(order, p.Longitude)
		}
		if want := []int64{0, 1000, 2000, 1900, 8000, 8000, 100_000}; !slices.Equal(offsets, want) {
			t.Errorf("device times are %v, want %v", offsets, want)
		}
		// The point that goes back in time is 100 ms old when it is sent; the rest is fresh by the server's clock.
		if want := []int64{0, 0, 0, 100, 0, 0, 0}; !slices.Equal(delays, want) {
			t.Errorf("pings came %v after their device times, want %v", delays, want)
		}
		if !slices.IsSorted(order) {
			t.Errorf("the order is %v", order)
		}
		if s := r.phone.Stats(); s.Sent != 7 || s.Acked != 7 || r.Skipped()[skippedNoTime] != 1 {
			t.Errorf("%+v, skipped %v", s, r.Skipped())
		}
	})
}

// What goes back to before the first point is not sent with a time from before the mission began.
func TestReplayBeginsAtTheEarliest(t *testing.T) {
	withReplay(t, "active", recording(5, 3, 6), replayOptions{}, func(t *testing.T, o *obliging, r *replay) {
		began := serverNow().UnixMilli()
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, _ := o.got()
		for _, p := range got {
			if p.Timestamp < began {
				t.Errorf("%+v is from before %d", p, began)
			}
		}
	})
}

func TestReplayBeginsAndEnds(t *testing.T) {
	options := replayOptions{Begin: true, End: true, Acknowledge: true}
	withReplay(t, "scheduled", recording(0, 1, 2), options, func(t *testing.T, o *obliging, r *replay) {
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, controls := o.got()
		if len(got) != 3 || !slices.Equal(controls, []string{"notice", "begin", "end"}) {
			t.Errorf("%d pings, %v", len(got), controls)
		}
	})
}

func TestReplayOffline(t *testing.T) {
	var seconds []float64
	for s := range 60 {
		seconds = append(seconds, float64(s))
	}
	options := replayOptions{Offline: []span{{40500 * time.Millisecond, 45 * time.Second}, {10500 * time.Millisecond, 20500 * time.Millisecond}}}
	withReplay(t, "active", recording(seconds...), options, func(t *testing.T, o *obliging, r *replay) {
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, _ := o.got()
		late := 0
		for i, p := range got {
			if want := got[0].Timestamp + int64(i)*1000; p.Timestamp != want {
				t.Fatalf("ping %d is of %d, want %d", i, p.Timestamp, want)
			}
			late += count(p.arrived > p.Timestamp)
		}
		if len(got) != 60 || late < 13 || late > 14 { // the one due at the very moment of the return may be in time
			t.Errorf("%d pings, %d of them late", len(got), late)
		}
		if s := r.phone.Stats(); s.Reconnects != 2 || s.Acked != 60 {
			t.Errorf("%+v", s)
		}
	})
}

func TestReplayLoops(t *testing.T) {
	options := replayOptions{Loop: true, Duration: 30 * time.Second, Speed: 2}
	withReplay(t, "active", recording(0, 5, 9), options, func(t *testing.T, o *obliging, r *replay) {
		began := time.Now()
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("it took %v", took)
		}
		got, _ := o.got()
		var offsets []int64
		for _, p := range got[:7] {
			offsets = append(offsets, p.Timestamp-got[0].Timestamp)
		}
		if want := []int64{0, 2500, 4500, 5000, 7500, 9500, 10_000}; !slices.Equal(offsets, want) || len(got) < 17 || len(got) > 18 {
			t.Errorf("%d pings, %v", len(got), offsets)
		}
	})
}

// A recording without any time cannot be replayed, and not for ever either.
func TestReplayWithoutTimes(t *testing.T) {
	withReplay(t, "active", recording(-1, -1), replayOptions{Loop: true}, func(t *testing.T, _ *obliging, r *replay) {
		if err := r.Run(t.Context()); err != nil || r.Skipped()[skippedNoTime] != 2 {
			t.Errorf("%v, %v", err, r.Skipped())
		}
	})
}

// An interrupt ends the walk; what was taken is still settled, and the mission ended if that was asked for.
func TestReplayInterrupted(t *testing.T) {
	options := replayOptions{Loop: true, End: true, Offline: []span{{5 * time.Second, time.Hour}}}
	withReplay(t, "active", recording(0, 1), options, func(t *testing.T, o *obliging, r *replay) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		s := r.phone.Stats()
		if _, controls := o.got(); s.Acked < 18 || s.Acked != s.Sent || s.Unsent != 0 || !slices.Equal(controls, []string{"end"}) {
			t.Errorf("%+v, %v", s, controls)
		}
	})
}

func TestReplayOffDuty(t *testing.T) {
	withReplay(t, "active", recording(0, 1, 2, 3, 4, 5), replayOptions{}, func(t *testing.T, _ *obliging, r *replay) {
		go func() {
			pass(firstFix + 1500*time.Millisecond)
			r.phone.Pause(time.Time{}) // which this server does not answer
			pass(2 * time.Second)
			r.phone.Resume()
		}()
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := r.phone.Stats(); s.Acked != 4 || r.Skipped()[skippedOffDuty] != 2 {
			t.Errorf("%+v, skipped %v", s, r.Skipped())
		}
	})
}

// A mission that ends under way ends the replay; that is no error.
func TestReplayMissionOver(t *testing.T) {
	withReplay(t, "active", recording(0, 1, 10_000), replayOptions{}, func(t *testing.T, _ *obliging, r *replay) {
		go func() {
			pass(5 * time.Second)
			r.phone.End(time.Time{})
		}()
		if err := r.Run(t.Context()); err != nil || r.phone.Stats().Acked != 2 {
			t.Errorf("%v, %+v", err, r.phone.Stats())
		}
	})
}

// A server that never answers leaves the count of what it was sent.
func TestReplayUnanswered(t *testing.T) {
	withReplay(t, "active", recording(0, 1, 2), replayOptions{End: true}, func(t *testing.T, o *obliging, r *replay) {
		o.deaf = true
		if err := r.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if s := r.phone.Stats(); s.Unanswered != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestReplayFails(t *testing.T) {
	withReplay(t, "active", recording(0), replayOptions{}, func(t *testing.T, o *obliging, r *replay) {
		o.peer.refuse = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }
		if err := r.Run(t.Context()); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a server that never says hello gives %v", err)
		}
	})
	withReplay(t, "active", recording(0), replayOptions{}, func(t *testing.T, o *obliging, r *replay) {
		o.peer.refuse = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }
		if err := r.Run(t.Context()); !errors.As(err, new(*stopError)) {
			t.Errorf("a server that forbids gives %v", err)
		}
	})
	withReplay(t, "over", recording(0), replayOptions{}, func(t *testing.T, _ *obliging, r *replay) {
		var stop *stopError
		if err := r.Run(t.Context()); !errors.As(err, &stop) || stop.Code != overCode {
			t.Errorf("a mission that is over gives %v", err)
		}
	})
	withReplay(t, "active", nil, replayOptions{}, func(t *testing.T, _ *obliging, r *replay) {
		no := errors.New("no way")
		r.track = func(serverFrame) (track, error) { return nil, no }
		if err := r.Run(t.Context()); !errors.Is(err, no) {
			t.Errorf("no track gives %v", err)
		}
	})
}
