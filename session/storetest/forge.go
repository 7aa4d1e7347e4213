package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// forgedID is that of a row which nobody but the test's attacker made.
var forgedID = uuid.MustParse("01a212f5-0000-7000-8000-000000000001")

// insertRow returns the SQL that copies row 0 into the log, as somebody with all
// rights does, with some columns others.
func insertRow(id, at, why, mac string) string {
	return fmt.Sprintf(`INSERT INTO access_log (id, at, tenant, role, subject, action, mission, agent, object, why, salt, mac, leaf)
		SELECT %s, %s, tenant, role, subject, action, mission, agent, object, %s, salt, %s, NULL FROM access_log WHERE leaf = 0`, id, at, why, mac)
}

// testForgedRows is P32: whoever writes to the database can add a row. It gets a
// leaf, so that it cannot vanish again, and is found and named.
func testForgedRows(w *auditWorld) {
	early := "(SELECT at FROM access_log WHERE leaf = 0)"
	w.record(3)
	w.grow(3)
	w.at(24 * time.Hour)
	w.record(3)
	w.grow(3)

	// A row of the attacker's own making, dated back: with another row's MAC, and with none.
	own := "'" + forgedID.String() + "'"
	for i, mac := range []string{"mac", "substr(mac, 1, 0)"} {
		w.Exec(w.T, insertRow(own, early, "'forged'", mac))
		n, forged, err := session.GrowAccessTree(w.Context(), w.world.Store, w.signer)
		w.ok(err)
		if n != 1 || forged != 1 {
			w.Errorf("%d rows got a leaf, %d of them forged; want 1 and 1", n, forged)
		}
		w.keepOutside()
		want := []string{"row_forged:6-6", "row_forged:7-7"}[:i+1]
		w.finds("with MAC "+mac, want...)
		own = "'" + session.NewID().String() + "'"
	}
	public, err := session.NewAccessVerifier(w.signer.Key())
	w.ok(err)
	r, err := session.VerifyAccessLog(w.Context(), w.world.Store, public, w.outside, w.now)
	w.ok(err)
	if r.Authenticated || !w.audit().Authenticated {
		w.Errorf("with the public key alone MACs are said to be checked, or with the root secret not: %+v", r)
	}
	if got := faultsOf(r); !slices.Equal(got, []string{"row_backdated:6-6", "row_backdated:7-7"}) {
		w.Errorf("with the public key alone: found %q", got)
	}
	testMisdated(w)
}

// testMisdated: rows that the installation made, and somebody dates otherwise
// before they have a leaf.
func testMisdated(w *auditWorld) {
	forged := []string{"row_forged:6-6", "row_forged:7-7"}
	w.record(1)
	w.Exec(w.T, "UPDATE access_log SET at = (SELECT min(at) FROM access_log) WHERE leaf IS NULL")
	w.grow(1)
	w.finds("one dated back", append([]string{"row_backdated:8-8"}, forged...)...)

	w.at(30 * 24 * time.Hour)
	w.record(2)
	w.at(24 * time.Hour)
	w.grow(2)
	w.finds("two dated forward", slices.Concat([]string{"row_backdated:8-8"}, forged, []string{"row_postdated:10-10", "row_postdated:9-9"})...)

	// What merely waited for long is no forgery, even in several steps.
	w.outside = nil
	w.at(48 * time.Hour)
	w.record(2)
	w.at(72 * time.Hour)
	for range 2 {
		n, err := w.world.Store.GrowAccessTree(w.Context(), 1, func(g *session.AccessGrowth) error {
			_, _, err := session.GrowAccessTree(w.Context(), growOnly{Store: w.world.Store, g: g}, w.signer)
			return err
		})
		w.ok(err)
		if n != 1 {
			w.Fatalf("%d rows got a leaf, want 1", n)
		}
	}
	w.record(1)
	w.grow(1)
	w.finds("after rows that waited", slices.Concat([]string{"row_backdated:8-8"}, forged, []string{"row_postdated:10-10", "row_postdated:9-9"})...)
}

// testLostCheckpoints: of checkpoints that are kept outside, those that the database
// should have as well are missed there, and no others.
func testLostCheckpoints(w *auditWorld) {
	for i, at := range []time.Duration{0, time.Hour, 24 * time.Hour, 25 * time.Hour} {
		w.at(at)
		w.record(i + 1)
		w.grow(i + 1)
	}
	w.purge(0, 1) // yesterday's first, which its last stands for
	w.sound(10)
	missing := "checkpoint_missing:-1--1"
	w.Exec(w.T, "CREATE TABLE kept AS SELECT * FROM access_checkpoints")
	for _, test := range []struct {
		condition string
		missing   int
	}{{"size = 3", 1}, {"size = 6", 1}, {"size = 10", 1}, {"size < 10", 2}, {"1 = 1", 3}} {
		w.Exec(w.T, "DELETE FROM access_checkpoints WHERE "+test.condition)
		w.finds("without "+test.condition, slices.Repeat([]string{missing}, test.missing)...)
		w.Exec(w.T, "DELETE FROM access_checkpoints")
		w.Exec(w.T, "INSERT INTO access_checkpoints SELECT * FROM kept")
	}
	w.clock(start.AddDate(1, 0, 0).Add(48 * time.Hour))
	w.purge(10, 2)
	w.sound(0)
}

// testEmptied: where there are missions there was something to record.
func testEmptied(w *auditWorld) {
	verified := func() []string {
		r, err := session.VerifyStoredLog(w.Context(), w.world.Store, &w.signer.AccessVerifier, w.outside)
		w.ok(err)
		return faultsOf(r)
	}
	if got := verified(); len(got) != 0 {
		w.Errorf("of an empty store: found %q", got)
	}
	w.begun("badge-1")
	if got := verified(); len(got) != 0 {
		w.Errorf("with a row that waits for its leaf: found %q", got)
	}
	w.grow(1)
	if got := verified(); len(got) != 0 {
		w.Errorf("of a log that is whole: found %q", got)
	}
	for _, name := range auditTables {
		w.Exec(w.T, "DELETE FROM "+name)
	}
	if got := verified(); !slices.Equal(got, []string{"rolled_back:-1--1"}) {
		w.Errorf("with a checkpoint outside: found %q", got)
	}
	w.outside = nil
	if got := verified(); !slices.Equal(got, []string{"emptied:-1--1"}) {
		w.Errorf("with nothing outside: found %q", got)
	}
}
