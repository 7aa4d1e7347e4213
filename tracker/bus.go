package tracker

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"ronde/session"
)

// Bus carries what one node knows to the others that have sockets for the same
// mission. It makes things fast and nothing else: it may lose, repeat, delay
// or reorder messages, and the hub stays right, because the store is the truth
// and the reconcile loop finds what the bus did not bring.
//
// Implementations are safe for many goroutines and pass the suite in bustest.
type Bus interface {
	// Subscribe calls fn with every message of the mission that is published,
	// from this node or another, after Subscribe has returned, until cancel is
	// called; once or twice more may slip through while it is. Messages of one
	// publisher come in order. fn must not block and must not alter or keep
	// the message. It returns an error that is session.ErrUnavailable if the
	// bus cannot be reached.
	Subscribe(ctx context.Context, mission uuid.UUID, fn func(*Message)) (cancel func(), err error)
	// Publish sends messages, of any missions, in one go. A mission nobody
	// subscribed to costs nothing more than the call. An error that is
	// session.ErrUnavailable means that some may not have been delivered.
	Publish(ctx context.Context, batch []*Message) error
	// Close ends all subscriptions.
	Close() error
}

// Kind says what a message is about.
type Kind uint8

// The kinds of messages.
const (
	// Moved carries new progress of agents. It was stored first.
	Moved Kind = iota + 1
	// Changed says that the mission was changed: read it from the store.
	Changed
	// Connected says which connection an agent has somewhere: older ones are to
	// close.
	Connected
)

// Message is what one node tells the others about a mission. It is immutable
// once published.
type Message struct {
	Mission  uuid.UUID
	Kind     Kind
	Moves    []Move // of Moved
	Revision int64  // of Changed: the mission's revision that is to be read
	Agent    string // of Connected
	Conn     int64  // of Connected: when it came, see Hub.number
}

// Move is the progress of one agent after a batch of its pings.
type Move struct {
	Agent    string
	Progress session.Progress
	// Seen is the time of the newest stored position that Progress has taken
	// into account, even if only to ignore it; milliseconds since the epoch.
	Seen int64
}

// MemBus is the bus of a single node: it calls its subscribers within
// Publish. The zero MemBus is ready.
type MemBus struct {
	mu     sync.RWMutex
	closed bool                                   // guarded by mu
	subs   map[uuid.UUID]map[*subscriber]struct{} // guarded by mu
}

type subscriber struct{ fn func(*Message) }

var _ Bus = (*MemBus)(nil)

// Subscribe implements Bus.
func (b *MemBus) Subscribe(_ context.Context, mission uuid.UUID, fn func(*Message)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, session.ErrUnavailable.Because("the bus is closed")
	}
	if b.subs == nil {
		b.subs = map[uuid.UUID]map[*subscriber]struct{}{}
	}
	if b.subs[mission] == nil {
		b.subs[mission] = map[*subscriber]struct{}{}
	}
	s := &subscriber{fn}
	b.subs[mission][s] = struct{}{}
	return func() { b.cancel(mission, s) }, nil
}

func (b *MemBus) cancel(mission uuid.UUID, s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs[mission], s)
	if len(b.subs[mission]) == 0 {
		delete(b.subs, mission)
	}
}

// Publish implements Bus.
func (b *MemBus) Publish(_ context.Context, batch []*Message) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return session.ErrUnavailable.Because("the bus is closed")
	}
	for _, m := range batch {
		for s := range b.subs[m.Mission] {
			s.fn(m)
		}
	}
	return nil
}

// Close implements Bus.
func (b *MemBus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed, b.subs = true, nil
	return nil
}
