package tracker

import (
	"errors"
	"maps"
	"slices"
	"time"

	"ronde/session"
)

// errHungUp ends a read loop whose socket is being closed.
var errHungUp = errors.New("hung up")

// frame handles one message. It returns an error if the socket is to be read
// no further.
func (c *agentConn) frame(data []byte) error {
	received := time.Now()
	c.pace.excuse(c.hub.stalls.total(received.Sub(c.hub.start)))
	if !c.pace.take(received, 1, 0) {
		return c.tooFast("at most 20 frames a second")
	}
	defer func() { c.pace.credit(time.Since(received)) }()
	d := decoders.Get().(*decoder)
	f, err := d.decode(data, c.decoded)
	decoders.Put(d)
	if err != nil {
		if err := c.complain(err); err != nil {
			return err
		}
		if !errors.Is(err, errSeq) {
			return nil
		}
	}
	if f.kind == framePings {
		c.decoded = f.pings[:0]
		return c.pings(f.pings, received)
	}
	// A control frame acts once every earlier ping of its socket is settled.
	if !c.quiet() {
		return errHungUp
	}
	c.control(&f)
	return nil
}

func (c *agentConn) tooFast(rule string) error {
	c.hangUp(closeProtocol, rule)
	return errHungUp
}

// complain answers a frame that could not be used. Who sends too many of them
// is cut off.
func (c *agentConn) complain(err error) error {
	if !c.errorRate.Allow() {
		return c.tooFast("too many frames that could not be used")
	}
	var fe *frameError
	if !errors.As(err, &fe) {
		fe = errNotJSON
	}
	c.send(encodeError(fe.code, fe.detail))
	return nil
}

// agentJob is a job of a connection.
type agentJob struct {
	job
	conn *agentConn
	// early holds pings that the gate refused; they take their place among the
	// answers without troubling the store.
	early []refusal
}

type refusal struct {
	seq     uint64
	verdict session.Verdict
}

// pings passes a frame's pings through the gate and on to the recorder.
func (c *agentConn) pings(decoded []ping, received time.Time) error {
	if len(decoded) == 0 {
		return nil
	}
	if !c.pace.take(received, 0, len(decoded)) {
		return c.tooFast("at most 1000 pings a second")
	}
	if !c.admit(len(decoded)) {
		return errHungUp
	}
	j := &agentJob{conn: c}
	j.room, j.received, j.settle = c.room, received, j.answer
	j.Ref, j.Agent = c.room.ref, c.principal.Agent
	j.Pings = make([]session.Ping, 0, len(decoded))
	for i := range decoded {
		p := &decoded[i]
		verdict := session.Invalid
		if !p.malformed {
			verdict = c.room.gate.Admit(&p.Ping)
		}
		if verdict == session.Undecided {
			j.Pings = append(j.Pings, p.Ping)
			continue
		}
		c.hub.metrics.pings[verdict].Inc()
		j.early = append(j.early, refusal{p.Seq, verdict})
	}
	return c.hub.record(&j.job)
}

// answer tells the phone what became of a frame: refusals by name, then a
// retry if something is to be kept, then an ack of what is settled. Called by
// the recorder, in the order in which the frames came.
func (j *agentJob) answer(*job) {
	c := j.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.holes)
	for _, r := range j.early {
		// It fills no hole, even one of the same time: what was kept passed the
		// gate, so it was another ping.
		c.push(appendRefused(nil, r.seq, r.verdict.Code()))
	}
	kept, firstKept := session.Stored, uint64(maxSeq+1)
	for i, v := range j.Verdicts {
		p := &j.Pings[i]
		if !c.settle(p.Seq, p.Timestamp, v) && p.Seq < firstKept {
			kept, firstKept = v, p.Seq
		}
	}
	if kept != session.Stored {
		c.push(appendRetry(nil, kept.Code(), retryAfter))
	}
	if settled := j.settledBelow(firstKept); settled > 0 {
		c.highest = max(c.highest, settled)
		switch {
		case len(c.holes) == 0:
			c.ackUpTo(c.highest)
		case before == 0:
			c.ackUpTo(settled)
		}
	}
	if len(c.holes)+len(c.hopeless) > maxHoles {
		c.hang(closeGoingAway, "too many pings to keep")
	}
	c.settled(len(j.Pings) + len(j.early))
}

// ackUpTo acknowledges everything up to seq, and names before what it passes
// over. Call with mu held.
func (c *agentConn) ackUpTo(seq uint64) {
	var passed []uint64
	maps.DeleteFunc(c.hopeless, func(_ int64, hopeless uint64) bool {
		if hopeless > seq {
			return false
		}
		passed = append(passed, hopeless)
		return true
	})
	slices.Sort(passed)
	for _, hopeless := range passed {
		c.push(appendRefused(nil, hopeless, session.OutsideWindow.Code()))
	}
	c.acked = max(c.acked, seq)
	c.acknowledge(seq)
}

// settledBelow returns the highest number of the job below limit that is
// settled, or 0.
func (j *agentJob) settledBelow(limit uint64) (highest uint64) {
	for _, r := range j.early {
		if r.seq < limit {
			highest = max(highest, r.seq)
		}
	}
	for i, v := range j.Verdicts {
		if seq := j.Pings[i].Seq; v.Settled() && seq < limit {
			highest = max(highest, seq)
		}
	}
	return highest
}

// settle notes the verdict on one ping and names a refusal; it returns false
// if the phone is to keep the ping. Call with mu held.
func (c *agentConn) settle(seq uint64, timestamp int64, v session.Verdict) bool {
	_, hopeless := c.hopeless[timestamp]
	switch {
	case v.Settled():
		delete(c.holes, timestamp)
		delete(c.hopeless, timestamp)
		if v.Refused() {
			c.push(appendRefused(nil, seq, v.Code()))
		}
		return true
	case v == session.MissionPausedOutside || hopeless:
		// It can never be stored: nothing is lost if an ack passes over it.
		if c.hopeless == nil {
			c.hopeless = map[int64]uint64{}
		}
		c.hopeless[timestamp] = seq
		delete(c.holes, timestamp)
		return false
	case seq <= c.acked:
		return false // it was settled, and the phone may have forgotten it: it would not come again
	}
	if c.holes == nil {
		c.holes = map[int64]struct{}{}
	}
	c.holes[timestamp] = struct{}{}
	return false
}
