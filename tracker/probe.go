package tracker

import (
	"context"
	"time"
)

// probeTimeout is how long a peer may take to answer a ping of ours. It is long
// because a socket is not read while the recorder is full.
const probeTimeout = 30 * time.Second

// probe sends a ping to every socket of the room, each from a goroutine of its
// own that waits for the answer.
func (r *room) probe(here []*Message) []*Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.agents {
		r.hub.probe(c.socket.Ping, c.cut)
		here = append(here, c.announcement())
	}
	for _, a := range r.audiences {
		for v := range a.viewers {
			if v.ping != nil {
				r.hub.probe(v.ping, v.cut)
			}
		}
	}
	return here
}

func (h *Hub) probe(ping func(context.Context) error, cut func()) {
	h.sockets.Go(func() {
		ctx, cancel := context.WithTimeout(h.ctx, probeTimeout)
		defer cancel()
		if ping(ctx) != nil && h.ctx.Err() == nil {
			cut()
		}
	})
}
