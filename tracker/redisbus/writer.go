package redisbus

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"ronde/session"
	"ronde/tracker"
)

// Bounds of what waits to be sent.
const (
	maxQueued = 16_384 // messages, each counted as one more than its moves
	maxSend   = 1_024  // messages of one pipeline
)

// queue holds messages until the writer takes them.
type queue struct {
	room *semaphore.Weighted
	wake chan struct{} // holds one token while the queue may be non-empty

	mu   sync.Mutex
	list []*tracker.Message // guarded by mu
}

// weight is what a message counts for in the bound of the queue.
func weight(m *tracker.Message) int64 { return int64(min(1+len(m.Moves), maxQueued)) }

// parcel is one message to be sent. A node's message to itself is empty.
type parcel struct {
	partition *partition
	channel   string
	frame     []byte
}

// enqueue queues the messages for the writer. Those of a partition that cannot
// be reached are dropped at once, and all of them if there is no room soon:
// whoever publishes has more urgent things to do.
func (b *Bus) enqueue(ctx context.Context, batch []*tracker.Message) (err error) {
	reachable := make([]*tracker.Message, 0, len(batch))
	var size int64
	for _, m := range batch {
		if failure := b.partitions[partitionOf(m.Mission)].failure(); failure != nil {
			b.drop(unsent, 1, failure)
			err = failure
			continue
		}
		reachable = append(reachable, m)
		size += weight(m)
	}
	if len(reachable) == 0 {
		return err
	}
	if !b.acquire(ctx, size) {
		full := session.ErrUnavailable.Because("the queue to Redis is full")
		b.drop(overflow, len(reachable), full)
		return full
	}
	b.queue.mu.Lock()
	b.queue.list = append(b.queue.list, reachable...)
	b.queue.mu.Unlock()
	ring(b.queue.wake)
	return err
}

// acquire makes room in the queue. It waits only while it is full, and not for
// long.
func (b *Bus) acquire(ctx context.Context, size int64) bool {
	if b.queue.room.TryAcquire(size) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, b.patience/8)
	defer cancel()
	return b.queue.room.Acquire(ctx, size) == nil
}

// ring leaves one token in a channel that holds no more.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take replaces batch by up to maxSend messages, and makes room for others.
func (q *queue) take(batch []*tracker.Message) []*tracker.Message {
	q.mu.Lock()
	batch = append(batch[:0], q.list[:min(len(q.list), maxSend)]...)
	rest := copy(q.list, q.list[len(batch):])
	clear(q.list[rest:])
	q.list = q.list[:rest]
	q.mu.Unlock()
	if rest > 0 {
		ring(q.wake)
	}
	var size int64
	for _, m := range batch {
		size += weight(m)
	}
	q.room.Release(size)
	return batch
}

// write sends what is queued, and this node's messages to itself, until the bus
// is closed and the queue is empty.
func (b *Bus) write() {
	beat := time.NewTicker(b.patience / 4)
	defer beat.Stop()
	var batch []*tracker.Message
	var parcels []parcel
	var frames []byte
	for closing := false; ; {
		parcels, frames = parcels[:0], frames[:0]
		select {
		case <-b.ctx.Done():
			closing = true
		case <-beat.C:
			parcels = b.beats(parcels, false)
		case <-b.queue.wake:
		}
		batch = b.queue.take(batch)
		parcels, frames = b.pack(parcels, frames, batch)
		if closing && len(parcels) == 0 {
			return
		}
		b.send(parcels)
	}
}

// pack seals messages and appends them to the parcels, and their frames to
// frames, which is memory to be used again.
func (b *Bus) pack(parcels []parcel, frames []byte, batch []*tracker.Message) ([]parcel, []byte) {
	for _, m := range batch {
		p := b.partitions[partitionOf(m.Mission)]
		if err := p.failure(); err != nil { // since it was queued
			b.drop(unsent, 1, err)
			continue
		}
		channel, start := missionChannel(m.Mission), len(frames)
		var err error
		if frames, err = b.out.seal(frames, channel, m); err != nil {
			b.drop(undecodable, 1, err)
			continue
		}
		parcels = append(parcels, parcel{p, channel, frames[start:len(frames):len(frames)]})
	}
	return parcels, frames
}

// beats appends a message of this node to itself for each partition that has
// failed, or for each that has not.
func (b *Bus) beats(parcels []parcel, failed bool) []parcel {
	for _, p := range b.partitions {
		if (p.failure() != nil) == failed {
			parcels = append(parcels, parcel{partition: p, channel: p.self})
		}
	}
	return parcels
}

// send sends parcels in one pipeline and notes which partitions take them.
func (b *Bus) send(parcels []parcel) {
	if len(parcels) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), b.patience/2)
	defer cancel()
	pipe := b.client.Pipeline()
	for _, p := range parcels {
		pipe.SPublish(ctx, p.channel, p.frame)
	}
	answers, _ := pipe.Exec(ctx) // each answer has its own error
	sent := 0
	for i, p := range parcels {
		err := answers[i].Err()
		p.partition.settle(err)
		if err != nil {
			ring(b.lost)
		}
		switch {
		case p.frame == nil:
		case err == nil:
			sent++
		default:
			b.drop(unsent, 1, err)
		}
	}
	b.metrics.published.Add(float64(sent))
}

// drop counts messages that are not handed on, and says so once a minute.
func (b *Bus) drop(why reason, n int, err error) {
	b.metrics.dropped[why].Add(float64(n))
	b.complain[why].Do(func() { b.log.Warn("bus_message_dropped", "reason", string(why), "error", err) })
}
