package main

import (
	"context"
	"errors"
	"fmt"
)

// errPhoneEnded says that Run returned before what was waited for came about.
var errPhoneEnded = errors.New("the phone was switched off")

// await waits until ready, which is called with mu held, is true. It gives up with ctx, and when Run returns.
func (p *phone) await(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ready() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case p.ended && p.why != nil:
			return p.why
		case p.ended:
			return errPhoneEnded
		}
		p.changed.Wait()
	}
	return nil
}

// Hello waits for the first hello and returns the latest.
func (p *phone) Hello(ctx context.Context) (serverFrame, error) {
	if err := p.await(ctx, func() bool { return p.hello != nil }); err != nil {
		return serverFrame{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.hello, nil
}

// OnDuty waits until the agent is on duty. It returns a rejection if begin or resume was asked for and refused.
func (p *phone) OnDuty(ctx context.Context) error {
	return p.unlessRejected(ctx, []string{"begin", "resume"}, p.onDuty)
}

// Settled waits until the server has answered everything the phone took, and its control frames are written.
func (p *phone) Settled(ctx context.Context) error {
	return p.await(ctx, func() bool {
		return p.out.unanswered() == 0 && p.out.unsent() == 0 && p.out.nextControl(true) == nil
	})
}

// MissionOver waits until the mission is over. It returns a rejection if the agent's end was refused.
func (p *phone) MissionOver(ctx context.Context) error {
	return p.unlessRejected(ctx, []string{"end"}, func() bool { return p.state == "ended" || p.state == "cancelled" })
}

// unlessRejected is await that also ends when the server has refused a control frame of one of the kinds.
func (p *phone) unlessRejected(ctx context.Context, kinds []string, ready func() bool) error {
	var refused error
	err := p.await(ctx, func() bool {
		for _, kind := range kinds {
			if r, ok := p.rejections[kind]; ok {
				refused = fmt.Errorf("%s was refused: %w", kind, r)
			}
		}
		return refused != nil || ready()
	})
	if err != nil {
		return err
	}
	return refused
}

// Mission returns the id of the phone's mission, empty before the first hello.
func (p *phone) Mission() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hello == nil {
		return ""
	}
	return p.hello.Mission.ID
}

// Trouble returns why the last connection ended or could not be made, nil while there is one.
func (p *phone) Trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.troubled
}
