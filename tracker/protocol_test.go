package tracker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ronde/session"
	"ronde/tracker"
)

// either stands for a close code of ours or the library's: whoever is first.
const either = -1

// hostile is what no client may send. Of the close codes, 4008 is ours and 1002
// the library's; 0 stands for a connection that ends without one.
var hostile = []struct {
	name   string
	frames [][]byte
	agent  int // close code of an agent's socket
	viewer int // close code of a viewer's
}{
	{"binary frame", [][]byte{rfcFrame(fin|opBinary, "\x01\x02\x03")}, 4008, 4008},
	{"binary frame with text", [][]byte{rfcFrame(fin|opBinary, `{"type":"begin"}`)}, 4008, 4008},
	{"empty binary frame", [][]byte{rfcFrame(fin|opBinary, "")}, 4008, 4008},
	{"one byte too many", [][]byte{rfcFrame(fin|opText, strings.Repeat(" ", 32<<10+1))}, 4008, 4008},
	{"a megabyte", [][]byte{rfcFrame(fin|opText, strings.Repeat("x", 1<<20))}, 4008, 4008},
	{"a frame that would be of 2^62 bytes", [][]byte{
		append([]byte{fin | opText, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, masked(strings.Repeat("x", 64<<10))...),
	}, 4008, 4008},
	{"a length of 2^63", [][]byte{
		append([]byte{fin | opText, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, masked("xxxx")...),
	}, 0, 0},
	{"RSV1 without an extension", [][]byte{rfcFrame(fin|rsv1|opText, "{}")}, 1002, 1002},
	{"deflate bomb", [][]byte{rfcFrame(fin|rsv1|opText, strings.Repeat("\xec\xc0\x01\x01", 1000))}, 1002, 1002},
	{"RSV2 and RSV3", [][]byte{rfcFrame(fin|0x30|opText, "{}")}, 1002, 1002},
	{"reserved opcode", [][]byte{rfcFrame(fin|0x3, "{}")}, 1002, 1002},
	{"reserved control opcode", [][]byte{rfcFrame(fin|0xb, "")}, 1002, 1002},
	{"unmasked", [][]byte{{fin | opText, 2, '{', '}'}}, 0, 0},
	{"unmasked ping", [][]byte{{fin | opPing, 0}}, 0, 0},
	{"fragmented ping", [][]byte{rfcFrame(opPing, "x")}, 1002, 1002},
	{"ping of 126 bytes", [][]byte{rfcFrame(fin|opPing, strings.Repeat("x", 126))}, 1002, 1002},
	{"close of 126 bytes", [][]byte{rfcFrame(fin|opClose, "\x03\xe8"+strings.Repeat("x", 124))}, 1002, 1002},
	{"continuation first", [][]byte{rfcFrame(fin|opContinue, "{}")}, 1002, 1002},
	{"text inside a text", [][]byte{rfcFrame(opText, `{"type":`), rfcFrame(fin|opText, `"begin"}`)}, 1002, either},
	{"close without a code", [][]byte{rfcFrame(fin|opClose, "")}, 1005, 1005},
	{"close with 1005", [][]byte{rfcFrame(fin|opClose, "\x03\xed")}, 1002, 1002},
	{"close with half a code", [][]byte{rfcFrame(fin|opClose, "\x03")}, 1002, 1002},
	{"close with a code that is none", [][]byte{rfcFrame(fin|opClose, "\x00\x00")}, 1002, 1002},
	{"close", [][]byte{rfcFrame(fin|opClose, "\x03\xe8")}, 1000, 1000},
	{"data after close", [][]byte{rfcFrame(fin|opClose, "\x03\xe8bye"), rfcFrame(fin|opText, `{"type":"begin"}`)}, 1000, 1000},
	{"close inside a text", [][]byte{rfcFrame(opText, `{"type":`), rfcFrame(fin|opClose, "\x03\xe9")}, 1001, either},
}

// TestHostileSockets: whatever a client does to the protocol ends its own
// connection, by the code that fits, and nobody else's.
func TestHostileSockets(t *testing.T) {
	t.Parallel()
	n := newNode(t, new(tracker.MemBus))
	neighbours := []string{"badge-18", "badge-19", "badge-20"} // each stays within the rates of an agent
	m := n.mission(append(neighbours, "badge-17")...)
	began := n.do(m, session.Begin)
	var phones []*peer
	for _, name := range neighbours {
		phone := n.agent(m, name)
		phone.until("hello")
		phones = append(phones, phone)
	}
	watcher := n.viewer(m, session.ProfileExact)
	watcher.until("snapshot")
	seq := 0
	alive := func(t *testing.T) {
		t.Helper()
		phone, turn := phones[seq%len(phones)], seq/len(phones)+1
		seq++
		phone.pings(pingAt(turn, began.BeganAt.Add(time.Duration(seq)*time.Millisecond), entrance))
		if a := phone.until("ack"); a["seq"] != float64(turn) {
			t.Fatalf("the neighbour got %v", a)
		}
	}
	for _, c := range hostile {
		for _, s := range []struct {
			name, path, protocol, first string
			code                        int
		}{
			{"agent", "/agent" + n.caller(agentOf(m, "badge-17")), agentProtocol, "hello", c.agent},
			{"viewer", "/live" + n.caller(viewerOf(m, session.ProfileExact)), liveProtocol, "snapshot", c.viewer},
		} {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				p := n.raw(s.path, s.protocol, 0)
				p.t = t
				if first := p.text(); !strings.Contains(first, s.first) {
					t.Fatalf("first frame: %s", first)
				}
				for _, f := range c.frames {
					_, _ = p.conn.Write(f) // the connection may be closed in the middle
				}
				if got := p.closed(); got != s.code && s.code != either {
					t.Errorf("closed with %d, want %d", got, s.code)
				}
				alive(t)
			})
		}
	}
	n.do(m, session.End)
	watcher.until("ended")
	if stored := n.stored(m); len(stored) != seq {
		t.Errorf("%d positions stored, want %d", len(stored), seq)
	}
}

// TestEndlessFragments: a message that never ends is cut off at the size that
// no message may have, whatever it is made of.
func TestEndlessFragments(t *testing.T) {
	t.Parallel()
	n := newNode(t, new(tracker.MemBus))
	m := n.mission("badge-17")
	p := n.raw("/agent"+n.caller(agentOf(m, "badge-17")), agentProtocol, 0)
	p.text()
	p.write(rfcFrame(opText, `{"type":"begin","x":"`))
	go func() { // until the server has had enough
		for {
			if _, err := p.conn.Write(rfcFrame(opContinue, strings.Repeat("x", 100))); err != nil {
				return
			}
		}
	}()
	if got := p.closed(); got != 4008 {
		t.Errorf("closed with %d", got)
	}
}

// TestFragments: a message may come in pieces, with control frames in between,
// and with lengths longer than needed, which the library does not mind.
func TestFragments(t *testing.T) {
	t.Parallel()
	n := newNode(t, new(tracker.MemBus))
	m := n.mission("badge-17")
	p := n.raw("/agent"+n.caller(agentOf(m, "badge-17")), agentProtocol, 0)
	p.text()
	p.write(
		rfcFrame(opText, `{"type":`), rfcFrame(fin|opPing, "still there?"), rfcFrame(opContinue, ""),
		rfcFrame(opContinue, `"be`), rfcFrame(fin|opPong, "unasked"), rfcFrame(fin|opContinue, `gin"}`),
	)
	if op, payload, err := p.next(); op != opPong || string(payload) != "still there?" || err != nil {
		t.Fatalf("opcode %d, %q, %v", op, payload, err)
	}
	if got := p.text(); !strings.Contains(got, `"duty":"on"`) {
		t.Fatalf("got %s", got)
	}
	repeated := `{"type":"begin"}`
	p.write(append([]byte{fin | opText, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, byte(len(repeated))}, masked(repeated)...))
	if got := p.text(); !strings.Contains(got, `"duty":"on"`) {
		t.Fatalf("got %s", got)
	}
	exact := `{"type":"begin"}`
	p.write(rfcFrame(fin|opText, exact+strings.Repeat(" ", 32<<10-len(exact))))
	if got := p.text(); !strings.Contains(got, `"duty":"on"`) {
		t.Fatalf("a frame of exactly 32 KiB: %s", got)
	}
}

// TestPingFlood: control frames cost the server one answer each, written before
// the next is read: a client that floods slows itself.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	n := newNode(t, new(tracker.MemBus))
	m := n.mission("badge-17")
	p := n.raw("/agent"+n.caller(agentOf(m, "badge-17")), agentProtocol, 0)
	p.text()
	const flood = 20_000
	go func() {
		for i := range flood {
			if _, err := p.conn.Write(rfcFrame(fin|opPing, fmt.Sprint(i))); err != nil {
				return
			}
		}
	}()
	for i := range flood {
		op, payload, err := p.next()
		for op == opPing { // the server looks after its sockets meanwhile
			op, payload, err = p.next()
		}
		if op != opPong || string(payload) != fmt.Sprint(i) || err != nil {
			t.Fatalf("answer %d: opcode %d, %q, %v", i, op, payload, err)
		}
	}
	p.write(rfcFrame(fin|opText, `{"type":"begin"}`))
	if got := p.text(); !strings.Contains(got, `"duty":"on"`) {
		t.Errorf("after the flood: %s", got)
	}
}
