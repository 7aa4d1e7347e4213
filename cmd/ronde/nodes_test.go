package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"ronde/configs"
	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

// startNodes starts nodes that share a database, a keyring, the root secret and a bus.
func startNodes(t *testing.T, dsn, bus string, n int) []*testApp {
	t.Helper()
	keys := "file:" + filepath.Join(t.TempDir(), "keys")
	nodes := []*testApp{startAppOn(t, dsn, func(c *configs.Config) { c.Bus, c.Keys = bus, keys })}
	for len(nodes) < n {
		a := newApp(nodes[0].config, nil, time.Now)
		a.config.Listen, a.config.OpsListen, a.config.PublicURL = "127.0.0.1:0", "127.0.0.1:0", ""
		log := &logBuffer{}
		a.log = slog.New(slog.NewJSONHandler(log, nil))
		check(t, a.start(t.Context()))
		t.Cleanup(func() { check(t, a.stop()) })
		nodes = append(nodes, &testApp{app: a, t: t, log: log, key: nodes[0].key})
	}
	return nodes
}

// TestBusOutage takes Redis away while a phone streams to one node and a client watches at another: nothing that the
// phone sends is held up, the client is told and goes on seeing what is stored, the end of the mission reaches it within
// seconds, and when Redis is back so is everything else.
func TestBusOutage(t *testing.T) {
	redis := redistest.Start(t)
	nodes := startNodes(t, newDatabase(t, pgtest.Start(t)), "redis://"+redis.Addr(), 2)
	p := newStream(nodes[0], nodes[1])
	p.mustShow()
	redis.Kill(t)
	for p.told("degraded") == 0 {
		p.ping()
	}
	p.mustShow()
	for _, n := range nodes {
		n.mustBeReady(false)
	}
	redis.Restart(t)
	for p.told("recovered") == 0 {
		p.ping()
	}
	for _, n := range nodes {
		n.mustBeReady(true)
	}
	p.mustShow()
	redis.Kill(t)
	nodes[0].call(200, "POST", "/v1/missions/"+p.mission+"/end", nil)
	for p.told("ended") == 0 {
		p.wait()
	}
	redis.Restart(t) // so that the nodes stop as usual
}

// mustBeReady waits until the node knows how the bus is; it is ready in any case.
func (a *testApp) mustBeReady(bus bool) {
	a.t.Helper()
	pace := rate.NewLimiter(20, 1)
	for limit := time.Now().Add(testPatience); time.Now().Before(limit); check(a.t, pace.Wait(a.t.Context())) {
		resp, err := http.Get("http://" + a.ops.Addr().String() + "/readyz") //nolint:gosec // the test's own server
		check(a.t, err)
		raw, err := io.ReadAll(resp.Body)
		check(a.t, err)
		check(a.t, resp.Body.Close())
		if resp.StatusCode != 200 {
			a.t.Fatalf("not ready: %s", raw)
		}
		var answer struct {
			Checks []struct {
				Name string
				OK   bool
			}
		}
		check(a.t, json.Unmarshal(raw, &answer))
		for _, c := range answer.Checks {
			if c.Name == "bus" && c.OK == bus {
				return
			}
		}
	}
	a.t.Fatalf("/readyz never says that the bus is ok: %v", bus)
}

// stream is a phone at one node and a viewer at another.
type stream struct {
	*testApp // of the phone
	mission  string
	phone    *testSocket
	seq      int
	pace     *rate.Limiter
	waits    int
	frames   chan object // what the viewer is sent
	seen     map[string]int
	shown    int64 // the newest time of a position that the viewer was sent
}

func newStream(here, there *testApp) *stream {
	now := time.Now()
	p := &stream{testApp: here, pace: rate.NewLimiter(20, 1), frames: make(chan object, 10_000), seen: map[string]int{}}
	p.mission = here.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	here.call(200, "POST", "/v1/missions/"+p.mission+"/begin", nil)
	p.phone = here.socket("/v1/agent", "ronde.agent.v1", here.agentToken(p.mission))
	p.phone.until("hello")
	viewer := there.socket("/v1/live", "ronde.live.v1", here.link(p.mission, "exact"))
	viewer.until("snapshot")
	done := make(chan struct{})
	here.t.Cleanup(func() { <-done }) // the context ends before
	go func() {
		defer close(done)
		for {
			_, raw, err := viewer.ws.Read(here.t.Context())
			if err != nil {
				return
			}
			var frame object
			if json.Unmarshal(raw, &frame) == nil {
				p.frames <- frame
			}
		}
	}()
	return p
}

func (p *stream) wait() {
	p.t.Helper()
	p.waits++
	check(p.t, p.pace.Wait(p.t.Context()))
}

// ping sends a position, which must be acknowledged at once whatever the bus does, and returns its time.
func (p *stream) ping() int64 {
	p.t.Helper()
	p.wait()
	p.seq++
	at := time.Now().UnixMilli()
	p.phone.send(object{"type": "pings", "pings": []object{{"seq": p.seq, "timestamp": at, "latitude": 48.85, "longitude": 2.34}}})
	if answer := p.phone.until("ack", "refused", "retry"); answer["type"] != "ack" {
		p.t.Fatalf("answer %v", answer)
	}
	return at
}

// told returns how many frames of a type the viewer was sent since the last of them was asked for.
func (p *stream) told(what string) (n int) {
	p.t.Helper()
	if p.waits > 2000 {
		p.t.Fatalf("the viewer is never told %s, but %v", what, p.seen)
	}
	for {
		select {
		case frame := <-p.frames:
			p.seen[fmt.Sprint(frame["type"])]++
			p.look(frame)
		default:
			n, p.seen[what] = p.seen[what], 0
			return n
		}
	}
}

// look notes the newest position in a frame.
func (p *stream) look(frame object) {
	agents, _ := frame["agents"].([]any)
	for _, a := range agents {
		if at, ok := a.(object)["timestamp"].(float64); ok {
			p.shown = max(p.shown, int64(at))
		}
	}
}

// mustShow sends positions until the viewer sees one of them.
func (p *stream) mustShow() {
	p.t.Helper()
	first := p.ping()
	for p.told("progress"); p.shown < first; p.told("progress") {
		p.ping()
	}
}
