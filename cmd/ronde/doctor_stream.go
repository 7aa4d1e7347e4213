package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"ronde/tracker"
)

// checkStreams opens an event stream, sees whether its first event comes at
// once, and then leaves everything that is open in silence.
func (v *visit) checkStreams(ctx context.Context) []finding {
	streaming, cut := context.WithCancel(ctx)
	defer cut()
	events, f := v.openEvents(streaming, cut)
	if events != nil {
		defer events.Close()
	}
	return []finding{f, v.checkIdle(ctx, events, cut)}
}

// openEvents opens the stream and waits for its first event, which Ronde sends
// at once.
func (v *visit) openEvents(ctx context.Context, cut func()) (io.ReadCloser, finding) {
	const advice = "let the proxy pass " + eventsPath + " on as it comes: proxy_buffering off and no gzip in nginx, no option http-buffer-response and no compression in HAProxy"
	if v.token == "" || v.agent.seen == nil || !v.agent.seen.Authorization {
		return nil, finding{} // without its token, which is a check of its own, there is no stream
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+eventsPath, nil)
	if err != nil {
		return nil, broken("events", "", "%v", err)
	}
	req.Header.Set("Authorization", v.bearer())
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "gzip") // as browsers do
	late := time.AfterFunc(v.wait, cut)
	defer late.Stop()
	resp, err := v.client.Do(req) //nolint:bodyclose // checkStreams closes it, when the silence is over
	if err != nil {
		if ctx.Err() != nil {
			return nil, broken("events", advice, "event streams are held back: not even a header came within %v", v.wait)
		}
		return nil, broken("events", advice, "event streams do not open: %v", err)
	}
	encoding := resp.Header.Get("Content-Encoding")
	switch {
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("the answer is %s", resp.Status)
	case encoding != "":
		return resp.Body, broken("events", advice, "the proxy compresses event streams (%s), and keeps events back until it has enough of them", encoding)
	default:
		err = awaitProbe(resp.Body)
	}
	switch {
	case err == nil:
		return resp.Body, healthy("events", "event streams come as they are sent")
	case ctx.Err() != nil:
		return resp.Body, broken("events", advice, "event streams are held back: the first event did not come within %v", v.wait)
	}
	return resp.Body, broken("events", advice, "event streams do not open: %v", err)
}

// awaitProbe reads the stream up to the event with which it begins.
func awaitProbe(stream io.Reader) error {
	lines := bufio.NewReader(io.LimitReader(stream, maxAnswer))
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "event: probe" {
			return nil
		}
	}
}

// checkIdle leaves what is open in silence, and then asks the sockets for an
// answer. cut ends the event stream from this side.
func (v *visit) checkIdle(ctx context.Context, events io.Reader, cut func()) finding {
	if v.idle == 0 || v.live.seen == nil && v.agent.seen == nil {
		return finding{} // a socket without a token is closed by the server itself
	}
	ctx, cancel := context.WithTimeout(ctx, v.idle+v.wait)
	defer cancel()
	silence, over := context.WithTimeout(ctx, v.idle)
	defer over()
	cuts := make(chan cutOff, 3) // as many as are watched
	began := v.now()
	var all sync.WaitGroup
	watch := func(what string, dies func() bool) {
		all.Go(func() {
			if dies() {
				cuts <- cutOff{what, v.now().Sub(began)}
			}
		})
	}
	for _, k := range v.knocks() {
		if k.conn != nil && k.seen != nil {
			watch(k.what, func() bool { return k.dies(ctx, silence) })
		}
	}
	if events != nil {
		watch("an event stream", func() bool { return ends(silence, events, cut) })
	}
	all.Wait()
	close(cuts)
	return v.judgeIdle(cuts)
}

// cutOff is a connection that did not stay open.
type cutOff struct {
	what  string
	after time.Duration
}

// judgeIdle names the connection that was cut first.
func (v *visit) judgeIdle(cuts <-chan cutOff) finding {
	const advice = "let the proxy leave silent connections open for a minute or more: timeout client, server and tunnel in HAProxy, proxy_read_timeout in nginx"
	first := cutOff{after: maxIdle}
	for c := range cuts {
		if c.after < first.after {
			first = c
		}
	}
	if first.what != "" {
		return broken("idle", advice, "%s was cut after %v of silence, and Ronde sends something every %v only",
			first.what, first.after.Round(100*time.Millisecond), tracker.KeepAlive)
	}
	found := fmt.Sprintf("silent connections stay open for %v", v.idle)
	if v.idle <= tracker.KeepAlive {
		found += fmt.Sprintf(" (--idle %v shows whether they last until Ronde sends something)", tracker.KeepAlive+5*time.Second)
	}
	return healthy("idle", "%s", found)
}

// dies reports whether a socket is cut during the silence, or does not answer
// after it.
func (k knock) dies(ctx, silence context.Context) bool {
	open := k.conn.CloseRead(ctx)
	select {
	case <-open.Done():
		return true
	case <-silence.Done():
		return k.conn.Ping(ctx) != nil
	}
}

// ends reports whether a stream ends before the silence does, and cuts it then.
func ends(silence context.Context, stream io.Reader, cut func()) bool {
	defer context.AfterFunc(silence, cut)()
	_, _ = io.Copy(io.Discard, stream) // however it ends, it has ended
	return silence.Err() == nil
}
