package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ronde/session"
)

// faults returns what a verification finds now, each as fault:from-to.
func (w *auditWorld) faults() []string {
	w.Helper()
	return faultsOf(w.audit())
}

func faultsOf(r *session.AccessReport) (found []string) {
	for _, f := range r.Findings {
		found = append(found, fmt.Sprintf("%s:%d-%d", f.Fault, f.From, f.To))
	}
	slices.Sort(found)
	return found
}

func (w *auditWorld) finds(doing string, want ...string) {
	w.Helper()
	if got := w.faults(); !slices.Equal(got, want) {
		w.Errorf("%s: found %q, want %q", doing, got, want)
	}
}

// testRollback is P33: an old copy of the database, put back, is found by what was
// kept outside, at once and after it has grown past it.
func testRollback(w *auditWorld) {
	w.record(5)
	w.grow(5)
	for _, name := range auditTables {
		w.Exec(w.T, "CREATE TABLE kept_"+name+" AS SELECT * FROM "+name)
	}
	w.at(time.Minute)
	w.record(4)
	w.grow(4)
	w.sound(9)
	for _, name := range auditTables {
		w.Exec(w.T, "DELETE FROM "+name)
		w.Exec(w.T, "INSERT INTO "+name+" SELECT * FROM kept_"+name)
	}
	w.finds("after the old copy was put back", "rolled_back:-1--1")
	kept := w.outside
	w.outside = nil
	w.sound(5) // nobody could tell without what was kept outside
	w.outside = kept

	w.at(2 * time.Minute)
	w.record(6)
	w.grow(6)
	w.finds("after it has grown past the checkpoint outside", "rewritten:5-8")

	// One that somebody else signed is no checkpoint, whatever it says.
	w.outside = []session.NamedCheckpoint{{Name: "theirs", Text: "ronde-access-log/01a212f5-db89-7731-9181-9f0d1c77a56c\n3\n"}}
	w.finds("with a forged checkpoint outside", "checkpoint_forged:-1--1")
}

// testPurge is P34: rows go when they are twelve months old, with their salts;
// the hashes stay, and with them the proofs of what is younger.
func testPurge(w *auditWorld) {
	w.record(3)
	w.grow(3)
	w.at(time.Hour)
	w.record(2)
	w.grow(2)
	w.at(24 * time.Hour)
	w.record(4)
	w.grow(4)
	w.outside = nil // the database is to vouch for itself

	year := start.AddDate(1, 0, 0)
	w.clock(year.Add(-time.Second))
	w.purge(0, 1) // the checkpoint of 3 rows says nothing that the day's last does not
	w.sound(9)
	w.clock(year.Add(time.Hour - time.Millisecond))
	w.purge(0, 0)
	w.sound(9)
	w.clock(year.Add(time.Hour))
	w.purge(5, 0)
	if r := w.sound(4); r.Purged != 5 || r.Checkpoints != 2 {
		w.Errorf("report %+v", r)
	}
	w.exported(4, 5)
	w.purge(0, 0)
	w.record(2)
	w.grow(2)
	w.sound(6)

	w.clock(year.Add(25 * time.Hour))
	w.purge(4, 1)
	if r := w.sound(2); r.Purged != 9 {
		w.Errorf("report %+v", r)
	}
	w.clock(year.AddDate(1, 0, 1))
	w.purge(2, 1)
	if r := w.sound(0); r.Purged != 11 {
		w.Errorf("report %+v", r)
	}
	w.record(1)
	w.grow(1)
	w.sound(1)
}

// exported checks that an export of the whole log verifies, with so many rows and
// the hashes of so many that were purged.
func (w *auditWorld) exported(rows int, purged int64) {
	w.Helper()
	var text bytes.Buffer
	n, err := session.ExportAccessLog(w.Context(), w.world.Store, &w.signer.AccessVerifier, "", &text)
	w.ok(err)
	file, err := session.ReadAccessFile(&text)
	w.ok(err)
	r, err := file.Verify(w.Context(), &w.signer.AccessVerifier, nil, w.now)
	w.ok(err)
	if n != rows || r.Rows != int64(rows) || r.Purged != purged || len(r.Findings) != 0 {
		w.Errorf("%d rows are exported, want %d; report %+v", n, rows, r)
	}
}

// purge removes what is to go, on several nodes at once and in small steps, and
// checks how many rows and checkpoints that was.
func (w *auditWorld) purge(rows, checkpoints int64) {
	w.Helper()
	var nodes sync.WaitGroup
	var purged, thinned atomic.Int64
	for range 3 {
		nodes.Go(func() {
			for range 20 {
				n, m, err := w.world.Store.PurgeAccess(w.Context(), 1)
				if err != nil {
					w.Error(err)
				}
				purged.Add(int64(n))
				thinned.Add(int64(m))
			}
		})
	}
	nodes.Wait()
	if purged.Load() != rows || thinned.Load() != checkpoints {
		w.Errorf("%d rows and %d checkpoints went, want %d and %d", purged.Load(), thinned.Load(), rows, checkpoints)
	}
}

// testPurgeYoung: what is removed before its time is found.
func testPurgeYoung(w *auditWorld) {
	w.record(5)
	w.grow(5)
	w.at(time.Minute)
	w.record(4)
	w.grow(4)
	w.Exec(w.T, "DELETE FROM access_log WHERE leaf < 3")
	w.finds("young rows are removed", "row_missing:0-2")
	w.clock(start.AddDate(1, 0, 0))
	w.sound(6)
	w.Exec(w.T, "DELETE FROM access_log WHERE leaf < 6")
	w.finds("one more than may go is removed", "row_missing:5-5")
	w.Exec(w.T, "DELETE FROM access_hashes WHERE place = 0")
	w.finds("the hash of a purged row is removed", "hash_altered:0-0", "row_missing:5-5")
}
