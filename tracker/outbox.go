package tracker

import (
	"context"
	"sync"

	"github.com/coder/websocket"
)

// outbox holds what is to be written to an agent's socket. Its writer lives as
// long as there is something to write. It holds at most outboxFrames frames
// plus the answers to what is in flight: the read loop waits for it.
type outbox struct {
	hub    *Hub
	socket socket
	// room is signalled whenever frames were written or jobs settled.
	room *sync.Cond

	mu       sync.Mutex
	frames   [][]byte // guarded by mu, like all below
	ack      uint64   // to be told behind frames; 0: nothing
	writing  bool
	closing  bool // no frame is taken any more
	code     closeCode
	reason   string
	inflight int // pings between read loop and verdict
	jobs     int // frames between read loop and verdict
}

// Bounds of what one agent may have in flight.
const (
	outboxFrames   = 256
	inflightPings  = 2 * maxBatch
	inflightFrames = 64
)

func newOutbox(h *Hub, s socket) *outbox {
	o := &outbox{hub: h, socket: s}
	o.room = sync.NewCond(&o.mu)
	return o
}

// send queues a frame behind everything queued before.
func (o *outbox) send(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.push(frame)
}

// push is send with mu held. An ack that waits goes first: frames may refer to
// what it settles.
func (o *outbox) push(frame []byte) {
	if o.closing {
		return
	}
	o.flushAck()
	o.frames = append(o.frames, frame)
	o.start()
}

// acknowledge queues an ack; one that waits already is replaced. Call with mu
// held.
func (o *outbox) acknowledge(seq uint64) {
	if o.closing {
		return
	}
	o.ack = seq
	o.start()
}

func (o *outbox) flushAck() {
	if o.ack != 0 {
		o.frames = append(o.frames, appendAck(nil, o.ack))
		o.ack = 0
	}
}

// start makes sure that a writer runs. Call with mu held.
func (o *outbox) start() {
	if !o.writing {
		o.writing = true
		o.hub.sockets.Go(o.write)
	}
}

func (o *outbox) write() {
	for {
		frames, closing := o.next()
		for _, f := range frames {
			if err := o.socket.Write(context.Background(), websocket.MessageText, f); err != nil {
				o.cut()
				return
			}
		}
		if len(frames) > 0 {
			continue
		}
		if closing {
			o.hub.metrics.closed(o.code)
			o.socket.hangUp(o.code, o.reason)
		}
		return
	}
}

// next takes what there is to write. If there is nothing, the writer is to
// end, and to hang up before if closing.
func (o *outbox) next() (frames [][]byte, closing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushAck()
	frames, o.frames = o.frames, nil
	if len(frames) == 0 {
		// A closing outbox keeps its writer: nobody starts another one.
		o.writing = o.closing
	}
	o.room.Broadcast()
	return frames, o.closing
}

// hangUp closes the socket behind what is queued already. Only the first call
// counts.
func (o *outbox) hangUp(code closeCode, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hang(code, reason)
}

// hang is hangUp with mu held.
func (o *outbox) hang(code closeCode, reason string) {
	if o.closing {
		return
	}
	o.flushAck()
	o.code, o.reason = code, reason
	o.start()
	o.closing = true
	o.room.Broadcast()
}

// cut drops the connection below the socket; the read loop notices.
func (o *outbox) cut() {
	o.mu.Lock()
	o.closing = true
	o.room.Broadcast()
	o.mu.Unlock()
	_ = o.socket.below.Close()
}

// admit waits until another n pings may be in flight, and reports whether the
// socket is still to be read.
func (o *outbox) admit(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closing && (len(o.frames) >= outboxFrames || o.jobs >= inflightFrames || o.inflight > 0 && o.inflight+n > inflightPings) {
		o.room.Wait()
	}
	if o.closing {
		return false
	}
	o.inflight += n
	o.jobs++
	return true
}

// settled takes n pings of one job out of flight. Call with mu held.
func (o *outbox) settled(n int) {
	o.inflight -= n
	o.jobs--
	o.room.Broadcast()
}

// quiet waits until nothing is in flight, and reports whether the socket is
// still to be served.
func (o *outbox) quiet() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closing && o.jobs > 0 {
		o.room.Wait()
	}
	return !o.closing
}
