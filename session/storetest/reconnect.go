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

// testReconnects is P33: ten thousand viewers who come at once are all recorded, in
// few transactions, and get their leaves. How much faster that is than one by one
// is logged, not judged: it is the machine's.
func testReconnects(w *auditWorld) {
	const viewers, alone = 10_000, 200
	w.clock(time.Time{})
	store := &counting{Store: w.world.Store}
	s := &session.Service{Store: store, Sealer: session.NewSealer(session.NewRootSecret(), nil)}
	viewer := &session.Principal{Role: session.Viewer, Tenant: w.tenant, Subject: session.NewID(), Mission: session.NewID()}
	opened := session.Access{Action: session.AccessLiveOpen}

	begun := time.Now()
	for range alone {
		w.ok(s.Record(w.Context(), viewer, opened))
	}
	each := time.Since(begun) / alone
	if n := store.transactions.Swap(0); n != alone {
		w.Errorf("%d transactions for %d rows, one by one", n, alone)
	}

	s.Access = session.NewAccessWriter(store)
	var all sync.WaitGroup
	begun = time.Now()
	for range viewers {
		all.Go(func() {
			if err := s.Record(w.Context(), viewer, opened); err != nil {
				w.Error(err)
			}
		})
	}
	all.Wait()
	together := time.Since(begun) / viewers
	transactions := store.transactions.Load()
	if transactions > viewers/20 {
		w.Errorf("%d transactions for %d rows that came at once", transactions, viewers)
	}
	begun = time.Now()
	grown, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer)
	w.ok(err)
	if grown != viewers+alone {
		w.Errorf("%d rows got a leaf, want %d", grown, viewers+alone)
	}
	w.Logf("one by one %v a row; %d at once in %d transactions, %v a row: %.0f times as many; leaves %v a row",
		each, viewers, transactions, together, float64(each)/float64(together), time.Since(begun)/viewers)
	w.now = time.Now()
	w.sound(viewers + alone)
}
