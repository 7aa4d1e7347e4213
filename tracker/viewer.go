package tracker

import (
	"context"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"ronde/session"
)

const liveProtocol = "ronde.live.v1"

// viewer is an open live socket or event stream. Its mailbox holds at most one
// frame of each sort, so that a viewer who does not read costs bounded memory
// and, once they read again, gets the latest state instead of a backlog.
type viewer struct {
	hub       *Hub
	room      *room
	principal *session.Principal
	profile   session.Profile
	// wake starts the viewer's writer. Called with mu held, and only while
	// writing is false.
	wake func()
	// below cuts the connection.
	below func()
	// ping asks the peer for a sign of life; nil for an event stream.
	ping func(context.Context) error

	mu       sync.Mutex
	first    [][]byte // guarded by mu, like all below: snapshot and trail
	health   []byte   // degraded or recovered
	state    []byte
	progress []byte // the one update not yet written
	behind   bool   // more than one was missed: the whole state is to be sent
	ended    []byte
	writing  bool
	closing  bool
	code     closeCode
	reason   string
}

// offer hands the viewer an update. If the one before is still waiting, both
// are replaced by the whole state, to be rendered when it can be written.
func (v *viewer) offer(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.progress != nil || v.behind {
		v.hub.metrics.coalesced.Inc()
		v.progress, v.behind = nil, true
		return
	}
	v.progress = frame
	v.start()
}

// fallBehind asks for the whole state to be sent.
func (v *viewer) fallBehind() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress, v.behind = nil, true
	v.start()
}

// change tells the viewer the mission's new state. Positions that wait are of
// the former one; if the mission is active, the whole state follows.
func (v *viewer) change(state []byte, active bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress, v.behind, v.state = nil, active, state
	v.start()
}

// degrade tells the viewer whether they see all there is.
func (v *viewer) degrade(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.health = frame
	v.start()
}

// end tells the viewer that the mission is over, and closes.
func (v *viewer) end(frame []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.progress, v.behind, v.state, v.health, v.ended = nil, false, nil, nil, frame
	v.hang(closeOver, "the mission is over")
}

// hangUp closes the viewer's connection. Positions that wait are dropped.
func (v *viewer) hangUp(code closeCode, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.first, v.progress, v.behind = nil, nil, false
	v.hang(code, reason)
}

// hang is hangUp with mu held.
func (v *viewer) hang(code closeCode, reason string) {
	if v.closing {
		return
	}
	v.code, v.reason = code, reason
	v.start()
	v.closing = true
}

// start makes sure that a writer runs. Call with mu held.
func (v *viewer) start() {
	if !v.writing && !v.closing {
		v.writing = true
		v.wake()
	}
}

// cut drops the connection; the goroutine that serves it notices.
func (v *viewer) cut() {
	v.mu.Lock()
	v.closing = true
	v.mu.Unlock()
	v.below()
}

// drain writes what there is with write. It returns true once the connection
// is to be closed, and false when there is nothing more or write failed.
func (v *viewer) drain(write func([]byte) error) (closing bool) {
	for {
		frame, position, closing := v.next()
		if frame == nil && !position {
			return closing
		}
		if frame == nil {
			frame = v.room.full(v.profile)
		}
		// The lease is looked at last, right before the write: whatever held
		// this goroutine up, nothing is shown on an old view.
		if frame == nil || position && !v.room.showable() {
			v.hub.metrics.expired.Inc()
			continue
		}
		if write(frame) != nil {
			v.cut()
			return false
		}
	}
}

// next takes the next frame, and whether it holds positions; without a frame
// that means the whole state is to be rendered. If there is nothing at all, the
// writer is to end, and to close the connection before if closing.
func (v *viewer) next() (frame []byte, position, closing bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case len(v.first) > 0:
		frame, v.first = v.first[0], v.first[1:]
		return frame, false, false
	case v.health != nil:
		frame, v.health = v.health, nil
		return frame, false, false
	case v.state != nil:
		frame, v.state = v.state, nil
		return frame, false, false
	case v.progress != nil:
		frame, v.progress = v.progress, nil
		return frame, true, false
	case v.behind:
		v.behind = false
		return nil, true, false
	case v.ended != nil:
		frame, v.ended = v.ended, nil
		return frame, false, false
	}
	v.writing = v.closing // a closing viewer keeps its writer: nobody starts another
	return nil, false, v.closing
}

// ServeViewer serves one live socket; see ServeAgent for what the request
// carries.
func (h *Hub) ServeViewer(w http.ResponseWriter, r *http.Request) {
	principal, err := viewerOf(r.Context())
	s, acceptErr := accept(w, r, liveProtocol, viewerSendBuffer)
	if acceptErr != nil {
		return // accept has answered
	}
	if err == nil && !h.begin() {
		err = session.ErrUnavailable
	}
	if err != nil {
		h.reject(s, err)
		return
	}
	go func() {
		defer h.sockets.Done()
		h.serveViewer(s, principal)
	}()
}

func viewerOf(ctx context.Context) (*session.Principal, error) {
	p, err := session.PrincipalOf(ctx)
	if err == nil && p.Role != session.Viewer {
		err = session.ErrToken
	}
	return p, err
}

func (h *Hub) serveViewer(s socket, principal *session.Principal) {
	v := &viewer{hub: h, principal: principal, profile: principal.View.Profile}
	v.below, v.ping = func() { _ = s.below.Close() }, s.Ping
	write := func(frame []byte) error {
		return s.Write(context.Background(), websocket.MessageText, frame)
	}
	v.wake = func() {
		h.sockets.Go(func() {
			if v.drain(write) {
				h.metrics.closed(v.code)
				s.hangUp(v.code, v.reason)
			}
		})
	}
	if err := h.watch(v); err != nil {
		h.reject(s, err)
		return
	}
	defer h.unwatch(v)
	// A viewer has nothing to say: the first data frame ends the connection.
	_, r, err := s.Reader(context.Background())
	if err != nil {
		return
	}
	v.hangUp(closeProtocol, "a viewer sends nothing")
	s.drain(r)
}

// watch lets a viewer into the room of their mission, with a snapshot as the
// first frame. After it, unwatch must be called.
func (h *Hub) watch(v *viewer) error {
	r, err := h.join(h.ctx, session.Ref{Tenant: v.principal.Tenant, ID: v.principal.Mission})
	if err != nil {
		return err
	}
	v.room = r
	trail, err := h.trail(v)
	if err == nil {
		err = r.admit(v, trail)
	}
	if err != nil {
		h.leave(r)
		return err
	}
	h.metrics.viewers.Inc()
	return nil
}

func (h *Hub) unwatch(v *viewer) {
	v.cut()
	v.room.dismiss(v)
	h.leave(v.room)
	h.metrics.viewers.Dec()
}

// admit adds a viewer and queues their first frames.
func (r *room) admit(v *viewer, trail [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := v.principal.Live(r.mission, r.hub.now()); err != nil {
		return err
	}
	snapshot, err := r.snapshot(v.profile)
	if err != nil {
		return err
	}
	a := r.audiences[v.profile]
	if a == nil {
		a = &audience{viewers: map[*viewer]struct{}{}}
		r.audiences[v.profile] = a
	}
	a.viewers[v] = struct{}{}
	r.viewers++
	r.tellCount()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.first = [][]byte{snapshot}
	if r.showable() {
		v.first = append(v.first, trail...)
	}
	if r.degraded != "" {
		v.health = encodeDegraded(r.degraded)
	}
	v.start()
	if r.mission.State.Over() {
		v.ended = encodeEnded(r.mission)
		v.hang(closeOver, "the mission is over")
	}
	return nil
}

func (r *room) dismiss(v *viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.audiences[v.profile]
	delete(a.viewers, v)
	if len(a.viewers) == 0 {
		delete(r.audiences, v.profile)
	}
	r.viewers--
	r.tellCount()
}

// tellCount tells the agents how many are watching through this node. Call
// with mu held.
func (r *room) tellCount() {
	for _, c := range r.agents {
		c.send(encodeViewers(r.viewers))
	}
}
