package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// Auditing is what the tests of the access log's Merkle tree need. Each wants a
// database of its own: there is one tree, and some damage it.
type Auditing struct {
	// Open opens an empty database.
	Open func(t *testing.T) AuditFixture
}

// AuditFixture is an open store and a way past it.
type AuditFixture struct {
	Fixture
	// Again opens the same database once more, as another node does.
	Again func(t *testing.T) session.Store
	// Exec runs SQL that both databases understand, as somebody who may do
	// everything and whom no trigger stops.
	Exec func(t *testing.T, sql string)
}

// Audit runs the tests of the access log's Merkle tree.
func Audit(t *testing.T, a Auditing) {
	for _, test := range []struct {
		name string
		run  func(w *auditWorld)
	}{
		{"Grow", testGrow},
		{"GrowFails", testGrowFails},
		{"GrowRefuses", testGrowRefuses},
		{"GrowConcurrently", testGrowConcurrently},
		{"Tamper", testTamper},
		{"ForgedRows", testForgedRows},
		{"LostCheckpoints", testLostCheckpoints},
		{"Emptied", testEmptied},
		{"Rollback", testRollback},
		{"Purge", testPurge},
		{"PurgeYoung", testPurgeYoung},
		{"Reconnects", testReconnects},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := a.Open(t)
			w := &auditWorld{world: newWorld(t, f.Fixture), AuditFixture: f}
			w.signer, w.key = newSigner(t)
			w.world.Store = w.key.Store(w.world.Store)
			test.run(w)
		})
	}
}

// auditWorld is a world with a signer of checkpoints and those that were kept
// outside.
type auditWorld struct {
	*world
	AuditFixture
	signer  *session.AccessSigner
	key     session.AccessKey
	outside []session.NamedCheckpoint
}

// newSigner returns that of an installation of the tests', and the key of its rows.
func newSigner(tb testing.TB) (*session.AccessSigner, session.AccessKey) {
	root := session.NewRootSecret()
	signer, err := session.NewAccessSigner(root, session.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	key, err := session.NewAccessKey(root)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, key
}

// record adds n rows to the log.
func (w *auditWorld) record(n int) {
	w.Helper()
	var batch []session.Access
	for range n {
		batch = append(batch, w.access(session.AccessTrackRead))
	}
	w.ok(w.world.Store.LogAccess(w.Context(), batch))
}

// grow gives the rows their leaves and keeps the checkpoint outside.
func (w *auditWorld) grow(want int) {
	w.Helper()
	n, forged, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer)
	w.ok(err)
	if n != want || forged != 0 {
		w.Errorf("%d rows got a leaf, %d of them forged; want %d and none", n, forged, want)
	}
	w.keepOutside()
}

// keepOutside takes the newest checkpoint out of the database.
func (w *auditWorld) keepOutside() {
	w.Helper()
	st, err := w.world.Store.AccessState(w.Context())
	w.ok(err)
	w.outside = append(w.outside, session.NamedCheckpoint{Name: fmt.Sprintf("file %d", len(w.outside)+1), Text: st.Checkpoint})
}

// audit verifies the log as it is now.
func (w *auditWorld) audit() *session.AccessReport {
	w.Helper()
	r, err := session.VerifyAccessLog(w.Context(), w.world.Store, &w.signer.AccessVerifier, w.outside, w.now)
	w.ok(err)
	return r
}

// sound checks that the log is what was recorded: so many rows.
func (w *auditWorld) sound(rows int64) *session.AccessReport {
	w.Helper()
	r := w.audit()
	if len(r.Findings) != 0 || r.Rows != rows {
		w.Errorf("%d rows, want %d; found %+v", r.Rows, rows, r.Findings)
	}
	return r
}

// numbered checks that the leaves are 0, 1, 2, … without a gap.
func (w *auditWorld) numbered(want int) {
	w.Helper()
	rows, err := w.world.Store.AccessRows(w.Context(), 0, want+1)
	w.ok(err)
	if len(rows) != want {
		w.Fatalf("%d rows have a leaf, want %d", len(rows), want)
	}
	for i := range rows {
		if rows[i].Leaf != int64(i) || rows[i].Damaged != "" || len(rows[i].Salt) != session.AccessSaltSize {
			w.Fatalf("row %d: %+v", i, rows[i])
		}
	}
}

// listed checks that a tenant is told the leaves of its rows, but no salt: so many
// have one, and after them so many have none yet.
func (w *auditWorld) listed(with, without int) {
	w.Helper()
	rows, err := w.world.Store.AccessLog(w.Context(), w.tenant, session.AccessFilter{}, uuid.Nil, with+without+1)
	w.ok(err)
	if len(rows) != with+without {
		w.Fatalf("the tenant reads %d rows, want %d", len(rows), with+without)
	}
	for i := range rows {
		want := int64(i)
		if i >= with {
			want = -1
		}
		if rows[i].Leaf != want || rows[i].Salt != nil {
			w.Fatalf("row %d: %+v", i, rows[i])
		}
	}
}

func testGrow(w *auditWorld) {
	st, err := w.world.Store.AccessState(w.Context())
	w.ok(err)
	if want := (session.AccessState{Now: w.now}); st != want {
		w.Errorf("before anything was recorded: %+v", st)
	}
	total := 0
	for i, n := range []int{1, 1, 2, 3, 1, 7, 33, 64} {
		w.at(time.Duration(i) * time.Minute)
		w.record(n)
		w.listed(total, n)
		total += n
		recorded := w.now
		w.at(time.Duration(i)*time.Minute + time.Second)
		st, err := w.world.Store.AccessState(w.Context())
		w.ok(err)
		if !st.Pending.Equal(recorded) || st.Size != int64(total-n) || !st.Now.Equal(w.now) {
			w.Errorf("with %d rows waiting: %+v", n, st)
		}
		w.grow(n)
		st, err = w.world.Store.AccessState(w.Context())
		w.ok(err)
		if !st.Pending.IsZero() || st.Size != int64(total) || !st.SignedAt.Equal(w.now) {
			w.Errorf("after they got their leaves: %+v", st)
		}
		c, err := w.signer.Open(st.Checkpoint)
		w.ok(err)
		if c.Size != int64(total) || !c.At.Equal(w.now) {
			w.Errorf("the checkpoint says %+v", c)
		}
	}
	w.grow(0)
	w.listed(total, 0)
	w.numbered(total)
	if r := w.sound(int64(total)); r.Checkpoints < 16 || r.Newest.Size != int64(total) || r.Purged != 0 {
		w.Errorf("report %+v", r)
	}
	if got := len(w.accessLog(w.tenant, session.AccessFilter{})); got != total {
		w.Errorf("the tenant reads %d rows, want %d", got, total)
	}
}

// testGrowFails: whatever fails or dies while the tree grows, there is no gap and
// nothing is there twice.
func testGrowFails(w *auditWorld) {
	w.record(5)
	w.grow(5)
	w.record(5)
	boom := errors.New("boom")
	real := func(g *session.AccessGrowth) error {
		_, _, err := session.GrowAccessTree(w.Context(), growOnly{Store: w.world.Store, g: g}, w.signer)
		return err
	}
	steps := map[string]func(g *session.AccessGrowth) error{
		"before anything":  func(*session.AccessGrowth) error { return boom },
		"after everything": func(g *session.AccessGrowth) error { w.ok(real(g)); return boom },
		"hashes unread": func(g *session.AccessGrowth) error {
			g.Hashes = nil
			return boom
		},
	}
	for name, step := range steps {
		if _, err := w.world.Store.GrowAccessTree(w.Context(), 100, step); !errors.Is(err, boom) {
			w.Errorf("%s: error %v", name, err)
		}
		w.numbered(5)
		w.sound(5)
	}
	// Hashes that are there already, as of a tree that has grown meanwhile.
	_, err := w.world.Store.GrowAccessTree(w.Context(), 100, func(g *session.AccessGrowth) error {
		g.Size = 0
		return real(g)
	})
	if err == nil {
		w.Error("the tree grew from a size that it no longer has")
	}
	func() { // a panic is a death that the process survives
		defer func() {
			if recover() == nil {
				w.Error("no panic")
			}
		}()
		_, _ = w.world.Store.GrowAccessTree(w.Context(), 100, func(g *session.AccessGrowth) error { w.ok(real(g)); panic("dead") })
	}()
	w.numbered(5)
	w.grow(5)
	w.numbered(10)
	w.sound(10)
}

// growOnly is a store of which only the growth that is under way is asked for.
type growOnly struct {
	session.Store
	g *session.AccessGrowth
}

func (s growOnly) GrowAccessTree(_ context.Context, _ int, grow func(g *session.AccessGrowth) error) (int, error) {
	return 0, grow(s.g)
}

// testGrowRefuses: nothing is signed on top of a tree that was not signed, and
// what is recorded meanwhile waits.
func testGrowRefuses(w *auditWorld) {
	w.record(4)
	w.grow(4)
	w.Exec(w.T, "CREATE TABLE kept AS SELECT * FROM access_hashes")
	w.Exec(w.T, "UPDATE access_hashes SET hash = (SELECT hash FROM kept WHERE place = 2)")
	w.record(1)
	if n, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer); err == nil || n != 0 {
		w.Errorf("%d rows were signed on top of altered hashes", n)
	}
	w.Exec(w.T, "DELETE FROM access_hashes")
	if n, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer); err == nil || n != 0 {
		w.Errorf("%d rows were signed on top of missing hashes", n)
	}
	w.Exec(w.T, "INSERT INTO access_hashes SELECT * FROM kept")
	w.grow(1)
	w.sound(5)
}

// testGrowConcurrently: many nodes record, and many let the tree grow.
func testGrowConcurrently(w *auditWorld) {
	const nodes, batches, size = 4, 15, 7
	var recorders, growers sync.WaitGroup
	done := make(chan struct{})
	for range nodes {
		store := w.key.Store(w.Again(w.T))
		recorders.Go(func() {
			for range batches {
				var batch []session.Access
				for range size {
					batch = append(batch, w.access(session.AccessLiveOpen))
				}
				if err := store.LogAccess(w.Context(), batch); err != nil {
					w.Error(err)
				}
			}
		})
		growers.Go(func() {
			for {
				if _, _, err := session.GrowAccessTree(w.Context(), store, w.signer); err != nil {
					w.Errorf("grow: %v", err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	recorders.Wait()
	close(done)
	growers.Wait()
	if _, _, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer); err != nil {
		w.Error(err)
	}
	w.numbered(nodes * batches * size)
	w.sound(nodes * batches * size)
}
