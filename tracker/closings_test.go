package tracker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// logged returns the actions that the access log has of the world's viewers.
func (w *world) logged() (actions []session.AccessAction) {
	w.t.Helper()
	filter := session.AccessFilter{Mission: w.mission.ID, Actions: []session.AccessAction{session.AccessLiveOpen, session.AccessLiveClose}}
	rows, err := w.store.AccessLog(w.t.Context(), "acme", filter, uuid.Nil, 100)
	ok(w.t, err)
	for _, row := range rows {
		actions = append(actions, row.Action)
	}
	return actions
}

// logs sets what happens before rows of the access log are written.
func (w *world) logs(before func(batch []session.Access) error) { w.store.logging.Store(&before) }

// TestNothingIsWrittenBeforeBegin: while the log is asked, a viewer is in the room
// and has everything waiting, and nothing is written. Whoever is hung up on
// meanwhile gets nothing but the close.
func TestNothingIsWrittenBeforeBegin(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		for _, revoked := range []bool{false, true} {
			release := make(chan struct{})
			w.logs(func([]session.Access) error { <-release; return nil })
			v := &viewer{hub: w.hub, profile: session.ProfileExact, below: func() {}, principal: w.viewer.principal}
			var frames []string
			closing, watching := false, make(chan error, 1)
			v.wake = func() {
				w.hub.sockets.Go(func() {
					closing = v.drain(func(frame []byte) error { frames = append(frames, string(frame)); return nil })
				})
			}
			go func() { watching <- w.hub.watch(v) }()
			synctest.Wait()
			w.ping()
			r := w.hub.room(w.mission.ID)
			r.mu.Lock()
			r.degrade(busDown)
			r.catchUp()
			if revoked {
				v.hangUp(closeRevoked, "revoked")
			}
			r.degrade("")
			r.mu.Unlock()
			synctest.Wait()
			if len(frames) != 0 || closing || len(watching) != 0 {
				t.Errorf("before the log has it: closing %t, frames %q", closing, frames)
			}
			close(release)
			synctest.Wait()
			ok(t, <-watching)
			if want := !revoked; (len(frames) > 0 && typeOf([]byte(frames[0])) == "snapshot") != want || closing != revoked {
				t.Errorf("revoked %t: closing %t, frames %q", revoked, closing, frames)
			}
			w.hub.unwatch(v)
		}
	})
}

// onlooker is another viewer, who reads everything.
func (w *world) onlooker() *viewer {
	v := &viewer{hub: w.hub, profile: session.ProfileExact, below: func() {}, principal: w.viewer.principal}
	v.wake = func() { w.hub.sockets.Go(func() { v.drain(func([]byte) error { return nil }) }) }
	ok(w.t, w.hub.watch(v))
	synctest.Wait()
	return v
}

// TestClosingsWaitForTheLog: what the log does not take is written when it is
// back, and at the latest as the hub stops.
func TestClosingsWaitForTheLog(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		check := func(when, want string) {
			t.Helper()
			got := ""
			for _, action := range w.logged() {
				got += " " + strings.TrimPrefix(string(action), "live.")
			}
			if got != want {
				t.Errorf("%s the log has%s, want%s", when, got, want)
			}
		}
		down := func([]session.Access) error { return errDown }
		up := func([]session.Access) error { return nil }

		v := w.onlooker()
		w.logs(down)
		w.hub.unwatch(v)
		w.wait(time.Minute)
		check("while it is down", " open open")
		w.logs(up)
		w.wait(closingsRetry)
		check("when it is back", " open open close")

		// An answer that was lost: the row is there, and is written again.
		v = w.onlooker()
		lost := true
		w.logs(func(batch []session.Access) error {
			if !lost {
				return nil
			}
			lost = false
			ok(t, w.store.Store.LogAccess(w.t.Context(), batch))
			return errDown
		})
		w.hub.unwatch(v)
		w.wait(2 * closingsRetry)
		check("after a lost answer", " open open close open close close")

		v = w.onlooker()
		w.logs(down)
		w.hub.unwatch(v)
		synctest.Wait()
		w.logs(up)
		check("before the hub stops", " open open close open close close open")
		w.hub.Close()
		check("once the hub has stopped", " open open close open close close open close")
	})
}
