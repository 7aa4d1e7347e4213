package tracker

import (
	"context"
	"slices"
	"sync"
	"time"

	"ronde/session"
)

// recordOpen records that a viewer's connection is open: it returns once that is
// committed, or why it cannot be. Then a page gets nothing, and learns by the
// close code to come again.
func (h *Hub) recordOpen(v *viewer) error {
	ctx, cancel := context.WithTimeout(h.ctx, storeTimeout)
	defer cancel()
	return h.service.Record(ctx, v.principal, v.access(session.AccessLiveOpen))
}

// access returns a row of the access log about this connection.
func (v *viewer) access(action session.AccessAction) session.Access {
	p := v.principal
	return session.Access{
		Tenant: p.Tenant, Role: p.Role, Subject: p.Subject, Action: action, Mission: p.Mission, Object: v.connection,
	}
}

const (
	// closingsRetry is how long closings wait for a log that did not take them.
	closingsRetry = time.Second
	// maxClosings bounds one transaction.
	maxClosings = 1000
)

// closings are the ends of viewers' connections on their way into the access
// log. Nobody waits for one: those who leave while another batch is written make
// the next, and a batch that the log does not take is tried again for as long as
// the hub runs. There are never more than the viewers who were recorded as
// watching.
type closings struct {
	hub  *Hub
	kick chan struct{} // holds one token while there may be rows

	mu   sync.Mutex
	rows []session.Access // guarded by mu
}

func newClosings(h *Hub) *closings { return &closings{hub: h, kick: make(chan struct{}, 1)} }

// add takes in one row, to be written soon.
func (c *closings) add(row session.Access) {
	c.mu.Lock()
	c.rows = append(c.rows, row)
	c.mu.Unlock()
	c.wake()
}

func (c *closings) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// run writes rows until the hub is told to stop, which is after the last socket
// has left: then it writes what there is, once more.
func (c *closings) run() {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-c.hub.ctx.Done():
			c.flush()
			return
		case <-c.kick:
		case <-retry.C:
		}
		if !c.flush() {
			retry.Reset(closingsRetry)
		}
	}
}

// flush writes all rows, within storeTimeout, which the hub's end does not cut
// short. It reports whether that worked, and keeps what was not written.
func (c *closings) flush() bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.hub.ctx), storeTimeout)
	defer cancel()
	c.mu.Lock()
	rows := c.rows
	c.rows = nil
	c.mu.Unlock()
	for len(rows) > 0 {
		batch := rows[:min(len(rows), maxClosings)]
		// A copy, because the store gives the rows ids: if what seems to have failed
		// was committed, the next attempt must not fail for that. Two closes of one
		// connection mean what one does.
		if err := c.hub.service.Store.LogAccess(ctx, slices.Clone(batch)); err != nil {
			c.hub.log.Warn("live_close_unrecorded", "connections", len(rows), "error", err)
			c.mu.Lock()
			c.rows = append(rows, c.rows...)
			c.mu.Unlock()
			return false
		}
		rows = rows[len(batch):]
	}
	return true
}
