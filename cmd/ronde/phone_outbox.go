package main

import (
	"slices"

	"ronde/geo"
)

// outbox holds what a phone has taken and the server has not settled, and knows what of it was written on the present
// connection. It is a plain value without clock or lock: the phone that owns it has both.
//
// Every ping has an ordinal, counted through the life of the phone. It never goes on the wire; seq does, and that is
// counted anew on every connection.
type outbox struct {
	pings []queued // oldest first; the first one's ordinal is base
	base  uint64

	next    uint64 // ordinal of the next ping to write
	high    uint64 // ordinal after the last ping written on this connection: those below have a seq
	ever    uint64 // ordinal after the last ping written on any connection
	lastSeq uint64 // last seq given on this connection

	controls []control // in the order they were asked for

	// settled, if set, is told of each ping that leaves for good: with "" for one that was acked, with the code of its
	// refusal otherwise.
	settled func(timestamp int64, code string)

	sent, resent, acked, refused uint64
}

// queued is one ping that waits to be settled.
type queued struct {
	timestamp int64
	position  geo.Position
	seq       uint64 // on this connection; a ping refused before it got one has that of the ping before it
	refused   bool   // named by the server: not to be sent again; it leaves with the ack that passes it
}

// control is a frame that is no ping. It is written after the pings taken before it.
type control struct {
	kind    string
	frame   []byte
	after   uint64 // ordinal after the last ping that goes first
	written bool   // on this connection
}

func (o *outbox) end() uint64 { return o.base + uint64(len(o.pings)) }

// add takes one ping into the outbox.
func (o *outbox) add(timestamp int64, p geo.Position) {
	o.pings = append(o.pings, queued{timestamp: timestamp, position: p})
}

// addControl queues a frame behind all pings taken so far.
func (o *outbox) addControl(kind string, frame []byte) {
	o.controls = append(o.controls, control{kind: kind, frame: frame, after: o.end()})
}

// connect begins a new connection, on which nothing was written yet.
func (o *outbox) connect() {
	o.drop(func(q *queued) bool { return q.refused })
	o.next, o.high, o.lastSeq = o.base, o.base, 0
	for i := range o.controls {
		o.controls[i].written = false
	}
}

// rewind makes everything after the last ack due again on the same connection, under the same numbers.
func (o *outbox) rewind() { o.next = o.base }

// outstanding reports whether something was written that the server has yet to answer.
func (o *outbox) outstanding() bool { return o.next > o.base }

// unanswered returns how many pings were written, on whatever connection, and neither acked nor refused.
func (o *outbox) unanswered() uint64 { return o.sent - o.acked - o.refused }

// unsent returns how many pings wait to be written for the first time.
func (o *outbox) unsent() uint64 { return o.end() - max(o.ever, o.base) }

// nextControl returns the first control frame that is not written, if it may go before the next ping. overtake lets it
// pass pings that are held back.
func (o *outbox) nextControl(overtake bool) *control {
	for i := range o.controls {
		if c := &o.controls[i]; !c.written {
			if overtake || c.after <= o.next {
				return c
			}
			return nil
		}
	}
	return nil
}

// skipRefused moves next past the pings that need not be written again.
func (o *outbox) skipRefused() {
	for ; o.next < o.end() && o.pings[o.next-o.base].refused; o.next++ {
		o.number(&o.pings[o.next-o.base])
	}
}

// number gives a ping its seq when the writing first comes to it on this connection.
func (o *outbox) number(q *queued) {
	if o.next < o.high {
		return
	}
	if !q.refused {
		o.lastSeq++
	}
	q.seq = o.lastSeq
	o.high = o.next + 1
}

// duePings reports whether there are pings to write.
func (o *outbox) duePings() bool {
	o.skipRefused()
	return o.next < o.end()
}

// appendPings appends a frame with the next pings, at most limit of them, none from behind a control frame that is not
// written yet and no more than a frame may hold. It returns how many there are; with none, b is as it was.
func (o *outbox) appendPings(b []byte, limit int) ([]byte, int) {
	start, n, end := len(b), 0, o.end()
	if i := slices.IndexFunc(o.controls, func(c control) bool { return !c.written && c.after > o.next }); i >= 0 {
		end = min(end, o.controls[i].after)
	}
	b = append(b, `{"type":"pings","pings":[`...)
	for ; o.next < end && n < limit; o.next++ {
		q := &o.pings[o.next-o.base]
		o.number(q)
		if q.refused {
			continue
		}
		before := len(b)
		if n > 0 {
			b = append(b, ',')
		}
		if b = appendPing(b, q.seq, q.timestamp, &q.position); n > 0 && len(b)+len("]}")-start > maxFrameBytes {
			b = b[:before]
			break
		}
		n++
		o.count()
	}
	if n == 0 {
		return b[:start], 0
	}
	return append(b, "]}"...), n
}

// count books the ping at next as written, for the first time or again.
func (o *outbox) count() {
	if o.next < o.ever {
		o.resent++
		return
	}
	o.sent++
	o.ever = o.next + 1
}

// ack settles every ping up to seq of this connection, and the control frames among them. It returns false for a seq
// that was never written.
func (o *outbox) ack(seq uint64) bool {
	o.drop(func(q *queued) bool {
		settled := o.base < o.high && q.seq <= seq
		if settled && !q.refused {
			o.acked++
			o.tell(q, "")
		}
		return settled
	})
	o.next = max(o.next, o.base)
	// A ping behind a control frame is settled after the frame acted.
	o.controls = slices.DeleteFunc(o.controls, func(c control) bool { return c.written && c.after < o.base })
	return seq <= o.lastSeq
}

// drop removes pings from the front for as long as gone says so. It moves base along.
func (o *outbox) drop(gone func(*queued) bool) {
	n := 0
	for ; n < len(o.pings) && gone(&o.pings[n]); n++ {
		o.base++
	}
	o.pings = o.pings[n:]
}

func (o *outbox) tell(q *queued, code string) {
	if o.settled != nil {
		o.settled(q.timestamp, code)
	}
}

// refuse marks the ping with seq of this connection as refused. It returns false if there is none, or if it was
// refused before.
func (o *outbox) refuse(seq uint64, code string) bool {
	numbered := o.pings[:o.high-o.base]
	i, found := slices.BinarySearchFunc(numbered, seq, func(q queued, seq uint64) int {
		if q.seq < seq {
			return -1
		}
		return int(min(q.seq-seq, 1))
	})
	if !found || numbered[i].refused {
		return false
	}
	numbered[i].refused = true
	o.refused++
	o.tell(&numbered[i], code)
	return true
}

// wrote books the control frame at the head as written. Of those that the server does not answer, nothing would ever
// tell that they arrived, so they leave at once.
func (o *outbox) wrote(c *control) {
	c.written = true
	o.controls = slices.DeleteFunc(o.controls, func(c control) bool {
		return c.written && (c.kind == "status" || c.kind == "notice")
	})
}

// confirm drops the control frames that were written and for which done says that their effect is there. One that was
// not written stays, whatever the state: a pause and its end, both queued in a tunnel, must both go out.
func (o *outbox) confirm(done func(kind string) bool) {
	o.controls = slices.DeleteFunc(o.controls, func(c control) bool { return c.written && done(c.kind) })
}

// reject drops the oldest control frame that was written, which the server could not use, and returns its kind.
func (o *outbox) reject() string {
	i := slices.IndexFunc(o.controls, func(c control) bool { return c.written })
	if i < 0 {
		return ""
	}
	kind := o.controls[i].kind
	o.controls = slices.Delete(o.controls, i, i+1)
	return kind
}
