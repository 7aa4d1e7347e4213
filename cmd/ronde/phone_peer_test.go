package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// peer is the other end of a phone's connections: a WebSocket server over pipes in memory, which does what the test
// tells it. It stands for the wire alone and judges nothing. It lives in a synctest bubble.
type peer struct {
	t        *testing.T
	client   *http.Client
	arrivals chan *peerConn
	quit     chan struct{} // closed at the end of the test
	// refuse answers a handshake itself if it returns true.
	refuse func(http.ResponseWriter, *http.Request) bool

	mu    sync.Mutex
	dials []time.Time // guarded by mu: when handshakes came
}

// peerConn is one connection of a phone.
type peerConn struct {
	*websocket.Conn
	t      *testing.T
	r      *http.Request
	frames chan agentFrame // unbuffered: what nobody takes, holds the phone up
	closed error           // why reading ended, once frames is closed
}

// agentFrame is a frame from a phone.
type agentFrame struct {
	Type      string
	Pings     []agentPing
	Timestamp int64
	Version   int
	Active    bool
	Battery   float64
	GPS       string
}

type agentPing struct {
	Seq       uint64
	Timestamp int64
	Latitude  float64
	Longitude float64
}

// newPeer returns a server that ends with the test.
func newPeer(t *testing.T) *peer {
	pipes := make(pipeListener)
	p := &peer{t: t, arrivals: make(chan *peerConn, 16), quit: make(chan struct{})}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		near, far := net.Pipe()
		select {
		case pipes <- far:
			return near, nil
		case <-p.quit:
		case <-ctx.Done():
		}
		return nil, net.ErrClosed
	}}
	p.client = &http.Client{Transport: transport}
	server := &http.Server{Handler: http.HandlerFunc(p.serve)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(pipes) // ends when the listener is closed
	}()
	t.Cleanup(func() {
		close(p.quit)
		close(pipes)
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	return p
}

// pipeListener accepts what is sent to it.
type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (pipeListener) Close() error   { return nil }
func (pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *peer) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.dials = append(p.dials, time.Now())
	p.mu.Unlock()
	if p.refuse != nil && p.refuse(w, r) {
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{agentProtocol}})
	if err != nil {
		p.t.Errorf("accept: %v", err)
		return
	}
	ws.SetReadLimit(1 << 20)
	c := &peerConn{Conn: ws, t: p.t, r: r, frames: make(chan agentFrame)}
	p.arrivals <- c
	c.read(p.quit)
}

// dialled returns when handshakes came.
func (p *peer) dialled() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// accept waits for the phone's next connection.
func (p *peer) accept() *peerConn {
	p.t.Helper()
	select {
	case c := <-p.arrivals:
		p.t.Cleanup(func() { _ = c.CloseNow() })
		return c
	case <-time.After(10 * time.Minute):
		p.t.Fatal("no connection came")
		return nil
	}
}

// greeted waits for the next connection and says hello: mission active, agent on duty.
func (p *peer) greeted() *peerConn {
	p.t.Helper()
	c := p.accept()
	c.hello("active", "on")
	return c
}

func (c *peerConn) hello(state, duty string) {
	c.t.Helper()
	c.say(helloText(state, duty))
}

func helloText(state, duty string) string {
	return fmt.Sprintf(`{"type":"hello","mission":{"id":"m1","reference":"M-1","state":%q,
		"site":{"name":"Site","point":{"latitude":48.84,"longitude":2.41},"radius_m":60}},"duty":%q,
		"notice":{"version":3,"text":"…","acknowledged":false},
		"settings":{"interval_ms":1000,"max_batch":50},"server_time":%d}`, state, duty, serverNow().UnixMilli())
}

// serverNow is the peer's clock: an hour ahead of the phone's.
func serverNow() time.Time { return time.Now().Add(time.Hour) }

// say writes a frame, and fails if the phone is gone. Only the test's own goroutine may call it.
func (c *peerConn) say(text string) {
	c.t.Helper()
	if err := c.try(text); err != nil {
		c.t.Fatalf("writing %s: %v", text, err)
	}
}

func (c *peerConn) try(text string) error {
	return c.Write(context.Background(), websocket.MessageText, []byte(text))
}

func (c *peerConn) ack(seq uint64)              { c.t.Helper(); c.say(ackText(seq)) }
func (c *peerConn) state(state, duty string)    { c.t.Helper(); c.say(stateText(state, duty)) }
func (c *peerConn) refuse(seq int, code string) { c.t.Helper(); c.say(refusedText(seq, code)) }

func ackText(seq uint64) string { return fmt.Sprintf(`{"type":"ack","seq":%d}`, seq) }

func stateText(state, duty string) string {
	return fmt.Sprintf(`{"type":"state","state":%q,"duty":%q,"by":"platform"}`, state, duty)
}

func refusedText(seq int, code string) string {
	return fmt.Sprintf(`{"type":"refused","seq":%d,"code":%q}`, seq, code)
}

// read hands on the phone's frames until the connection ends. It holds them to the bounds of the wire.
func (c *peerConn) read(quit <-chan struct{}) {
	defer close(c.frames)
	for {
		kind, data, err := c.Read(context.Background())
		if err != nil {
			c.closed = err
			return
		}
		var f agentFrame
		if err := json.Unmarshal(data, &f); err != nil || kind != websocket.MessageText {
			c.t.Errorf("frame %s: %v", data, err)
		}
		if len(data) > maxFrameBytes || len(f.Pings) > maxFramePings {
			c.t.Errorf("a frame of %d bytes and %d pings", len(data), len(f.Pings))
		}
		select {
		case c.frames <- f:
		case <-quit:
			return
		}
	}
}

// next waits for the phone's next frame.
func (c *peerConn) next() agentFrame {
	c.t.Helper()
	select {
	case f, ok := <-c.frames:
		if !ok {
			c.t.Fatalf("no frame, but %v", c.closed)
		}
		return f
	case <-time.After(10 * time.Minute):
		c.t.Fatal("no frame came")
		return agentFrame{}
	}
}

// pings waits for a frame of pings and returns their sequence numbers.
func (c *peerConn) pings() []uint64 {
	c.t.Helper()
	f := c.next()
	if f.Type != "pings" {
		c.t.Fatalf("a frame of type %s, want pings", f.Type)
	}
	var seqs []uint64
	for _, p := range f.Pings {
		seqs = append(seqs, p.Seq)
	}
	return seqs
}

// control waits for a control frame of that type.
func (c *peerConn) control(kind string) agentFrame {
	c.t.Helper()
	f := c.next()
	if f.Type != kind {
		c.t.Fatalf("a frame %+v, want %s", f, kind)
	}
	return f
}

// silent fails if the phone sends anything within d.
func (c *peerConn) silent(d time.Duration) {
	c.t.Helper()
	select {
	case f := <-c.frames:
		c.t.Fatalf("the phone sent %+v, or went", f)
	case <-time.After(d):
	}
}

// end waits until the phone has gone and returns how.
func (c *peerConn) end() error {
	c.t.Helper()
	for {
		select {
		case _, ok := <-c.frames:
			if !ok {
				return c.closed
			}
		case <-time.After(10 * time.Minute):
			c.t.Fatal("the phone is still here")
		}
	}
}

// pass lets time of the bubble pass; none of the world's does.
func pass(d time.Duration) { <-time.After(d) }
