package tracker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ronde/session"
)

// TestLinger: what is held open carries something every KeepAlive, and is given
// up when that fails.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &Hub{now: time.Now, draining: make(chan struct{})}
		begin, calls := time.Now(), 0
		code := h.linger(&session.Principal{Expires: begin.Add(time.Hour - time.Second)}, nil, func() error {
			calls++
			if since := time.Since(begin); since != time.Duration(calls)*KeepAlive {
				t.Errorf("call %d after %v", calls, since)
			}
			return nil
		})
		if want := int((time.Hour - time.Second) / KeepAlive); code != closeToken || calls != want {
			t.Errorf("code %d after %d calls, want %d after %d", code, calls, closeToken, want)
		}
		code = h.linger(&session.Principal{Expires: time.Now().Add(time.Hour)}, nil, func() error { return errors.New("gone") })
		if code != 0 {
			t.Errorf("a peer that does not answer: code %d", code)
		}
	})
}
