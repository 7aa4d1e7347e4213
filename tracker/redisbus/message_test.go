package redisbus

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
)

// messages are one of each kind, and the odd ones.
func messages(tb testing.TB) []*tracker.Message {
	tb.Helper()
	site := geo.Site{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80}
	fix := geo.NewPosition(site.Center)
	fix.Accuracy, fix.Battery = 6.5, 0.81
	var p session.Progress
	p.Fold(&session.Mission{Site: site}, 1795255200250, &fix)
	p.Version = 42
	id := session.NewID()
	return []*tracker.Message{
		{Mission: id, Kind: tracker.Moved, Moves: []tracker.Move{{Agent: "badge-17", Progress: p, Seen: 1795255200250}}},
		{Mission: id, Kind: tracker.Moved, Moves: []tracker.Move{{Agent: "a", Progress: p}, {Agent: "", Seen: -1}, {Agent: strings.Repeat("é", 127)}}},
		{Mission: id, Kind: tracker.Moved},
		{Mission: id, Kind: tracker.Changed, Revision: 1 << 62},
		{Mission: id, Kind: tracker.Connected, Agent: "badge-17", Conn: 1<<62 + 1},
	}
}

func encoded(tb testing.TB, m *tracker.Message) []byte {
	tb.Helper()
	b, err := appendMessage(nil, m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestMessageForm(t *testing.T) {
	for _, m := range messages(t) {
		b := encoded(t, m)
		got, err := parseMessage(m.Mission, b)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Errorf("%+v came back as %+v, %v", m, got, err)
		}
		for n := range b {
			if got, err := parseMessage(m.Mission, b[:n]); err == nil {
				t.Errorf("%d of %d bytes parsed as %+v", n, len(b), got)
			}
		}
		if got, err := parseMessage(m.Mission, append(b, 0)); err == nil {
			t.Errorf("a byte too many parsed as %+v", got)
		}
	}
}

func TestMessageRefuses(t *testing.T) {
	for name, m := range map[string]*tracker.Message{
		"no kind":        {},
		"unknown kind":   {Kind: tracker.Connected + 1},
		"long agent":     {Kind: tracker.Connected, Agent: strings.Repeat("a", 256)},
		"long mover":     {Kind: tracker.Moved, Moves: []tracker.Move{{Agent: strings.Repeat("a", 256)}}},
		"odd progress":   {Kind: tracker.Moved, Moves: []tracker.Move{{Progress: session.Progress{Phase: "odd"}}}},
		"too many moves": {Kind: tracker.Moved, Moves: make([]tracker.Move, 65536)},
	} {
		if b, err := appendMessage(nil, m); err == nil {
			t.Errorf("%s: encoded as %x", name, b)
		}
	}
	move := encoded(t, messages(t)[0])
	for name, b := range map[string][]byte{
		"nothing":       {},
		"kind 0":        {0},
		"kind 4":        slices.Concat([]byte{4}, make([]byte, 8)),
		"bad progress":  slices.Concat(move[:len(move)-session.ProgressSize], []byte{9}, move[len(move)-session.ProgressSize+1:]),
		"a wrong count": slices.Concat([]byte{1, 0xff, 0xff}, move[3:]),
	} {
		if m, err := parseMessage(session.NewID(), b); err == nil {
			t.Errorf("%s: parsed as %+v", name, m)
		}
	}
}

// TestMessageMemory: a count that promises more than there is costs nothing.
func TestMessageMemory(t *testing.T) {
	move := encoded(t, messages(t)[0])
	liar := slices.Concat([]byte{byte(tracker.Moved), 0xff, 0xff}, move[3:])
	id := session.NewID()
	if n := testing.AllocsPerRun(100, func() { _, _ = parseMessage(id, liar) }); n > 1 {
		t.Errorf("refusing a message of %d bytes took %v allocations", len(liar), n)
	}
}

// FuzzMessage: every message has exactly one form, and no bytes do harm.
func FuzzMessage(f *testing.F) {
	for _, m := range messages(f) {
		f.Add(encoded(f, m))
	}
	f.Add([]byte{})
	id := session.NewID()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(id, b)
		if err != nil {
			return
		}
		if again := encoded(t, m); m.Mission != id || !bytes.Equal(again, b) {
			t.Errorf("%x parsed as %+v, which encodes as %x", b, m, again)
		}
	})
}
