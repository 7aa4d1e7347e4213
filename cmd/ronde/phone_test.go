package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"ronde/geo"
)

// running is a phone under test and the peer it speaks with.
type running struct {
	*phone
	t    *testing.T
	peer *peer
	stop context.CancelFunc
	ran  chan error
}

// withPhone runs a test in a bubble of its own time, with a phone that is switched on and off with it.
func withPhone(t *testing.T, change func(*phoneConfig), test func(r *running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t)
		config := phoneConfig{URL: "http://ronde.test", Token: "secret", Client: peer.client}
		if change != nil {
			change(&config)
		}
		ctx, stop := context.WithCancel(context.Background())
		r := &running{phone: newPhone(config), t: t, peer: peer, stop: stop, ran: make(chan error, 1)}
		go func() { r.ran <- r.Run(ctx) }()
		defer synctest.Wait()
		defer stop()
		test(r)
	})
}

// take has the phone take n fixes, and fails if it does not. The writer finds all of them or none.
func (r *running) take(n int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for range n {
		if !r.takes(serverNow().UnixMilli(), somewhere) {
			r.t.Fatal("the phone did not take a fix")
		}
	}
}

var somewhere = geo.NewPosition(geo.Point{Latitude: 48.84, Longitude: 2.41})

func upTo(from, to uint64) (seqs []uint64) {
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func (r *running) wantPings(c *peerConn, want []uint64) {
	r.t.Helper()
	if got := c.pings(); !slices.Equal(got, want) {
		r.t.Fatalf("pings %v, want %v", got, want)
	}
}

func TestPhoneShowsItsToken(t *testing.T) {
	withPhone(t, func(c *phoneConfig) { c.URL += "/" }, func(r *running) {
		c := r.peer.accept()
		header, offered := c.r.Header.Get("Authorization"), c.r.Header.Get("Sec-WebSocket-Protocol")
		if header != "Bearer secret" || offered != "ronde.agent.v1" || c.r.URL.Path != "/v1/agent" || c.r.Header.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("the handshake is %v %v", c.r.URL, c.r.Header)
		}
		c.silent(20 * time.Second) // without a hello, the phone has nothing to say
	})
}

func TestPhoneSendsAndSettles(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		if r.Take(1, somewhere) {
			t.Error("the phone took a fix before it knew of its duty")
		}
		c := r.peer.greeted()
		synctest.Wait()
		r.take(120)
		r.wantPings(c, upTo(1, 50)) // the server wants at most 50
		r.wantPings(c, upTo(51, 100))
		r.wantPings(c, upTo(101, 120))
		c.ack(100)
		c.refuse(101, "too_frequent")
		c.refuse(102, "future")
		c.refuse(102, "future") // said twice, it counts once
		synctest.Wait()
		if s := r.Stats(); s.Sent != 120 || s.Acked != 100 || s.Unanswered != 18 || s.Refused["too_frequent"] != 1 || s.Refused["future"] != 1 {
			t.Errorf("before the last ack: %+v", s)
		}
		settled := make(chan error, 1)
		go func() { settled <- r.Settled(context.Background()) }()
		c.ack(120)
		if err := <-settled; err != nil {
			t.Error(err)
		}
		s := r.Stats()
		if s.Acked != 118 || s.Unanswered+s.Unsent+s.Resent+s.Reconnects != 0 || len(s.Errors)+len(s.Retried) != 0 {
			t.Errorf("at the end: %+v", s)
		}
		r.stop()
		if code := websocket.CloseStatus(c.end()); code != websocket.StatusNormalClosure {
			t.Errorf("the phone closed with %d", code)
		}
		if err := <-r.ran; err != nil {
			t.Error(err)
		}
	})
}

// However much has piled up, no second sees more than 20 frames or 1,000 pings.
func TestPhoneKeepsThePace(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.accept()
		c.hello("active", "on")
		synctest.Wait()
		r.take(3000)
		for range 40 {
			r.Status(0.5, "on")
		}
		type arrival struct {
			at    time.Time
			pings int
		}
		var all []arrival
		for sent := 0; sent < 3000 || len(all) < 3000/50+40; {
			n := len(c.next().Pings)
			sent += n
			all = append(all, arrival{time.Now(), n})
		}
		for i, first := range all {
			frames, pings := 0, 0
			for _, a := range all[i:] {
				if a.at.Sub(first.at) < time.Second {
					frames++
					pings += a.pings
				}
			}
			if frames > 20 || pings > 1000 {
				t.Fatalf("%d frames and %d pings within a second", frames, pings)
			}
		}
		if took := all[len(all)-1].at.Sub(all[0].at); took > 10*time.Second {
			t.Errorf("100 frames took %v", took)
		}
	})
}

func TestPhoneRetries(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		r.take(60)
		r.wantPings(c, upTo(1, 50))
		r.wantPings(c, upTo(51, 60))
		c.ack(10)
		c.refuse(12, "invalid")
		c.say(`{"type":"retry","code":"store_unavailable","after_ms":2000}`)
		c.say(`{"type":"retry","code":"store_unavailable","after_ms":1000}`) // the second frame's
		c.silent(1900 * time.Millisecond)
		r.take(1)
		want := append([]uint64{11}, upTo(13, 61)...) // one is refused for good
		r.wantPings(c, want)
		c.ack(61)
		synctest.Wait()
		if s := r.Stats(); s.Sent != 61 || s.Resent != 49 || s.Acked != 60 || s.Unanswered != 0 || s.Retried["store_unavailable"] != 2 {
			t.Errorf("%+v", s)
		}
		c.silent(20 * time.Second)
	})
}

func TestPhoneReconnects(t *testing.T) {
	for name, cut := range map[string]func(c *peerConn){
		"going away": func(c *peerConn) { _ = c.Close(websocket.StatusGoingAway, "restart") },
		"lost":       func(c *peerConn) { _ = c.CloseNow() },
		"error":      func(c *peerConn) { _ = c.Close(websocket.StatusInternalError, "") },
	} {
		t.Run(name, func(t *testing.T) {
			withPhone(t, nil, func(r *running) {
				c := r.peer.greeted()
				synctest.Wait()
				r.take(5)
				r.wantPings(c, upTo(1, 5))
				c.ack(2)
				c.refuse(4, "invalid")
				synctest.Wait()
				cut(c)
				synctest.Wait()
				if r.Trouble() == nil {
					t.Error("the phone does not say why it has no connection")
				}
				r.take(1) // on duty, as far as it knows
				c = r.peer.greeted()
				r.wantPings(c, upTo(1, 3)) // the third, fifth and sixth, numbered anew
				c.ack(3)
				synctest.Wait()
				if s := r.Stats(); s.Sent != 6 || s.Resent != 2 || s.Acked != 5 || s.Refused["invalid"] != 1 || s.Reconnects != 1 || r.Trouble() != nil {
					t.Errorf("%+v, %v", s, r.Trouble())
				}
			})
		})
	}
}

// The waits grow, differ, and begin anew after a connection that lasted.
func TestPhoneBacksOff(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		for range 8 {
			_ = r.peer.accept().Close(websocket.StatusTryAgainLater, "")
		}
		c := r.peer.greeted()
		pass(steady)
		_ = c.Close(websocket.StatusGoingAway, "")
		ended := time.Now()
		r.peer.greeted()
		dials := r.peer.dialled()
		for i, base := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			wait := dials[i+1].Sub(dials[i])
			if base *= time.Second; wait < base/2 || wait > base*3/2+time.Second {
				t.Errorf("wait %d is %v, want about %v", i, wait, base)
			}
		}
		if wait := dials[9].Sub(ended); wait > 1500*time.Millisecond {
			t.Errorf("after a steady connection, the wait is %v", wait)
		}
	})
}

func TestPhoneStopsForGood(t *testing.T) {
	for _, code := range []websocket.StatusCode{4001, 4003, 4004, 4008, 4009} {
		withPhone(t, nil, func(r *running) {
			c := r.peer.greeted()
			synctest.Wait()
			r.take(1)
			c.pings()
			_ = c.Close(code, "told")
			var stop *stopError
			if err := <-r.ran; !errors.As(err, &stop) || stop.Code != code || stop.Reason == "" {
				t.Errorf("%d: Run returned %v", code, err)
			}
			if r.Take(1, somewhere) {
				t.Error("a phone that is off took a fix")
			}
			if err := r.OnDuty(context.Background()); !errors.As(err, &stop) {
				t.Errorf("waiting for duty ended with %v", err)
			}
			pass(time.Hour)
			if n := len(r.peer.dialled()); n != 1 {
				t.Errorf("%d: it dialled %d times", code, n)
			}
			if s := r.Stats(); s.Unanswered != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPhoneHandshakeRefused(t *testing.T) {
	for status, comesBack := range map[int]bool{400: false, 401: false, 403: false, 404: false, 408: true, 429: true, 500: true, 503: true} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t)
			peer.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(status)
				return true
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := newPhone(phoneConfig{URL: "http://ronde.test", Token: "secret", Client: peer.client}).Run(ctx)
			var stop *stopError
			if n := len(peer.dialled()); comesBack && (err != nil || n < 2) {
				t.Errorf("%d: gave up after %d tries: %v", status, n, err)
			} else if !comesBack && (!errors.As(err, &stop) || stop.Status != status || n != 1) {
				t.Errorf("%d: after %d tries: %v", status, n, err)
			}
		})
	}
}

// A server that owes an answer and says nothing is as good as gone.
func TestPhoneLeavesASilentServer(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		began := time.Now()
		c := r.peer.accept() // and no hello
		_ = c.end()
		c = r.peer.greeted()
		if waited := time.Since(began); waited < answerTimeout || waited > answerTimeout+5*time.Second {
			t.Errorf("it waited %v for a hello", waited)
		}
		pass(time.Hour) // nothing is owed
		r.take(2)
		c.pings()
		c.ack(1)
		began = time.Now()
		_ = c.end()
		if waited := time.Since(began); waited < answerTimeout || waited > answerTimeout+5*time.Second {
			t.Errorf("it waited %v for an ack", waited)
		}
		c = r.peer.greeted()
		r.wantPings(c, upTo(1, 1))
	})
}

// A server that stops reading holds the phone up; it neither drops nor repeats anything.
func TestPhoneIsHeldUp(t *testing.T) {
	withPhone(t, nil, func(r *running) {
		c := r.peer.greeted()
		synctest.Wait()
		for range 20 {
			pass(time.Second)
			r.take(1) // nobody takes the frames
		}
		var got []uint64
		for len(got) < 20 {
			got = append(got, c.pings()...)
		}
		if !slices.Equal(got, upTo(1, 20)) {
			t.Errorf("got %v", got)
		}
	})
}
