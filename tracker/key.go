package tracker

import (
	"context"

	"ronde/session"
)

// What serves many missions at once, the recorder and the reconcile loop, never
// waits for the keyring: if that hangs, all of them would. Keys are fetched
// here, by goroutines on which only the mission itself depends.

// unlock makes sure that the recorder will find the key of a job's mission in
// memory. If the keyring cannot answer, the store's verdict will be Unsealed and
// the pings stay with their phone.
func (h *Hub) unlock(j *job) {
	if len(j.Pings) > 0 {
		h.fetchKey(j.room)
	}
}

// lockedOut reports whether the room's mission has begun and its key is not in
// memory. Then the key is being fetched, and the loop will be asked for when it
// is here.
func (h *Hub) lockedOut(r *room) bool {
	if h.service.Sealer.Cached(r.ref.ID) != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mission.ExpiresOn == 0 {
		return false
	}
	if r.fetching || !h.begin() {
		return true
	}
	r.fetching = true
	go func() {
		defer h.sockets.Done()
		key := h.fetchKey(r)
		r.mu.Lock()
		r.fetching = false
		r.mu.Unlock()
		switch {
		case h.room(r.ref.ID) == nil: // its last socket left meanwhile
			h.service.Sealer.Forget(r.ref.ID)
		case key != nil && h.service.Sealer.Cached(r.ref.ID) == key:
			h.askReconcile()
		}
	}()
	return true
}

// fetchKey returns the key of a mission that has begun, from memory or from the
// keyring, and nil if it cannot be had now.
func (h *Hub) fetchKey(r *room) *session.TrackKey {
	if key := h.service.Sealer.Cached(r.ref.ID); key != nil {
		return key
	}
	r.mu.Lock()
	m := r.mission
	r.mu.Unlock()
	if m.ExpiresOn == 0 {
		return nil // there is nothing to seal before the begin
	}
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	key, err := h.service.Sealer.Key(ctx, m)
	if err != nil && h.ctx.Err() == nil {
		h.log.Warn("key_unavailable", "mission", r.ref.ID, "error", err)
	}
	return key
}
