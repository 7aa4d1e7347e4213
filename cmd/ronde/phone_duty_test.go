package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

func TestPhoneTakesOnDutyOnly(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		c.hello("scheduled", "off")
		for _, step := range []struct {
			state, duty string
			takes       bool
		}{
			{"active", "on", true}, {"active", "paused", false}, {"active", "on", true}, {"paused", "paused", false},
			{"active", "off", false}, {"active", "on", true}, {"ended", "off", false},
		} {
			synctest.Wait()
			c.state(step.state, step.duty)
			synctest.Wait()
			if took := r.Take(serverNow().UnixMilli(), somewhere); took != step.takes {
				t.Errorf("%s, %s: took %v", step.state, step.duty, took)
			} else if took {
				c.pings()
			}
		}
	})
}

// What was taken before the mission was paused waits for it to go on. Control frames do not.
func TestPhoneWaitsOutAPausedMission(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		r.take(2)
		r.wantPings(c, upTo(1, 2))
		c.say(`{"type":"retry","code":"paused","after_ms":500}`)
		c.state("paused", "paused")
		c.silent(10 * time.Minute)
		r.SOS(true)
		if f := c.control("sos"); !f.Active {
			t.Errorf("%+v", f)
		}
		c.state("active", "on")
		r.wantPings(c, upTo(1, 2))
	})
}

// A retry holds back what was asked for later, too.
func TestPhoneKeepsTheOrderOverARetry(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		r.take(1)
		c.pings()
		c.say(`{"type":"retry","code":"overloaded","after_ms":3000}`)
		synctest.Wait()
		r.End(time.Time{})
		c.silent(2900 * time.Millisecond)
		r.wantPings(c, upTo(1, 1))
		c.control("end")
	})
}

// Control frames keep their place among the positions, and go out again if nothing shows that they arrived.
func TestPhoneControlFrames(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		c.hello("scheduled", "off")
		r.Acknowledge(3)
		r.Begin()
		if f := c.control("notice"); f.Version != 3 {
			t.Errorf("%+v", f)
		}
		c.control("begin")
		c.state("active", "on")
		if err := r.OnDuty(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.take(2)
		paused := serverNow()
		r.Pause(paused)
		if r.Take(1, somewhere) {
			t.Error("an agent on pause was located")
		}
		r.Status(0.25, "off")
		r.wantPings(c, upTo(1, 2))
		if f := c.control("pause"); f.Timestamp != paused.UnixMilli() {
			t.Errorf("%+v", f)
		}
		if f := c.control("status"); f.Battery != 0.25 || f.GPS != "off" {
			t.Errorf("%+v", f)
		}
		_ = c.CloseNow() // before an answer

		c = r.peer.greeted()
		r.wantPings(c, upTo(1, 2))
		c.control("pause") // begin was heard, and a heartbeat of then is of no use now
		c.ack(2)
		c.state("active", "paused")
		r.Resume()
		c.control("resume")
		c.state("active", "on")
		synctest.Wait()
		_ = c.CloseNow()

		c = r.peer.greeted()
		c.silent(time.Minute) // all of them had their effect
		r.take(1)
		r.End(serverNow())
		c.pings()
		c.control("end")
		c.state("ended", "off")
		if err := r.MissionOver(context.Background()); err != nil {
			t.Error(err)
		}
		_ = c.Close(4004, "")
		if err := <-r.ran; !errors.As(err, new(*stopError)) {
			t.Errorf("Run returned %v", err)
		}
	})
}

// A pause and its end, both asked for in a tunnel, both go out, whatever the server says first.
func TestPhoneControlsQueueOffline(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		r.Offline(true)
		_ = c.end()
		r.take(1)
		r.Pause(serverNow())
		r.Resume()
		r.take(1)
		r.Offline(false)
		c = r.peer.greeted()
		r.wantPings(c, upTo(1, 1))
		c.control("pause")
		c.control("resume")
		r.wantPings(c, upTo(2, 2))
	})
}

// The agent's own pause is not taken for granted because the mission is paused.
func TestPhonePausesInAPausedMission(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		c.hello("paused", "paused")
		r.Pause(time.Time{})
		c.control("pause")
		c.state("paused", "paused")
		synctest.Wait()
		_ = c.CloseNow()
		c = r.peer.accept()
		c.hello("paused", "paused")
		c.control("pause")
	})
}

func TestPhoneRejected(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		c.hello("scheduled", "off")
		r.Begin()
		c.control("begin")
		c.say(`{"type":"error","code":"too_early","detail":"an hour before at most"}`)
		var no rejection
		if err := r.OnDuty(context.Background()); !errors.As(err, &no) || no.Code != "too_early" {
			t.Errorf("got %v", err)
		}
		r.Begin() // a second time, it works
		c.control("begin")
		c.state("active", "on")
		if err := r.OnDuty(context.Background()); err != nil {
			t.Error(err)
		}
		r.End(time.Time{})
		c.control("end")
		c.say(`{"type":"error","code":"forbidden","detail":"the platform ends it"}`)
		if err := r.MissionOver(context.Background()); !errors.As(err, &no) || no.Code != "forbidden" {
			t.Errorf("got %v", err)
		}
		r.take(1) // still on duty
		if s := r.Stats(); s.Errors["too_early"] != 1 || s.Errors["forbidden"] != 1 {
			t.Errorf("%+v", s)
		}
		c.pings()
	})
}

func TestPhoneOffline(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		r.take(3)
		c.pings()
		c.ack(1)
		synctest.Wait()
		r.Offline(true)
		if code := websocket.CloseStatus(c.end()); code != -1 {
			t.Errorf("a tunnel says goodbye with %d", code)
		}
		for range 600 {
			pass(time.Second)
			r.take(1)
		}
		if n := len(r.peer.dialled()); n != 1 {
			t.Errorf("it dialled %d times in the tunnel", n)
		}
		if s := r.Stats(); s.Unanswered != 2 || s.Unsent != 600 {
			t.Errorf("%+v", s)
		}
		back := time.Now()
		r.Offline(false)
		c = r.peer.greeted()
		if time.Since(back) > 0 {
			t.Error("back online, it waits")
		}
		total := uint64(0)
		for total < 602 {
			r.wantPings(c, upTo(total+1, min(total+50, 602)))
			total = min(total+50, 602)
			c.ack(total)
		}
		if err := r.Settled(context.Background()); err != nil {
			t.Error(err)
		}
		if s := r.Stats(); s.Sent != 603 || s.Acked != 603 || s.Resent != 2 || s.Reconnects != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A tunnel that begins while the phone dials is a tunnel all the same.
func TestPhoneOfflineWhileDialling(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		r.Offline(true)
		_ = c.end()
		r.peer.refuse = func(http.ResponseWriter, *http.Request) bool {
			r.Offline(true)
			return false
		}
		r.Offline(false)
		c = r.peer.accept()
		began := time.Now()
		if _ = c.end(); time.Since(began) > 0 {
			t.Error("the phone kept a connection that it should not have")
		}
		r.peer.refuse = nil
		r.Offline(false)
		c = r.peer.greeted()
		synctest.Wait()
		r.take(1)
		c.pings()
	})
}

func TestPhoneKnowsTheServersClock(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		pass(time.Minute)
		if ahead := r.ServerNow().Sub(serverNow()); ahead != 0 {
			t.Errorf("its idea of the server's time is off by %v", ahead)
		}
		hello, err := r.Hello(context.Background())
		if err != nil || hello.Mission.Site.Point == nil || r.Mission() != "m1" || hello.Notice.Version != 3 {
			t.Errorf("hello is %+v, %v", hello, err)
		}
		c.say(`{"type":"viewers","count":2}`)
		c.say(`{"type":"a frame of the future"}`)
		c.say(`no JSON`)
		c.ack(7) // of nothing
		synctest.Wait()
		if s := r.Stats(); s.Errors["not_understood"] != 1 || s.Errors["ack_of_nothing"] != 1 {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.MissionOver(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for the end gave %v", err)
		}
	})
}
