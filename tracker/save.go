package tracker

import (
	"context"
	"slices"
	"time"

	"ronde/session"
)

const (
	// saveEvery is how often progress is saved: whoever takes an agent over folds
	// what came since.
	saveEvery = 10 * time.Second
	// maxSave bounds one transaction.
	maxSave = 500
)

// saveProgress saves the progress of the agents who have moved.
func (h *Hub) saveProgress(int) {
	var batch []session.SavedProgress
	for _, r := range h.everyRoom() {
		batch = r.unsaved(batch)
	}
	for part := range slices.Chunk(batch, maxSave) {
		ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
		err := h.service.Store.SaveProgress(ctx, part)
		cancel()
		if err != nil {
			if h.ctx.Err() == nil {
				h.log.Warn("save_progress_failed", "agents", len(part), "error", err)
			}
			return // it is a cache, and the next turn comes soon
		}
		for i := range part {
			h.saved(&part[i])
		}
	}
}

// saved notes that the store has an agent's progress.
func (h *Hub) saved(s *session.SavedProgress) {
	r := h.room(s.ID)
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.people[s.Agent]; p != nil && p.opened.Equal(s.Opened) {
		p.saved = max(p.saved, s.At.UnixMilli())
	}
}

// unsaved appends the progress that was folded here and not saved since.
func (r *room) unsaved(batch []session.SavedProgress) []session.SavedProgress {
	key := r.hub.service.Sealer.Cached(r.ref.ID)
	if key == nil {
		return batch
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent, p := range r.people {
		if p.opened.IsZero() || p.upto <= p.saved {
			continue
		}
		sealed, err := key.SealProgress(agent, p.opened, &p.folded)
		if err != nil {
			r.hub.log.Error("save_progress_failed", "mission", r.ref.ID, "error", err)
			continue
		}
		batch = append(batch, session.SavedProgress{
			Ref: r.ref, Agent: agent, Opened: p.opened, At: time.UnixMilli(p.upto), Sealed: sealed,
		})
	}
	return batch
}
