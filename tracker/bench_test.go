package tracker

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/keyring"
)

// framesOf returns a frame with n pings as a phone sends it.
func framesOf(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"pings","pings":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"seq":%d,"timestamp":%d,"latitude":48.8466%03d,"longitude":2.4167%03d,"accuracy":6.5,`+
			`"altitude":61.2,"heading":87.5,"speed":1.4,"battery":0.81,"mock":false}`, i+1, 1795291200250+int64(i)*1000, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// BenchmarkDecode shows what a frame costs before anything is decided on it.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			data := framesOf(n)
			var d decoder
			buf := make([]ping, 0, maxBatch)
			b.ReportAllocs()
			for b.Loop() {
				f, err := d.decode(data, buf)
				if err != nil || len(f.pings) != n {
					b.Fatal(err, len(f.pings))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/ping")
		})
	}
}

// BenchmarkDeliver shows what a new state of one agent costs for a number of
// viewers: rendering it once, and for each viewer the way through the mailbox to
// a socket that takes everything.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 10, 200} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay)
			r.showUntil.Store(math.MaxInt64)
			viewers := make([]*reader, n)
			for i := range viewers {
				viewers[i] = join(b, r, session.ProfileExact)
				viewers[i].drain(func([]byte) error { return nil })
			}
			move := Move{Agent: "badge-17", Progress: r.people["badge-17"].shown}
			written := 0
			discard := func([]byte) error { written++; return nil }
			b.ReportAllocs()
			for b.Loop() {
				move.Progress.Timestamp++
				move.Progress.Latest++
				r.mu.Lock()
				r.deliver([]Move{move})
				r.mu.Unlock()
				for _, v := range viewers {
					v.drain(discard)
				}
			}
			if written != b.N*n {
				b.Fatalf("%d frames written, want %d", written, b.N*n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(written), "ns/frame")
		})
	}
}

// nothing is a store that takes everything.
type nothing struct{}

func (nothing) Append(_ context.Context, batch []*session.Submission) error {
	for _, sub := range batch {
		sub.Verdicts = stored[:len(sub.Pings)]
		sub.Now = sub.Pings[0].Timestamp
	}
	return nil
}

var stored = all(maxBatch, session.Stored)

// BenchmarkPingToVerdict follows pings from the bytes of their frame to the
// queued ack, and on to the viewers' side of the room: everything of ours but
// the store and the sockets. Batches are of the size in which they come under
// load.
func BenchmarkPingToVerdict(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h, root := bareHub(), session.NewRootSecret()
			ring, err := keyring.OpenFolder(filepath.Join(b.TempDir(), "keys"), root)
			if err != nil {
				b.Fatal(err)
			}
			defer ring.Close()
			h.service = &session.Service{Sealer: session.NewSealer(root, ring)}
			m := with(func(m *session.Mission) { m.ReadAt = vectorStart })
			if _, err := h.service.Sealer.Key(b.Context(), m); err != nil {
				b.Fatal(err)
			}
			r := bareRoom(m)
			r.hub = h
			c := &agentConn{
				outbox: newOutbox(h, socket{}), room: r, principal: &session.Principal{Agent: "badge-17"},
				pace: &pace{frames: 1e18, pings: 1e18, last: time.Now()},
			}
			c.writing = true // the ack waits in the outbox, to be replaced by the next one
			h.recorder = newRecorder(nothing{}, 1, h.metrics, h.log, h.recorded)
			data, shard := framesOf(n), h.recorder.shards[0]
			gather := max(1, 40/n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.frame(data); err != nil {
					b.Fatal(err)
				}
				if i%gather == gather-1 {
					who := r.people["badge-17"]
					who.folded, who.shown = session.Progress{}, session.Progress{} // the same pings are news again
					h.recorder.process(h.ctx, shard, shard.take())
				}
			}
			b.StopTimer()
			h.recorder.process(h.ctx, shard, shard.take())
			if c.acked != uint64(n) || c.jobs != 0 {
				b.Fatalf("acked %d, %d frames without a verdict", c.acked, c.jobs)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/ping")
		})
	}
}
