package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/session"
	"ronde/tracker"
)

// TestBadFrames: each frame that cannot be used is answered by its error, and
// the socket stays: the ping behind it is stored.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	phones := make([]string, session.MaxAgents)
	for i := range phones {
		phones[i] = fmt.Sprintf("badge-%d", i)
	}
	m := r.active(phones...)
	var bad []tracker.Vector
	for _, v := range tracker.Vectors(t, "from_agent.json") {
		if !v.Used {
			bad = append(bad, v)
		}
	}
	bad = append(bad,
		tracker.Vector{Name: "depth 10,001", Frame: []byte(`{"type":"begin","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`), Error: "invalid_json"},
		tracker.Vector{Name: "a control frame with a wrong name", Frame: []byte(`{"type":"stop"}`), Error: "unknown_type"},
	)
	var agent *peer
	for i, v := range bad {
		if i%5 == 0 { // many more errors and frames would cost the connection
			agent = r.agent(m, phones[i/5])
			agent.until("hello")
		}
		must(t, agent.ws.Write(t.Context(), websocket.MessageText, v.Frame))
		agent.pings(pingAt(i+1, r.clock.now(), entrance))
		agent.expect("error "+v.Error, fmt.Sprintf("ack %d", i+1))
	}
}

// TestBadSeq: a ping that has no number cannot be answered by it. The frame gets
// an error, and the others of it their place.
func TestBadSeq(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	agent := r.agent(m, "badge-17")
	for i, seq := range []string{"null", "0", "-1", "1e3", "9223372036854775808", `"1"`, "1.5"} {
		at := r.clock.now().UnixMilli() + int64(2*i)
		agent.send(fmt.Sprintf(`{"type":"pings","pings":[{"seq":%s,"timestamp":%d,"latitude":48.8466,"longitude":2.4167},`+
			`{"seq":%d,"timestamp":%d,"latitude":48.8466,"longitude":2.4167}]}`, seq, at, i+1, at+1))
		agent.expect("error invalid_seq", fmt.Sprintf("ack %d", i+1))
	}
	if got := len(r.stored(m)); got != 7 {
		t.Errorf("%d stored", got)
	}
}

// TestBadControlFrames: what a control frame asks in vain is told by an error.
func TestBadControlFrames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mission("badge-17")
	agent := r.agent(m, "badge-17")
	for _, c := range []struct{ frame, code string }{
		{`{"type":"pause"}`, "mission_state"}, // scheduled
		{`{"type":"resume"}`, "mission_state"},
		{`{"type":"end"}`, "mission_state"},
		{`{"type":"notice","version":1}`, "invalid"}, // never published
		{`{"type":"notice","version":-9223372036854775808}`, "invalid"},
		{`{"type":"end","timestamp":-5}`, "invalid_timestamp"},
	} {
		agent.send(c.frame)
		if e := agent.until("error"); e["code"] != c.code || e["detail"] == "" {
			t.Errorf("%s: %v, want %s", c.frame, e, c.code)
		}
	}
	early := r.plan(func(m *session.Mission) { m.EarlyBegin = 0; m.StartsAt = m.StartsAt.Add(time.Minute) }, "badge-18")
	agent = r.agent(early, "badge-18")
	agent.send(`{"type":"begin"}`)
	if e := agent.until("error"); e["code"] != "too_early" {
		t.Errorf("begin: %v", e)
	}
}

// closedBecause returns the close code and its reason.
func (p *peer) closedBecause() (websocket.StatusCode, string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		_, _, err := p.ws.Read(ctx)
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code, closed.Reason
		}
		must(p.t, err)
	}
}

// flood sends frames until the connection ends, and returns why it did.
func (p *peer) flood(frame string, atMost int) (websocket.StatusCode, string) {
	p.t.Helper()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range atMost {
			if p.ws.Write(context.Background(), websocket.MessageText, []byte(frame)) != nil {
				return
			}
		}
	}()
	code, reason := p.closedBecause()
	<-sent
	return code, reason
}

// TestTooMany: what comes too fast or is wrong too often costs the connection,
// and no other one.
func TestTooMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-0", "badge-1", "badge-2", "badge-3", "badge-4", "neighbour")
	neighbour := r.agent(m, "neighbour")
	r.store.onAppend(verdicts(session.Stored))
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`{"seq":%d,"timestamp":%d,"latitude":48.8466,"longitude":2.4167}`, i+1, r.clock.now().UnixMilli())
	}
	for i, c := range []struct {
		name, frame string
		atMost      int
		reason      string
	}{
		{"frames", `{"type":"status"}`, 2000, "at most 20 frames a second"},
		{"pings", `{"type":"pings","pings":[` + strings.Join(many, ",") + `]}`, 2000, "at most 1000 pings a second"},
		{"errors", `{`, 100, "too many frames that could not be used"},
		{"a hundred thousand pings in one frame", `{"type":"pings","pings":[` + strings.Repeat(many[0]+",", 99_999) + many[0] + `]}`, 1, "a frame may have at most 32 KiB"},
		{"binary", "", 0, ""},
	} {
		agent := r.agent(m, fmt.Sprintf("badge-%d", i)) // rates are an agent's, whatever the connection
		code, reason := websocket.StatusCode(0), ""
		if c.atMost > 0 {
			code, reason = agent.flood(c.frame, c.atMost)
		} else {
			must(t, agent.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"begin"}`)))
			code, reason = agent.closedBecause()
			c.reason = "frames are text"
		}
		if code != 4008 || reason != c.reason {
			t.Errorf("%s: closed with %d, %q", c.name, code, reason)
		}
		neighbour.pings(pingAt(i+1, r.clock.now(), entrance))
		neighbour.expect(fmt.Sprintf("ack %d", i+1))
	}
}

// TestRatesOutliveConnections: who is cut off for sending too fast does not get
// a new allowance by coming again.
func TestRatesOutliveConnections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	for i := range 3 {
		agent := r.agent(m, "badge-17")
		agent.until("hello")
		if code, reason := agent.flood(`{"type":"status"}`, 2000); code != 4008 || reason != "at most 20 frames a second" {
			t.Errorf("connection %d: closed with %d, %q", i, code, reason)
		}
	}
	other := r.agent(m, "badge-18")
	other.pings(pingAt(1, r.clock.now(), entrance))
	other.expect("ack 1")
}

// TestTenErrors: nine errors are answered, and the tenth within a minute ends
// the connection.
func TestTenErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	agent := r.agent(r.active("badge-17"), "badge-17")
	for range 9 {
		agent.send(`[]`)
		if e := agent.until("error"); e["code"] != "invalid_json" {
			t.Fatalf("error: %v", e)
		}
	}
	if code, reason := agent.flood(`[]`, 100); code != 4008 {
		t.Errorf("closed with %d, %q", code, reason)
	}
}
