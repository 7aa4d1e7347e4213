package tracker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"ronde/session"
)

// errorsPerMinute is how many frames that cannot be used an agent may send.
const errorsPerMinute = 10

const (
	agentProtocol = "ronde.agent.v1"
	storeTimeout  = 5 * time.Second
	retryAfter    = 2 * time.Second
	// maxHoles bounds what a connection remembers of pings that it was told to
	// keep; a phone beyond it is asked to connect anew.
	maxHoles = 10_000
)

// agentConn is one connection of an agent.
type agentConn struct {
	*outbox
	came      time.Time // of connections at one node, the later counts
	number    int64     // guarded by room.mu; of those at different nodes, the greater counts: see Hub.number
	room      *room
	principal *session.Principal
	pace      *pace

	// Owned by the read loop:
	errorRate *rate.Limiter
	decoded   []ping

	// Guarded by room.mu:
	states  int       // how often the state was sent
	watched int       // how many are watching, as the phone was told
	counted time.Time // when it was told

	// Guarded by outbox.mu:
	highest uint64 // sequence number of any settled ping
	acked   uint64 // up to which the phone was told to forget its pings
	// holes holds the device times of pings that the phone was told to keep.
	// As long as there is one, nothing is acknowledged, because an ack covers
	// everything before it. A resend of the same ping fills its hole, under
	// whatever number.
	holes map[int64]struct{}
	// hopeless holds pings that were taken during a pause of the mission, by
	// their device time, under the number they came by last. The phone was told
	// to keep them, as all in a pause; an ack that passes over them refuses them
	// first. None is a hole: it may be refused before it comes again.
	hopeless map[int64]uint64
}

// ServeAgent serves one connection of an agent's phone. The request carries
// the outcome of its authentication (session.WithPrincipal) and has passed the
// checks of the edge; what is wrong with a token or a mission is told by close
// code. It returns right after the upgrade: a handler that stays would keep the
// server's own buffers alive.
func (h *Hub) ServeAgent(w http.ResponseWriter, r *http.Request) {
	came := time.Now()
	principal, err := session.PrincipalOf(r.Context())
	s, acceptErr := accept(w, r, agentProtocol, 0)
	if acceptErr != nil {
		return // accept has answered
	}
	if err == nil && principal.Role == session.Doctor {
		h.hold(s, principal)
		return
	}
	if err == nil && principal.Role != session.AgentRole {
		err = session.ErrToken
	}
	if err != nil {
		h.reject(s, err)
		return
	}
	if !h.begin() {
		h.reject(s, session.ErrUnavailable)
		return
	}
	go func() {
		defer h.sockets.Done()
		h.serveAgent(s, principal, came)
	}()
}

// begin counts one more socket, unless the hub stops.
func (h *Hub) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.sockets.Add(1)
	return true
}

// reject closes a socket that was never served.
func (h *Hub) reject(s socket, err error) {
	code := closeCodeOf(err)
	h.metrics.closed(code)
	s.hangUp(code, reasonOf(err))
}

func reasonOf(err error) string {
	var e *session.Error
	if errors.As(err, &e) && len(e.Code) < 100 {
		return e.Code
	}
	return "error"
}

func (h *Hub) serveAgent(s socket, principal *session.Principal, came time.Time) {
	number, err := h.number(came)
	if err != nil {
		h.reject(s, err)
		return
	}
	r, err := h.join(session.Ref{Tenant: principal.Tenant, ID: principal.Mission})
	if err != nil {
		h.reject(s, err)
		return
	}
	c := &agentConn{
		outbox: newOutbox(h, s), came: came, number: number, room: r, principal: principal,
		pace:      h.paceOf(principal.Mission, principal.Agent),
		errorRate: rate.NewLimiter(errorsPerMinute/60.0, errorsPerMinute-1),
	}
	if err = r.takeOver(came); err == nil {
		err = c.enter()
	}
	if err != nil {
		h.reject(s, err)
		h.leave(r)
		return
	}
	// From here on a goroutine of its own reads: entering asks the store, which
	// takes a stack twice as large as reading needs, for as long as the socket
	// is open.
	h.sockets.Go(func() {
		defer h.leave(r)
		h.metrics.agents.Inc()
		c.read()
		h.metrics.agents.Dec()
		c.exit()
	})
}

// enter takes the agent's place in the room, from an older connection if there
// is one, and says hello.
func (c *agentConn) enter() error {
	notice, err := c.notice()
	if err != nil {
		return err
	}
	r := c.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.hub.stopping() { // closeAll has passed, or will not see this socket
		return session.ErrUnavailable
	}
	if r.mission.State.Over() {
		return session.ErrState
	}
	if err := c.principal.Live(r.mission, c.hub.now()); err != nil {
		return err
	}
	if old := r.agents[c.principal.Agent]; old != nil {
		// Whoever came later stays, under the greater of the two numbers.
		number := max(old.number, c.number)
		if old.came.After(c.came) {
			old.number = number
			c.hub.announce(old.announcement())
			return errReplaced
		}
		c.number = number
		old.hangUp(closeReplaced, errReplaced.Error())
	}
	r.agents[c.principal.Agent] = c
	c.send(encodeHello(r.mission, c.principal.Agent, notice, r.storeTime()))
	c.viewers(r.viewers + r.elsewhere)
	c.hub.announce(c.announcement())
	return nil
}

// errReplaced refuses a connection that was overtaken by a newer one.
var errReplaced = errors.New("a newer connection of this agent is open")

// number returns the number of a connection: when it came by the store's clock,
// which is the same for all nodes, in nanoseconds since the epoch. The digits
// below those of the store's clock are this process's own, and tell apart what
// came in the same millisecond. How long the store took to look at its clock
// does not count, only how long its answer was on the way. A clock that is set
// back gives, for as long as it is behind, the older connection at another node
// the greater number.
func (h *Hub) number(came time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	now, err := h.service.Store.Now(ctx)
	return now.Add(-time.Since(came)).UnixNano(), err
}

// announcement tells other nodes of this connection. Call with the room's mutex
// held.
func (c *agentConn) announcement() *Message {
	return &Message{Mission: c.room.ref.ID, Kind: Connected, Agent: c.principal.Agent, Conn: c.number}
}

func (c *agentConn) notice() (*noticeFrame, error) {
	ctx, cancel := context.WithTimeout(c.hub.ctx, storeTimeout)
	defer cancel()
	n, err := c.hub.service.Store.Notice(ctx, c.principal.Tenant)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	version, err := c.hub.service.Store.Acknowledged(ctx, c.principal.Tenant, c.principal.Agent)
	if err != nil {
		return nil, err
	}
	return &noticeFrame{Version: n.Version, Text: n.Text, Acknowledged: version >= n.Version}, nil
}

// exit leaves the room once the read loop is done.
func (c *agentConn) exit() {
	r := c.room
	r.mu.Lock()
	if r.agents[c.principal.Agent] == c {
		delete(r.agents, c.principal.Agent)
	}
	r.mu.Unlock()
	c.cut()
	c.socket.release()
}

// buffers hold one message while it is read and decoded.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// read serves the socket until it closes.
func (c *agentConn) read() {
	for {
		typ, r, err := c.socket.Reader(context.Background())
		if err != nil {
			return
		}
		if typ != websocket.MessageText {
			c.hangUp(closeProtocol, "frames are text")
			c.socket.drain(r)
			return
		}
		buf := buffers.Get().(*[]byte)
		*buf, err = readFrame(r, (*buf)[:0])
		if err == nil {
			err = c.frame(*buf)
		}
		buffers.Put(buf)
		if errors.Is(err, errTooLarge) {
			c.hangUp(closeProtocol, "a frame may have at most 32 KiB")
		}
		if err != nil {
			c.socket.drain(r)
			return
		}
	}
}

var errTooLarge = errors.New("frame too large")

// readFrame appends a message to b, at most maxFrame bytes of it.
func readFrame(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) > maxFrame {
			return b, errTooLarge
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, min(len(b)+1, maxFrame+1-len(b)))
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			if len(b) > maxFrame {
				return b, errTooLarge
			}
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
