package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// helloPatience is how long a server may take to say hello for the first time, reconnects included.
	helloPatience = 10 * time.Second
	// settlePatience is how long the server may take to answer the rest at the end; impatience is the same after an
	// interrupt.
	settlePatience = 30 * time.Second
	impatience     = 5 * time.Second
	// firstFix is what the receiver takes to its first fix. The phone knows the server's clock less the time a hello
	// takes to arrive; a fix at the very moment of begin could seem to be from before it.
	firstFix = 200 * time.Millisecond
	// lapBreak is the time in the recording between the end of one lap and the begin of the next.
	lapBreak = time.Second

	overCode = websocket.StatusCode(4004)
)

// Why a point of a recording never came to be taken.
const (
	skippedNoTime  = "no_time"  // the recording does not say when it was
	skippedOffDuty = "off_duty" // the agent was not on duty: the receiver is off
)

// track returns the points of one lap of a recording, counted from 0. Its times are the recording's own.
type track func(lap int) []point

// replayOptions say how to go through a track. The zero value goes through it once, in real time.
type replayOptions struct {
	Speed    float64       // how many times faster than real time; 0 is 1
	Loop     bool          // lap after lap
	Duration time.Duration // stop after that long; 0 is never
	Offline  []span        // when the phone is offline, counted from its first fix

	Begin       bool // begin the mission first
	End         bool // end it when everything is settled
	Acknowledge bool // acknowledge the privacy notice first
}

// replay is one simulated agent: a phone that is carried along a track.
type replay struct {
	phone   *phone
	track   func(hello serverFrame) (track, error) // asked once the mission is known
	options replayOptions

	mu      sync.Mutex
	skipped map[string]uint64 // guarded by mu
}

func newReplay(p *phone, t func(serverFrame) (track, error), o replayOptions) *replay {
	if o.Speed == 0 {
		o.Speed = 1
	}
	return &replay{phone: p, track: t, options: o, skipped: map[string]uint64{}}
}

// Skipped returns how many points of the track the phone never took, by reason.
func (r *replay) Skipped() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.skipped)
}

func (r *replay) skip(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skipped[reason]++
}

// Run carries the phone along the track until its end, until ctx ends or until the mission is over, and then gives the
// server time to answer what it was sent. None of these is an error; what is left unanswered, the phone's Stats tell.
func (r *replay) Run(ctx context.Context) error {
	// The phone outlives ctx, so that an interrupt loses nothing.
	life, switchOff := context.WithCancel(context.WithoutCancel(ctx))
	defer switchOff()
	playing, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() {
		err := r.phone.Run(life)
		stop()
		ran <- err
	}()

	err := r.play(playing)
	if err == nil {
		err = r.conclude(ctx)
	}
	switchOff()
	stopped := <-ran
	var s *stopError
	if errors.As(stopped, &s) && s.Code == overCode && r.phone.Mission() != "" {
		return nil // it ended under way; one that was over before is no mission to simulate
	}
	if stopped != nil {
		return stopped
	}
	return err
}

// play waits for duty and goes through the track. That ctx ends is no error.
func (r *replay) play(ctx context.Context) error {
	hello, err := r.greet(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	track, err := r.track(hello)
	if err != nil {
		return err
	}
	if n := hello.Notice; r.options.Acknowledge && n != nil && !n.Acknowledged {
		r.phone.Acknowledge(n.Version)
	}
	if r.options.Begin && hello.Mission.State == "scheduled" {
		r.phone.Begin()
	}
	if err := r.phone.OnDuty(ctx); err != nil {
		return ended(ctx, err)
	}
	if r.options.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.options.Duration)
		defer cancel()
	}
	if !sleep(ctx, firstFix) {
		return nil
	}
	tunnels, out := context.WithCancel(ctx)
	var drives sync.WaitGroup
	drives.Go(func() { r.tunnels(tunnels) })
	defer drives.Wait()
	defer out()
	r.carry(ctx, track)
	return nil
}

// greet waits for the first hello. A server that cannot be reached is found out here, not after hours of patience.
func (r *replay) greet(ctx context.Context) (serverFrame, error) {
	waiting, cancel := context.WithTimeout(ctx, helloPatience)
	defer cancel()
	hello, err := r.phone.Hello(waiting)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no hello from the server")
		if trouble := r.phone.Trouble(); trouble != nil {
			err = fmt.Errorf("%w: %w", err, trouble)
		}
	}
	return hello, err
}

// carry takes the phone along the track.
func (r *replay) carry(ctx context.Context, t track) {
	start, clock := time.Now(), r.phone.ServerNow()
	var gone time.Duration // since start, at the begin of the lap
	for lap := 0; ; lap++ {
		points := t(lap)
		first, last, timed := extent(points)
		for i := range points {
			p := &points[i]
			if p.Time.IsZero() {
				r.skip(skippedNoTime)
				continue
			}
			// A point behind its predecessor in time is due at once: the order stays the recording's.
			in := gone + r.scaled(p.Time.Sub(first))
			if !sleep(ctx, time.Until(start.Add(in))) {
				return
			}
			if !r.phone.Take(clock.Add(in).UnixMilli(), p.Position) {
				r.skip(skippedOffDuty)
			}
		}
		gone += r.scaled(last.Sub(first) + lapBreak)
		if !r.options.Loop || !timed {
			return
		}
	}
}

// scaled turns a time of the recording into one of the simulation.
func (r *replay) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / r.options.Speed)
}

// extent returns the earliest and the latest time of a recording, which need not be those of its ends.
func extent(points []point) (first, last time.Time, timed bool) {
	for i := range points {
		t := points[i].Time
		if t.IsZero() {
			continue
		}
		if !timed || t.Before(first) {
			first = t
		}
		if !timed || t.After(last) {
			last = t
		}
		timed = true
	}
	return first, last, timed
}

// tunnels takes the phone offline and back, until ctx ends; then it is online.
func (r *replay) tunnels(ctx context.Context) {
	defer r.phone.Offline(false)
	start := time.Now()
	for _, s := range merged(r.options.Offline) {
		if !sleep(ctx, time.Until(start.Add(s.From))) {
			return
		}
		r.phone.Offline(true)
		if !sleep(ctx, time.Until(start.Add(s.To))) {
			return
		}
		r.phone.Offline(false)
	}
}

// conclude waits until everything is settled, and ends the mission if that is asked for, interrupted or not.
func (r *replay) conclude(ctx context.Context) error {
	patience := settlePatience
	if ctx.Err() != nil {
		patience = impatience
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if r.phone.Settled(ctx) != nil || !r.options.End {
		return nil // what is not settled, the counts tell
	}
	r.phone.End(time.Time{})
	return r.phone.MissionOver(ctx)
}

// ended returns err, or nil if it only says that ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // to be told to stop is no failure
	}
	return err
}
