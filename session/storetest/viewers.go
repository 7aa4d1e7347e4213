package storetest

import (
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// node returns a node with a lease.
func (w *world) node() uuid.UUID {
	w.Helper()
	id, err := w.Store.Attend(w.Context(), uuid.Nil)
	w.ok(err)
	if id == uuid.Nil {
		w.Fatal("a node without an id")
	}
	return id
}

// watch sets how many of them watch through a link at a node, and expects how
// many are granted.
func (w *world) watch(node uuid.UUID, l session.Link, want, opened, granted int) {
	w.Helper()
	a := &session.Attendance{Tenant: l.Tenant, Link: l.ID, Want: want, New: opened}
	w.ok(w.Store.Watch(w.Context(), node, []*session.Attendance{a}))
	if a.Verdict != session.AttendanceJudged || a.Granted != granted {
		w.Errorf("asked for %d viewers and got %d (verdict %d), want %d", want, a.Granted, a.Verdict, granted)
	}
}

// listed expects what a mission's only link says of its use.
func (w *world) listed(l session.Link, opened int64, last time.Time, watching int) {
	w.Helper()
	links, err := w.Store.Links(w.Context(), l.Tenant, l.Mission, uuid.Nil, 10)
	w.ok(err)
	i := slices.IndexFunc(links, func(k session.Link) bool { return k.ID == l.ID })
	if got := links[i]; got.Opened != opened || !got.LastOpenedAt.Equal(last) || got.Watching != watching {
		w.Errorf("opened %d times, last at %v, %d watching: want %d, %v, %d", got.Opened, got.LastOpenedAt, got.Watching, opened, last, watching)
	}
}

// viewers returns how many the news say watch a mission, by node.
func (w *world) viewers(m *session.Mission) map[uuid.UUID]int {
	w.Helper()
	news, err := w.Store.News(w.Context(), []session.Known{{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Revision: m.Revision}})
	w.ok(err)
	counts := map[uuid.UUID]int{}
	for _, v := range news.Viewers {
		if v.Mission == m.ID {
			counts[v.Node] += v.Count
		}
	}
	return counts
}

// testViewers is P20: a link's viewers are counted over all nodes, and no more
// are granted than it allows.
func testViewers(w *world) {
	m := w.begun("badge-1")
	link := w.link(m) // of at most 3
	w.ok(w.Store.CreateLink(w.Context(), link))
	free := w.link(m)
	free.MaxViewers = 0
	w.ok(w.Store.CreateLink(w.Context(), free))
	a, b := w.node(), w.node()
	if a == b {
		w.Fatal("two nodes are one")
	}
	w.listed(link, 0, time.Time{}, 0)

	w.at(time.Second)
	first := w.now
	w.watch(a, link, 2, 2, 2)
	w.watch(b, link, 2, 2, 1) // the one that is left
	w.watch(b, link, 2, 1, 1) // asking again does not make it more
	w.watch(a, link, 2, 0, 2) // nor does saying it again take it away
	w.listed(link, 3, first, 3)
	w.at(2 * time.Second)
	w.watch(b, link, 0, 0, 0)
	w.watch(a, link, 5, 3, 3)
	w.listed(link, 4, w.now, 3)
	w.watch(a, link, 1, 0, 1) // who leaves makes room
	w.watch(b, link, 2, 2, 2)
	w.listed(link, 6, w.now, 3)

	w.watch(a, free, 1000, 1000, 1000)
	w.watch(b, free, 500, 500, 500)
	w.listed(free, 1500, w.now, 1500)
	if got, want := w.viewers(m), (map[uuid.UUID]int{a: 1001, b: 502}); !reflect.DeepEqual(got, want) {
		w.Errorf("viewers %v, want %v", got, want)
	}
	other := w.begun("badge-2")
	if got := w.viewers(other); len(got) != 0 {
		w.Errorf("viewers of a mission that nobody watches: %v", got)
	}

	// What is not there, or another tenant's, stalls no neighbour.
	batch := []*session.Attendance{
		{Tenant: w.tenant, Link: session.NewID(), Want: 1, New: 1},
		{Tenant: w.newTenant(), Link: link.ID, Want: 1, New: 1},
		{Tenant: w.tenant, Link: free.ID, Want: 2},
	}
	w.ok(w.Store.Watch(w.Context(), a, batch))
	for i, want := range []session.Attendance{{Verdict: session.AttendanceUnknown}, {Verdict: session.AttendanceUnknown}, {Verdict: session.AttendanceJudged, Granted: 2}} {
		if batch[i].Verdict != want.Verdict || batch[i].Granted != want.Granted {
			w.Errorf("attendance %d: %+v", i, batch[i])
		}
	}
	w.ok(w.Store.Watch(w.Context(), a, nil))
	w.is(w.Store.Watch(w.Context(), session.NewID(), batch), session.ErrNotFound, "viewers of a node that never attended")
}

// testViewersLapse: what a node had let in counts until its lease has lapsed, and
// never again after that.
func testViewersLapse(w *world) {
	m := w.begun("badge-1")
	link := w.link(m)
	w.ok(w.Store.CreateLink(w.Context(), link))
	dead, alive := w.node(), w.node()
	w.watch(dead, link, 3, 3, 3)
	attend := func(node, want uuid.UUID) uuid.UUID {
		w.Helper()
		got, err := w.Store.Attend(w.Context(), node)
		w.ok(err)
		if (want != uuid.Nil) != (got == want) {
			w.Errorf("attending as %s gave %s, want %s", node, got, want)
		}
		return got
	}
	w.at(session.AttendanceLife / 2)
	attend(alive, alive)
	w.at(session.AttendanceLife - time.Millisecond)
	w.watch(alive, link, 1, 1, 0) // it may live
	w.at(session.AttendanceLife)
	w.watch(alive, link, 1, 1, 1)
	w.listed(link, 4, w.now, 1)
	if got, want := w.viewers(m), (map[uuid.UUID]int{alive: 1}); !reflect.DeepEqual(got, want) {
		w.Errorf("viewers %v, want %v", got, want)
	}

	// The node was cut off, and comes back.
	w.is(w.Store.Watch(w.Context(), dead, []*session.Attendance{{Tenant: w.tenant, Link: link.ID, Want: 3}}), session.ErrNotFound, "a lapsed node")
	again := attend(dead, uuid.Nil)
	w.watch(again, link, 3, 0, 2)
	w.watch(alive, link, 2, 1, 1)
	attend(alive, alive)
	w.listed(link, 4, start.Add(session.AttendanceLife), 3)
}

// testViewersConcurrently: nodes that let viewers in at once grant no more than
// the link allows between them, and all of it.
func testViewersConcurrently(w *world) {
	m := w.begun("badge-1")
	var links []session.Link
	for range 4 {
		l := w.link(m)
		l.MaxViewers = 10
		w.ok(w.Store.CreateLink(w.Context(), l))
		links = append(links, l)
	}
	var nodes [4]uuid.UUID
	for i := range nodes {
		nodes[i] = w.node()
	}
	var granted [len(nodes)]int
	var locked atomic.Int64
	var all sync.WaitGroup
	for n, node := range nodes {
		all.Go(func() {
			have := make([]int, len(links))
			for range 20 {
				var batch []*session.Attendance
				for i, l := range links {
					batch = append(batch, &session.Attendance{Tenant: l.Tenant, Link: l.ID, Want: have[i] + 1, New: 1})
				}
				if err := w.Store.Watch(w.Context(), node, batch); err != nil {
					w.Error(err)
					return
				}
				for i, a := range batch {
					if a.Verdict == session.AttendanceLocked {
						locked.Add(1)
						continue
					}
					have[i] = a.Granted
				}
			}
			for _, h := range have {
				granted[n] += h
			}
		})
	}
	all.Wait()
	sum := 0
	for _, g := range granted {
		sum += g
	}
	if locked.Load() == 0 && sum != 10*len(links) || sum > 10*len(links) {
		w.Errorf("%d viewers were granted between the nodes, and %d attendances met a lock: want %d viewers", sum, locked.Load(), 10*len(links))
	}
	list, err := w.Store.Links(w.Context(), w.tenant, m.ID, uuid.Nil, 10)
	w.ok(err)
	for _, l := range list {
		if l.Watching > 10 || l.Opened != int64(l.Watching) {
			w.Errorf("%d watch, opened %d times: want at most 10, each counted once", l.Watching, l.Opened)
		}
	}
}
