package redisbus

import (
	"context"
	"sync/atomic"

	"github.com/google/uuid"
)

// partition is one of the fixed parts of the bus. What its connection and its
// subscribers have to do with each other is settled here; connection.go talks
// to Redis.
type partition struct {
	bus     *Bus
	tag     string
	self    string                // the channel in which the node hears itself
	in      opener                // owned by the goroutine that reads the connection
	failed  atomic.Pointer[error] // why Redis did not take the last message; nil if it did
	changed chan struct{}         // holds one token while the connection has orders

	// Guarded by bus.mu:
	kept      bool // a goroutine keeps a connection
	confirmed bool // Redis has confirmed something on the present one
	interests map[uuid.UUID]*interest
}

// interest is what the subscriptions to one mission want.
type interest struct {
	count   int          // of subscriptions, those that wait included
	asked   bool         // the present connection has asked since the last one came
	held    bool         // Redis has confirmed it on the present connection
	waiting []chan error // told once when it has, or cannot
}

// failure returns why the last message was not taken, and nil if it was.
func (p *partition) failure() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// settle notes what became of a message.
func (p *partition) settle(err error) {
	switch {
	case err != nil:
		err = unavailable(err)
		p.failed.Store(&err)
	case p.failed.Load() != nil:
		p.failed.Store(nil)
	}
}

// join returns once Redis has confirmed a subscription that was asked for after
// the call. Each join that succeeds is followed by one leave.
func (p *partition) join(ctx context.Context, mission uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, p.bus.patience)
	defer cancel()
	answer, err := p.want(mission)
	if err != nil {
		return err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = unavailable(ctx.Err())
	case <-p.bus.ctx.Done():
		err = errClosed
	}
	if err != nil {
		p.leave(mission)
	}
	return err
}

// want adds a subscription that waits for its answer.
func (p *partition) want(mission uuid.UUID) (answer <-chan error, err error) {
	if err := p.failure(); err != nil {
		return nil, err // known without asking
	}
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	if p.bus.closed {
		return nil, errClosed
	}
	i := p.interests[mission]
	if i == nil {
		i = &interest{}
		p.interests[mission] = i
	}
	c := make(chan error, 1)
	i.count++
	i.asked, i.waiting = false, append(i.waiting, c)
	if !p.kept {
		p.kept = true
		p.bus.wg.Go(p.keep)
	}
	p.order()
	return c, nil
}

// leave gives up a subscription. It does not wait.
func (p *partition) leave(mission uuid.UUID) {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	i := p.interests[mission]
	i.count--
	if i.count == 0 {
		p.order()
	}
}

// order tells the connection that there is something to ask Redis for.
func (p *partition) order() { ring(p.changed) }

// renew makes all interests new to the next connection. It reports whether
// there are any; if not, nobody keeps one.
func (p *partition) renew() bool {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	for mission, i := range p.interests {
		if i.count == 0 {
			delete(p.interests, mission)
		}
		i.asked, i.held = false, false
	}
	p.confirmed = false
	p.kept = len(p.interests) > 0 && !p.bus.closed
	return p.kept
}

// orders returns the channels to ask for and to give up now, and whether any
// subscription is left.
func (p *partition) orders() (ask, giveUp []string, left bool) {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	for mission, i := range p.interests {
		switch {
		case i.count == 0:
			delete(p.interests, mission)
			giveUp = append(giveUp, missionChannel(mission))
		case !i.asked:
			i.asked = true
			ask = append(ask, missionChannel(mission))
		}
	}
	return ask, giveUp, len(p.interests) > 0
}

// confirm notes that Redis has confirmed a channel on the present connection.
func (p *partition) confirm(channel string) {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	p.confirmed = true
	mission, _ := missionOf(channel)
	// An interest that has not asked yet came after the question that this
	// answers. Its own answer will come.
	if i := p.interests[mission]; i != nil && i.asked {
		i.held = true
		i.tell(nil)
	}
}

// taken reports whether a channel that Redis says is unsubscribed should not be.
// An answer to a request of ours comes when the interest is gone, or before its
// renewal is confirmed.
func (p *partition) taken(channel string) bool {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	mission, _ := missionOf(channel)
	i := p.interests[mission]
	return channel == p.self || i != nil && i.held
}

// worked reports whether Redis has confirmed anything on the present connection.
func (p *partition) worked() bool {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	return p.confirmed
}

// fail tells those who wait that there is no connection to be had.
func (p *partition) fail(err error) {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	for _, i := range p.interests {
		i.tell(err)
	}
}

// tell answers those who wait. Call with bus.mu held.
func (i *interest) tell(err error) {
	for _, c := range i.waiting {
		c <- err
	}
	i.waiting = nil
}
