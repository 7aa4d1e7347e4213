package tracker

import (
	"context"
	"net/http"

	"github.com/coder/websocket"

	"ronde/session"
)

const liveProtocol = "ronde.live.v1"

// ServeViewer serves one live socket; see ServeAgent for what the request
// carries.
func (h *Hub) ServeViewer(w http.ResponseWriter, r *http.Request) {
	principal, err := viewerOf(r.Context())
	s, acceptErr := accept(w, r, liveProtocol, viewerSendBuffer)
	if acceptErr != nil {
		return // accept has answered
	}
	if err == nil && principal.Role == session.Doctor {
		h.hold(s, principal)
		return
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

// viewerOf returns the viewer of the request, or the doctor who wants to see
// whether one would get through.
func viewerOf(ctx context.Context) (*session.Principal, error) {
	p, err := session.PrincipalOf(ctx)
	if err == nil && p.Role != session.Viewer && p.Role != session.Doctor {
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
	// A goroutine with a stack that reading alone takes: see serveAgent.
	h.sockets.Go(func() {
		defer func() {
			h.unwatch(v)
			s.release()
		}()
		// A viewer has nothing to say: the first data frame ends the connection.
		_, r, err := s.Reader(context.Background())
		if err != nil {
			return
		}
		v.hangUp(closeProtocol, "a viewer sends nothing")
		s.drain(r)
	})
}

// watch lets a viewer into the room of their mission, with a snapshot as the
// first frame, and returns once the access log has it: until then nothing is
// written to them. After it, unwatch must be called.
//
// The viewer is let in first and recorded then: whom a link has no place for
// leaves no row that says they watched.
func (h *Hub) watch(v *viewer) error {
	r, err := h.join(session.Ref{Tenant: v.principal.Tenant, ID: v.principal.Mission})
	if err != nil {
		return err
	}
	v.room, v.connection = r, session.NewID()
	if err = h.pass(v); err != nil {
		h.leave(r)
		return err
	}
	h.metrics.viewers.Inc()
	if err := h.recordOpen(v); err != nil {
		h.depart(v)
		return err
	}
	v.begin()
	return nil
}

// pass lets a viewer who has joined a room through the turnstile and into it.
func (h *Hub) pass(v *viewer) error {
	if err := v.room.live(v.principal); err != nil { // before it counts
		return err
	}
	trail, err := h.trail(v)
	if err != nil {
		return err
	}
	if err := h.turnstile.enter(v); err != nil {
		return err
	}
	if err := v.room.admit(v, trail); err != nil {
		h.turnstile.leave(v)
		return err
	}
	return nil
}

// live returns why a principal may not go on, or nil.
func (r *room) live(p *session.Principal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.Live(r.mission, r.hub.now())
}

// unwatch ends what watch began.
func (h *Hub) unwatch(v *viewer) {
	v.cut()
	h.depart(v)
}

// depart takes a viewer out of their room, and has the access log told.
func (h *Hub) depart(v *viewer) {
	v.room.dismiss(v)
	h.turnstile.leave(v)
	h.leave(v.room)
	h.metrics.viewers.Dec()
	h.closings.add(v.access(session.AccessLiveClose))
}

// admit adds a viewer and queues their first frames, which are written once the
// viewer begins.
func (r *room) admit(v *viewer, trail [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := v.principal.Live(r.mission, r.hub.now()); err != nil {
		return err
	}
	if r.hub.stopping() { // closeAll has passed, or will not see this socket
		return session.ErrUnavailable
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closing { // their place was taken before they sat down
		return errFull
	}
	a := r.audiences[v.profile]
	if a == nil {
		a = &audience{viewers: map[*viewer]struct{}{}}
		r.audiences[v.profile] = a
	}
	a.viewers[v] = struct{}{}
	r.viewers++
	r.tellCount()
	v.writing = true // in place of a writer, until begin
	v.greet, v.trail = true, trail
	if r.degraded != "" {
		v.health = encodeDegraded(r.degraded)
	}
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

// tellCount tells the agents how many are watching, through whichever node. Call
// with mu held.
func (r *room) tellCount() {
	for _, c := range r.agents {
		c.viewers(r.viewers + r.elsewhere)
	}
}

// heard takes in how many watch through other nodes.
func (r *room) heard(elsewhere int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.elsewhere != elsewhere {
		r.elsewhere = elsewhere
		r.tellCount()
	}
}
