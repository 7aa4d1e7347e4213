package main

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"ronde/geo"
)

// realTraces are the recordings that a whole node is fed with.
var realTraces = []string{
	"korita-zbevnica-hike-missing-times.gpx",
	"limerick-bus-304-phone-strava.gpx",
	"munich-drive-1hz.json",
	"saint-mande-walk-phone-visorando.gpx",
	"saint-mande-walk-polar-watch.gpx",
	"saint-mande-walk-ublox-jumps.gpx",
	"san-francisco-drive-iphone-tunnel.json",
	"switzerland-phone-posmo-outliers.csv",
	"vincennes-gnss-single-point.pos",
	"visnjan-car-etrex.gpx",
}

// TestTracesThroughNode sends every real recording through a real socket into each database, watched by a live socket.
// The node's clock follows the recording, so that device times stay as they were recorded. What is to be stored and what
// refused is worked out here from the contract's words alone.
func TestTracesThroughNode(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		for _, name := range realTraces {
			t.Run(name, func(t *testing.T) {
				tr := loadTrace(t, name)
				sendTrace(t, store, tr)
			})
		}
	})
}

// wanted is what must become of a recording.
type wanted struct {
	stored  []point
	refused map[string]int
	codes   map[int]string // by sequence number
	same    int            // settled silently, stored before
	newest  int64
}

func expect(points []point) wanted {
	w := wanted{refused: map[string]int{}, codes: map[int]string{}}
	slots := map[int64]point{}
	for i, p := range points {
		refuse := func(code string) { w.refused[code]++; w.codes[i+1] = code }
		if p.Time.IsZero() || !p.Valid() {
			refuse("invalid")
			continue
		}
		slot := p.Time.Unix()
		before, taken := slots[slot]
		switch {
		case !taken:
			slots[slot] = p
			w.stored = append(w.stored, p)
			w.newest = max(w.newest, p.Time.UnixMilli())
		case before.Time.UnixMilli() == p.Time.UnixMilli() && wireOf(before) == wireOf(p):
			w.same++
		default:
			refuse("too_frequent")
		}
	}
	return w
}

// wireOf is what identifies a stored point: its time, and seven decimals of its place.
func wireOf(p point) string {
	return fmt.Sprintf("%d %.0f %.0f", p.Time.UnixMilli(), math.Round(p.Latitude*1e7), math.Round(p.Longitude*1e7))
}

func frameOf(seq int, p point) object {
	f := object{"seq": seq, "latitude": p.Latitude, "longitude": p.Longitude}
	if !p.Time.IsZero() {
		f["timestamp"] = p.Time.UnixMilli()
	}
	for name, v := range map[string]float32{"accuracy": p.Accuracy, "altitude": p.Altitude, "heading": p.Heading, "speed": p.Speed} {
		if geo.Known(v) {
			f[name] = v
		}
	}
	return f
}

func sendTrace(t *testing.T, store string, tr trace) {
	want := expect(tr.Points)
	timed := tr.Timed()
	first, last := timed[0].Time, timed[0].Time
	for _, p := range timed {
		if p.Time.Before(first) {
			first = p.Time
		}
		if p.Time.After(last) {
			last = p.Time
		}
	}
	// A node of its own, which knows no later time: what has expired stays so if a clock goes back by years.
	a := startAppAt(t, store, first.Add(-time.Minute))
	site := timed[len(timed)-1].Point
	mission := a.createMission(first, last.Add(time.Minute), site.Latitude, site.Longitude, 100, nil)
	phone := a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(mission))
	phone.until("hello")
	phone.send(object{"type": "begin"})
	phone.until("state")
	watch := watchLive(a.socket("/v1/live", "ronde.live.v1", a.link(mission, "exact")), want.newest)

	got := streamTrace(t, a, phone, tr.Points)
	if len(got) != len(want.codes) {
		t.Errorf("%d refusals, want %d", len(got), len(want.codes))
	}
	for seq, code := range want.codes {
		if got[seq] != code {
			t.Errorf("ping %d: %q, want %q", seq, got[seq], code)
		}
	}
	updates := watch()
	compareTrack(t, a.track(mission), want.stored)
	a.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	t.Logf("points %d = stored %d + same %d + refused %v; live updates %d", len(tr.Points), len(want.stored), want.same, want.refused, updates)
}

// streamTrace sends points in frames of 100, each once the one before is acknowledged, and returns the refusals.
func streamTrace(t *testing.T, a *testApp, phone *testSocket, points []point) map[int]string {
	t.Helper()
	refused := map[int]string{}
	pace := rate.NewLimiter(900, 1900) // a connection may spend 2,000 at once, and 1,000 a second
	clock := a.now()
	for i := 0; i < len(points); i += 100 {
		chunk := points[i:min(i+100, len(points))]
		var pings []object
		for j, p := range chunk {
			pings = append(pings, frameOf(i+j+1, p))
			if p.Time.Add(time.Second).After(clock) {
				clock = p.Time.Add(time.Second)
			}
		}
		a.setClock(clock)
		check(t, pace.WaitN(t.Context(), len(chunk)))
		phone.send(object{"type": "pings", "pings": pings})
		for {
			answer := phone.until("ack", "refused", "retry", "error")
			if answer["type"] == "refused" {
				refused[int(answer["seq"].(float64))] = answer["code"].(string)
				continue
			}
			if answer["type"] != "ack" {
				t.Fatalf("answer %v", answer)
			}
			if int(answer["seq"].(float64)) == i+len(chunk) {
				break
			}
		}
	}
	return refused
}

// watchLive reads a live socket in the background. The function it returns waits for the position of the time newest,
// and returns how many updates came.
func watchLive(s *testSocket, newest int64) func() int {
	updates, done := 0, sync.WaitGroup{}
	done.Go(func() {
		for {
			frame, code := s.next()
			if code != 0 {
				s.t.Errorf("live socket closed with %d", code)
				return
			}
			if frame["type"] != "progress" {
				continue
			}
			updates++
			agent := frame["agents"].([]any)[0].(object)
			if at, ok := agent["timestamp"].(float64); ok && int64(at) == newest {
				return
			}
		}
	})
	return func() int { done.Wait(); return updates }
}

func compareTrack(t *testing.T, items []object, want []point) {
	t.Helper()
	stored := map[string]object{}
	for _, item := range items {
		p := point{Time: time.UnixMilli(int64(item["timestamp"].(float64)))}
		p.Latitude, p.Longitude = item["latitude"].(float64), item["longitude"].(float64)
		stored[wireOf(p)] = item
	}
	if len(items) != len(want) || len(stored) != len(want) {
		t.Errorf("%d positions stored, %d of them distinct, want %d", len(items), len(stored), len(want))
	}
	for _, p := range want {
		item, ok := stored[wireOf(p)]
		if !ok {
			t.Errorf("%s is not stored", wireOf(p))
			continue
		}
		if accuracy, ok := item["accuracy"].(float64); ok != geo.Known(p.Accuracy) || ok && math.Abs(accuracy-float64(p.Accuracy)) > 1e-4 {
			t.Errorf("accuracy %v stored, want %v", item["accuracy"], p.Accuracy)
		}
		if item["speed"] != nil {
			t.Error("speed is stored although the policy does not say so")
		}
	}
}
