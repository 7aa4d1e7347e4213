package redisbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"ronde/session"
	"ronde/tracker"
)

// Options are what a bus needs. All are required but those that name a default.
type Options struct {
	URL      string
	Root     session.RootSecret // the same on every node
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Patience is how long a connection may bring nothing before it is given
	// up, 2 s by default; a command is given up after half of it.
	Patience time.Duration
	// Now is the clock by which frames are old; time.Now by default.
	Now func() time.Time
}

const defaultPatience = 2 * time.Second

// Bus is a tracker.Bus over Redis.
type Bus struct {
	client   redis.UniversalClient
	patience time.Duration
	node     nodeID
	log      *slog.Logger
	metrics  *metrics
	complain map[reason]*rate.Sometimes

	local      tracker.MemBus // hands messages to the subscribers of this node
	partitions [len(tags)]*partition

	queue queue
	out   sealer // owned by the writer

	ctx    context.Context // done when the bus is told to close
	cancel context.CancelFunc
	wg     sync.WaitGroup // waits for every goroutine of the bus
	lost   chan struct{}  // holds one token when a partition may have become unreachable

	mu     sync.Mutex
	closed bool // guarded by mu
}

var _ tracker.Bus = (*Bus)(nil)

var errClosed = session.ErrUnavailable.Because("the bus is closed")

// unavailable makes an error of Redis one that is session.ErrUnavailable.
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", session.ErrUnavailable.Because("the bus cannot reach Redis"), err)
}

// Open returns a bus over the Redis that the URL names. If that cannot be
// reached, the bus goes on trying: a node must be able to start while Redis is
// down. It fails if waiting will not help: on a URL that breaks a rule, a wrong
// password, a certificate that cannot be trusted, a permission that is missing,
// a Redis that is too old or of the other sort.
func Open(ctx context.Context, o Options) (*Bus, error) {
	t, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Bus{
		patience: o.Patience, node: newNodeID(), log: o.Log, complain: map[reason]*rate.Sometimes{},
		lost:  make(chan struct{}, 1),
		queue: queue{room: semaphore.NewWeighted(maxQueued), wake: make(chan struct{}, 1)},
	}
	key, err := frameKey(o.Root, b.node)
	if err != nil {
		return nil, err
	}
	b.out = sealer{node: b.node, key: key, now: o.Now}
	for i, tag := range tags {
		b.partitions[i] = &partition{
			bus: b, tag: tag, self: nodeChannel(tag, b.node),
			changed: make(chan struct{}, 1), interests: map[uuid.UUID]*interest{},
			in: opener{root: o.Root, now: o.Now, own: b.node, peers: map[nodeID]*peer{}},
		}
	}
	for _, r := range reasons {
		b.complain[r] = &rate.Sometimes{First: 1, Interval: time.Minute}
	}
	b.metrics = newMetrics(o.Registry, b.open, b.down)
	b.client = t.client(o.Patience / 2)
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// start tries everything once, then starts what runs for as long as the bus.
func (b *Bus) start(ctx context.Context) error {
	b.send(b.beats(nil, false))
	err := b.Check()
	if err == nil {
		var cancel func()
		if cancel, err = b.Subscribe(ctx, session.NewID(), func(*tracker.Message) {}); err == nil {
			cancel()
		}
	}
	if advice := refusal(err); advice != "" {
		return fmt.Errorf("%s: %w", advice, err)
	}
	b.wg.Go(b.write)
	b.wg.Go(b.probe)
	return nil
}

// Subscribe implements tracker.Bus. It returns once Redis has confirmed the
// subscription, and gives up after the patience of the bus.
func (b *Bus) Subscribe(ctx context.Context, mission uuid.UUID, fn func(*tracker.Message)) (func(), error) {
	p := b.partitions[partitionOf(mission)]
	if err := p.join(ctx, mission); err != nil {
		return nil, err
	}
	cancel, err := b.local.Subscribe(ctx, mission, fn)
	if err != nil {
		p.leave(mission)
		return nil, err
	}
	return sync.OnceFunc(func() {
		cancel()
		p.leave(mission)
	}), nil
}

// Publish implements tracker.Bus. Subscribers on this node have been called
// when it returns, whatever Redis does; for the others the messages are queued.
func (b *Bus) Publish(ctx context.Context, batch []*tracker.Message) error {
	if err := b.local.Publish(ctx, batch); err != nil {
		return err
	}
	return b.enqueue(ctx, batch)
}

// Check returns nil if Redis took the last message in every partition, and
// otherwise an error that is session.ErrUnavailable.
func (b *Bus) Check() error {
	for _, p := range b.partitions {
		if err := p.failure(); err != nil {
			return fmt.Errorf("%d of %d partitions: %w", int(b.down()), len(tags), err)
		}
	}
	return nil
}

// down counts the partitions that could not be reached when last tried.
func (b *Bus) down() (n float64) {
	for _, p := range b.partitions {
		if p.failure() != nil {
			n++
		}
	}
	return n
}

// open counts the partitions with subscriptions.
func (b *Bus) open() (n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.partitions {
		if p.kept {
			n++
		}
	}
	return n
}

// Close implements tracker.Bus. What is queued is sent first, if Redis takes it
// at once.
func (b *Bus) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed = true
	b.mu.Unlock()
	_ = b.local.Close() // never fails
	b.cancel()
	b.wg.Wait()
	if again {
		return nil
	}
	return b.client.Close()
}
