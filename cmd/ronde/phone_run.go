package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

const (
	dialTimeout = 10 * time.Second
	maxBackoff  = 30 * time.Second
	// steady is how long a connection must have lasted for the next failure to count as the first.
	steady = 5 * time.Second
)

// stopError says why the server has no more use for this phone: a final close code, or the HTTP status of a handshake
// that would fail the same way again.
type stopError struct {
	Code   websocket.StatusCode // 0 if the handshake failed
	Status int                  // of the handshake, 0 if it succeeded
	Reason string
}

func (e *stopError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("the server refused the connection: %d %s", e.Status, e.Reason)
	}
	return fmt.Sprintf("the server closed the connection for good: %d, %s", e.Code, e.Reason)
}

// errOffline is why a connection ends that the Offline switch cut.
var errOffline = errors.New("offline")

// Run connects, sends and reconnects until ctx ends, with nil, or until the server says not to come back, with a
// stopError. It is called once. All goroutines it started have ended when it returns.
func (p *phone) Run(ctx context.Context) (err error) {
	defer func() { p.finish(err) }()
	failures := 0
	for {
		if !p.awaitOnline(ctx) {
			return nil
		}
		began := time.Now()
		err := p.connect(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.As(err, new(*stopError)) {
			return err
		}
		p.trouble(err)
		if errors.Is(err, errOffline) {
			failures = 0 // back from the tunnel, a phone tries at once
			continue
		}
		if time.Since(began) >= steady {
			failures = 0
		}
		sleep(ctx, backoff(p.config.Backoff, failures))
		failures++
	}
}

// backoff returns how long to wait after so many failures in a row: doubling from first to maxBackoff, give or take a
// half, so that the phones of a restarted server do not all come back at the same moment.
func backoff(first time.Duration, failures int) time.Duration {
	d := min(first<<min(failures, 16), max(first, maxBackoff))
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}

func (p *phone) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended, p.why = true, err
	p.notify()
}

func (p *phone) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.troubled = err
	p.notify()
}

// awaitOnline waits while the phone is offline. It returns false when ctx ends.
func (p *phone) awaitOnline(ctx context.Context) bool {
	return p.await(ctx, func() bool { return !p.offline || ctx.Err() != nil }) == nil && ctx.Err() == nil
}

// sleep returns true after d, or false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// connect makes one connection and serves it to its end, which the error explains.
func (p *phone) connect(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.serve(ctx, conn)
}

func (p *phone) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	options := &websocket.DialOptions{
		HTTPClient: p.config.Client, Subprotocols: []string{agentProtocol},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + p.config.Token}},
	}
	conn, resp, err := websocket.Dial(ctx, p.config.URL+agentPath, options) //nolint:bodyclose // Dial has read and closed it
	if err != nil {
		return nil, undialled(resp, err)
	}
	if conn.Subprotocol() != agentProtocol {
		_ = conn.CloseNow() // whatever it is, it is no Ronde
		return nil, &stopError{Status: http.StatusSwitchingProtocols, Reason: "without the subprotocol " + agentProtocol}
	}
	conn.SetReadLimit(maxHello)
	return conn, nil
}

// undialled says in short why there is no connection, and whether there is none to be had: what an HTTP client error
// complains of is the same next time.
func undialled(resp *http.Response, err error) error {
	var broken *url.Error
	switch {
	case resp != nil && resp.StatusCode >= 400 && resp.StatusCode < 500 && !passing(resp.StatusCode):
		return &stopError{Status: resp.StatusCode, Reason: http.StatusText(resp.StatusCode)}
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("the server answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	case errors.As(err, &broken):
		return broken.Err
	}
	return err
}

// passing reports whether a client error may pass by itself.
func passing(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}
