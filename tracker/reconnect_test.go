package tracker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
)

// silent is the real store of a node that it never tells what the node missed.
type silent struct {
	session.Store
	read   chan struct{} // one token for every reading of saved progress
	saved  chan struct{} // one token for every saving of it
	tracks atomic.Int64  // readings of a whole window
}

func (s *silent) News(ctx context.Context, known []session.Known) (session.News, error) {
	news, err := s.Store.News(ctx, known)
	news.Newest = nil
	return news, err
}

func (s *silent) SavedProgress(ctx context.Context, tenant string, id uuid.UUID) ([]session.SavedProgress, error) {
	defer func() { s.read <- struct{}{} }()
	return s.Store.SavedProgress(ctx, tenant, id)
}

func (s *silent) SaveProgress(ctx context.Context, batch []session.SavedProgress) error {
	err := s.Store.SaveProgress(ctx, batch)
	if len(batch) > 0 {
		s.saved <- struct{}{}
	}
	return err
}

func (s *silent) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) ([]session.Row, error) {
	s.tracks.Add(1)
	return s.Store.AgentTrack(ctx, tenant, id, agent, after, limit)
}

// apart starts another node on the store of a rig, which hears of other nodes by
// nothing but what it asks the store.
func (r *rig) apart() (*node, *silent) {
	r.t.Helper()
	store := &silent{Store: r.node.store, read: make(chan struct{}, 100), saved: make(chan struct{}, 100)}
	service := *r.service
	service.Store = store
	return (&node{t: r.t, service: &service, store: store, bus: new(tracker.MemBus)}).sibling(), store
}

// await waits for a token.
func await(t *testing.T, tokens chan struct{}, of string) {
	t.Helper()
	select {
	case <-tokens:
	case <-time.After(patience):
		t.Fatalf("no %s", of)
	}
}

// TestReconnectElsewhere: an agent's phone connects to a node where somebody
// watches already. What they see, and what the next ping means, follows from
// what the agent did at the other node, by the progress that this one saved.
func TestReconnectElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.active("badge-17")
	here, saving := r.apart()
	there, reading := r.apart()
	viewer := there.viewer(m, session.ProfileExact)
	viewer.until("snapshot")
	await(t, reading.read, "progress when the room opens")
	await(t, reading.read, "progress once more, for a window that has just opened")

	street := func(seq int) geo.Point { // walking away
		return geo.Point{Latitude: entrance.Latitude + 0.01 + float64(seq)/1e5, Longitude: entrance.Longitude}
	}
	r.clock.advance(time.Hour)
	taken := func(seq int) time.Time { return m.BeganAt.Add(time.Duration(seq) * time.Second) }
	agent := here.agent(m, "badge-17")
	var frames []pingFrame
	for seq := 1; seq <= 80; seq++ {
		place := entrance
		if seq > 15 { // for longer than what is read with saved progress
			place = street(seq)
		}
		frames = append(frames, pingAt(seq, taken(seq), place))
	}
	agent.pings(frames...)
	agent.expectLast("ack 80")
	for saved := int64(0); saved != taken(80).UnixMilli(); {
		await(t, saving.saved, "saving")
		list, err := r.node.store.SavedProgress(t.Context(), m.Tenant, m.ID)
		must(t, err)
		saved = list[0].At.UnixMilli()
	}
	reading.tracks.Store(0)

	again := there.agent(m, "badge-17")
	again.until("hello")
	shown := func() (phase any, timestamp int64) {
		a := viewer.until("progress")["agents"].([]any)[0].(map[string]any)
		if a["position"] == nil {
			return "", 0
		}
		return a["phase"], int64(a["timestamp"].(float64))
	}
	for _, seq := range []int{80, 81} {
		if seq == 81 {
			again.pings(pingAt(1, taken(seq), street(seq)))
		}
		phase, at := shown()
		for at != taken(seq).UnixMilli() {
			phase, at = shown()
		}
		if phase != "left" {
			t.Errorf("the position of second %d is %v, want left", seq, phase)
		}
	}
	if n := reading.tracks.Load(); n != 0 {
		t.Errorf("read the window %d times: the saved progress was not used", n)
	}
}
