package tracker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ronde/session"
)

// room is what a node knows of one mission that it has sockets for: the
// mission as last confirmed at the store, the progress of its agents, and the
// sockets.
//
// A room shows positions only while it holds a lease: it has confirmed within
// Interval that the mission is active, and the deadline has not come. The lease
// ends by itself, whatever hangs, stops or is cut off.
type room struct {
	hub  *Hub
	ref  session.Ref
	gate session.Gate

	sockets int // guarded by hub.mu

	// showUntil is the end of the lease as time since hub.start, 0 for none.
	// Written under mu, read by writers right before each write.
	showUntil atomic.Int64

	mu          sync.Mutex
	unsubscribe func()           // guarded by mu, like all below
	subscribing bool             // somebody waits for the bus
	closed      bool             // the last socket has left
	mission     *session.Mission // never altered, only replaced; nil before load
	confirmed   time.Time        // when the store was last asked
	deadline    time.Time        // the mission's, on this process's own clock
	stale       bool             // reconcile is to read mission and progress anew
	degraded    string           // what viewers were told they miss; "" for nothing
	filling     bool             // a refill is under way
	filled      time.Time        // when load asked the store for progress
	people      map[string]*presence
	agents      map[string]*agentConn // the newest connection of each
	audiences   map[session.Profile]*audience
	viewers     int // through this node
	elsewhere   int // through the others, as the store last said
}

// presence is one agent's part in a room.
type presence struct {
	alias  string
	paused bool      // on their own pause
	opened time.Time // of the open window; zero: not located
	// version only rises, so that a viewer can tell states apart.
	version int64
	folded  session.Progress // by pings that came through this node
	shown   session.Progress // what viewers see: the newest of all nodes
	seen    int64            // the newest stored position taken into account
	missed  int64            // one that reconcile found in the store and not here
	upto    int64            // the newest stored position that folded has looked at
	saved   int64            // upto when folded was last saved
	lost    bool             // viewers were told that the agent is lost
}

// audience is the viewers of one profile. All get the same bytes.
type audience struct {
	viewers map[*viewer]struct{}
	full    []byte // a progress frame with every agent; nil: to be rendered
}

func newRoom(h *Hub, ref session.Ref) *room {
	return &room{
		hub: h, ref: ref,
		people: map[string]*presence{}, agents: map[string]*agentConn{}, audiences: map[session.Profile]*audience{},
	}
}

// open returns once the room is loaded and was confirmed within Interval.
func (r *room) open() error {
	if r.fresh() {
		return nil
	}
	_, err, _ := r.hub.opens.Do(r.ref.ID.String(), func() (any, error) {
		if r.fresh() {
			return nil, nil
		}
		return nil, r.load()
	})
	return err
}

func (r *room) fresh() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mission != nil && time.Since(r.confirmed) < Interval
}

// load subscribes, then reads: what happens in between comes by the bus and is
// merged.
func (r *room) load() error {
	ctx, cancel := context.WithTimeout(r.hub.ctx, storeTimeout)
	defer cancel()
	if err := r.subscribe(ctx); err != nil {
		r.hub.log.Warn("subscribe_failed", "mission", r.ref.ID, "error", err) // the store will do
	}
	asked := time.Now()
	m, err := r.hub.service.Store.Mission(ctx, r.ref.Tenant, r.ref.ID)
	if err != nil {
		return err
	}
	progress, err := r.hub.service.Progress(ctx, m)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apply(m)
	r.confirm(asked, m.ReadAt)
	r.fill(progress)
	r.filled = asked
	return nil
}

// takeOver reads the progress that the store knows, unless that was done after
// a time: that of a connection, whose agent may have been at another node until
// then, and the bus may have lost what that one said.
func (r *room) takeOver(came time.Time) error {
	r.mu.Lock()
	m, done := r.mission, r.filled.After(came)
	r.mu.Unlock()
	if done {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.hub.ctx, storeTimeout)
	defer cancel()
	progress, err := r.hub.service.Progress(ctx, m)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fill(progress)
	return nil
}

// subscribe makes sure that the room hears the bus, unless somebody else is at it
// already. It waits for the bus.
func (r *room) subscribe(ctx context.Context) error {
	r.mu.Lock()
	if !r.deaf() {
		r.mu.Unlock()
		return nil
	}
	r.subscribing = true
	r.mu.Unlock()
	cancel, err := r.hub.bus.Subscribe(ctx, r.ref.ID, r.hear)
	r.mu.Lock()
	r.subscribing = false
	if err == nil && !r.closed {
		r.unsubscribe, cancel = cancel, nil
	}
	r.mu.Unlock()
	if err == nil && cancel != nil {
		cancel() // the room was closed meanwhile
	}
	return err
}

// deaf reports whether the room does not hear the bus, and nobody sees to it.
// Call with mu held.
func (r *room) deaf() bool { return r.unsubscribe == nil && !r.subscribing && !r.closed }

// close ends the subscription. The room has no sockets any more.
func (r *room) close() {
	r.mu.Lock()
	cancel := r.unsubscribe
	r.unsubscribe, r.closed = nil, true
	if r.degraded != "" {
		r.hub.metrics.degraded.Dec()
	}
	r.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// hear takes in a message from the bus.
func (r *room) hear(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mission == nil {
		return // load reads what the message could say
	}
	switch m.Kind {
	case Moved:
		r.deliver(m.Moves)
	case Changed:
		if m.Revision > r.mission.Revision {
			r.refresh()
		}
	case Connected:
		// Of two that open at once on two nodes, one is left. The older one may
		// have entered after the newer had been announced: it is told again.
		switch c := r.agents[m.Agent]; {
		case c == nil:
		case c.number < m.Conn:
			delete(r.agents, m.Agent)
			c.hangUp(closeReplaced, errReplaced.Error())
		case c.number > m.Conn:
			r.hub.announce(c.announcement())
		}
	}
}

// refresh asks the reconcile loop to read the mission now. Call with mu held.
func (r *room) refresh() {
	r.stale = true
	r.hub.askReconcile()
}

// confirm renews the lease: at the time asked or later, the store said that
// the mission stands as r.mission has it, and its clock was storeNow. Call with
// mu held.
func (r *room) confirm(asked time.Time, storeNow time.Time) {
	r.confirmed = asked
	r.deadline = asked.Add(r.mission.Deadline.Sub(storeNow))
	before := r.showable()
	r.lease()
	if !before && r.showable() {
		r.catchUp()
	}
}

// lease sets how long positions may be shown. Call with mu held.
func (r *room) lease() {
	if r.mission.State != session.Active {
		r.showUntil.Store(0)
		return
	}
	end := r.confirmed.Add(Interval)
	if r.deadline.Before(end) {
		end = r.deadline
	}
	r.showUntil.Store(min(int64(end.Sub(r.hub.start)), r.hub.turnstile.until.Load()))
}

// storeTime returns the store's clock, as far as it is known from the last
// confirmation. Call with mu held.
func (r *room) storeTime() time.Time { return r.mission.Deadline.Add(-time.Until(r.deadline)) }

// showable reports whether positions may be shown now.
func (r *room) showable() bool {
	return int64(time.Since(r.hub.start)) < r.showUntil.Load()
}

// fold takes in the stored pings of one submission and returns the agent's new
// progress, if there is any.
func (r *room) fold(sub *session.Submission) (Move, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.people[sub.Agent]
	if p == nil || p.opened.IsZero() {
		r.wonder(sub)
		return Move{}, false
	}
	progress, seen, changed := p.folded, p.seen, false
	if p.shown.Newer(&progress) {
		progress = p.shown
	}
	opened := p.opened.UnixMilli()
	for i, v := range sub.Verdicts {
		if v != session.Stored && v != session.Unchanged {
			continue
		}
		at := min(sub.Pings[i].Timestamp, sub.Now)
		if at < opened {
			continue // of an earlier window: never shown as where the agent is
		}
		seen = max(seen, at)
		changed = progress.Fold(r.mission, at, &sub.Pings[i].Position) || changed
	}
	if changed {
		p.version = max(p.version+1, sub.Now)
		progress.Version = p.version
	} else if seen == p.seen {
		p.folded = progress // it counted what came late
		return Move{}, false
	}
	p.folded, p.upto = progress, seen
	return Move{Agent: sub.Agent, Progress: progress, Seen: seen}, true
}

// wonder reads the mission anew if the store accepted a ping of a window that
// this node does not know of, or would have if the node had known that the
// mission has begun. Late pings of a closed one are no news. Call with mu held.
func (r *room) wonder(sub *session.Submission) {
	for i, v := range sub.Verdicts {
		accepted := v == session.Stored || v == session.Unchanged || v == session.Unsealed
		if accepted && r.unexplained(sub.Agent, min(sub.Pings[i].Timestamp, sub.Now)) {
			r.refresh()
			return
		}
	}
}

func (r *room) unexplained(agent string, at int64) bool {
	a := r.mission.Agent(agent)
	return a == nil || !a.Located(at)
}

// deliver shows new progress to the viewers. Call with mu held.
func (r *room) deliver(moves []Move) {
	moved := make([]string, 0, len(moves))
	for i := range moves {
		if r.take(&moves[i]) {
			moved = append(moved, moves[i].Agent)
		}
	}
	if len(moved) > 0 {
		r.show(moved)
	}
}

// take merges one move and reports whether there is something new to show.
func (r *room) take(move *Move) bool {
	p := r.people[move.Agent]
	if p == nil || p.opened.IsZero() || move.Progress.Latest < p.opened.UnixMilli() {
		r.hub.metrics.drops.WithLabelValues("window").Inc()
		if r.unexplained(move.Agent, move.Progress.Latest) {
			r.refresh()
		}
		return false
	}
	p.seen = max(p.seen, move.Seen)
	if !move.Progress.Newer(&p.shown) {
		return false
	}
	p.shown = move.Progress
	p.version = max(p.version, move.Progress.Version)
	return true
}

// fill takes in progress that was read from the store. It returns whether any
// was newer than what the room had. Call with mu held.
func (r *room) fill(progress map[string]session.Reading) bool {
	newer := false
	for agent, read := range progress {
		p := r.people[agent]
		if p == nil || p.opened.IsZero() || !read.Opened.Equal(p.opened) {
			continue
		}
		p.seen = max(p.seen, read.Seen)
		if read.Latest > p.shown.Latest {
			p.version++
			read.Version = p.version
			p.shown, newer = read.Progress, true
		}
	}
	if newer {
		r.catchUp()
	}
	return newer
}
