package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ronde/geo"
)

// outboxMachine drives an outbox through all that can happen to it, and plays a server that knows every ping by its
// timestamp. What it checks is what the contract promises of a phone: order, numbering, nothing lost, nothing settled
// that was not answered.
type outboxMachine struct {
	out   outbox
	taken int64

	// Of the present connection:
	bySeq   map[uint64]int64 // what the server was shown
	highest uint64           // seq
	acked   uint64           // seq up to which the server has acked
	refused map[uint64]bool

	settled map[int64]string // by timestamp, for good
	sent    map[int64]bool
	asked   []string // control frames in the order they were asked for, with how many pings go first
	said    []string // those written, in order
}

func (m *outboxMachine) connect(t *rapid.T) {
	m.out.connect()
	if len(m.out.pings) > 0 && m.out.pings[0].refused {
		t.Fatal("a refused ping outlives its connection at the head of the queue")
	}
	m.bySeq, m.highest, m.acked, m.refused = map[uint64]int64{}, 0, 0, map[uint64]bool{}
}

func (m *outboxMachine) take(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "fixes") {
		m.taken++
		m.out.add(m.taken, somewhere)
	}
}

func (m *outboxMachine) ask(*rapid.T) {
	kind := fmt.Sprintf("%d after %d", len(m.asked), m.taken)
	m.asked = append(m.asked, kind)
	m.out.addControl(kind, []byte("{}"))
}

func (m *outboxMachine) write(t *rapid.T) {
	if c := m.out.nextControl(false); c != nil {
		var n, after int64
		if _, err := fmt.Sscanf(c.kind, "%d after %d", &n, &after); err != nil {
			t.Fatal(err)
		}
		for ts := int64(1); ts <= after; ts++ {
			if m.settled[ts] == "" && !m.shown(ts) {
				t.Fatalf("control frame %s overtook ping %d", c.kind, ts)
			}
		}
		m.out.wrote(c)
		m.said = append(m.said, c.kind)
		return
	}
	due := m.out.duePings()
	frame, n := m.out.appendPings([]byte("before"), rapid.IntRange(1, 4).Draw(t, "limit"))
	if due != (n > 0) || (n == 0 && string(frame) != "before") {
		t.Fatalf("due is %v, but there are %d pings in %s", due, n, frame)
	}
	if n == 0 {
		return
	}
	var f agentFrame
	if err := json.Unmarshal(frame[len("before"):], &f); err != nil || len(f.Pings) != n || f.Type != "pings" {
		t.Fatalf("%s: %v", frame, err)
	}
	m.show(t, f.Pings)
}

func (m *outboxMachine) shown(ts int64) bool {
	for _, other := range m.bySeq {
		if other == ts {
			return true
		}
	}
	return false
}

func (m *outboxMachine) show(t *rapid.T, pings []agentPing) {
	last := uint64(0)
	for _, p := range pings {
		before, again := m.bySeq[p.Seq]
		switch {
		case p.Seq <= last:
			t.Fatalf("seq %d follows %d", p.Seq, last)
		case again && before != p.Timestamp:
			t.Fatalf("seq %d was ping %d and is now %d", p.Seq, before, p.Timestamp)
		case !again && p.Seq != m.highest+1:
			t.Fatalf("a new ping has seq %d after %d", p.Seq, m.highest)
		case m.settled[p.Timestamp] != "":
			t.Fatalf("ping %d was settled (%s) and came again", p.Timestamp, m.settled[p.Timestamp])
		}
		for seq, ts := range m.bySeq {
			if (seq < p.Seq) != (ts < p.Timestamp) && seq != p.Seq {
				t.Fatalf("pings %d and %d have the wrong order", ts, p.Timestamp)
			}
		}
		last = p.Seq
		m.bySeq[p.Seq], m.highest = p.Timestamp, max(m.highest, p.Seq)
		m.sent[p.Timestamp] = true
	}
}

func (m *outboxMachine) refuse(t *rapid.T) {
	if m.highest == m.acked {
		t.Skip("nothing to refuse")
	}
	seq := rapid.Uint64Range(m.acked+1, m.highest).Draw(t, "seq")
	if m.out.refuse(seq, "invalid") == m.refused[seq] {
		t.Fatalf("refusing %d a second time (%v)", seq, m.refused[seq])
	}
	m.refused[seq] = true
	m.settled[m.bySeq[seq]] = "refused"
}

func (m *outboxMachine) ack(t *rapid.T) {
	if m.highest == 0 {
		t.Skip("nothing to ack")
	}
	seq := rapid.Uint64Range(0, m.highest).Draw(t, "seq")
	if !m.out.ack(seq) {
		t.Fatalf("ack %d of %d is unknown", seq, m.highest)
	}
	for s := uint64(1); s <= seq; s++ {
		if m.settled[m.bySeq[s]] == "" {
			m.settled[m.bySeq[s]] = "acked"
		}
	}
	m.acked = max(m.acked, seq)
}

func (m *outboxMachine) retry(*rapid.T) { m.out.rewind() }

func (m *outboxMachine) nonsense(t *rapid.T) {
	before := fmt.Sprint(m.out)
	if m.out.refuse(0, "") || m.out.refuse(m.highest+1, "") || m.out.refuse(math.MaxUint64, "") {
		t.Fatal("a ping that never was is refused")
	}
	if after := fmt.Sprint(m.out); after != before {
		t.Fatalf("it changed the outbox from %s to %s", before, after)
	}
}

func (m *outboxMachine) check(t *rapid.T) {
	acked, refused := uint64(0), uint64(0)
	for _, how := range m.settled {
		if how == "acked" {
			acked++
		} else {
			refused++
		}
	}
	o := &m.out
	if o.acked != acked || o.refused != refused || o.sent != uint64(len(m.sent)) ||
		o.unanswered() != o.sent-acked-refused || o.unsent() != uint64(m.taken)-o.sent {
		t.Fatalf("counts are off: %d acked, %d refused, %d sent, %d unanswered, %d unsent; want %d, %d, %d of %d",
			o.acked, o.refused, o.sent, o.unanswered(), o.unsent(), acked, refused, len(m.sent), m.taken)
	}
}

func TestOutbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &outboxMachine{settled: map[int64]string{}, sent: map[int64]bool{}}
		m.connect(t)
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "connect": m.connect, "take": m.take, "ask": m.ask, "write": m.write,
			"refuse": m.refuse, "ack": m.ack, "retry": m.retry, "nonsense": m.nonsense,
		})
		// Whatever went before: a connection that holds settles it all.
		m.connect(t)
		for m.out.duePings() || m.out.nextControl(false) != nil {
			m.write(t)
		}
		m.out.ack(m.highest)
		if m.out.unanswered()+m.out.unsent() != 0 || m.out.acked+m.out.refused != uint64(m.taken) {
			t.Fatalf("of %d pings %d were acked and %d refused", m.taken, m.out.acked, m.out.refused)
		}
		seen := map[string]bool{}
		for _, kind := range m.said {
			seen[kind] = true
		}
		if len(seen) != len(m.asked) {
			t.Fatalf("control frames asked for %v, written %v", m.asked, m.said)
		}
	})
}

// An ack of more than was written is the server's mistake; it settles what was written and nothing else.
func TestOutboxAckBeyond(t *testing.T) {
	var o outbox
	o.connect()
	o.add(1, somewhere)
	o.add(2, somewhere)
	o.appendPings(nil, 1)
	if o.ack(9) || o.acked != 1 || o.unsent() != 1 {
		t.Errorf("%+v", o)
	}
}

func TestPingFrames(t *testing.T) {
	p := geo.NewPosition(geo.Point{Latitude: 48.8466, Longitude: -2.4167})
	bare := string(appendPing(nil, 1, 1795255200250, &p))
	if want := `{"seq":1,"timestamp":1795255200250,"latitude":48.8466,"longitude":-2.4167}`; bare != want {
		t.Errorf("got  %s\nwant %s", bare, want)
	}
	p.Accuracy, p.Altitude, p.Heading, p.Speed, p.Battery, p.Mock = 6.5, 61.2, 87.5, 0, 0.81, true
	full := string(appendPing(nil, 2, -5, &p))
	want := `{"seq":2,"timestamp":-5,"latitude":48.8466,"longitude":-2.4167,"accuracy":6.5,"altitude":61.2,"heading":87.5,"speed":0,"battery":0.81,"mock":true}`
	if full != want {
		t.Errorf("got  %s\nwant %s", full, want)
	}
	p.Latitude, p.Longitude, p.Altitude = math.NaN(), math.Inf(1), float32(math.Inf(-1))
	if s := string(appendPing(nil, 3, 0, &p)); !strings.Contains(s, `"latitude":null,"longitude":null`) || !strings.Contains(s, `"altitude":null`) || !json.Valid([]byte(s)) {
		t.Errorf("got %s", s)
	}
}

// Numbers that take the most digits still make a frame that the server accepts, with as many pings as fit.
func TestPingFramesFit(t *testing.T) {
	p := geo.Position{
		Point:    geo.Point{Latitude: -math.SmallestNonzeroFloat64 * 3, Longitude: -179.99999999999997},
		Accuracy: math.MaxFloat32, Altitude: -math.MaxFloat32, Heading: 359.99997, Speed: 1.1754944e-38, Battery: 0.99999994, Mock: true,
	}
	var o outbox
	o.connect()
	for range 300 {
		o.add(math.MinInt64, p)
	}
	o.lastSeq = math.MaxUint64 / 2
	frames := 0
	for o.duePings() {
		frame, n := o.appendPings(nil, maxFramePings)
		if len(frame) > maxFrameBytes || n == 0 || !json.Valid(frame) {
			t.Fatalf("a frame of %d bytes with %d pings", len(frame), n)
		}
		frames++
	}
	if o.sent != 300 || frames > 4 {
		t.Errorf("%d pings in %d frames", o.sent, frames)
	}
}
