package main

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
)

const (
	// answerTimeout ends a connection on which the server owes an answer and says nothing.
	answerTimeout = 30 * time.Second
	// closePatience is how long the server may take over the closing handshake, or over the close frame that explains
	// a failed write.
	closePatience = time.Second
)

var errSilent = errors.New("the server no longer answers")

// serve speaks on one connection until it ends, and says why it did. Two goroutines share the work: this one writes,
// the other reads, and both have ended when serve returns.
func (p *phone) serve(ctx context.Context, conn *websocket.Conn) error {
	// The reading outlives ctx, or the closing handshake could not be read.
	life, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	silence := time.AfterFunc(answerTimeout, func() { cut(errSilent) }) // it owes a hello
	defer silence.Stop()
	if !p.attach(silence, func() { cut(errOffline) }) {
		_ = conn.CloseNow() // the switch was thrown while dialling
		return errOffline
	}
	defer p.detach()

	writing, stopWriting := context.WithCancel(life)
	defer stopWriting()
	defer context.AfterFunc(ctx, stopWriting)()

	read := make(chan error, 1)
	go func() {
		err := p.read(life, conn)
		stopWriting()
		read <- err
	}()
	werr := p.write(writing, conn)

	// What ends a connection is what the reader learns: a close code says more than a failed write does.
	patience := time.AfterFunc(closePatience, func() { cut(werr) })
	defer patience.Stop()
	if ctx.Err() != nil {
		_ = conn.Close(websocket.StatusNormalClosure, "") // fails only if the server has gone first
	}
	rerr := <-read
	_ = conn.CloseNow()
	if cause := context.Cause(life); cause != nil && websocket.CloseStatus(rerr) == -1 {
		return cause
	}
	return closed(rerr)
}

// closed turns a final close code into a stopError.
func closed(err error) error {
	code := websocket.CloseStatus(err)
	if reason, ok := final[code]; ok {
		return &stopError{Code: code, Reason: reason}
	}
	return err
}

// attach makes a connection the present one. It returns false if the phone is to be offline.
func (p *phone) attach(silence *time.Timer, cut func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offline {
		return false
	}
	p.cut, p.silence = cut, silence
	p.greeted = false
	p.out.connect()
	return true
}

func (p *phone) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
	p.greeted = false
}

// read takes the server's frames until the connection ends.
func (p *phone) read(ctx context.Context, conn *websocket.Conn) error {
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		p.handle(data)
	}
}

// write sends what is due until ctx ends or a write fails.
func (p *phone) write(ctx context.Context, conn *websocket.Conn) error {
	var buf []byte
	for {
		if err := p.awaitWork(ctx); err != nil {
			return err
		}
		// What the phone takes while it waits for its turn goes along in the same frame.
		if err := p.frames.Wait(ctx); err != nil {
			return err
		}
		n := p.batch()
		if err := p.pings.WaitN(ctx, n); err != nil {
			return err
		}
		if buf = p.compose(buf[:0], n); len(buf) == 0 {
			continue
		}
		if err := conn.Write(ctx, websocket.MessageText, buf); err != nil {
			return err
		}
	}
}

// awaitWork waits until something is due.
func (p *phone) awaitWork(ctx context.Context) error {
	for {
		due, in := p.due(time.Now())
		if due {
			return nil
		}
		var later <-chan time.Time
		if in > 0 {
			later = time.After(in)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		case <-later:
		}
	}
}

// due reports whether something is to be written now, or else in how long it is worth looking again; 0 means not
// before something happens.
func (p *phone) due(now time.Time) (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch hold := p.holdUntil.Sub(now); {
	case !p.greeted:
		return false, 0
	case p.state == "paused":
		return p.out.nextControl(true) != nil, 0
	case hold > 0:
		return false, hold
	}
	return p.out.nextControl(false) != nil || p.out.duePings(), 0
}

// batch returns how many pings the next frame may hold: as many as there are, and as the server wants.
func (p *phone) batch() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := maxFramePings
	if p.hello != nil && p.hello.Settings.MaxBatch > 0 {
		limit = min(limit, p.hello.Settings.MaxBatch)
	}
	return min(limit, int(p.out.end()-p.out.next))
}

// compose appends the next frame to b: a control frame, or one of at most limit pings. It appends nothing if nothing is
// due any more.
func (p *phone) compose(b []byte, limit int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := p.state == "paused"
	if !p.greeted || (!held && p.holdUntil.After(time.Now())) {
		return b
	}
	if c := p.out.nextControl(held); c != nil {
		b = append(b, c.frame...)
		p.out.wrote(c)
		p.changed.Broadcast()
		return b
	}
	if held {
		return b
	}
	b, n := p.out.appendPings(b, limit)
	if n > 0 {
		p.watch()
	}
	return b
}
