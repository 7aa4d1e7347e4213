package redisbus_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/redisbus"
	"ronde/tracker/redisbus/redistest"
)

// BenchmarkPublish measures messages of one move each from one node to another
// through one Redis, all on this machine, in batches as the recorder makes them.
func BenchmarkPublish(b *testing.B) {
	const missions, batch = 200, 40
	redis := redistest.Start(b)
	url, root := "redis://"+redis.Addr(), session.NewRootSecret()
	unhurried := func(o *redisbus.Options) { o.Patience = time.Minute }
	here, there := open(b, url, root, unhurried), open(b, url, root, unhurried)

	var heard, sent atomic.Int64
	rang := make(chan struct{}, 1)
	list := make([]uuid.UUID, missions)
	for i := range list {
		list[i] = session.NewID()
		if _, err := there.Subscribe(b.Context(), list[i], func(*tracker.Message) {
			heard.Add(1)
			select {
			case rang <- struct{}{}:
			default:
			}
		}); err != nil {
			b.Fatal(err)
		}
	}
	site := geo.Site{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80}
	fix := geo.NewPosition(site.Center)
	var p session.Progress
	p.Fold(&session.Mission{Site: site}, 1795255200250, &fix)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N { // not b.Loop, which would not time the arrival of the last ones
		messages := make([]*tracker.Message, batch)
		for i := range messages {
			messages[i] = &tracker.Message{
				Mission: list[(n*batch+i)%missions], Kind: tracker.Moved,
				Moves: []tracker.Move{{Agent: "badge-17", Progress: p, Seen: p.Timestamp}},
			}
		}
		if err := here.Publish(b.Context(), messages); err != nil {
			b.Fatal(err)
		}
		sent.Add(batch)
	}
	for heard.Load() < sent.Load() {
		<-rang
	}
	b.ReportMetric(float64(sent.Load())/b.Elapsed().Seconds(), "messages/s")
}
