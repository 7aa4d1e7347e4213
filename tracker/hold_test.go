package tracker_test

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/session"
)

func doctor(life time.Duration) *session.Principal {
	return &session.Principal{Role: session.Doctor, Subject: session.NewID(), Expires: time.Now().Add(life)}
}

// TestDoctor: a doctor's sockets and streams stay open and silent, answer a
// ping, and end with the token or with the node.
func TestDoctor(t *testing.T) {
	t.Parallel()
	sockets := map[string]string{"/agent": agentProtocol, "/live": liveProtocol}
	t.Run("until the node stops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		var open []*peer
		for path, protocol := range sockets {
			p := r.dial(path+r.caller(doctor(time.Hour)), protocol)
			read := p.ws.CloseRead(context.Background()) // frames would end it with another code
			must(t, p.ws.Ping(t.Context()))
			if read.Err() != nil {
				t.Errorf("%s: closed before the node stops", path)
			}
			open = append(open, r.dial(path+r.caller(doctor(time.Hour)), protocol))
		}
		events := r.events(doctor(time.Hour))
		if data := events.until("probe"); data != "{}" {
			t.Errorf("the stream begins with %s", data)
		}
		stopped := make(chan struct{})
		go func() { defer close(stopped); r.hub.Close() }()
		for _, p := range open {
			if code := p.closed(); code != websocket.StatusGoingAway {
				t.Errorf("closed with %d", code)
			}
		}
		if data := events.closed(); data != `{"code":1001}` {
			t.Errorf("the stream closed with %s", data)
		}
		<-stopped
		for path := range sockets {
			if code := r.refused(path, doctor(time.Hour)); code != websocket.StatusGoingAway {
				t.Errorf("%s of a stopped node: %d", path, code)
			}
		}
	})
	t.Run("until the token expires", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.edge.advance(time.Hour) // by the node's clock, it has
		for path := range sockets {
			if code := r.refused(path, doctor(time.Minute)); code != 4001 {
				t.Errorf("%s: closed with %d", path, code)
			}
		}
		if data := r.events(doctor(time.Minute)).closed(); data != `{"code":4001}` {
			t.Errorf("the stream closed with %s", data)
		}
	})
}
