package tracker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"ronde/session"
)

// TestControl: an agent runs their mission from the phone. Each frame is
// answered, and again when it is repeated.
func TestControl(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mission("badge-17", "badge-18")
	agent, other := r.agent(m, "badge-17"), r.agent(m, "badge-18")
	viewer := r.viewer(m, session.ProfileStatus)
	for _, p := range []*peer{agent, other} {
		if hello := p.until("hello"); hello["duty"] != "off" {
			t.Fatalf("hello: %v", hello)
		}
	}
	viewer.until("snapshot")
	for _, c := range []struct {
		frame, answer, state, duty, other string
	}{
		{`{"type":"begin"}`, "state", "active", "on", "on"},
		{`{"type":"begin"}`, "state", "active", "on", "on"},
		{`{"type":"pause"}`, "state", "active", "paused", "on"},
		{`{"type":"pause"}`, "state", "active", "paused", "on"},
		{`{"type":"resume"}`, "state", "active", "on", "on"},
		{`{"type":"resume"}`, "state", "active", "on", "on"},
		{`{"type":"sos","active":true}`, "sos", "raised", "", "on"},
		{`{"type":"sos","active":true}`, "sos", "raised", "", "on"},
		{`{"type":"sos","active":false}`, "sos", "closed", "", "on"},
		{`{"type":"sos","active":false}`, "sos", "closed", "", "on"},
		{`{"type":"sos","active":true}`, "sos", "raised", "", "on"},
	} {
		r.clock.advance(time.Second)
		agent.send(c.frame)
		got := agent.until(c.answer)
		if got["state"] != c.state || c.duty != "" && got["duty"] != c.duty {
			t.Fatalf("%s: %v", c.frame, got)
		}
		if c.duty == "paused" && got["by"] != "agent" {
			t.Errorf("%s: %v", c.frame, got)
		}
		if now := r.reload(m).Duty("badge-18"); string(now) != c.other {
			t.Errorf("%s: the other agent is %s", c.frame, now)
		}
	}
	r.do(m, session.AcknowledgeSOS)
	if s := agent.until("sos"); s["state"] != "acknowledged" {
		t.Errorf("sos: %v", s)
	}
	r.do(m, session.CloseSOS)
	if s := agent.until("sos"); s["state"] != "closed" {
		t.Errorf("sos: %v", s)
	}
	agent.send(`{"type":"status","battery":0.4,"gps":"denied"}`) // silent
	agent.pings(pingAt(1, r.clock.now(), entrance))
	agent.expect("ack 1")
	other.pings(pingAt(1, r.clock.now(), entrance))
	other.expect("ack 1")
}

// TestServerTime: hello tells the store's clock, which decides over every ping,
// and not this machine's.
func TestServerTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.advance(42 * time.Minute)
	m := r.mission("badge-17")
	hello := r.agent(m, "badge-17").until("hello")
	told := time.UnixMilli(int64(hello["server_time"].(float64)))
	if d := told.Sub(r.clock.now()); d < 0 || d > patience {
		t.Errorf("the store's clock is %v, and %v is told", r.clock.now(), told)
	}
}

// reload reads the mission as it stands.
func (n *node) reload(m *session.Mission) *session.Mission {
	n.t.Helper()
	m, err := n.service.Mission(n.t.Context(), m.Tenant, m.ID)
	must(n.t, err)
	return m
}

// TestControlIsForbidden: where the policy says so, agents neither begin nor end
// the mission. Their pause nobody takes from them.
func TestControlIsForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.plan(func(m *session.Mission) { m.Policy.AgentControls = false }, "badge-17")
	agent := r.agent(m, "badge-17")
	forbidden := func(frame string) {
		t.Helper()
		agent.send(frame)
		if e := agent.until("error"); e["code"] != "forbidden" {
			t.Errorf("%s: %v", frame, e)
		}
	}
	forbidden(`{"type":"begin"}`)
	r.do(m, session.Begin)
	if s := agent.until("state"); s["duty"] != "on" || s["by"] != "platform" {
		t.Errorf("state: %v", s)
	}
	forbidden(`{"type":"end"}`)
	agent.send(`{"type":"pause"}`)
	if s := agent.until("state"); s["duty"] != "paused" || s["by"] != "agent" {
		t.Errorf("state: %v", s)
	}
	if _, err := r.service.Do(t.Context(), staff, m.ID, session.Command{Action: session.ResumeAgent, Agent: "badge-17"}); err == nil {
		t.Error("somebody else ended the agent's pause")
	}
	agent.send(`{"type":"resume"}`)
	if s := agent.until("state"); s["duty"] != "on" {
		t.Errorf("state: %v", s)
	}
}

// storedAt returns after how much of the mission each stored position was
// taken.
func (r *rig) storedAt(m *session.Mission) []time.Duration {
	r.t.Helper()
	var at []time.Duration
	for _, fix := range r.stored(m) {
		at = append(at, fix.At.Sub(r.reload(m).BeganAt))
	}
	return at
}

// seconds sends a ping for each of some seconds after the begin.
func (p *peer) seconds(m *session.Mission, from, to int) {
	p.t.Helper()
	var list []pingFrame
	for s := from; s <= to; s++ {
		list = append(list, pingAt(s, m.BeganAt.Add(time.Duration(s)*time.Second), entrance))
	}
	p.pings(list...)
}

// TestDated: a pause or an end that is dated back removes what lies beyond it,
// of this agent or of everybody; one that is dated ahead takes effect now.
func TestDated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	agent, other := r.agent(m, "badge-17"), r.agent(m, "badge-18")
	r.clock.advance(10 * time.Second)
	agent.seconds(m, 1, 9)
	agent.expect("ack 9")
	other.seconds(m, 1, 9)
	other.expect("ack 9")
	dated := func(kind string, second int) {
		agent.send(fmt.Sprintf(`{"type":%q,"timestamp":%d}`, kind, m.BeganAt.Add(time.Duration(second)*time.Second).UnixMilli()))
		if s := agent.until("state"); s["duty"] == "on" {
			t.Fatalf("state: %v", s)
		}
	}
	dated("pause", 6)
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	if got, want := r.storedAt(m), []time.Duration{s(1), s(1), s(2), s(2), s(3), s(3), s(4), s(4), s(5), s(5), s(6), s(7), s(8), s(9)}; !slices.Equal(got, want) {
		t.Errorf("after the pause: %v", got)
	}
	if got := r.reload(m).Agent("badge-17").Removed; got != 4 {
		t.Errorf("%d removed", got)
	}
	agent.seconds(m, 5, 7)                                                        // what was removed does not come back
	agent.expect("refused 6 outside_window", "refused 7 outside_window", "ack 9") // an ack never goes back
	r.clock.advance(10 * time.Second)
	dated("end", 3)
	if got, want := r.storedAt(m), []time.Duration{s(1), s(1), s(2), s(2)}; !slices.Equal(got, want) {
		t.Errorf("after the end: %v", got)
	}
	if agent.closed() != 4004 || other.closed() != 4004 {
		t.Error("the sockets did not close with 4004")
	}

	m = r.active("badge-19")
	agent = r.agent(m, "badge-19")
	r.clock.advance(10 * time.Second)
	agent.seconds(m, 1, 10)
	agent.expect("ack 10")
	dated("end", 3600)
	if got := r.reload(m).EndedAt; !got.Equal(r.clock.now()) {
		t.Errorf("an end dated ahead is dated %v, now is %v", got, r.clock.now())
	}
	if got := len(r.stored(m)); got != 9 { // the tenth was taken at the moment of the end
		t.Errorf("%d stored", got)
	}
}

// TestControlWaitsForPings: a control frame acts once every ping sent before it
// on its socket is settled, however long that takes.
func TestControlWaitsForPings(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	agent := r.agent(m, "badge-17")
	r.clock.advance(10 * time.Second)
	reached, release := make(chan struct{}), make(chan struct{})
	r.store.onAppend(func(_ context.Context, _ []*session.Submission, next func() error) error {
		close(reached)
		<-release
		r.store.onAppend(nil)
		return next()
	})
	before := len(r.store.done())
	agent.seconds(m, 1, 3)
	<-reached
	agent.seconds(m, 4, 6)
	agent.send(`{"type":"end"}`)
	close(release)
	ack := 0.0
	for {
		f, code := agent.next()
		if code != 0 {
			t.Fatalf("closed with %d before the state", code)
		}
		if f.is("ack") {
			ack = f["seq"].(float64)
		}
		if f.is("state") {
			break
		}
	}
	if ack != 6 {
		t.Errorf("when the mission ended, %v of 6 pings were acked", ack)
	}
	if got := r.store.done()[before:]; slices.Index(got, "update") != len(got)-1 {
		t.Errorf("the store was asked for %v", got)
	}
	if got := len(r.stored(m)); got != 6 {
		t.Errorf("%d stored", got)
	}
}
