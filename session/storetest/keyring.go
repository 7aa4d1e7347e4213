package storetest

import (
	"sync"

	"github.com/google/uuid"

	"ronde/session"
)

// testKeyring: of all keyrings that are offered at once, the store adopts one,
// and never another. Fixtures may share a database, so that one may have been
// adopted before.
func testKeyring(w *world) {
	const rivals = 8
	before, err := w.Store.KeyringID(w.Context())
	w.ok(err)
	var offered, got [rivals]uuid.UUID
	var all sync.WaitGroup
	for i := range rivals {
		offered[i] = session.NewID()
		all.Go(func() {
			var err error
			if got[i], err = w.Store.AdoptKeyring(w.Context(), offered[i]); err != nil {
				w.Error(err)
			}
		})
	}
	all.Wait()
	adopted, err := w.Store.KeyringID(w.Context())
	w.ok(err)
	ours := false
	for i := range rivals {
		ours = ours || adopted == offered[i]
		if got[i] != adopted {
			w.Errorf("rival %d was told %v, and the store remembers %v", i, got[i], adopted)
		}
	}
	switch {
	case before == uuid.Nil && !ours:
		w.Errorf("the store remembers %v, which nobody offered", adopted)
	case before != uuid.Nil && adopted != before:
		w.Errorf("the store remembered %v and now %v", before, adopted)
	}
}
