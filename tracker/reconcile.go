package tracker

import (
	"context"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// What the loop does when. A lease lasts for Interval, so it is renewed twice
// within it.
const (
	reconcileEvery = Interval / 2
	// watchEvery is how soon viewers are told that a lease has ended.
	watchEvery = 500 * time.Millisecond
	// kickedEvery is the least time between two passes that were asked for.
	kickedEvery = 20 * time.Millisecond
)

// Reasons for which viewers are told that they see less than there is.
const (
	storeDown = "store_unavailable"
	busDown   = "bus_unavailable"
)

// reconcileLoop keeps the rooms true to the store: every pass asks, in one
// query, what changed for the missions with local sockets. What the bus should
// have brought and did not is found here.
func (h *Hub) reconcileLoop() {
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
			h.reconcile(h.everyRoom())
		case <-h.kick:
			h.reconcile(h.staleRooms())
			pause(h.ctx, kickedEvery)
		}
	}
}

// watchRooms does what must not wait for the store: it tells viewers when a lease has
// ended, closes sockets whose token has expired, and asks silent ones for a sign
// of life.
func (h *Hub) watchRooms(tick int) {
	h.stalls.tick(time.Since(h.start))
	for _, r := range h.everyRoom() {
		r.watch()
	}
	h.keepAlive(tick)
	h.forgetPaces(time.Now())
}

// every calls do again and again until the hub stops.
func (h *Hub) every(d time.Duration, do func(tick int)) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-h.ctx.Done():
			return
		case <-ticker.C:
			do(n)
		}
	}
}

// closeDue ends missions whose deadline has come, with or without sockets.
// Every node does; whoever is first counts. It has a loop of its own, because
// each of its steps may wait for a lock.
func (h *Hub) closeDue(int) {
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	n, err := h.service.CloseDue(ctx)
	if err != nil && h.ctx.Err() == nil {
		h.log.Warn("close_due_failed", "error", err)
	}
	h.metrics.deadlines.Add(float64(n))
}

func (h *Hub) everyRoom() []*room {
	h.mu.Lock()
	defer h.mu.Unlock()
	rooms := make([]*room, 0, len(h.rooms))
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

func (h *Hub) staleRooms() []*room {
	var stale []*room
	for _, r := range h.everyRoom() {
		r.mu.Lock()
		if r.stale && r.mission != nil {
			stale = append(stale, r)
		}
		r.mu.Unlock()
	}
	return stale
}

// reconcile does one pass over some rooms.
func (h *Hub) reconcile(rooms []*room) {
	known := make([]session.Known, 0, len(rooms))
	asked := make(map[uuid.UUID]*room, len(rooms))
	for _, r := range rooms {
		if k, ok := r.known(); ok {
			known = append(known, k)
			asked[k.ID] = r
		}
	}
	if len(known) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	before := time.Now()
	news, err := h.service.Store.News(ctx, known)
	if err != nil {
		if h.ctx.Err() == nil {
			h.log.Warn("reconcile_failed", "error", err)
		}
		return // the leases end by themselves
	}
	for _, id := range news.Missing {
		asked[id].closeAll(closeOver, "the mission does not exist any more")
		delete(asked, id)
	}
	for _, m := range news.Missions {
		asked[m.ID].changed(m)
	}
	elsewhere := map[uuid.UUID]int{}
	for _, v := range news.Viewers {
		if v.Node != h.turnstile.self() {
			elsewhere[v.Mission] += v.Count
		}
	}
	newest := map[uuid.UUID][]session.Newest{}
	for _, n := range news.Newest {
		newest[n.Mission] = append(newest[n.Mission], n)
	}
	for id, r := range asked {
		r.heard(elsewhere[id])
		if r.reconciled(before, news.Now, newest[id]) {
			h.refillApart(r)
		}
		h.resubscribe(r)
	}
	h.metrics.reconciled.SetToCurrentTime()
}

// known says what the room knows, for the query.
func (r *room) known() (session.Known, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mission == nil {
		return session.Known{}, false
	}
	return session.Known{Ref: r.ref, Revision: r.mission.Revision, Watched: r.viewers > 0}, true
}

// watch looks at what passes with time alone, shows who fell silent, and tells
// the agents a count that changed right after they had been told another.
func (r *room) watch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mission == nil {
		return
	}
	r.expel(r.mission)
	r.tellCount()
	r.listen()
	if r.mission.State == session.Active && time.Since(r.confirmed) >= Interval { // not at the deadline, which also ends a lease
		r.degrade(storeDown)
	}
}

// reconciled renews the lease after a pass that asked the store at the time
// before. It reports whether the room is to be filled from the store: because
// a window opened, or because positions that were stored before the last pass
// are still not here.
func (r *room) reconciled(before, storeNow time.Time, newest []session.Newest) (fill bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirm(before, storeNow)
	if r.degraded == storeDown {
		r.degrade("")
	}
	fill = r.stale
	missing := false
	for _, n := range newest {
		p := r.people[n.Agent]
		if p == nil || p.opened.IsZero() {
			continue
		}
		at := n.At.UnixMilli()
		if p.missed != 0 && p.seen < p.missed {
			missing = true
		}
		p.missed = 0
		if at > p.seen {
			p.missed = at
		}
	}
	if !missing && r.degraded == busDown && r.unsubscribe != nil {
		r.degrade("")
	}
	return fill || missing
}

// refillApart refills a room apart from the loop, unless that is being done:
// what one room needs must not keep the others from renewing their leases.
func (h *Hub) refillApart(r *room) {
	r.mu.Lock()
	filling := r.filling
	r.filling = true
	r.mu.Unlock()
	if filling {
		return
	}
	h.loops.Go(func() {
		defer func() {
			r.mu.Lock()
			r.filling = false
			r.mu.Unlock()
		}()
		if !h.readable(r) {
			return // the next pass asks again
		}
		ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
		defer cancel()
		if h.fills.Acquire(ctx, 1) != nil {
			return
		}
		defer h.fills.Release(1)
		h.refill(ctx, r)
	})
}

// refill reads a room's progress from the store. If that brings anything the
// bus should have brought, the bus is broken: the viewers are told, and the
// subscription is given up, to be made anew.
func (h *Hub) refill(ctx context.Context, r *room) {
	r.mu.Lock()
	m, late := r.mission, !r.stale
	r.stale = false
	r.mu.Unlock()
	progress, err := h.service.Progress(ctx, m)
	if err != nil {
		r.mu.Lock()
		r.stale = r.stale || !late
		r.mu.Unlock()
		h.log.Warn("refill_failed", "mission", r.ref.ID, "error", err)
		return
	}
	r.mu.Lock()
	broken := r.fill(progress) && late
	var cancel func()
	if broken {
		r.degrade(busDown)
		cancel, r.unsubscribe = r.unsubscribe, nil
	}
	r.mu.Unlock()
	if !broken {
		return
	}
	h.metrics.resyncs.Inc()
	if cancel != nil {
		cancel()
	}
}

// resubscribe has a room that does not hear the bus subscribe to it, apart from
// the loop: a bus that hangs must not keep it from renewing leases. What was
// missed until then, the next pass reads from the store.
func (h *Hub) resubscribe(r *room) {
	r.mu.Lock()
	deaf := r.deaf()
	r.mu.Unlock()
	if !deaf {
		return
	}
	h.loops.Go(func() {
		ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
		defer cancel()
		if err := r.subscribe(ctx); err != nil {
			h.log.Debug("subscribe_failed", "mission", r.ref.ID, "error", err)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stale = true
	})
}

// keepAlive sends a ping over a part of the sockets on each tick, so that each
// socket gets one every KeepAlive, and tells other nodes of the agents among
// them, in case the bus lost that. A peer that does not answer is cut off.
func (h *Hub) keepAlive(tick int) {
	turns := int(KeepAlive / watchEvery)
	var here []*Message
	for _, r := range h.everyRoom() {
		if int(r.ref.ID[15])%turns == tick%turns {
			here = r.probe(here)
		}
	}
	h.announce(here...)
}
