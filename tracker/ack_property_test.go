package tracker

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ronde/session"
)

// held is a ping in the phone of the property test.
type held struct {
	timestamp int64
	malformed bool
	settled   bool // the store has it, or refused it for good
	outside   bool // the mission was paused and the ping's time lies in the pause: never to be stored
	refused   bool // and the phone was told so
	named     bool
	dropped   bool // it was told under the number it was sent under last: it is not sent again
}

// phone is a phone and its connection: it sends, keeps what it is told to keep,
// and forgets what is acknowledged.
type phone struct {
	t    *rapid.T
	conn *agentConn
	next uint64
	sent map[uint64][]*held // every ping ever sent under a number
	box  []*held            // those that are not acknowledged, oldest first
	last map[*held]uint64   // the number each was sent under last
}

// TestAcksCoverOnlyWhatIsSettled: whatever the store says and however a phone
// numbers what it sends again, an ack never covers a ping that is not settled,
// and every refusal it covers was named. Once the faults are over, everything
// is acknowledged.
func TestAcksCoverOnlyWhatIsSettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &agentConn{outbox: newOutbox(bareHub(), socket{})}
		c.writing = true // no writer: the test reads the queue itself
		p := &phone{t: t, conn: c, sent: map[uint64][]*held{}, last: map[*held]uint64{}}
		for range rapid.IntRange(1, 40).Draw(t, "frames") {
			if rapid.Bool().Draw(t, "again") {
				p.again(rapid.Bool().Draw(t, "renumber"), false)
			} else {
				p.fresh(rapid.IntRange(1, 5).Draw(t, "pings"))
			}
		}
		for range 2 { // the phone keeps trying, and nothing goes wrong any more
			p.again(false, true)
		}
		if len(p.box) != 0 {
			for _, h := range p.box {
				t.Logf("never acknowledged, last as %d: %+v", p.last[h], *h)
			}
			t.Fatalf("the connection holds %v", c.holes)
		}
	})
}

// fresh sends pings for the first time.
func (p *phone) fresh(n int) {
	var frame []*held
	for range n {
		h := &held{timestamp: int64(1000 + len(p.last)), malformed: rapid.IntRange(0, 9).Draw(p.t, "malformed") == 0}
		if h.malformed && len(p.box) > 0 { // with the time of another one
			h.timestamp = rapid.SampledFrom(p.box).Draw(p.t, "twin").timestamp
		}
		frame = append(frame, h)
		p.box = append(p.box, h)
		p.number(h)
	}
	p.deliver(frame, false)
}

func (p *phone) number(h *held) {
	p.next++
	p.last[h] = p.next
}

// again sends once more what was not acknowledged, in frames of a few.
func (p *phone) again(renumber, well bool) {
	box := slices.DeleteFunc(slices.Clone(p.box), func(h *held) bool { return h.dropped })
	if renumber {
		for _, h := range box {
			p.number(h)
		}
	}
	for frame := range slices.Chunk(box, 5) { // all are on their way before the first is answered
		p.deliver(frame, well)
	}
	if len(box) == 0 && well && len(p.box) > 0 { // all that is left was refused: something else brings the ack
		p.fresh(1)
		p.again(false, true)
	}
}

// deliver has the connection answer a frame.
func (p *phone) deliver(frame []*held, well bool) {
	j := &agentJob{conn: p.conn}
	for _, h := range frame {
		seq := p.last[h]
		p.sent[seq] = append(p.sent[seq], h)
		if h.malformed {
			h.settled, h.refused = true, true
			j.early = append(j.early, refusal{seq, session.Invalid})
			continue
		}
		j.Pings = append(j.Pings, session.Ping{Seq: seq, Timestamp: h.timestamp})
		j.Verdicts = append(j.Verdicts, p.verdict(h, well))
	}
	p.conn.mu.Lock()
	p.conn.inflight, p.conn.jobs = len(frame), 1
	p.conn.mu.Unlock()
	j.answer(nil)
	p.hear()
}

// verdict lets the store decide, well or badly, and once for all.
func (p *phone) verdict(h *held, well bool) session.Verdict {
	v := session.Stored
	switch {
	case h.settled && !well && rapid.Bool().Draw(p.t, "down"):
		return session.Undecided // of what it has, too, the store cannot always say so
	case h.settled && h.refused:
		return session.OutsideWindow
	case h.settled:
		return session.Unchanged
	case h.outside:
		v = rapid.SampledFrom([]session.Verdict{session.OutsideWindow, session.MissionPausedOutside, session.Undecided}).Draw(p.t, "verdict")
	case !well:
		v = rapid.SampledFrom([]session.Verdict{
			session.Stored, session.OutsideWindow, session.TooFrequent, session.Invalid,
			session.MissionPaused, session.MissionPausedOutside, session.Undecided, session.Locked,
		}).Draw(p.t, "verdict")
	}
	if well && !v.Settled() {
		v = session.OutsideWindow
	}
	h.settled, h.refused = h.settled || v.Settled(), v.Refused()
	h.outside = h.outside || v == session.MissionPausedOutside
	return v
}

// hear takes in all that the connection has to say.
func (p *phone) hear() {
	frames, _ := p.conn.next()
	p.conn.writing = true
	for _, raw := range frames {
		var f struct {
			Type string
			Seq  uint64
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			p.t.Fatalf("%s: %v", raw, err)
		}
		switch f.Type {
		case "refused":
			for _, h := range p.sent[f.Seq] {
				h.named, h.dropped = true, h.dropped || p.last[h] == f.Seq
			}
		case "ack":
			p.acked(f.Seq)
		}
	}
}

// acked checks everything that an ack covers, and forgets it.
func (p *phone) acked(upTo uint64) {
	for seq, list := range p.sent {
		for _, h := range list {
			switch {
			case seq > upTo:
			case !h.settled && !h.outside:
				p.t.Fatalf("ack %d covers %d, which is to be kept", upTo, seq)
			case (h.refused || h.outside && p.last[h] <= upTo) && !h.named:
				p.t.Fatalf("ack %d covers %d, whose refusal was not named", upTo, seq)
			}
		}
	}
	p.box = slices.DeleteFunc(p.box, func(h *held) bool { return p.last[h] <= upTo })
}
