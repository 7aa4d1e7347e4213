package redisbus

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"ronde/tracker"
)

var (
	errIdle  = errors.New("nobody subscribes any more")
	errTaken = errors.New("a channel was taken away: its slot has moved")
)

// keep holds a connection to subscribe with for as long as anybody subscribes,
// and replaces one that breaks.
func (p *partition) keep() {
	for failures := 0; p.renew(); {
		err := p.serve()
		if errors.Is(err, errIdle) || p.bus.ctx.Err() != nil {
			continue
		}
		if p.worked() {
			failures = 0
			p.bus.metrics.remakes.Inc()
			p.bus.log.Warn("bus_subscription_lost", "partition", p.tag, "error", err)
		}
		failures++
		_, moved := redis.IsMovedError(err)
		// The first failure may be the fault of a slot that has moved or a
		// server that has just come back. A second one in a row is an answer.
		if failures > 1 && !moved {
			p.fail(unavailable(err))
		}
		p.bus.reload()
		p.bus.rest(failures)
	}
}

// serve makes one connection and uses it until it breaks, the bus is closed, or
// nobody subscribes any more, which is errIdle.
//
// go-redis would repair a PubSub by itself, without telling what went missing
// and, in a cluster, without asking again where the slot is. So whatever error
// comes up ends this one.
func (p *partition) serve() error {
	reading, ctx := errgroup.WithContext(p.bus.ctx)
	pubsub := p.bus.client.SSubscribe(ctx) // to nothing yet, and not connected
	err := p.ask(ctx, pubsub, p.self)
	if err == nil {
		reading.Go(func() error { return p.read(ctx, pubsub) })
		err = p.obey(ctx, pubsub)
	}
	if ctx.Err() != nil {
		err = nil // read has ended, and knows why
	}
	_ = pubsub.Close() // ends read
	if broken := reading.Wait(); err == nil {
		err = broken
	}
	return err
}

// obey asks Redis for what is wanted and gives up what is not, until the
// connection breaks.
func (p *partition) obey(ctx context.Context, pubsub *redis.PubSub) error {
	for {
		ask, giveUp, left := p.orders()
		if !left {
			return errIdle
		}
		if err := p.ask(ctx, pubsub, ask...); err != nil {
			return err
		}
		if err := p.giveUp(ctx, pubsub, giveUp); err != nil {
			return err
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *partition) ask(ctx context.Context, pubsub *redis.PubSub, channels ...string) error {
	if len(channels) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.bus.patience/2)
	defer cancel()
	return pubsub.SSubscribe(ctx, channels...)
}

func (p *partition) giveUp(ctx context.Context, pubsub *redis.PubSub, channels []string) error {
	if len(channels) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.bus.patience/2)
	defer cancel()
	return pubsub.SUnsubscribe(ctx, channels...)
}

// read takes in what the connection brings until it breaks. The node's own
// messages come all the time, so silence means that it is dead.
func (p *partition) read(ctx context.Context, pubsub *redis.PubSub) error {
	for {
		received, err := pubsub.ReceiveTimeout(ctx, p.bus.patience)
		if err != nil {
			return err
		}
		switch r := received.(type) {
		case *redis.Message:
			if r.Channel != p.self {
				p.hear(r.Channel, r.Payload)
			}
		case *redis.Subscription:
			switch {
			case r.Kind == "ssubscribe":
				p.confirm(r.Channel)
			case p.taken(r.Channel):
				return errTaken
			}
		}
	}
}

// hear hands a message from another node to the subscribers of this one.
func (p *partition) hear(channel, frame string) {
	m, dropped := p.in.open(channel, frame)
	switch {
	case dropped != "":
		p.bus.drop(dropped, 1, nil)
	case m != nil:
		p.bus.metrics.received.Inc()
		_ = p.bus.local.Publish(p.bus.ctx, []*tracker.Message{m}) // fails only once the bus is closed
	}
}
