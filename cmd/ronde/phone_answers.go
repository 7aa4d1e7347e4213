package main

import "time"

// handle acts on one frame from the server.
func (p *phone) handle(data []byte) {
	f, err := decodeServerFrame(data)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.notify()
	defer p.watch()
	if err != nil {
		p.counts.Errors["not_understood"]++
		return
	}
	switch f.Type {
	case "hello":
		p.greet(&f)
	case "ack":
		if !p.out.ack(f.Seq) {
			p.counts.Errors["ack_of_nothing"]++
		}
	case "refused":
		if p.out.refuse(f.Seq, f.Code) {
			p.counts.Refused[f.Code]++
		}
	case "retry":
		p.counts.Retried[f.Code]++
		p.holdUntil = later(p.holdUntil, time.Now().Add(f.retryAfter()))
		p.out.rewind()
	case "state":
		p.setDuty(f.State, f.Duty)
	case "sos":
		p.out.confirm(func(kind string) bool { return kind == "sos" })
	case "error":
		p.reject(&f)
	}
}

// watch sets the time that the server has left to say something, if it owes an answer. mu must be held.
func (p *phone) watch() {
	if p.greeted && !p.out.outstanding() {
		p.silence.Stop()
		return
	}
	p.silence.Reset(answerTimeout)
}

func (p *phone) greet(f *serverFrame) {
	p.hello = f
	p.greeted = true
	p.troubled = nil
	p.counts.Connects++
	p.ahead = time.Until(time.UnixMilli(f.ServerTime))
	p.holdUntil = time.Time{}
	p.setDuty(f.Mission.State, f.Duty)
}

// setDuty takes over what the server says, and drops the control frames that have had their effect.
func (p *phone) setDuty(state, duty string) {
	p.state, p.duty = state, duty
	p.out.confirm(func(kind string) bool {
		switch kind {
		case "begin":
			return state != "scheduled"
		case "pause":
			return duty == "paused" && state == "active" // in a paused mission, it may not be the agent's own
		case "resume":
			return duty == "on"
		case "end":
			return state == "ended" || state == "cancelled"
		}
		return false
	})
}

// reject books a frame that the server could not use. All that this client writes is well formed, so it was a control
// frame that the rules forbid: the oldest that is on its way.
func (p *phone) reject(f *serverFrame) {
	p.counts.Errors[f.Code]++
	kind := p.out.reject()
	if kind == "" {
		return
	}
	p.rejections[kind] = rejection{f.Code, f.Detail}
	if kind == "pause" || kind == "end" {
		p.standDown = false
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
