package tracker_test

import (
	"testing"
	"time"

	"ronde/session"
)

// TestRelief: an agent who is taken off the mission is off duty at once, stores
// nothing more, and changes nothing for the others.
func TestRelief(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	agent, other := r.agent(m, "badge-17"), r.agent(m, "badge-18")
	viewer := r.viewer(m, session.ProfileExact)
	viewer.until("snapshot") // or it has what comes
	r.clock.advance(10 * time.Second)
	agent.seconds(m, 1, 2)
	agent.expect("ack 2")
	_, err := r.service.Do(t.Context(), staff, m.ID, session.Command{Action: session.Relieve, Agent: "badge-17"})
	must(t, err)
	if s := agent.until("state"); s["state"] != "active" || s["duty"] != "off" {
		t.Errorf("state: %v", s)
	}
	r.clock.advance(time.Second)
	agent.seconds(m, 3, 3)   // taken before the relief, and late
	agent.seconds(m, 11, 11) // taken after it
	for _, want := range []string{"ack 3", "refused 11 outside_window", "ack 11"} {
		f, _ := agent.next()
		if got := answer(f); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	agent.send(`{"type":"pause"}`)
	if e := agent.until("error"); e["code"] != "forbidden" {
		t.Errorf("a relieved agent pauses: %v", e)
	}
	other.seconds(m, 1, 1)
	other.expect("ack 1")
	for { // until a state of the other agent alone, with a position
		list := viewer.until("progress")["agents"].([]any)
		a := list[0].(map[string]any)
		if len(list) == 1 && a["alias"] == "A2" && a["position"] != nil {
			break
		}
	}
	_, err = r.service.Do(t.Context(), staff, m.ID, session.Command{Action: session.AddAgent, Agent: "badge-17"})
	must(t, err)
	if s := agent.until("state"); s["duty"] != "on" {
		t.Errorf("state: %v", s)
	}
	r.clock.advance(time.Second)
	agent.pings(pingAt(12, r.clock.now(), entrance))
	agent.expect("ack 12")
}

// TestViewersAreCounted: an agent knows at any time how many watch.
func TestViewersAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	agent := r.agent(m, "badge-17")
	count := func(p *peer, want int) {
		t.Helper()
		if v := p.until("viewers"); v["count"] != float64(want) {
			t.Fatalf("%v viewers, want %d", v["count"], want)
		}
	}
	first := r.viewer(m, session.ProfileExact)
	count(agent, 1)
	second := r.viewer(m, session.ProfileStatus)
	count(agent, 2)
	must(t, first.ws.CloseNow())
	count(agent, 1)
	agent = r.agent(m, "badge-17")
	if f, _ := agent.next(); !f.is("hello") {
		t.Errorf("first frame: %v", f)
	}
	count(agent, 1)
	must(t, second.ws.CloseNow())
	count(agent, 0)
}

// TestViewersOfAllNodesAreCounted: an agent is told of those who watch through
// another node too, within the interval and when it connects.
func TestViewersOfAllNodesAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	elsewhere := r.sibling()
	agent := r.agent(m, "badge-17")
	until := func(p *peer, want float64) {
		t.Helper()
		for p.until("viewers")["count"] != want {
		}
	}
	near, far := r.viewer(m, session.ProfileExact), elsewhere.viewer(m, session.ProfileExact)
	near.until("snapshot")
	far.until("snapshot")
	until(agent, 2)
	agent = r.agent(m, "badge-17")
	if v := agent.until("viewers"); v["count"] != 2.0 {
		t.Errorf("told %v at once, want 2", v["count"])
	}
	must(t, near.ws.CloseNow())
	until(agent, 1)
	must(t, far.ws.CloseNow())
	until(agent, 0)
}
