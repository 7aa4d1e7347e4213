package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ronde/session"
)

// counting counts the transactions of the access log.
type counting struct {
	session.Store
	transactions atomic.Int64
}

func (c *counting) LogAccess(ctx context.Context, batch []session.Access) error {
	c.transactions.Add(1)
	return c.Store.LogAccess(ctx, batch)
}

// testReconnects is P33: viewers who come at once, ten thousand in the long form,
// are all recorded, in few transactions, and get their leaves. How fast that is
// is logged, not judged: it is the machine's.
func testReconnects(w *auditWorld) {
	viewers := 1_000
	if Long() {
		viewers = 10_000
	}
	w.clock(time.Time{})
	store := &counting{Store: w.world.Store}
	s := &session.Service{Store: store, Sealer: session.NewSealer(session.NewRootSecret(), nil), Access: session.NewAccessWriter(store)}
	viewer := &session.Principal{Role: session.Viewer, Tenant: w.tenant, Subject: session.NewID(), Mission: session.NewID()}
	var all sync.WaitGroup
	begun := time.Now()
	for range viewers {
		all.Go(func() {
			if err := s.Record(w.Context(), viewer, session.Access{Action: session.AccessLiveOpen}); err != nil {
				w.Error(err)
			}
		})
	}
	all.Wait()
	recorded := time.Since(begun)
	transactions := store.transactions.Load()
	if transactions > int64(viewers/20) {
		w.Errorf("%d transactions for %d rows that came at once", transactions, viewers)
	}
	begun = time.Now()
	grown, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer)
	w.ok(err)
	if grown != viewers {
		w.Errorf("%d rows got a leaf, want %d", grown, viewers)
	}
	w.Logf("%d at once: %v in %d transactions, and %v for their leaves", viewers, recorded, transactions, time.Since(begun))
	w.now = time.Now()
	w.sound(int64(viewers))
}
