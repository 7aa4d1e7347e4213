package main

import (
	"slices"
	"sync"
	"testing"
)

// obliging is a server that acks whatever comes, begins and ends when asked, and remembers.
type obliging struct {
	peer  *peer
	state string // of the mission at first
	deaf  bool   // answers no ping

	mu       sync.Mutex
	received []received // guarded by mu
	controls []string   // guarded by mu
}

// received is a ping and the server's time when it came.
type received struct {
	agentPing
	arrived int64
	conn    int // number of its connection, from 1
}

func newObliging(t *testing.T, state string) *obliging {
	o := &obliging{peer: newPeer(t), state: state}
	go func() {
		for n := 1; ; n++ {
			select {
			case c := <-o.peer.arrivals:
				go o.serve(c, n)
			case <-o.peer.quit:
				return
			}
		}
	}()
	return o
}

func (o *obliging) serve(c *peerConn, n int) {
	defer func() { _ = c.CloseNow() }()
	if o.now() == "over" {
		_ = c.Close(4004, "")
		return
	}
	duty := map[string]string{"active": "on", "paused": "paused", "scheduled": "off", "ended": "off"}
	_ = c.try(helloText(o.now(), duty[o.now()])) // a phone that has gone, it will hear of by the frames' end
	for f := range c.frames {
		switch f.Type {
		case "begin":
			o.note("begin", "active")
			_ = c.try(stateText("active", "on"))
		case "end":
			o.note("end", "ended")
			_ = c.try(stateText("ended", "off"))
			_ = c.Close(4004, "")
			return
		case "pings":
			_ = c.try(o.answer(f.Pings, n))
		default:
			o.note(f.Type, "")
		}
	}
}

func (o *obliging) answer(pings []agentPing, conn int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range pings {
		o.received = append(o.received, received{p, serverNow().UnixMilli(), conn})
	}
	if o.deaf {
		return `{"type":"viewers","count":1}`
	}
	return ackText(pings[len(pings)-1].Seq)
}

func (o *obliging) now() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

func (o *obliging) note(control, state string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.controls = append(o.controls, control)
	if state != "" {
		o.state = state
	}
}

// got returns what came so far.
func (o *obliging) got() ([]received, []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.received), slices.Clone(o.controls)
}
