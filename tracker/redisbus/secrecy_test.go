package redisbus_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/redisbus"
	"ronde/tracker/redisbus/redistest"
)

// tap listens to a mission's channel as somebody with access to Redis can.
func tap(t *testing.T, server *redistest.Server, mission uuid.UUID) <-chan string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	pubsub := client.SSubscribe(t.Context(), redisbus.MissionChannel(mission))
	if _, err := pubsub.Receive(t.Context()); err != nil { // the confirmation
		t.Fatal(err)
	}
	frames := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := pubsub.ReceiveMessage(t.Context())
			if err != nil {
				return
			}
			frames <- m.Payload
		}
	}()
	t.Cleanup(func() {
		_ = pubsub.Close()
		<-done
		_ = client.Close()
	})
	return frames
}

// next returns what comes next, in good time.
func next[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal("nothing came")
	}
	return v
}

// TestForgedThroughRedis is P45: who can publish on Redis cannot make a node
// believe anything.
func TestForgedThroughRedis(t *testing.T) {
	server := redistest.Start(t)
	url, root := "redis://"+server.Addr(), session.NewRootSecret()
	here, there := open(t, url, root, nil), open(t, url, root, nil)
	stranger := open(t, url, session.NewRootSecret(), nil)
	late := open(t, url, root, func(o *redisbus.Options) {
		o.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	})
	mission := session.NewID()
	channel := redisbus.MissionChannel(mission)
	var heard []int64
	done := make(chan struct{}, 1)
	if _, err := there.Subscribe(t.Context(), mission, func(m *tracker.Message) {
		heard = append(heard, m.Revision)
		done <- struct{}{}
	}); err != nil {
		t.Fatal(err)
	}
	frames := tap(t, server, mission)
	publish := func(n node, revision int64) string {
		t.Helper()
		if err := n.Publish(t.Context(), []*tracker.Message{changed(mission, revision)}); err != nil {
			t.Fatal(err)
		}
		return next(t, frames)
	}
	spublish := func(frame string) {
		t.Helper()
		if n := server.Do(t, "spublish", channel, frame); n != int64(2) { // the node and the tap
			t.Fatalf("%v subscribers", n)
		}
		next(t, frames)
	}

	genuine := publish(here, 1)
	next(t, done)
	publish(stranger, 2)                      // forged
	publish(late, 3)                          // stale
	spublish(genuine)                         // stale: heard before
	spublish(genuine[1:])                     // forged
	spublish("")                              // forged
	spublish(`{"kind":2}`)                    // forged
	server.Do(t, "publish", channel, genuine) // not sharded: nobody hears it
	publish(here, 4)
	next(t, done)
	if fmt.Sprint(heard) != "[1 4]" {
		t.Errorf("heard %d", heard)
	}
	if f, s := there.count(t, "ronde_bus_dropped_total", "forged"), there.count(t, "ronde_bus_dropped_total", "stale"); f != 4 || s != 2 {
		t.Errorf("%v forged and %v stale messages were counted", f, s)
	}
	if got := there.count(t, "ronde_bus_received_total", ""); got != 2 {
		t.Errorf("%v messages were counted", got)
	}
}

// TestRedisLearnsNothing is I5 for the bus: who reads along everything that
// Redis is told learns no position and no agent, and Redis keeps nothing.
func TestRedisLearnsNothing(t *testing.T) {
	server := redistest.Start(t)
	url, root := "redis://"+server.Addr(), session.NewRootSecret()
	lines := monitor(t, server)
	here, there := open(t, url, root, nil), open(t, url, root, nil)

	const agent = "canary-agent-17"
	site := geo.Site{Center: geo.Point{Latitude: 48.7654321, Longitude: 2.3456789}, RadiusM: 80}
	fix := geo.NewPosition(site.Center)
	var p session.Progress
	p.Fold(&session.Mission{Site: site}, 1795255200250, &fix)
	mission := session.NewID()
	heard := make(chan *tracker.Message, 1)
	if _, err := there.Subscribe(t.Context(), mission, func(m *tracker.Message) { heard <- m }); err != nil {
		t.Fatal(err)
	}
	moved := &tracker.Message{Mission: mission, Kind: tracker.Moved, Moves: []tracker.Move{{Agent: agent, Progress: p}}}
	if err := here.Publish(t.Context(), []*tracker.Message{moved}); err != nil {
		t.Fatal(err)
	}
	if m := next(t, heard); m.Moves[0].Agent != agent || m.Moves[0].Progress.Position.Point != site.Center {
		t.Errorf("heard %+v", m)
	}
	sealed := lines("spublish", redisbus.MissionChannel(mission))

	// The same in clear, to see that what is looked for would be found.
	clear, err := p.AppendBinary([]byte(agent))
	if err != nil {
		t.Fatal(err)
	}
	server.Do(t, "spublish", "clear", string(clear)+" 48.7654321 2.3456789")
	open := lines("spublish", "clear")
	for name, canary := range map[string]string{
		"agent": agent, "latitude": "48.7654321", "longitude": "2.3456789",
		"latitude in binary":  binaryText(site.Center.Latitude),
		"longitude in binary": binaryText(site.Center.Longitude),
	} {
		if strings.Contains(sealed, canary) {
			t.Errorf("Redis was told the %s:\n%s", name, sealed)
		}
		if !strings.Contains(open, canary) {
			t.Errorf("the %s would not have been found in\n%s", name, open)
		}
	}
	if n := server.Do(t, "dbsize"); n != int64(0) {
		t.Errorf("Redis keeps %v keys", n)
	}
}

// monitor returns a function that returns all commands that Redis was told,
// once one with the name and first argument was among them.
func monitor(t *testing.T, server *redistest.Server) func(command, channel string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(conn)
	var all strings.Builder
	return func(command, channel string) string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for scanner.Scan() {
			all.WriteString(scanner.Text() + "\n")
			if strings.Contains(scanner.Text(), fmt.Sprintf("%q %q", command, channel)) {
				return all.String()
			}
		}
		t.Fatalf("Redis was never told %s %s, but\n%s", command, channel, &all)
		return ""
	}
}

// binaryText is the binary form of degrees as MONITOR writes it.
func binaryText(degrees float64) string {
	var b strings.Builder
	for _, c := range binary.BigEndian.AppendUint64(nil, math.Float64bits(degrees)) {
		switch {
		case c == '"' || c == '\\':
			b.WriteString("\\" + string(c))
		case c >= ' ' && c <= '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "\\x%02x", c)
		}
	}
	return b.String()
}
