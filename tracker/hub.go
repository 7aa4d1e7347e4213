// Package tracker is the live part of a node: the sockets of agents and
// viewers, the recorder that gathers pings into transactions, the rooms in
// which progress reaches the viewers of a mission, and the reconcile loop that
// keeps all of it true to the store.
//
// One ping goes one way:
//
//	Hub.ServeAgent → decode → session.Gate → Recorder → session.Service.Append
//	→ ack → session.Progress → Bus → room → Hub.ServeViewer
//
// # Who owns what
//
// A socket has one goroutine, which reads. Writing is done by a goroutine that
// lives as long as there is something to write, so that an idle socket costs
// one stack. A room belongs to its mutex; nothing is written to a socket and
// nothing is asked of the store under it. Lock order: room.mu,
// then Hub.mu or the mutex of one mailbox.
package tracker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"ronde/session"
)

// Interval is the time within which a node must have confirmed a mission's
// state at the store; past it, the node delivers no position of the mission.
const Interval = 2 * time.Second

// maxFills is how many rooms are filled from the store at once.
const maxFills = 8

// drainTimeout is how long sockets may take over a graceful close when the hub
// stops.
const drainTimeout = 5 * time.Second

type closeCode = websocket.StatusCode

// Close codes of both sockets.
const (
	closeGoingAway           = websocket.StatusGoingAway // reconnect with jitter
	closeToken     closeCode = 4001                      // token missing, malformed or expired
	closeRevoked   closeCode = 4003                      // token revoked
	closeOver      closeCode = 4004                      // mission over: do not reconnect
	closeProtocol  closeCode = 4008                      // too fast, or against the protocol
	closeReplaced  closeCode = 4009                      // the agent connected anew: do not reconnect
)

// closeCodeOf maps an error of the domain to the close code that tells the
// peer whether to come back.
func closeCodeOf(err error) closeCode {
	switch {
	case errors.Is(err, session.ErrToken), errors.Is(err, session.ErrForbidden):
		return closeToken
	case errors.Is(err, session.ErrRevoked):
		return closeRevoked
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrState):
		return closeOver
	}
	switch {
	case errors.Is(err, errFull):
		return closeProtocol
	case errors.Is(err, errReplaced):
		return closeReplaced
	}
	return closeGoingAway
}

// Options are what a hub needs. All fields are required but those that name a
// default.
type Options struct {
	Service  *session.Service // New makes the hub its Changed
	Bus      Bus
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Now is the clock by which tokens expire; time.Now by default. Everything
	// else is decided by the store's clock or measured as elapsed time.
	Now func() time.Time
	// Shards is how many transactions the recorder runs at once: 1 by default,
	// which is right for a store with one writer.
	Shards int
}

// Hub serves all sockets of a node.
type Hub struct {
	service  *session.Service
	bus      Bus
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics
	recorder *Recorder

	ctx    context.Context // done when the hub is told to stop
	cancel context.CancelFunc
	// sockets waits for the goroutines of sockets, loops for the others.
	sockets, loops sync.WaitGroup
	stopRecorder   context.CancelFunc

	draining chan struct{} // closed when Close begins, for what is in no room

	start  time.Time // what leases are measured from
	stalls stalls
	opens  singleflight.Group
	kick   chan struct{}       // holds one token while a room asks to be reconciled
	fills  *semaphore.Weighted // bounds the refills that run at once

	mu     sync.Mutex
	closed bool                // guarded by mu
	rooms  map[uuid.UUID]*room // guarded by mu
	paces  map[paceKey]*pace   // guarded by mu
}

// New starts a hub. Close stops it.
func New(o Options) *Hub {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	recording, stopRecorder := context.WithCancel(context.Background())
	h := &Hub{
		service: o.Service, bus: o.Bus, log: o.Log, now: o.Now, metrics: newMetrics(o.Registry),
		ctx: ctx, cancel: cancel, stopRecorder: stopRecorder,
		draining: make(chan struct{}), start: time.Now(), kick: make(chan struct{}, 1), rooms: map[uuid.UUID]*room{}, paces: map[paceKey]*pace{},
		fills: semaphore.NewWeighted(maxFills),
	}
	h.recorder = newRecorder(o.Service, max(1, o.Shards), h.metrics, o.Log, h.recorded)
	h.service.Changed = h.missionChanged // before anything runs that changes missions
	h.loops.Go(func() { h.recorder.run(recording) })
	h.loops.Go(h.reconcileLoop)
	h.loops.Go(func() { h.every(reconcileEvery, h.closeDue) })
	h.loops.Go(func() { h.every(watchEvery, h.watchRooms) })
	h.loops.Go(func() { h.every(saveEvery, h.saveProgress) })
	return h
}

// Close drains the hub: sockets are closed with 1001 in parallel, then the
// recorder settles what it has, then the loops end. New sockets are refused
// from the beginning. Closing twice is harmless.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		close(h.draining)
	}
	h.closed = true
	h.mu.Unlock()
	rooms := h.everyRoom() // no more of them: join refuses
	for _, r := range rooms {
		r.closeAll(closeGoingAway, "the server restarts")
	}
	cut := time.AfterFunc(drainTimeout, func() {
		for _, r := range rooms {
			r.cutAll()
		}
	})
	h.sockets.Wait()
	cut.Stop()
	h.stopRecorder()
	h.cancel()
	h.loops.Wait()
}

// missionChanged takes in a mission that was changed through this node. Local
// sockets learn it at once, other nodes through the bus. It is
// session.Service.Changed.
func (h *Hub) missionChanged(m *session.Mission) {
	if r := h.room(m.ID); r != nil {
		r.changed(m)
	}
	h.announce(&Message{Mission: m.ID, Kind: Changed, Revision: m.Revision})
}

// announce publishes messages without waiting for the bus. What gets lost,
// reconcile brings within the interval, or keepAlive says again.
func (h *Hub) announce(batch ...*Message) {
	if len(batch) == 0 || !h.begin() {
		return
	}
	go func() {
		defer h.sockets.Done()
		if err := h.bus.Publish(h.ctx, batch); err != nil {
			h.log.Warn("publish_failed", "messages", len(batch), "error", err)
		}
	}()
}

// stopping reports whether the hub was told to close.
func (h *Hub) stopping() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// room returns the room of a mission, or nil.
func (h *Hub) room(mission uuid.UUID) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[mission]
}

// join returns the room of a mission for one more socket, loaded and recently
// confirmed. Every join is followed by one leave.
func (h *Hub) join(ref session.Ref) (*room, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, session.ErrUnavailable.Because("the server stops")
	}
	r := h.rooms[ref.ID]
	if r == nil {
		r = newRoom(h, ref)
		h.rooms[ref.ID] = r
	}
	r.sockets++
	h.mu.Unlock()
	if err := r.open(); err != nil {
		h.leave(r)
		return nil, err
	}
	if r.ref.Tenant != ref.Tenant { // ids are unique: a token of another tenant names no mission
		h.leave(r)
		return nil, session.ErrNotFound
	}
	return r, nil
}

// leave gives up a room for one socket. The last one to leave closes it.
func (h *Hub) leave(r *room) {
	h.mu.Lock()
	r.sockets--
	last := r.sockets == 0
	if last {
		delete(h.rooms, r.ref.ID)
	}
	h.mu.Unlock()
	if last {
		r.close()
		h.service.Sealer.Forget(r.ref.ID)
	}
}

// askReconcile wakes the reconcile loop.
func (h *Hub) askReconcile() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// recorded takes in settled jobs: it folds what was stored into progress and
// publishes it, one message a mission. Nothing gets here that the store has
// not judged.
func (h *Hub) recorded(jobs []*job) {
	byMission := map[uuid.UUID]*Message{}
	var batch []*Message
	for _, j := range jobs {
		move, ok := j.room.fold(&j.Submission)
		if !ok {
			continue
		}
		msg := byMission[j.ID]
		if msg == nil {
			msg = &Message{Mission: j.ID, Kind: Moved}
			byMission[j.ID] = msg
			batch = append(batch, msg)
		}
		msg.add(move)
	}
	if len(batch) == 0 {
		return
	}
	if err := h.bus.Publish(h.ctx, batch); err != nil {
		h.metrics.drops.WithLabelValues("bus").Add(float64(len(batch)))
	}
	now := time.Now()
	for _, j := range jobs {
		if len(j.Pings) > 0 {
			h.metrics.viewer.Observe(now.Sub(j.received).Seconds())
		}
	}
}

// add adds a move. A later one of the same agent replaces an earlier: each is
// the whole state.
func (m *Message) add(move Move) {
	for i := range m.Moves {
		if m.Moves[i].Agent == move.Agent {
			m.Moves[i] = move
			return
		}
	}
	m.Moves = append(m.Moves, move)
}
