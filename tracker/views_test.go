package tracker_test

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/geo"
	"ronde/session"
)

// tap is a viewer that keeps every byte it was sent.
type tap struct {
	*peer
	done chan struct{}

	mu    sync.Mutex
	bytes strings.Builder // guarded by mu
	code  websocket.StatusCode
}

// listen reads from a viewer until it is closed.
func (p *peer) listen() *tap {
	p.t.Helper()
	t := &tap{peer: p, done: make(chan struct{})}
	first := make(chan struct{})
	go func() {
		defer close(t.done)
		for n := 0; ; n++ {
			_, data, err := p.ws.Read(context.Background())
			if n == 0 {
				close(first)
			}
			if err != nil {
				t.code = websocket.CloseStatus(err)
				return
			}
			t.mu.Lock()
			t.bytes.Write(data)
			t.bytes.WriteByte('\n')
			t.mu.Unlock()
		}
	}()
	<-first // before it, the viewer may not have come in yet
	return t
}

// all returns everything that was sent until the close.
func (t *tap) all() string {
	t.t.Helper()
	select {
	case <-t.done:
	case <-time.After(patience):
		t.t.Fatal("the viewer is not closed")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.String()
}

var number = regexp.MustCompile(`-?\d+(\.\d+)?([eE][+-]?\d+)?`)

// near reports whether a text holds any number that gives away v to within
// about twenty metres.
func near(text string, v float64) bool {
	for _, s := range number.FindAllString(text, -1) {
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f-v) < 0.0002 {
			return true
		}
	}
	return false
}

// TestProfilesShowNoMore: what a profile hides is nowhere in the bytes that its
// viewers are sent, in whatever frame, on whichever road.
func TestProfilesShowNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	site := geo.Point{Latitude: 48.84, Longitude: 2.41}
	m := r.plan(func(m *session.Mission) { m.Site.Center = site }, "badge-17")
	away, inside := geo.Point{Latitude: 48.8543217, Longitude: 2.4312345}, geo.Point{Latitude: 48.8404512, Longitude: 2.4105431}
	m = r.do(m, session.Begin)
	agent := r.agent(m, "badge-17")
	agent.until("hello")
	taps := map[session.Profile]*tap{}
	profiles := []session.Profile{session.ProfileStatus, "cell:8", "cell:7", session.ProfileOnSite, session.ProfileExact}
	for _, p := range profiles {
		taps[p] = r.viewer(m, p).listen()
	}
	send := func(seq int, p geo.Point) {
		r.clock.advance(time.Second)
		agent.send(map[string]any{"type": "pings", "pings": []any{map[string]any{
			"seq": seq, "timestamp": r.clock.now().UnixMilli(), "latitude": p.Latitude, "longitude": p.Longitude,
			"accuracy": 3.7255, "altitude": 61.2845, "heading": 87.5175, "speed": 1.4635, "battery": 0.8125,
		}}})
		agent.expect("ack " + strconv.Itoa(seq))
	}
	send(1, away)
	late := map[session.Profile]*tap{} // who come later get snapshot and trail
	for _, p := range profiles {
		link := viewerOf(m, p)
		link.View.Trail = true
		late[p] = r.dial("/live"+r.caller(link), liveProtocol).listen()
	}
	r.clock.advance(3 * time.Minute) // time enough to get there
	send(2, inside)
	r.clock.advance(3 * time.Minute)
	send(3, away)
	r.do(m, session.End)

	for _, p := range profiles {
		for when, tap := range map[string]*tap{"early": taps[p], "late": late[p]} {
			t.Run(string(p)+"/"+when, func(t *testing.T) {
				text := tap.all()
				if tap.code != 4004 {
					t.Errorf("closed with %d", tap.code)
				}
				if got := near(text, away.Latitude) || near(text, away.Longitude); got != (p == session.ProfileExact) {
					t.Errorf("off the site shown exactly: %v", got)
				}
				inTheClear := near(text, inside.Latitude) || near(text, inside.Longitude)
				if inTheClear && p != session.ProfileExact && p != session.ProfileOnSite {
					t.Error("on the site shown exactly")
				}
				if fine := near(text, 3.7255) || near(text, 87.5175); fine && !inTheClear {
					t.Error("accuracy or heading of a coarse fix")
				}
				if found := hidden(text, p); found != "" {
					t.Errorf("%q", found)
				}
				if t.Failed() {
					t.Log(text)
				}
			})
		}
	}
}

// hidden returns something that a profile hides and a text has all the same.
func hidden(text string, p session.Profile) string {
	for _, word := range []string{"badge-17", "altitude", "speed", "battery", "61.2845", "1.4635", "0.8125"} {
		if strings.Contains(text, word) {
			return word
		}
	}
	if p != session.ProfileStatus {
		return ""
	}
	// The site's own point is in the snapshot, and nothing else.
	_, agents, _ := strings.Cut(text, `"agents":`)
	for _, word := range []string{"position", "latitude", "longitude", "accuracy", "cell", "distance", "heading", "trail"} {
		if strings.Contains(agents, word) {
			return word
		}
	}
	if !strings.Contains(agents, `"phase"`) {
		return "no phase"
	}
	return ""
}

// TestViewersSendNothing: the first thing a viewer says ends their connection,
// and no other's.
func TestViewersSendNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	other := r.viewer(m, session.ProfileExact)
	other.until("snapshot")
	for _, typ := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		talker := r.viewer(m, session.ProfileExact)
		talker.until("snapshot")
		must(t, talker.ws.Write(t.Context(), typ, []byte(`{"type":"begin"}`)))
		if got := talker.closed(); got != 4008 {
			t.Errorf("closed with %d", got)
		}
	}
	r.do(m, session.Pause)
	other.until("state")
}

// TestPausesReachViewers: at a pause of the mission the positions are
// gone; an agent's own pause takes only that agent's.
func TestPausesReachViewers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17", "badge-18")
	one, two := r.agent(m, "badge-17"), r.agent(m, "badge-18")
	viewer := r.viewer(m, session.ProfileExact)
	page := &screen{viewer, map[string]bool{}}
	viewer.until("snapshot") // or it has what comes
	r.clock.advance(time.Second)
	for _, p := range []*peer{one, two} {
		p.pings(pingAt(1, r.clock.now(), entrance))
		p.expect("ack 1")
	}
	page.until("A1 A2", "")
	r.clock.advance(time.Second)
	one.send(`{"type":"pause"}`)
	page.until("A2", "A1")
	r.do(m, session.Pause)
	if s := viewer.until("state"); s["state"] != "paused" {
		t.Errorf("state: %v", s)
	}
	late := r.viewer(m, session.ProfileExact).until("snapshot")
	if agents := late["agents"].([]any); len(agents) != 0 {
		t.Errorf("snapshot during the pause: %v", late)
	}
	r.clock.advance(time.Second)
	r.do(m, session.Resume)
	if s := viewer.until("state"); s["state"] != "active" {
		t.Errorf("state: %v", s)
	}
	page.until("", "A1 A2")
	two.pings(pingAt(2, r.clock.now(), entrance))
	two.expect("ack 2")
	page.until("A2", "A1")
}

// screen is what a viewer's page shows: which agents, and whether with a
// position.
type screen struct {
	*peer
	shown map[string]bool
}

// until waits until the agents of the aliases are shown with a position, and
// those of the others without one.
func (s *screen) until(with, without string) {
	s.t.Helper()
	for {
		for _, a := range s.peer.until("progress")["agents"].([]any) {
			agent := a.(map[string]any)
			s.shown[agent["alias"].(string)] = agent["position"] != nil
		}
		as := func(aliases string, position bool) bool {
			for _, alias := range strings.Fields(aliases) {
				if shown, known := s.shown[alias]; !known || shown != position {
					return false
				}
			}
			return true
		}
		if as(with, true) && as(without, false) {
			return
		}
	}
}

// TestLinkHasItsMostViewers: a link that allows two viewers refuses the third,
// until one leaves.
func TestLinkHasItsMostViewers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mission("badge-17")
	link := viewerOf(m, session.ProfileExact)
	link.Viewers = 2
	first := r.dial("/live"+r.caller(link), liveProtocol)
	second := r.dial("/live"+r.caller(link), liveProtocol)
	first.until("snapshot")
	second.until("snapshot")
	if got := r.refused("/live", link); got != 4008 {
		t.Errorf("the third was closed with %d", got)
	}
	r.viewer(m, session.ProfileExact).until("snapshot") // another link
}
