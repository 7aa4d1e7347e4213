package tracker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ronde/session"
)

// ackScene is one phone on one mission, on a clock that stands. The mission
// began at second 0.
type ackScene struct {
	*rig
	m     *session.Mission
	phone *peer
}

// at moves the store's clock to a second of the mission.
func (s *ackScene) at(second int) {
	s.clock.advance(s.m.BeganAt.Add(time.Duration(second) * time.Second).Sub(s.clock.now()))
}

// send sends one frame of pings, each as "seq@second"; with an x behind it, the
// ping is one that is invalid.
func (s *ackScene) send(pings string) {
	s.t.Helper()
	var list []any
	for _, p := range strings.Fields(pings) {
		var seq, second int
		_, err := fmt.Sscanf(p, "%d@%d", &seq, &second)
		must(s.t, err)
		frame := pingAt(seq, s.m.BeganAt.Add(time.Duration(second)*time.Second), entrance)
		if strings.HasSuffix(p, "x") {
			frame.Accuracy = -1
		}
		list = append(list, frame)
	}
	s.phone.send(map[string]any{"type": "pings", "pings": list})
}

// expect says what the phone is told about all it sent since the last time, in
// this order.
func (s *ackScene) expect(want ...string) {
	s.t.Helper()
	s.phone.expect(want...)
}

func (s *ackScene) pause() { s.m = s.do(s.m, session.Pause) }

func (s *ackScene) resume() { s.m = s.do(s.m, session.Resume) }

// poison makes the store fail over any batch with a ping of that second.
func (s *ackScene) poison(second int, failure error) {
	at := s.m.BeganAt.Add(time.Duration(second) * time.Second).UnixMilli()
	s.store.onAppend(func(_ context.Context, batch []*session.Submission, next func() error) error {
		for _, sub := range batch {
			for _, p := range sub.Pings {
				if p.Timestamp == at {
					return failure
				}
			}
		}
		return next()
	})
}

// The rule of acks: "ack 57" says that the phone may forget every ping up to
// 57. So nothing is acknowledged past a ping that the phone must keep, and what
// was refused is named before.
var ackScenes = []struct {
	name string
	run  func(s *ackScene)
}{
	{"all goes well", func(s *ackScene) {
		s.send("1@1 2@2")
		s.send("3@3")
		s.phone.until("ack") // one ack may stand for both frames
		s.send("4@4")
		s.phone.expectLast("ack 4")
	}},
	{"refusals are named before the ack that covers them", func(s *ackScene) {
		s.send("1@1 2@99x 3@3 4@1000 5@-5")
		s.expect("refused 2 invalid", "refused 4 future", "refused 5 outside_window", "ack 5")
	}},
	{"nothing but refusals", func(s *ackScene) {
		s.send("1@1x 2@2x")
		s.expect("refused 1 invalid", "refused 2 invalid", "ack 2")
	}},
	{"an ack never goes back", func(s *ackScene) {
		s.send("7@1")
		s.expect("ack 7")
		s.send("3@2")
		s.expect("ack 7")
	}},

	{"the whole frame is to be kept", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.expect("retry paused")
	}},
	{"a retry in the middle of a frame", func(s *ackScene) {
		s.poison(3, errors.New("broken"))
		s.send("1@1 2@2 3@3 4@4")
		s.expect("retry store_unavailable", "ack 2")
	}},
	{"a retry behind a refusal", func(s *ackScene) {
		s.pause()
		s.send("1@1x 2@2 3@3")
		s.expect("refused 1 invalid", "retry paused", "ack 1")
	}},
	{"a retry before a refusal", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2x")
		s.expect("refused 2 invalid", "retry paused")
		s.resume()
		s.send("1@1")
		s.expect("ack 1")
	}},
	{"frames in flight behind a retry", func(s *ackScene) {
		s.send("1@1")
		s.expect("ack 1")
		s.pause()
		s.send("2@2 3@3")
		s.expect("retry paused")
		s.resume()
		s.send("4@4 5@5") // was on its way when the retry came
		s.expect()        // stored, and nothing is said: 2 and 3 are not settled
		s.send("2@2 3@3 4@4 5@5")
		s.expect("ack 5")
	}},
	{"two frames to be kept", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.send("3@3 4@4")
		s.expect("retry paused", "retry paused")
		s.resume()
		s.send("1@1 2@2")
		s.expect()
		s.send("3@3 4@4")
		s.expect("ack 4")
	}},
	{"a resend under new numbers", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.send("3@3")
		s.expect("retry paused", "retry paused")
		s.resume()
		s.send("4@1 5@2 6@3")
		s.expect("ack 6")
	}},
	{"a resend in another order", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2 3@3")
		s.expect("retry paused")
		s.resume()
		s.send("4@3")
		s.send("5@1")
		s.expect()
		s.send("6@2")
		s.expect("ack 6")
	}},
	{"a resend that is refused", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.expect("retry paused")
		_, err := s.service.PublishNotice(s.t.Context(), staff, session.Notice{Text: "Nouvelle notice."})
		must(s.t, err)
		s.resume()
		s.send("1@1")
		s.expect("refused 1 notice_missing")
		s.send("2@2")
		s.expect("refused 2 notice_missing", "ack 2")
	}},
	{"a resend during the same pause", func(s *ackScene) {
		s.pause()
		s.send("1@1")
		s.expect("retry paused")
		s.send("1@1")
		s.expect("retry paused")
		s.resume()
		s.send("1@1")
		s.expect("ack 1")
	}},
	{"a resend meets the next fault", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.expect("retry paused")
		s.resume()
		s.store.onAppend(verdicts(session.Undecided))
		s.send("1@1 2@2")
		s.expect("retry store_unavailable")
		s.store.onAppend(nil)
		s.send("3@3")
		s.expect()
		s.send("1@1 2@2 3@3")
		s.expect("ack 3")
	}},

	{"a fault over what was acknowledged holds up nothing", func(s *ackScene) {
		s.send("1@1 2@2")
		s.expect("ack 2")
		s.store.onAppend(verdicts(session.Undecided))
		s.send("1@1 2@2") // was sent again before the ack came
		s.expect("retry store_unavailable")
		s.store.onAppend(nil)
		s.send("3@3") // the phone has forgotten 1 and 2
		s.expect("ack 3")
	}},

	{"a ping of the pause itself does not hold up the acks", func(s *ackScene) {
		s.pause()
		s.at(20)
		s.send("1@15")
		s.expect("retry paused")
		s.resume()
		s.at(30)
		s.send("2@25")
		s.expect("refused 1 outside_window", "ack 2") // what the ack passes over can never be stored
		s.send("1@15")
		s.expect("refused 1 outside_window", "ack 2")
	}},
	{"a fault over a ping of the pause itself holds up nothing", func(s *ackScene) {
		s.pause()
		s.at(20)
		s.send("1@15")
		s.expect("retry paused")
		s.resume()
		s.at(30)
		s.store.onAppend(verdicts(session.Undecided))
		s.send("1@15")
		s.expect("retry store_unavailable")
		s.store.onAppend(nil)
		s.send("2@25")
		s.expect("refused 1 outside_window", "ack 2")
	}},
	{"a frame across the beginning of the pause", func(s *ackScene) {
		s.pause()
		s.at(20)
		s.send("1@9 2@15")
		s.expect("retry paused")
		s.resume()
		s.at(30)
		s.send("3@25")
		s.expect()
		s.send("1@9 2@15 3@25")
		s.expect("refused 2 outside_window", "ack 3")
	}},
	{"the agent's own pause refuses, it does not keep", func(s *ackScene) {
		s.phone.send(`{"type":"pause"}`)
		s.settle()
		s.at(20)
		s.send("1@9 2@15")
		s.expect("refused 2 outside_window", "ack 2")
	}},
	{"the agent's pause before the mission's", func(s *ackScene) {
		s.phone.send(`{"type":"pause"}`)
		s.settle()
		s.at(20)
		s.pause()
		s.at(30)
		s.send("1@9 2@15 3@25")
		s.expect("retry paused")
		s.resume()
		s.send("1@9 2@15 3@25")
		s.expect("refused 2 outside_window", "refused 3 outside_window", "ack 3")
	}},

	{"the store is down for a while", func(s *ackScene) {
		s.store.onAppend(func(context.Context, []*session.Submission, func() error) error { return session.ErrUnavailable })
		s.send("1@1 2@2")
		s.expect("retry store_unavailable")
		s.store.onAppend(nil)
		s.send("1@1 2@2 3@3")
		s.expect("ack 3")
	}},
	{"the store did it and could not say so", func(s *ackScene) {
		s.store.onAppend(func(_ context.Context, _ []*session.Submission, next func() error) error {
			return errors.Join(next(), session.ErrUnavailable)
		})
		s.send("1@1 2@2")
		s.expect("retry store_unavailable")
		s.store.onAppend(nil)
		s.send("1@1 2@2")
		s.expect("ack 2")
	}},
	{"a ping that the store names as bad", func(s *ackScene) {
		s.poison(2, session.ErrInvalid)
		s.send("1@1 2@2 3@3")
		s.expect("refused 2 invalid", "ack 3")
	}},
	{"a ping that fails at first and is bad then", func(s *ackScene) {
		s.poison(2, errors.New("broken"))
		s.send("1@1 2@2 3@3")
		s.expect("retry store_unavailable", "ack 1")
		s.poison(2, session.ErrInvalid)
		s.send("2@2 3@3")
		s.expect("refused 2 invalid", "ack 3")
	}},
	{"a lock that does not go away", func(s *ackScene) {
		s.store.onAppend(verdicts(session.Locked))
		s.send("1@1")
		s.expect("retry overloaded")
		s.store.onAppend(nil)
		s.send("1@1")
		s.expect("ack 1")
	}},
	{"a refusal behind a lock waits for it", func(s *ackScene) {
		s.store.onAppend(verdicts(session.Locked))
		s.send("1@1")
		s.send("2@2x")
		s.expect("retry overloaded", "refused 2 invalid")
		s.store.onAppend(nil)
		s.send("1@1")
		s.expect("ack 2")
	}},

	{"an invalid ping of the same time fills no hole", func(s *ackScene) {
		s.pause()
		s.send("1@1")
		s.expect("retry paused")
		s.send("2@1x")
		s.expect("refused 2 invalid")
		s.resume()
		s.send("3@3")
		s.expect()
		s.send("1@1")
		s.expect("ack 3")
	}},
	{"the same number for another ping", func(s *ackScene) {
		s.pause()
		s.send("1@1")
		s.expect("retry paused")
		s.resume()
		s.send("1@2")
		s.expect()
		s.send("2@1")
		s.expect("ack 2")
	}},
	{"a new connection begins anew", func(s *ackScene) {
		s.pause()
		s.send("1@1 2@2")
		s.expect("retry paused")
		s.resume()
		s.phone = s.agent(s.m, "badge-17")
		s.send("1@1")
		s.expect("ack 1")
		s.send("2@2")
		s.expect("ack 2")
	}},
}

// settle waits until all frames sent so far have taken effect.
func (s *ackScene) settle() { s.phone.settled() }

// expectLast says what the phone is told in the end.
func (p *peer) expectLast(want string) {
	p.t.Helper()
	if got := p.answers(); len(got) == 0 || got[len(got)-1] != want {
		p.t.Errorf("got %q, want %q at last", got, want)
	}
}

func TestAcks(t *testing.T) {
	t.Parallel()
	for _, scene := range ackScenes {
		t.Run(scene.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.do(r.plan(func(m *session.Mission) { m.Policy.MinInterval = time.Second }, "badge-17"), session.Begin)
			s := &ackScene{rig: r, m: m, phone: r.agent(m, "badge-17")}
			s.at(10)
			scene.run(s)
		})
	}
}
