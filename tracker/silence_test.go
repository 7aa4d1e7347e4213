package tracker

import (
	"strings"
	"testing"
	"time"

	"ronde/session"
)

// TestSilenceIsShown: an agent who falls silent is shown as lost, though nobody
// says anything, once and not before the time; and with the next ping as still there.
func TestSilenceIsShown(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		sent := time.Now()
		w.wait(89 * time.Second)
		if w.said(sent, `"signal":"lost"`) != 0 {
			w.t.Fatal("lost too soon")
		}
		w.wait(2 * time.Second)
		if n := w.said(sent, `"signal":"lost"`); n != 1 {
			w.t.Fatalf("shown as lost %d times", n)
		}
		w.wait(time.Minute)
		if n := w.said(sent, `"signal":"lost"`); n != 1 {
			w.t.Fatalf("shown as lost %d times", n)
		}
		back := time.Now()
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		w.wait(time.Second)
		if w.said(back, `"signal":"stationary"`) != 1 || w.said(back, `"signal":"lost"`) != 0 {
			w.t.Fatalf("shown as still there %d times, lost %d times", w.said(back, `"signal":"stationary"`), w.said(back, `"signal":"lost"`))
		}
	})
}

// said counts the frames after a time that contain a text.
func (w *world) said(after time.Time, text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.frames {
		if !f.at.Before(after) && strings.Contains(f.text, text) {
			n++
		}
	}
	return n
}
