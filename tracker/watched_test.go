package tracker

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"ronde/session"
)

// TestViewersComeAndGo: whoever opens and closes a link as fast as they can has
// the phone told of it once a second, and in the end how many are left.
func TestViewersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bareRoom(vectorMission())
		c := &agentConn{outbox: newOutbox(r.hub, socket{}), room: r, principal: &session.Principal{Agent: "badge-17", Expires: time.Now().AddDate(1, 0, 0)}}
		c.writing = true // nobody reads what it is sent
		r.agents["badge-17"] = c
		pass := func(d time.Duration) { // as the hub lets it pass
			for end := time.Now().Add(d); time.Now().Before(end); {
				time.Sleep(watchEvery) // fake time
				r.watch()
			}
		}
		last := func() []byte { return c.frames[len(c.frames)-1] }

		const seconds = 5
		for range 2 * seconds {
			for range 100 {
				r.come(1)
				r.come(-1)
			}
			pass(500 * time.Millisecond)
		}
		if n := len(c.frames); n < 2 || n > 1+seconds {
			t.Errorf("told %d counts in %d s", n, seconds)
		}
		pass(countEvery)
		r.come(5) // told at once
		r.come(1) // too soon
		pass(countEvery)
		if got, want := last(), encodeViewers(6); !bytes.Equal(got, want) {
			t.Errorf("told %s last, want %s", got, want)
		}
		said := len(c.frames)
		pass(10 * countEvery)
		if n := len(c.frames); n != said {
			t.Errorf("told %d counts while nobody came or went", n-said)
		}
	})
}

// come counts another n viewers.
func (r *room) come(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.viewers += n
	r.tellCount()
}
