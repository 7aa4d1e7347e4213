package tracker

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"ronde/session"
)

// KeepAlive is how often an idle connection is made to carry something, so
// that no proxy takes it for dead and no dead one is taken for idle.
const KeepAlive = 25 * time.Second

// ServeEvents serves the live socket's frames as server-sent events, for
// browsers behind proxies that do not upgrade. Each event is named by the
// frame's type; the last one, "close", carries the close code that a socket
// would have got. The request has been authenticated (session.WithPrincipal).
// An error says why there is no stream; nothing has been written then.
func (h *Hub) ServeEvents(w http.ResponseWriter, r *http.Request) error {
	principal, err := viewerOf(r.Context())
	if err != nil {
		return err
	}
	if !h.begin() {
		return session.ErrUnavailable.Because("the server stops")
	}
	defer h.sockets.Done()
	stream := &eventStream{w: w, rc: http.NewResponseController(w)}
	if principal.Role == session.Doctor {
		h.holdEvents(stream, r, principal)
		return nil
	}
	woken := make(chan struct{}, 1)
	gone := make(chan struct{})
	v := &viewer{hub: h, principal: principal, profile: principal.View.Profile}
	v.wake = func() { woken <- struct{}{} } // only while no writer runs, so there is room
	v.below = sync.OnceFunc(func() { close(gone) })
	if err := h.watch(v); err != nil {
		return err
	}
	defer h.unwatch(v)
	stream.begin()
	tick := time.NewTicker(KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-woken:
			if v.drain(stream.frame) {
				h.metrics.closed(v.code)
				stream.close(v.code)
				return nil
			}
		case <-tick.C:
			if stream.comment() != nil {
				return nil
			}
		case <-gone:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// eventStream writes server-sent events, each with a time limit.
type eventStream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// begin sends the headers of a stream, with nginx's own switch against keeping
// events back.
func (s *eventStream) begin() {
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// frame writes a frame as the event of its type.
func (s *eventStream) frame(frame []byte) error {
	return s.event(typeOf(frame), frame)
}

func (s *eventStream) event(name string, data []byte) error {
	b := make([]byte, 0, len(name)+len(data)+20)
	b = append(append(b, "event: "...), name...)
	b = append(append(b, "\ndata: "...), data...)
	return s.write(append(b, "\n\n"...))
}

// close writes the last event: the code that a socket would be closed with.
func (s *eventStream) close(code closeCode) {
	_ = s.event("close", []byte(`{"code":`+strconv.Itoa(int(code))+`}`)) // who is gone cannot be told
}

func (s *eventStream) comment() error { return s.write([]byte(":\n\n")) }

func (s *eventStream) write(b []byte) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.rc.Flush()
}

// typeOf returns the type of one of our own frames, which begin with it.
func typeOf(frame []byte) string {
	const prefix = `{"type":"`
	rest := frame[len(prefix):]
	for i, c := range rest {
		if c == '"' {
			return string(rest[:i])
		}
	}
	return ""
}
