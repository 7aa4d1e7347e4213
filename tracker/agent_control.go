package tracker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"ronde/session"
)

// actions maps control frames to commands. All other frames are answered
// without one.
var actions = map[frameKind]session.Action{
	frameBegin: session.Begin, framePause: session.PauseAgent,
	frameResume: session.ResumeAgent, frameEnd: session.End,
	frameSOS: session.RaiseSOS,
}

// control carries out a control frame.
func (c *agentConn) control(f *frame) {
	ctx, cancel := context.WithTimeout(c.hub.ctx, storeTimeout)
	defer cancel()
	var err error
	switch f.kind {
	case frameStatus:
		return // a heartbeat: that it came is all it says for now
	case frameNotice:
		err = c.acceptNotice(ctx, f.version)
	default:
		err = c.act(ctx, f)
	}
	if err != nil {
		c.refuse(err)
	}
}

// acceptNotice records that the agent acknowledges a notice, and has it count.
func (c *agentConn) acceptNotice(ctx context.Context, version int) error {
	if err := c.hub.service.Record(ctx, c.principal, session.Access{Action: session.AccessNoticeAccept}); err != nil {
		return err
	}
	if err := c.hub.service.AcknowledgeNotice(ctx, c.principal, c.principal.Agent, version); err != nil {
		return err
	}
	c.sendState()
	return nil
}

func (c *agentConn) act(ctx context.Context, f *frame) error {
	action := actions[f.kind]
	if f.kind == frameSOS && !f.active {
		action = session.WithdrawSOS
	}
	before := c.told()
	command := session.Command{Action: action, At: session.TimeOf(f.timestamp)}
	m, err := c.hub.service.Do(ctx, c.principal, c.principal.Mission, command)
	if err != nil {
		return err
	}
	// A change has reached this socket through its room; repeating one changes
	// nothing, and is answered all the same.
	if m.State.Over() || c.told() != before {
		return nil
	}
	if f.kind == frameSOS {
		c.sendSOS(m.Agent(c.principal.Agent).SOS)
	} else {
		c.sendState()
	}
	return nil
}

// refuse answers a control frame that was not carried out.
func (c *agentConn) refuse(err error) {
	var e *session.Error
	if !errors.As(err, &e) {
		c.hub.log.Error("control_failed", "mission", c.room.ref.ID, "error", err)
		e = session.ErrUnavailable
	}
	detail := e.Detail
	if e.Field != "" {
		detail = e.Field + " " + detail
	}
	c.send(encodeError(e.Code, detail))
}

// told counts the states that were sent to this socket.
func (c *agentConn) told() int {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	return c.states
}

// sendState sends the present state.
func (c *agentConn) sendState() {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	c.state(c.room.mission)
}

// resumed sends the state of m after the agent has ended their own pause. Call
// with the room's mutex held.
func (c *agentConn) resumed(m *session.Mission) {
	c.states++
	c.send(encodeAgentStateBy(m, c.principal.Agent, session.ByAgent))
}

// state sends the state of m. Call with the room's mutex held.
func (c *agentConn) state(m *session.Mission) {
	c.states++
	c.send(encodeAgentState(m, c.principal.Agent))
}

// countEvery is the least time between two counts of viewers that a phone is
// told: whoever holds a link can come and go as fast as they like.
const countEvery = time.Second

// viewers tells the phone how many are watching, unless it knows or was told
// another count within countEvery; then room.watch calls again. Call with the
// room's mutex held.
func (c *agentConn) viewers(n int) {
	if n == c.watched || time.Since(c.counted) < countEvery {
		return
	}
	c.watched, c.counted = n, time.Now()
	c.send(encodeViewers(n))
}

func (c *agentConn) sendSOS(s session.SOS) {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	c.sos(s)
}

// sos sends the state of the agent's alarm; one that was never raised is closed.
// Call with the room's mutex held.
func (c *agentConn) sos(s session.SOS) {
	c.states++
	c.send(encodeSOS(cmp.Or(s, session.SOSClosed)))
}
