package tracker_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
)

// bad is one ping that is not to be stored, between two that are.
type bad struct {
	name string
	ping map[string]any // what differs from a good ping; nil removes a member
	code string         // "" for one that is accepted after all
}

// badPings takes the times at which the agent's window opened, closed, and
// opened again, and the present.
func badPings(opened, closed, reopened, now time.Time) []bad {
	at := func(t time.Time) map[string]any { return map[string]any{"timestamp": t.UnixMilli()} }
	return []bad{
		{"latitude just too far north", map[string]any{"latitude": 90.0000001}, "invalid"},
		{"latitude too far south", map[string]any{"latitude": -91}, "invalid"},
		{"longitude too far east", map[string]any{"longitude": 180.0001}, "invalid"},
		{"axes swapped", map[string]any{"latitude": 151.2093, "longitude": -33.8688}, "invalid"},
		{"axes swapped where it cannot be seen", map[string]any{"latitude": 2.4167, "longitude": 48.8466}, ""},
		{"null island", map[string]any{"latitude": 0, "longitude": 0}, "invalid"},
		{"minus null island", map[string]any{"latitude": raw("-0"), "longitude": raw("-0.0")}, "invalid"},
		{"on the equator", map[string]any{"latitude": raw("-0")}, ""},
		{"beyond every number", map[string]any{"latitude": raw("1e999")}, "invalid"},
		{"no latitude", map[string]any{"latitude": nil}, "invalid"},
		{"latitude null", map[string]any{"latitude": raw("null")}, "invalid"},
		{"latitude in words", map[string]any{"latitude": "48.8466"}, "invalid"},
		{"forty digits", map[string]any{"latitude": raw("48.84660000000000000000000000000000000001")}, ""},
		{"accuracy negative", map[string]any{"accuracy": -1}, "invalid"},
		{"accuracy of the moon", map[string]any{"accuracy": 1e9}, "invalid"},
		{"a thousand kilometres away", map[string]any{"latitude": 57.8}, ""},
		{"a heartbeat", map[string]any{"latitude": nil, "longitude": nil, "battery": 0.4}, "invalid"},
		{"mock", map[string]any{"mock": true}, ""},

		{"before the begin", at(opened.Add(-time.Millisecond)), "outside_window"},
		{"at the begin", at(opened), ""},
		{"at the last moment", at(closed.Add(-time.Millisecond)), ""},
		{"at the close", at(closed), "outside_window"},
		{"on the agent's pause", at(closed.Add(time.Second)), "outside_window"},
		{"just before the pause ends", at(reopened.Add(-time.Millisecond)), "outside_window"},
		{"at the end of the pause", at(reopened), ""},
		{"a minute ahead", at(now.Add(time.Minute)), ""},
		{"more than a minute ahead", at(now.Add(time.Minute + time.Millisecond)), "future"},
		{"an hour ahead", at(now.Add(time.Hour)), "future"},
		{"year 9999", at(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), "future"},
		{"year 1", at(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), "outside_window"},
		{"year 10000", at(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), "invalid"},
		{"seconds for milliseconds", map[string]any{"timestamp": now.Unix()}, "outside_window"},
		{"microseconds for milliseconds", map[string]any{"timestamp": now.UnixMicro()}, "invalid"},
		{"time zero", map[string]any{"timestamp": 0}, "outside_window"},
		{"time in words", map[string]any{"timestamp": now.Format(time.RFC3339)}, "invalid"},
		{"no time", map[string]any{"timestamp": nil}, "invalid"},
	}
}

// raw is JSON as it stands.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestBadPings: each bad ping is refused by its code, its neighbours in the same
// frame are stored, and the connection goes on.
func TestBadPings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// The rate of frames allows one agent no more than a part of the list.
	phones := []string{"badge-17", "badge-18", "badge-19"}
	m := r.plan(func(m *session.Mission) { m.Policy.MinInterval = time.Millisecond }, phones...)
	opened := r.do(m, session.Begin).BeganAt
	agents := make([]*peer, len(phones))
	everybody := func(frame string) time.Time {
		r.clock.advance(10 * time.Second)
		for i, name := range phones {
			if agents[i] == nil {
				agents[i] = r.agent(m, name)
			}
			agents[i].send(frame)
			agents[i].until("state")
		}
		return r.clock.now()
	}
	closed := everybody(`{"type":"pause"}`)
	reopened := everybody(`{"type":"resume"}`)
	r.clock.advance(time.Minute)

	list := badPings(opened, closed, reopened, r.clock.now())
	want := map[int64]int{} // how often each time is stored
	for i, b := range list {
		agent, seq := agents[i%len(agents)], 3*i
		good := func(n int) map[string]any {
			at := opened.Add(time.Duration(100+4*i+n) * time.Millisecond).UnixMilli()
			want[at]++
			return map[string]any{"seq": seq + n, "timestamp": at, "latitude": 48.8466, "longitude": 2.4167, "accuracy": 5}
		}
		first, last := good(1), good(3)
		middle := maps.Clone(first)
		middle["seq"] = seq + 2
		middle["timestamp"] = reopened.Add(time.Duration(i+1) * time.Millisecond).UnixMilli()
		for name, v := range b.ping {
			if middle[name] = v; v == nil {
				delete(middle, name)
			}
		}
		agent.send(map[string]any{"type": "pings", "pings": []any{first, middle, last}})
		var answers []string
		for _, f := range agent.settled() {
			answers = append(answers, answer(f))
		}
		expected := []string{fmt.Sprintf("ack %d", seq+3)}
		if b.code != "" {
			expected = slices.Insert(expected, 0, fmt.Sprintf("refused %d %s", seq+2, b.code))
		} else {
			want[middle["timestamp"].(int64)]++
		}
		if !slices.Equal(answers, expected) {
			t.Errorf("%s: %v, want %v", b.name, answers, expected)
		}
	}
	got := map[int64]int{}
	for _, fix := range r.stored(m) {
		got[fix.Timestamp]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("stored %v\nwant   %v", got, want)
	}
}

// answer writes down what a frame says about pings.
func answer(f msg) string {
	switch f["type"] {
	case "ack":
		return fmt.Sprintf("ack %.0f", f["seq"])
	case "refused":
		return fmt.Sprintf("refused %.0f %s", f["seq"], f["code"])
	case "retry":
		return fmt.Sprintf("retry %s", f["code"])
	}
	return fmt.Sprintf("%s %v", f["type"], f["code"])
}

// answers returns what was said about the pings sent so far.
func (p *peer) answers() []string {
	p.t.Helper()
	var list []string
	for _, f := range p.settled() {
		list = append(list, answer(f))
	}
	return list
}

func (p *peer) expect(want ...string) {
	p.t.Helper()
	if got := p.answers(); !slices.Equal(got, want) {
		p.t.Errorf("got %q, want %q", got, want)
	}
}

// TestNotActive: before the begin a ping is not_active whatever its time, and
// the socket stays.
func TestNotActive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mission("badge-17")
	agent := r.agent(m, "badge-17")
	agent.pings(
		pingAt(1, r.clock.now(), entrance), pingAt(2, r.clock.now().Add(-time.Hour), entrance), pingAt(3, r.clock.now().Add(time.Hour), entrance))
	for i, want := range []string{"refused 1 not_active", "refused 2 not_active", "refused 3 not_active", "ack 3"} {
		f, code := agent.next()
		for f.is("hello") {
			f, code = agent.next()
		}
		if code != 0 || answer(f) != want {
			t.Fatalf("answer %d: %v, %d", i, f, code)
		}
	}
	agent.send(`{"type":"begin"}`)
	agent.until("state")
	agent.pings(pingAt(4, r.clock.now(), entrance))
	agent.expect("ack 4")
	if got := len(r.stored(m)); got != 1 {
		t.Errorf("%d stored", got)
	}
}

// TestTooFrequent: of one slot, one position is kept: the first that came,
// whatever connection it came by. The same one again settles silently.
func TestTooFrequent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.do(r.plan(func(m *session.Mission) { m.Policy.MinInterval = time.Second }, "badge-17"), session.Begin)
	r.clock.advance(time.Minute)
	// A slot begins with a second of the phone's time, not with the mission.
	slot := m.BeganAt.Truncate(time.Second).Add(10 * time.Second)
	elsewhere := geo.Point{Latitude: 48.85, Longitude: 2.42}
	agent := r.agent(m, "badge-17")
	agent.pings(pingAt(1, slot, entrance), pingAt(2, slot.Add(999*time.Millisecond), elsewhere), pingAt(3, slot.Add(time.Second), elsewhere))
	agent.expect("refused 2 too_frequent", "ack 3")
	agent.pings(pingAt(4, slot, entrance), pingAt(5, slot, elsewhere))
	agent.expect("refused 5 too_frequent", "ack 5")
	phone := r.agent(m, "badge-17")
	phone.pings(pingAt(1, slot.Add(500*time.Millisecond), entrance), pingAt(2, slot, entrance))
	phone.expect("refused 1 too_frequent", "ack 2")
	if got := len(r.stored(m)); got != 2 {
		t.Errorf("%d stored", got)
	}
}

// TestNoticeMissing: once a notice is published, an agent who has not
// acknowledged it is refused, and told in hello what there is to acknowledge.
func TestNoticeMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	r.clock.advance(time.Minute)
	other := r.agent(m, "badge-18")
	if hello := other.until("hello"); hello["notice"] != nil {
		t.Errorf("there is a notice where none was published: %v", hello)
	}
	_, err := r.service.PublishNotice(t.Context(), staff, session.Notice{Text: "Vous êtes localisé pendant la mission."})
	must(t, err)
	agent := r.agent(m, "badge-17")
	notice, _ := agent.until("hello")["notice"].(map[string]any)
	if notice["version"] != 1.0 || notice["acknowledged"] != false || notice["text"] != "Vous êtes localisé pendant la mission." {
		t.Fatalf("notice: %v", notice)
	}
	agent.pings(pingAt(1, m.BeganAt.Add(time.Second), entrance))
	agent.expect("refused 1 notice_missing", "ack 1")
	for range 2 { // repeating it is harmless, and answered
		agent.send(`{"type":"notice","version":1}`)
		agent.until("state")
	}
	agent.pings(pingAt(2, m.BeganAt.Add(2*time.Second), entrance))
	agent.expect("ack 2")
	other.pings(pingAt(1, m.BeganAt.Add(time.Second), entrance))
	other.expect("refused 1 notice_missing", "ack 1")
	agent.send(`{"type":"notice","version":2}`)
	if e := agent.until("error"); e["code"] != "not_found" && e["code"] != "invalid" {
		t.Errorf("acknowledging what was never published: %v", e)
	}
	again := r.agent(m, "badge-17").until("hello")["notice"].(map[string]any)
	if again["acknowledged"] != true {
		t.Errorf("notice: %v", again)
	}
}
