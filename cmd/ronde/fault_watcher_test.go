package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// watcher is a client's page without a screen: it connects, reconnects, and remembers what a person would see.
type watcher struct {
	url, token string
	saw        func(alias string, timestamp int64) // told of every position, as it comes

	mu       sync.Mutex
	state    string           // guarded by mu, like all below: of the mission
	shows    map[string]int64 // the time of the position that stands on the screen, by alias
	degraded string           // what the page was told to lack; "" for nothing
	told     int              // how often it was told so
	connects int
	over     bool
}

func newWatcher(url, token string, saw func(string, int64)) *watcher {
	return &watcher{url: url, token: token, saw: saw, shows: map[string]int64{}}
}

// run watches until ctx ends or the mission is over.
func (w *watcher) run(ctx context.Context) {
	for {
		err := w.watch(ctx)
		if websocket.CloseStatus(err) == 4004 || !sleep(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// watch serves one connection.
func (w *watcher) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialling := time.AfterFunc(5*time.Second, cancel)
	ws, _, err := websocket.Dial(ctx, w.url+"/v1/live", &websocket.DialOptions{ //nolint:bodyclose // Dial has read and closed it
		Subprotocols: []string{"ronde.live.v1", "bearer." + w.token},
		HTTPHeader:   http.Header{"Origin": {w.url}},
	})
	if err != nil {
		return err
	}
	dialling.Stop()
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(1 << 20)
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		w.handle(data)
	}
}

// viewerFrame is what the frames of the live socket have in common.
type viewerFrame struct {
	Type    string `json:"type"`
	State   string `json:"state"`
	Code    string `json:"code"`
	Mission struct {
		State string `json:"state"`
	} `json:"mission"`
	Agents []struct {
		Alias     string    `json:"alias"`
		Timestamp int64     `json:"timestamp"`
		Position  *struct{} `json:"position"`
	} `json:"agents"`
}

func (w *watcher) handle(data []byte) {
	var f viewerFrame
	if json.Unmarshal(data, &f) != nil {
		return // it is no frame, and shows nothing
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f.Type {
	case "snapshot":
		w.connects++
		w.state, w.degraded = f.Mission.State, ""
		clear(w.shows)
	case "state":
		w.state = f.State
		clear(w.shows)
	case "degraded":
		w.degraded = f.Code
		w.told++
	case "recovered":
		w.degraded = ""
	case "ended":
		w.over = true
		clear(w.shows)
	}
	for _, a := range f.Agents {
		delete(w.shows, a.Alias)
		if a.Position != nil {
			w.shows[a.Alias] = a.Timestamp
			w.saw(a.Alias, a.Timestamp)
		}
	}
}

// last returns the time of the position that the page shows of an agent, 0 for none.
func (w *watcher) last(alias string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shows[alias]
}

// wasTold returns how often the page was told that it shows less than there is.
func (w *watcher) wasTold() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("state %s, degraded %q, connected %d times", w.state, w.degraded, w.connects)
}
