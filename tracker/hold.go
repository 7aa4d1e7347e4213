package tracker

import (
	"context"
	"net/http"
	"time"

	"ronde/session"
)

// hold serves a doctor's socket. It is one like any other to whatever lies
// between, and as silent as that of a phone on a break: so it shows whether it
// would be left open.
func (h *Hub) hold(s socket, p *session.Principal) {
	if !h.begin() {
		h.reject(s, session.ErrUnavailable)
		return
	}
	go func() {
		defer h.sockets.Done()
		peer, gone := context.WithCancel(context.Background())
		h.sockets.Go(func() {
			defer gone()
			// A doctor says no more than a viewer. The library's own CloseRead would, on a data frame, wait for itself.
			_, r, err := s.Reader(context.Background())
			if err != nil {
				return
			}
			h.sockets.Go(func() { s.hangUp(closeProtocol, "a doctor sends nothing") })
			s.drain(r)
		})
		code := h.linger(p, peer.Done(), func() error {
			ctx, cancel := context.WithTimeout(peer, probeTimeout)
			defer cancel()
			return s.Ping(ctx)
		})
		if code != 0 {
			s.hangUp(code, "the probe is over")
		}
		s.release()
	}()
}

// holdEvents serves a doctor's stream: one event at once, which shows whether
// it is kept back on the way, and then silence.
func (h *Hub) holdEvents(stream *eventStream, r *http.Request, p *session.Principal) {
	stream.begin()
	if stream.event("probe", []byte("{}")) != nil {
		return
	}
	if code := h.linger(p, r.Context().Done(), stream.comment); code != 0 {
		stream.close(code)
	}
}

// linger waits until the peer is gone or alive fails, which gives 0, the token
// expires or the hub stops. It calls alive as often as any idle connection is
// made to carry something.
func (h *Hub) linger(p *session.Principal, gone <-chan struct{}, alive func() error) closeCode {
	expiry := time.NewTimer(p.Expires.Sub(h.now()))
	defer expiry.Stop()
	tick := time.NewTicker(KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return 0
		case <-h.draining:
			return closeGoingAway
		case <-expiry.C:
			return closeToken
		case <-tick.C:
			if alive() != nil {
				return 0
			}
		}
	}
}
