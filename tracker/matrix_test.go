package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ronde/session"
)

// agentFrames are the frames of an agent's socket, as they are sent well, by
// type; an alarm is raised and taken back. "nonsense" stands for every type that
// there is not.
var agentFrames = map[string]func(at time.Time) any{
	"pings": func(at time.Time) any {
		return map[string]any{"type": "pings", "pings": []pingFrame{pingAt(1, at, entrance)}}
	},
	"begin":    plain(`{"type":"begin"}`),
	"pause":    plain(`{"type":"pause"}`),
	"resume":   plain(`{"type":"resume"}`),
	"end":      plain(`{"type":"end"}`),
	"status":   plain(`{"type":"status","battery":0.4,"gps":"on"}`),
	"notice":   plain(`{"type":"notice","version":1}`),
	"sos":      plain(`{"type":"sos","active":true}`),
	"sos over": plain(`{"type":"sos","active":false}`),
	"nonsense": plain(`{"type":"nonsense"}`),
}

func plain(frame string) func(time.Time) any { return func(time.Time) any { return frame } }

// situations are the states of a mission, and the duties of its agent in them:
// what the mission went through, and what the agent did.
var situations = []struct {
	name  string
	steps []session.Action
	held  bool
	// unread: the agent has not acknowledged the notice.
	unread bool
	// expired: the day of its expiry has passed, and the sweep.
	expired bool
}{
	{name: "scheduled"},
	{name: "active", steps: []session.Action{session.Begin}},
	{name: "active, on a break", steps: []session.Action{session.Begin, session.PauseAgent}},
	{name: "active, relieved", steps: []session.Action{session.Begin, session.Relieve}},
	{name: "active, notice unread", steps: []session.Action{session.Begin}, unread: true},
	{name: "active, held", steps: []session.Action{session.Begin}, held: true},
	{name: "paused", steps: []session.Action{session.Begin, session.Pause}},
	{name: "paused, on a break", steps: []session.Action{session.Begin, session.PauseAgent, session.Pause}},
	{name: "ended", steps: []session.Action{session.Begin, session.End}},
	{name: "cancelled", steps: []session.Action{session.Cancel}},
	{name: "ended, held", steps: []session.Action{session.Begin, session.End}, held: true},
	{name: "ended, expired", steps: []session.Action{session.Begin, session.End}, expired: true},
}

// frameAnswers is what each frame comes to in each situation but those in which
// the mission is over: there no frame is taken, and the socket closes with 4004.
var frameAnswers = map[string][]string{
	//            scheduled, active, on a break, relieved, notice unread, held, paused, paused on a break
	"pings":    {"refused not_active", "ack", "refused outside_window", "refused outside_window", "refused notice_missing", "ack", "retry paused", "retry paused"},
	"begin":    {"state on", "state on", "state paused", "error forbidden", "state on", "state on", "error mission_state", "error mission_state"},
	"pause":    {"error mission_state", "state paused", "state paused", "error forbidden", "state paused", "state paused", "state paused", "state paused"},
	"resume":   {"error mission_state", "state on", "state on", "error forbidden", "state on", "state on", "state paused", "state paused"},
	"end":      {"error mission_state", "state off 4004", "state off 4004", "error forbidden", "state off 4004", "state off 4004", "state off 4004", "state off 4004"},
	"status":   {"", "", "", "", "", "", "", ""},
	"notice":   {"state off", "state on", "state paused", "state off", "state on", "state on", "state paused", "state paused"},
	"sos":      {"sos raised", "sos raised", "sos raised", "error forbidden", "sos raised", "sos raised", "sos raised", "sos raised"},
	"sos over": {"sos closed", "sos closed", "sos closed", "error forbidden", "sos closed", "sos closed", "sos closed", "sos closed"},
	"nonsense": slices.Repeat([]string{"error unknown_type"}, 8),
}

// TestEveryFrameIsDeclared: a type of frame that the decoder knows and the table
// does not fails here.
func TestEveryFrameIsDeclared(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "decode.go", nil, 0)
	must(t, err)
	known := map[string]bool{}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "kindOf" {
			ast.Inspect(f, func(n ast.Node) bool {
				if c, ok := n.(*ast.CaseClause); ok {
					for _, e := range c.List {
						name, err := strconv.Unquote(e.(*ast.BasicLit).Value)
						must(t, err)
						known[name] = true
					}
				}
				return true
			})
		}
	}
	declared := map[string]bool{}
	for name := range agentFrames {
		declared[strings.Fields(name)[0]] = true
		if len(frameAnswers[name]) != 8 {
			t.Errorf("%s has %d answers", name, len(frameAnswers[name]))
		}
	}
	delete(declared, "nonsense")
	if !maps.Equal(known, declared) {
		t.Errorf("the decoder knows %v, the table %v", known, declared)
	}
}

// stage makes missions of one agent that come into the situation of that number.
type stage struct {
	*rig
	situation int
	agents    int
}

func newStage(t *testing.T, situation int) *stage {
	t.Helper()
	s := &stage{rig: newRig(t), situation: situation}
	_, err := s.service.PublishNotice(t.Context(), staff, session.Notice{Text: "We locate you during missions."})
	must(t, err)
	return s
}

func (s *stage) mission() (m *session.Mission, agent string) {
	s.t.Helper()
	s.agents++
	agent = fmt.Sprintf("badge-%d", s.agents)
	m = s.rig.mission(agent)
	as := situations[s.situation]
	if !as.unread {
		must(s.t, s.service.AcknowledgeNotice(s.t.Context(), staff, agent, 1))
	}
	for _, step := range as.steps {
		who := staff
		if step == session.PauseAgent {
			who = agentOf(m, agent)
		}
		var err error
		m, err = s.service.Do(s.t.Context(), who, m.ID, session.Command{Action: step, Agent: agent})
		must(s.t, err)
		if as.held && step == session.Begin {
			_, err := s.service.SetHold(s.t.Context(), staff, m.ID, "a dispute", s.clock.now().Add(24*time.Hour))
			must(s.t, err)
		}
		s.clock.advance(time.Second)
	}
	return m, agent
}

// settle has the day of expiry pass, where it is to.
func (s *stage) settle() {
	s.t.Helper()
	if situations[s.situation].expired {
		s.clock.advance(31 * 24 * time.Hour)
		_, err := s.service.Sweep(s.t.Context())
		must(s.t, err)
	}
}

// record is what is stored of a mission, in which nothing may have changed.
type record struct {
	mission *session.Mission
	fixes   int
}

func (s *stage) record(m *session.Mission) record {
	s.t.Helper()
	now := s.reload(m)
	now.ReadAt = time.Time{}
	r := record{mission: now}
	if !situations[s.situation].expired { // nobody can read it any more
		r.fixes = len(s.stored(m))
	}
	return r
}

// told writes down what a socket is told in answer to what was sent, up to an
// error that is provoked after it, or to its end.
func (p *peer) told() string {
	p.t.Helper()
	var all []string
	for {
		m, code := p.next()
		switch {
		case code != 0:
			return strings.Join(append(all, strconv.Itoa(int(code))), " ")
		case m["detail"] == "version was never published":
			return strings.Join(all, " ")
		case m.is("state"):
			all = append(all, fmt.Sprintf("state %v", m["duty"]))
		case m.is("sos"):
			all = append(all, fmt.Sprintf("sos %v", m["state"]))
		case m.is("refused"), m.is("retry"), m.is("error"):
			all = append(all, fmt.Sprintf("%v %v", m["type"], m["code"]))
		case m.is("ack") && len(all) == 0:
			all = append(all, "ack")
		}
	}
}

// sendAll sends frames to a socket that may be closing.
func (p *peer) sendAll(frames ...any) {
	p.t.Helper()
	for _, f := range frames {
		b, ok := f.(string)
		if !ok {
			p.send(f)
			continue
		}
		_ = p.ws.Write(p.t.Context(), websocket.MessageText, []byte(b))
	}
}

// over reports whether the missions are.
func (s *stage) over() bool {
	steps := situations[s.situation].steps
	return slices.Contains(steps, session.End) || slices.Contains(steps, session.Cancel)
}

// TestEveryFrameInEverySituation is P25 for sockets: each frame, in each state of
// a mission and duty of the agent, has its declared answer; one that is refused
// changes nothing.
func TestEveryFrameInEverySituation(t *testing.T) {
	t.Parallel()
	var cells atomic.Int64
	t.Run("situations", func(t *testing.T) {
		for i, situation := range situations {
			t.Run(situation.name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, i)
				for name, frame := range agentFrames {
					cells.Add(1)
					want := "4004"
					if !s.over() {
						want = frameAnswers[name][i]
					}
					m, agent := s.mission()
					s.settle()
					before := s.record(m)
					phone := s.agent(m, agent)
					if !s.over() {
						phone.until("hello")
					}
					phone.sendAll(frame(s.clock.now()), `{"type":"notice","version":999999999}`)
					if got := phone.told(); got != want {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
					after := s.record(m)
					switch first, _, _ := strings.Cut(want, " "); first {
					case "error", "refused", "retry", "", "4004":
						if after.fixes != before.fixes || !reflect.DeepEqual(after.mission, before.mission) {
							t.Errorf("%s is answered %q and changes\n%+v\n%+v", name, want, before, after)
						}
					case "ack":
						if after.fixes != 1 {
							t.Errorf("%d positions stored", after.fixes)
						}
					}
				}
			})
		}
	})
	t.Logf("%d frames × %d situations: %d cells", len(agentFrames), len(situations), cells.Load())
}

// TestNobodyElseSendsFrames: whatever a viewer or a doctor sends, or an agent of
// another tenant or to another mission, changes nothing in any situation; and
// what is another tenant's closes as what is missing.
func TestNobodyElseSendsFrames(t *testing.T) {
	t.Parallel()
	var cells atomic.Int64
	t.Run("situations", func(t *testing.T) {
		for i, situation := range situations {
			t.Run(situation.name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, i)
				m, agent := s.mission()
				s.settle()
				before := s.record(m)
				foreign, missing := agentOf(m, agent), agentOf(m, agent)
				foreign.Tenant, missing.Mission = "other", session.NewID()
				sender := agentOf(m, agent)
				sender.Agent = "badge-99"
				over := func(then, otherwise string) string {
					if s.over() {
						return then
					}
					return otherwise
				}
				for name, frame := range agentFrames {
					for _, c := range []struct {
						name, path string
						p          *session.Principal
						want       string
					}{
						{"viewer", "/live", viewerOf(m, session.ProfileExact), over("4004 the mission is over", "4008 a viewer sends nothing")},
						{"doctor at the live socket", "/live", doctor(time.Hour), "4008 a doctor sends nothing"},
						{"doctor at the agent socket", "/agent", doctor(time.Hour), "4008 a doctor sends nothing"},
						{"viewer at the agent socket", "/agent", viewerOf(m, session.ProfileExact), "4001 token_invalid"},
						{"agent at the live socket", "/live", sender, "4001 token_invalid"},
						{"platform at the agent socket", "/agent", staff, "4001 token_invalid"},
						{"somebody who is on another mission", "/agent", sender, over("4004 mission_state", "4003 token_revoked")},
						{"agent of another tenant", "/agent", foreign, "4004 not_found"},
						{"agent of no mission", "/agent", missing, "4004 not_found"},
					} {
						cells.Add(1)
						protocol := map[string]string{"/agent": agentProtocol, "/live": liveProtocol}[c.path]
						p := s.dial(c.path+s.caller(c.p), protocol)
						p.sendAll(frame(s.clock.now()))
						if got := p.ended(); got != c.want {
							t.Errorf("%s from %s: closed with %q, want %q", name, c.name, got, c.want)
						}
					}
				}
				if after := s.record(m); after.fixes != before.fixes || !reflect.DeepEqual(after.mission, before.mission) {
					t.Errorf("the mission has changed\n%+v\n%+v", before, after)
				}
			})
		}
	})
	t.Logf("%d frames × %d others × %d situations: %d cells", len(agentFrames),
		cells.Load()/int64(len(agentFrames)*len(situations)), len(situations), cells.Load())
}

// ended returns the code and the reason with which a socket closes.
func (p *peer) ended() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		_, _, err := p.ws.Read(ctx)
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
		case err != nil:
			return err.Error()
		}
	}
}
