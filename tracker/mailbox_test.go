package tracker

import (
	"strings"
	"testing"
	"time"

	"ronde/session"
)

// reader is a viewer without a socket, who reads when the test says so.
type reader struct {
	*viewer
	room *room
}

// join lets a viewer into a room. Nothing is written to them until they read.
func join(t testing.TB, r *room, profile session.Profile, trail ...string) *reader {
	t.Helper()
	v := &viewer{hub: r.hub, room: r, profile: profile, below: func() {}, wake: func() {}}
	v.principal = &session.Principal{Role: session.Viewer, Tenant: r.ref.Tenant, Mission: r.ref.ID}
	frames := make([][]byte, len(trail))
	for i := range trail {
		frames[i] = []byte(trail[i])
	}
	if err := r.admit(v, frames); err != nil {
		t.Fatal(err)
	}
	return &reader{v, r}
}

// read returns all that waits, and whether the connection is then closed.
func (v *reader) read() (frames []string, closing bool) {
	closing = v.drain(func(frame []byte) error {
		frames = append(frames, string(frame))
		return nil
	})
	return frames, closing
}

// change replaces the room's mission.
func (r *room) change(change func(m *session.Mission)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.mission.Clone()
	m.Revision++
	change(m)
	r.apply(m)
}

// TestWhatWaitsIsForgottenWithTheRightToShowIt is I4 for a viewer who has not
// read what was written down for them: whatever waits, snapshot and trail
// included, holds no position any more once the mission is paused or over, or
// the node's lease has run out.
func TestWhatWaitsIsForgottenWithTheRightToShowIt(t *testing.T) {
	trail := string(trailOf(session.ProfileExact, onTheWay))
	for _, c := range []struct {
		name  string
		lose  func(r *room)
		want  string // a frame that comes
		state string // of the mission in the snapshot
	}{
		{"paused", func(r *room) { r.change(func(m *session.Mission) { m.State = session.Paused }) }, `{"type":"state","state":"paused"}`, "paused"},
		{"over", func(r *room) { r.change(func(m *session.Mission) { m.Settle(m.Deadline) }) }, `{"type":"ended"`, "ended"},
		{"lease", func(r *room) { r.showUntil.Store(0) }, "", "active"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay)
			v := join(t, r, session.ProfileExact, trail, trail)
			r.deliver([]Move{{Agent: "badge-18", Progress: r.people["badge-17"].shown}})
			c.lose(r)
			frames, closing := v.read()
			text := strings.Join(frames, "\n")
			if strings.Contains(text, "position") || strings.Contains(text, "trail") {
				t.Errorf("positions are shown:\n%s", text)
			}
			if !strings.HasPrefix(text, `{"type":"snapshot"`) || !strings.Contains(text, `"state":"`+c.state+`"`) || !strings.Contains(text, c.want) {
				t.Errorf("got\n%s", text)
			}
			if closing != (c.name == "over") {
				t.Errorf("closing: %v", closing)
			}
		})
	}
}

// TestOwnPauseTakesWhatWaits: an agent who pauses is gone from what was written
// down for a viewer, and nobody else is.
func TestOwnPauseTakesWhatWaits(t *testing.T) {
	r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).at("badge-18", session.OnSite, atTheDoor)
	v := join(t, r, session.ProfileExact, string(trailOf(session.ProfileExact, onTheWay)))
	r.change(func(m *session.Mission) {
		a := m.Agent("badge-17")
		a.Paused, a.Windows[0].Closed = true, vectorStart.Add(time.Hour)
	})
	frames, _ := v.read()
	text := strings.Join(frames, "\n")
	if strings.Contains(text, "48.8466123") || !strings.Contains(text, "48.8400001") {
		t.Errorf("got\n%s", text)
	}
}

// TestRevocationIsAtOnce: who changes a mission through a node has closed the
// revoked sockets of this node when the change returns.
func TestRevocationIsAtOnce(t *testing.T) {
	r := bareRoom(vectorMission())
	v, other := join(t, r, session.ProfileExact), join(t, r, session.ProfileExact)
	other.principal.Subject = session.NewID()
	v.principal.Subject = session.NewID()
	r.change(func(m *session.Mission) { m.RevokedLinks = append(m.RevokedLinks, v.principal.Subject) })
	if frames, closing := v.read(); !closing || v.code != closeRevoked || len(frames) != 0 {
		t.Errorf("closing %v with %d, after %q", closing, v.code, frames)
	}
	if _, closing := other.read(); closing {
		t.Error("another link was closed too")
	}
}

// TestMailboxHoldsTheLatest: however much happens while a viewer does not read,
// one update waits, and then the whole state.
func TestMailboxHoldsTheLatest(t *testing.T) {
	r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay)
	v := join(t, r, session.ProfileExact)
	if frames, _ := v.read(); len(frames) != 1 || !strings.Contains(frames[0], "snapshot") {
		t.Fatalf("on joining: %q", frames)
	}
	move := func(agent string, n int64) {
		p := r.people["badge-17"].shown
		p.Timestamp, p.Version = vectorStart.Add(2*time.Hour).UnixMilli()+n, 50+n
		p.Latest = p.Timestamp
		r.deliver([]Move{{Agent: agent, Progress: p}})
	}
	move("badge-17", 1)
	frames, _ := v.read()
	if len(frames) != 1 || !strings.Contains(frames[0], `"version":51`) || strings.Contains(frames[0], "Équipe 2") {
		t.Fatalf("after one update: %q", frames)
	}
	for n := range int64(100) {
		move("badge-17", 2+n)
		move("badge-18", 2+n)
	}
	frames, _ = v.read()
	if len(frames) != 1 || strings.Count(frames[0], `"version":151`) != 2 {
		t.Fatalf("after many updates, %d frames; the first: %q", len(frames), frames[:1])
	}
	if frames, _ := v.read(); len(frames) != 0 {
		t.Fatalf("and then: %q", frames)
	}
	r.change(func(m *session.Mission) { m.State = session.Paused })
	r.change(func(m *session.Mission) { m.State = session.Active })
	frames, _ = v.read()
	if len(frames) != 2 || frames[0] != `{"type":"state","state":"active"}` || !strings.Contains(frames[1], "Équipe 2") {
		t.Fatalf("after a pause: %q", frames)
	}
}
