package main

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ronde/geo"
)

// The pace of a phone. A server allows 20 frames and 1,000 pings a second; each pair below adds up to less in any second
// whatsoever, with something left for frames that the network squeezes together.
const (
	frameRate, frameBurst = 13, 5
	pingRate, pingBurst   = 800, maxFramePings
)

// phoneConfig says where a phone reports to. URL and Token are required.
type phoneConfig struct {
	URL   string // origin of the server, http or https (ws and wss mean the same)
	Token string // of the agent

	Client  *http.Client  // for the handshake; http.DefaultClient by default
	Backoff time.Duration // about how long to wait before the first try to reconnect; a second by default

	// Settled, if set, is told of each position that the server settled, by its device time: with "" if it was acked,
	// with the code of its refusal otherwise. It must not call the phone.
	Settled func(timestamp int64, code string)
}

// phone is an agent's phone as a client of GET /v1/agent. It keeps every position until the server has settled it,
// reconnects by itself, and takes positions on duty only. Run does the work; everything else may be called from any
// goroutine, before, while and after it runs.
type phone struct {
	config phoneConfig
	frames *rate.Limiter
	pings  *rate.Limiter
	wake   chan struct{} // tells the writer that there may be something to write

	mu      sync.Mutex
	changed *sync.Cond // on mu; for await

	// Guarded by mu:
	out        outbox
	hello      *serverFrame  // the latest; nil before the first
	greeted    bool          // hello came on the present connection
	state      string        // of the mission
	duty       string        // as the server sees it
	standDown  bool          // the agent has paused or ended; the server may not know yet
	offline    bool          // the switch
	cut        func()        // ends the present connection; nil without one
	silence    *time.Timer   // ends it if the server owes an answer and says nothing
	holdUntil  time.Time     // no pings before, after a retry
	ahead      time.Duration // of the server's clock before this one
	rejections map[string]rejection
	counts     phoneStats // less what the outbox counts
	troubled   error      // why the last connection ended or failed
	ended      bool       // Run has returned
	why        error      // what it returned
}

// rejection is the server's answer to a control frame that it could not use.
type rejection struct{ Code, Detail string }

func (r rejection) Error() string { return r.Code + ": " + r.Detail }

// phoneStats counts what became of the positions a phone took. Sent = Acked + the sum of Refused + Unanswered.
type phoneStats struct {
	Sent       uint64            `json:"sent"`       // positions written at least once
	Resent     uint64            `json:"resent"`     // times that one was written again
	Acked      uint64            `json:"acked"`      // settled and not refused
	Refused    map[string]uint64 `json:"refused"`    // by code; final
	Unanswered uint64            `json:"unanswered"` // written, and neither acked nor refused so far
	Unsent     uint64            `json:"unsent"`     // still on the phone, never written
	Retried    map[string]uint64 `json:"retried"`    // retry frames by code
	Errors     map[string]uint64 `json:"errors"`     // error frames by code
	Connects   uint64            `json:"connects"`   // hellos received
	Reconnects uint64            `json:"reconnects"` // of these, all but the first
}

func newPhone(c phoneConfig) *phone {
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Backoff <= 0 {
		c.Backoff = time.Second
	}
	c.URL = strings.TrimRight(c.URL, "/")
	p := &phone{
		config: c,
		frames: rate.NewLimiter(frameRate, frameBurst),
		pings:  rate.NewLimiter(pingRate, pingBurst),
		wake:   make(chan struct{}, 1),
		counts: phoneStats{Refused: map[string]uint64{}, Retried: map[string]uint64{}, Errors: map[string]uint64{}},

		rejections: map[string]rejection{},
	}
	p.changed = sync.NewCond(&p.mu)
	p.out.settled = c.Settled
	return p
}

// notify tells the writer and all who await something that the phone's state has changed. mu must be held.
func (p *phone) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
	p.changed.Broadcast()
}

// Take hands a fix to the phone, with its device time in milliseconds since the epoch. It reports whether the phone
// took it: off duty its receiver is off. Without a connection the last known duty counts.
func (p *phone) Take(timestamp int64, position geo.Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takes(timestamp, position)
}

// takes is Take with mu held.
func (p *phone) takes(timestamp int64, position geo.Position) bool {
	if !p.onDuty() {
		return false
	}
	p.out.add(timestamp, position)
	p.notify()
	return true
}

// onDuty reports whether the receiver is on. mu must be held.
func (p *phone) onDuty() bool { return p.duty == "on" && !p.standDown && !p.ended }

// Begin asks for the mission to begin.
func (p *phone) Begin() { p.control("begin", nil) }

// Pause takes the agent off duty, at once on the phone, and on the server from at on; the zero time is when the server
// hears of it.
func (p *phone) Pause(at time.Time) { p.control("pause", dated(at)) }

// Resume ends the agent's own pause.
func (p *phone) Resume() { p.control("resume", nil) }

// End asks for the mission to end, as of at; the zero time is when the server hears of it. The phone takes nothing more.
func (p *phone) End(at time.Time) { p.control("end", dated(at)) }

// Status sends a heartbeat without a fix. gps is on, off or denied.
func (p *phone) Status(battery float64, gps string) {
	p.control("status", map[string]any{"battery": battery, "gps": gps})
}

// Acknowledge says that the agent has read the privacy notice of that version.
func (p *phone) Acknowledge(version int) { p.control("notice", map[string]any{"version": version}) }

// SOS raises the agent's alarm or takes it back.
func (p *phone) SOS(active bool) { p.control("sos", map[string]any{"active": active}) }

func dated(at time.Time) map[string]any {
	if at.IsZero() {
		return nil
	}
	return map[string]any{"timestamp": at.UnixMilli()}
}

// control queues a frame behind every position taken so far. It goes out with the next connection if there is none.
func (p *phone) control(kind string, members map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case "pause", "end":
		p.standDown = true
	case "begin", "resume":
		p.standDown = false
	}
	delete(p.rejections, kind)
	p.out.addControl(kind, controlFrame(kind, members))
	p.notify()
}

// Offline cuts the connection, as a tunnel does, and keeps the phone from making another until Offline(false).
func (p *phone) Offline(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offline = off
	if off && p.cut != nil {
		p.cut()
	}
	p.notify()
}

// ServerNow returns the server's present time by the latest hello. It runs behind by what that took to arrive, so it
// is never ahead of the server's clock but for drift. Before the first hello it is this machine's time.
func (p *phone) ServerNow() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.ahead)
}

// Stats returns the counts so far.
func (p *phone) Stats() phoneStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.counts
	s.Refused, s.Retried, s.Errors = maps.Clone(s.Refused), maps.Clone(s.Retried), maps.Clone(s.Errors)
	s.Sent, s.Resent, s.Acked = p.out.sent, p.out.resent, p.out.acked
	s.Unanswered, s.Unsent = p.out.unanswered(), p.out.unsent()
	s.Reconnects = max(s.Connects, 1) - 1
	return s
}
