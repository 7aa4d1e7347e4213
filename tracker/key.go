package tracker

import (
	"context"

	"ronde/session"
)

// What serves many missions at once, the recorder and the reconcile loop, never
// waits for the keyring: if that hangs, all of them would. Keys are fetched
// here, by goroutines on which only the mission itself depends.

// record queues a job once the recorder will find the key of its mission in
// memory. If the keyring cannot answer, the store's verdict will be Unsealed and
// the pings stay with their phone. It waits while the recorder is full, and fails
// only when the hub stops.
func (h *Hub) record(j *job) error {
	if len(j.Pings) > 0 {
		h.fetchKey(j.room)
	}
	return h.recorder.Add(h.ctx, j)
}

// readable reports whether the room's progress can be read from the store: its
// mission has not begun, or its key is here. It may wait for the keyring.
func (h *Hub) readable(r *room) bool {
	r.mu.Lock()
	begun := r.mission.ExpiresOn != 0
	r.mu.Unlock()
	if !begun {
		return true
	}
	key := h.fetchKey(r)
	if h.room(r.ref.ID) == nil { // its last socket left meanwhile
		h.service.Sealer.Forget(r.ref.ID)
		return false
	}
	return key != nil
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
