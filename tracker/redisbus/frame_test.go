package redisbus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/tracker"
)

// testClock is a clock that the test moves.
type testClock struct{ at time.Time }

func (c *testClock) now() time.Time { return c.at }

// desk is a node that seals and another that opens, with a clock each.
type desk struct {
	out           sealer
	in            opener
	here, there   testClock
	channel       string
	mission       uuid.UUID
	root          session.RootSecret
	lastPublished int64
}

func newDesk(tb testing.TB) *desk {
	tb.Helper()
	start := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	d := &desk{here: testClock{start}, there: testClock{start}, mission: session.NewID(), root: session.NewRootSecret()}
	d.channel = missionChannel(d.mission)
	d.out = d.sealer(tb, d.root)
	d.in = opener{root: d.root, now: d.there.now, own: newNodeID(), peers: map[nodeID]*peer{}}
	return d
}

func (d *desk) sealer(tb testing.TB, root session.RootSecret) sealer {
	tb.Helper()
	node := newNodeID()
	key, err := frameKey(root, node)
	if err != nil {
		tb.Fatal(err)
	}
	return sealer{node: node, key: key, now: d.here.now}
}

// frame seals another message.
func (d *desk) frame(tb testing.TB) string {
	tb.Helper()
	d.lastPublished++
	frame, err := d.out.seal(nil, d.channel, &tracker.Message{Mission: d.mission, Kind: tracker.Changed, Revision: d.lastPublished})
	if err != nil {
		tb.Fatal(err)
	}
	return string(frame)
}

// judge opens a frame and compares what becomes of it.
func (d *desk) judge(tb testing.TB, what, channel, frame string, want reason) {
	tb.Helper()
	m, got := d.in.open(channel, frame)
	if got != want || (m == nil) != (want != "") {
		tb.Errorf("%s: %v, %q; want %q", what, m, got, want)
	}
}

func TestFrame(t *testing.T) {
	d := newDesk(t)
	for _, m := range messages(t) {
		channel := missionChannel(m.Mission)
		frame, err := d.out.seal([]byte("before"), channel, m)
		if err != nil || !bytes.HasPrefix(frame, []byte("before")) {
			t.Fatalf("%q, %v", frame, err)
		}
		got, dropped := d.in.open(channel, string(frame[len("before"):]))
		if dropped != "" || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Errorf("%+v came back as %+v, %q", m, got, dropped)
		}
	}
}

// TestForged is P45: what nobody with the root secret made for this channel is
// dropped, every bit of it.
func TestForged(t *testing.T) {
	d := newDesk(t)
	good := d.frame(t)
	for i := range 8 * len(good) {
		b := []byte(good)
		b[i/8] ^= 1 << (i % 8)
		d.judge(t, fmt.Sprint("bit ", i), d.channel, string(b), forged)
	}
	for n := range len(good) {
		d.judge(t, fmt.Sprint("first ", n), d.channel, good[:n], forged)
	}
	d.judge(t, "a byte more", d.channel, good+"x", forged)
	d.judge(t, "too long", d.channel, good+string(make([]byte, maxFrame)), forged)
	d.judge(t, "another mission's", missionChannel(session.NewID()), good, forged)
	d.judge(t, "no mission's", nodeChannel(tags[0], d.out.node), good, forged)
	d.judge(t, "another partition's", "{p99}.m."+d.mission.String(), good, forged)
	stranger := d.sealer(t, session.NewRootSecret())
	b, err := stranger.seal(nil, d.channel, messages(t)[3])
	if err != nil {
		t.Fatal(err)
	}
	d.judge(t, "a stranger's", d.channel, string(b), forged)
	copy(b, d.out.node[:])
	d.judge(t, "a stranger's in another's name", d.channel, string(b), forged)
	if len(d.in.peers) != 0 {
		t.Errorf("%d nodes are remembered that nobody vouched for", len(d.in.peers))
	}
	d.judge(t, "the good one", d.channel, good, "")
}

// TestStale is P45: what is old, or from a clock that is off, and what comes
// again, is dropped.
func TestStale(t *testing.T) {
	d := newDesk(t)
	first, second, third := d.frame(t), d.frame(t), d.frame(t)
	d.judge(t, "the second one", d.channel, second, "")
	d.judge(t, "again", d.channel, second, stale)
	d.judge(t, "one before", d.channel, first, stale)
	d.judge(t, "one after", d.channel, third, "")

	for _, c := range []struct {
		late time.Duration
		want reason
	}{{maxAge, ""}, {maxAge + time.Millisecond, stale}, {-maxAge, ""}, {-maxAge - time.Millisecond, stale}} {
		frame := d.frame(t)
		d.there.at = d.here.at.Add(c.late)
		d.judge(t, fmt.Sprint("opened ", c.late, " late"), d.channel, frame, c.want)
	}
}

// TestStaleForever: a node that was forgotten cannot be replayed either.
func TestStaleForever(t *testing.T) {
	d := newDesk(t)
	d.here.at = d.here.at.Add(maxAge) // ahead of the other by as much as may be
	old := d.frame(t)
	d.judge(t, "from the future", d.channel, old, "")
	first := d.out
	for range 30 { // nodes come, speak once and go
		d.here.at = d.here.at.Add(maxAge / 10)
		d.there.at = d.here.at
		d.out = d.sealer(t, d.root)
		d.judge(t, "a new node's", d.channel, d.frame(t), "")
		d.judge(t, "the first node's, again", d.channel, old, stale)
	}
	if d.in.peers[first.node] != nil || len(d.in.peers) > 12 {
		t.Errorf("%d nodes are remembered", len(d.in.peers))
	}
}

func TestOwnEcho(t *testing.T) {
	d := newDesk(t)
	d.in.own = d.out.node
	frame := d.frame(t)
	if m, dropped := d.in.open(d.channel, frame); m != nil || dropped != "" {
		t.Errorf("an echo came out as %v, %q", m, dropped)
	}
	d.judge(t, "again", d.channel, frame, stale)
	d.judge(t, "a forgery in this node's name", d.channel, frame[:len(frame)-1]+"x", forged)
}

// TestUndecodable: what is genuine and of another version is told from what is
// forged.
func TestUndecodable(t *testing.T) {
	d := newDesk(t)
	seal := func(plain ...byte) string {
		return string(d.out.key.Seal(slices.Clone(d.out.node[:]), nil, plain, []byte(d.channel)))
	}
	head := func(version byte) []byte {
		b := binary.BigEndian.AppendUint64([]byte{version}, 1<<40+uint64(version))
		return binary.BigEndian.AppendUint64(b, uint64(d.here.at.UnixMilli()))
	}
	d.judge(t, "another version", d.channel, seal(head(2)...), undecodable)
	d.judge(t, "no message", d.channel, seal(head(1)...), undecodable)
	d.judge(t, "no head", d.channel, seal(1), forged) // too short to be anything
	d.judge(t, "after them", d.channel, seal(append(head(3), 1)...), undecodable)
}

func TestSealRefuses(t *testing.T) {
	d := newDesk(t)
	if b, err := d.out.seal([]byte("x"), d.channel, &tracker.Message{}); err == nil || string(b) != "x" {
		t.Errorf("a message of no kind: %q, %v", b, err)
	}
	long := &tracker.Message{Kind: tracker.Moved, Moves: make([]tracker.Move, maxFrame/minMove+1)}
	if b, err := d.out.seal([]byte("x"), d.channel, long); err == nil || string(b) != "x" {
		t.Errorf("a frame of %d bytes: %v", len(b), err)
	}
	if _, err := frameKey(session.RootSecret{}, d.out.node); err == nil {
		t.Error("a key without a root secret")
	}
	// All agents of a mission fit, many times over.
	full := &tracker.Message{Kind: tracker.Moved, Moves: make([]tracker.Move, session.MaxAgents)}
	if b, err := d.out.seal(nil, d.channel, full); err != nil || len(b) > maxFrame/8 {
		t.Errorf("a full mission makes a frame of %d bytes: %v", len(b), err)
	}
}

// TestNoncesDiffer: two frames of one message have nothing in common but the
// node that made them (P42).
func TestNoncesDiffer(t *testing.T) {
	d := newDesk(t)
	seen := map[string]bool{}
	for range 1000 {
		seen[d.frame(t)[nodeSize:nodeSize+nonceSize]] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d nonces in 1000 frames", len(seen))
	}
	again := d.sealer(t, d.root) // a restart
	if again.node == d.out.node {
		t.Error("a restarted node has the same id, and so the same key")
	}
}

// FuzzFrame: whatever comes through Redis does no harm and is never taken for a
// message.
func FuzzFrame(f *testing.F) {
	d := newDesk(f)
	f.Add(d.frame(f))
	f.Add("")
	d.out.sequence, d.in.root = 0, session.NewRootSecret()
	f.Fuzz(func(t *testing.T, frame string) {
		d.judge(t, "a fuzzed frame", d.channel, frame, forged)
	})
}

func BenchmarkSeal(b *testing.B) {
	d := newDesk(b)
	for _, m := range []*tracker.Message{messages(b)[0], crowd(b)} {
		b.Run(fmt.Sprintf("moves=%d", len(m.Moves)), func(b *testing.B) {
			b.ReportAllocs()
			var frame []byte
			for b.Loop() {
				var err error
				if frame, err = d.out.seal(frame[:0], d.channel, m); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(frame)))
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	d := newDesk(b)
	for _, m := range []*tracker.Message{messages(b)[0], crowd(b)} {
		b.Run(fmt.Sprintf("moves=%d", len(m.Moves)), func(b *testing.B) {
			b.ReportAllocs()
			sealed, err := d.out.seal(nil, d.channel, m)
			if err != nil {
				b.Fatal(err)
			}
			frame := string(sealed)
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if p := d.in.peers[d.out.node]; p != nil {
					p.sequence = 0 // it comes again and again
				}
				if _, dropped := d.in.open(d.channel, frame); dropped != "" {
					b.Fatal(dropped)
				}
			}
		})
	}
}

// crowd is a message with as many moves as a mission has agents at most.
func crowd(tb testing.TB) *tracker.Message {
	one := messages(tb)[0]
	m := &tracker.Message{Mission: one.Mission, Kind: tracker.Moved}
	for i := range session.MaxAgents {
		move := one.Moves[0]
		move.Agent = fmt.Sprintf("badge-%d", i)
		m.Moves = append(m.Moves, move)
	}
	return m
}
