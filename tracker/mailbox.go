package tracker

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"ronde/session"
)

// viewer is an open live socket or event stream. Its mailbox holds at most one
// frame of each sort, so that a viewer who does not read costs bounded memory
// and, once they read again, gets the latest state instead of a backlog.
type viewer struct {
	hub       *Hub
	room      *room
	principal *session.Principal
	profile   session.Profile
	// connection tells this one from others through the same link, in the
	// access log.
	connection uuid.UUID
	// wake starts the viewer's writer. Called with mu held, and only while
	// writing is false.
	wake func()
	// below cuts the connection.
	below func()
	// ping asks the peer for a sign of life; nil for an event stream.
	ping func(context.Context) error

	mu       sync.Mutex
	greet    bool     // guarded by mu, like all below: the snapshot is still to be sent
	trail    [][]byte // to be sent after it
	health   []byte   // degraded or recovered
	state    []byte
	progress []byte // the one update not yet written
	behind   bool   // more than one was missed: the whole state is to be sent
	ended    []byte
	writing  bool
	closing  bool
	code     closeCode
	reason   string
}

// begin starts the first writer, for what waits by then.
func (v *viewer) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wake()
}

// offer hands the viewer an update. If the one before is still waiting, both
// are replaced by the whole state, to be rendered when it can be written.
func (v *viewer) offer(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.progress != nil || v.behind {
		v.hub.metrics.coalesced.Inc()
		v.progress, v.behind = nil, true
		return
	}
	v.progress = frame
	v.start()
}

// fallBehind asks for the whole state to be sent.
func (v *viewer) fallBehind() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress, v.behind = nil, true
	v.start()
}

// move tells the viewer that windows opened or closed: what waits is of the
// former ones, and the whole state follows.
func (v *viewer) move() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trail, v.progress, v.behind = nil, nil, true
	v.start()
}

// change tells the viewer the mission's new state. Positions that wait are of
// the former one; if the mission is active, the whole state follows.
func (v *viewer) change(state []byte, active bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trail, v.progress, v.behind, v.state = nil, nil, active, state
	v.start()
}

// degrade tells the viewer whether they see all there is.
func (v *viewer) degrade(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.health = frame
	v.start()
}

// end tells the viewer that the mission is over, and closes.
func (v *viewer) end(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.trail, v.progress, v.behind, v.state, v.health, v.ended = nil, nil, false, nil, nil, frame
	v.hang(closeOver, "the mission is over")
}

// hangUp closes the viewer's connection. Positions that wait are dropped.
func (v *viewer) hangUp(code closeCode, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.greet, v.trail, v.progress, v.behind = false, nil, nil, false
	v.hang(code, reason)
}

// hang is hangUp with mu held.
func (v *viewer) hang(code closeCode, reason string) {
	if v.closing {
		return
	}
	v.code, v.reason = code, reason
	v.start()
	v.closing = true
}

// start makes sure that a writer runs. Call with mu held.
func (v *viewer) start() {
	if !v.writing && !v.closing {
		v.writing = true
		v.wake()
	}
}

// cut drops the connection; the goroutine that serves it notices.
func (v *viewer) cut() {
	v.mu.Lock()
	v.closing = true
	v.mu.Unlock()
	v.below()
}

// mail is a sort of what a mailbox holds.
type mail uint8

const (
	noMail       mail = iota
	plainMail         // holds no position
	positionMail      // shown only while the room holds its lease
	wholeMail         // the same; to be rendered when it can be written
	snapshotMail      // the same, but without positions it is shown at any time
)

// drain writes what there is with write. It returns true once the connection
// is to be closed, and false when there is nothing more or write failed.
func (v *viewer) drain(write func([]byte) error) (closing bool) {
	for {
		sort, frame, closing := v.next()
		position := sort == positionMail || sort == wholeMail
		switch sort {
		case noMail:
			return closing
		case wholeMail:
			frame = v.room.full(v.profile)
		case snapshotMail:
			frame, position = v.room.greet(v)
		default:
		}
		// The lease is looked at last, right before the write: whatever held
		// this goroutine up, nothing is shown on an old view.
		if frame == nil || position && !v.room.showable() {
			v.hub.metrics.expired.Inc()
			if sort == snapshotMail {
				v.greetAgain()
			}
			continue
		}
		if write(frame) != nil {
			v.cut()
			return false
		}
	}
}

// greetAgain has the snapshot rendered once more.
func (v *viewer) greetAgain() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.greet = v.code == 0 || v.ended != nil // but not for a viewer who was hung up on
}

// next takes the next frame and says of which sort it is; what is rendered late
// has none yet. If there is nothing at all, the writer is to end, and to close
// the connection before if closing.
func (v *viewer) next() (sort mail, frame []byte, closing bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.greet:
		v.greet = false
		return snapshotMail, nil, false
	case len(v.trail) > 0:
		frame, v.trail = v.trail[0], v.trail[1:]
		return positionMail, frame, false
	case v.health != nil:
		frame, v.health = v.health, nil
		return plainMail, frame, false
	case v.state != nil:
		frame, v.state = v.state, nil
		return plainMail, frame, false
	case v.progress != nil:
		frame, v.progress = v.progress, nil
		return positionMail, frame, false
	case v.behind:
		v.behind = false
		return wholeMail, nil, false
	case v.ended != nil:
		frame, v.ended = v.ended, nil
		return plainMail, frame, false
	}
	v.writing = v.closing // a closing viewer keeps its writer: nobody starts another
	return noMail, nil, v.closing
}
