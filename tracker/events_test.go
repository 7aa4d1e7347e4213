package tracker_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"ronde/session"
)

// stream is the other end of a stream of server-sent events.
type stream struct {
	t     testing.TB
	resp  *http.Response
	lines *bufio.Scanner
}

// stop ends the stream from this end.
func (s *stream) stop() { _ = s.resp.Body.Close() }

// events asks for the events of a principal.
func (n *node) events(p *session.Principal) *stream {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.server.URL+"/events"+n.caller(p), nil)
	must(n.t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	must(n.t, err)
	n.t.Cleanup(func() { _ = resp.Body.Close() })
	return &stream{n.t, resp, bufio.NewScanner(resp.Body)}
}

// next returns the next event; ok is false at the end of the stream.
func (s *stream) next() (name, data string, ok bool) {
	s.t.Helper()
	late := time.AfterFunc(patience, s.stop)
	defer late.Stop()
	for s.lines.Scan() {
		switch line := s.lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data += line[len("data: "):]
		case line == "" && name != "":
			return name, data, true
		}
	}
	return "", "", false
}

// until returns the data of the next event of that name.
func (s *stream) until(name string) string {
	s.t.Helper()
	for {
		got, data, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended before %s", name)
		}
		if got == name {
			return data
		}
	}
}

// closed returns the code of the last event and checks that it is the last.
func (s *stream) closed() string {
	s.t.Helper()
	data := s.until("close")
	if name, _, more := s.next(); more {
		s.t.Errorf("after close came %s", name)
	}
	return data
}

// TestEvents: the stream of events carries the frames of the live socket, each
// under its type, and ends with the close code that the socket gets.
func TestEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.mission("badge-17")
	link := viewerOf(m, session.ProfileExact)
	events := r.events(link)
	if got := events.resp.Header.Get("Content-Type"); events.resp.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("status %d, %s", events.resp.StatusCode, got)
	}
	live := r.raw("/live"+r.caller(link), liveProtocol, 0)
	agent := r.agent(m, "badge-17")
	same := func(name string) string {
		t.Helper()
		data, frame := events.until(name), live.text()
		for !strings.HasPrefix(frame, `{"type":"`+name+`"`) {
			frame = live.text()
		}
		if data != frame {
			t.Fatalf("event %s:\n%s\nframe:\n%s", name, data, frame)
		}
		return data
	}
	same("snapshot")
	r.do(m, session.Begin)
	same("state")
	r.clock.advance(time.Second)
	agent.pings(pingAt(1, r.clock.now(), entrance))
	agent.expect("ack 1")
	for progress := ""; !strings.Contains(progress, `"position"`); {
		progress = events.until("progress")
	}
	for frame := ""; !strings.Contains(frame, `"position"`); {
		frame = live.text()
	}
	r.do(m, session.Pause)
	same("state")
	r.do(m, session.End)
	ended := same("ended")
	var f msg
	must(t, json.Unmarshal([]byte(ended), &f))
	if f["reason"] != "platform" {
		t.Errorf("ended: %v", f)
	}
	if got := events.closed(); got != `{"code":4004}` {
		t.Errorf("close: %s", got)
	}
	if got := live.closed(); got != 4004 {
		t.Errorf("closed with %d", got)
	}
}

// TestEventsEnd: a stream ends as a socket does, for the same reasons.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, code string
		end        func(r *rig, link *session.Principal)
	}{
		{"expired", "4001", func(r *rig, _ *session.Principal) { r.edge.advance(2 * time.Hour) }},
		{"revoked", "4003", func(r *rig, p *session.Principal) { must(r.t, r.service.RevokeLink(r.t.Context(), staff, p.Subject)) }},
		{"going away", "1001", func(r *rig, _ *session.Principal) { r.hub.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.active("badge-17")
			link, _, err := r.service.CreateLink(t.Context(), staff, session.Link{Mission: m.ID, View: session.View{Profile: session.ProfileStatus}})
			must(t, err)
			p := viewerOf(m, session.ProfileStatus)
			p.Subject = link.ID
			events := r.events(p)
			events.until("snapshot")
			c.end(r, p)
			if got := events.closed(); got != `{"code":`+c.code+`}` {
				t.Errorf("close: %s", got)
			}
		})
	}
}

// TestEventsRefused: what keeps a viewer out is an error here, before anything is
// written.
func TestEventsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	expired, gone, full := viewerOf(m, session.ProfileExact), viewerOf(m, session.ProfileExact), viewerOf(m, session.ProfileExact)
	expired.Expires, gone.Mission, full.Viewers = r.edge.now(), session.NewID(), 1
	r.events(full).until("snapshot")
	for _, c := range []struct {
		name string
		p    *session.Principal
		want string
	}{
		{"nobody", nil, "token_invalid"},
		{"an agent", agentOf(m, "badge-17"), "token_invalid"},
		{"an expired link", expired, "token_invalid"},
		{"a mission that never was", gone, "not_found"},
		{"one viewer too many", full, "too_many_viewers"},
	} {
		resp := r.events(c.p).resp
		code, err := io.ReadAll(resp.Body)
		must(t, err)
		if got := strings.TrimSpace(string(code)); resp.StatusCode != http.StatusTeapot || got != c.want {
			t.Errorf("%s: status %d, %s, want %s", c.name, resp.StatusCode, got, c.want)
		}
	}
}

// TestEventsAreCounted: who reads events is a viewer like any other, until they
// go.
func TestEventsAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	agent := r.agent(m, "badge-17")
	events := r.events(viewerOf(m, session.ProfileStatus))
	events.until("snapshot")
	if v := agent.until("viewers"); v["count"] != 1.0 {
		t.Errorf("viewers: %v", v)
	}
	events.stop()
	if v := agent.until("viewers"); v["count"] != 0.0 {
		t.Errorf("viewers: %v", v)
	}
}
