package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"ronde/session"
)

// auditTables are those of the access log.
var auditTables = []string{"access_log", "access_hashes", "access_checkpoints"}

// damage is something that somebody with full rights does to the log, and what a
// verification must say.
type damage struct {
	name string
	sql  []string
	// want are findings, each as fault:from-to; nothing else may be found.
	want []string
}

// testTamper is P32: every row in turn is edited, deleted, moved, and the log
// truncated after it.
func testTamper(w *auditWorld) {
	total := 0
	for i, n := range []int{3, 4, 1, 5} { // 13 rows: an odd tree
		w.at(time.Duration(i) * time.Minute)
		w.record(n)
		w.grow(n)
		total += n
	}
	w.sound(int64(total))
	for _, name := range auditTables {
		w.Exec(w.T, "CREATE TABLE kept_"+name+" AS SELECT * FROM "+name)
	}
	restore := func() {
		for _, name := range auditTables {
			w.Exec(w.T, "DELETE FROM "+name)
			w.Exec(w.T, "INSERT INTO "+name+" SELECT * FROM kept_"+name)
		}
	}
	tried := 0
	for _, d := range damages(total) {
		for _, sql := range d.sql {
			w.Exec(w.T, sql)
		}
		var got []string
		for _, f := range w.audit().Findings {
			got = append(got, fmt.Sprintf("%s:%d-%d", f.Fault, f.From, f.To))
			if f.From >= 0 && !strings.Contains(f.Text, fmt.Sprint(f.From)) {
				w.Errorf("%s: %q does not name row %d", d.name, f.Text, f.From)
			}
		}
		slices.Sort(got)
		slices.Sort(d.want)
		if !slices.Equal(got, d.want) {
			w.Errorf("%s: found %q, want %q", d.name, got, d.want)
		}
		restore()
		tried++
	}
	w.sound(int64(total))
	w.Logf("%d kinds of damage, each found and named", tried)
}

func damages(total int) []damage {
	last := total - 1
	other := "'01a212f5-0000-7000-8000-000000000000'"
	row := func(fault session.AccessFault, leaf int) string { return fmt.Sprintf("%s:%d-%d", fault, leaf, leaf) }
	whole := func(fault session.AccessFault) string { return row(fault, -1) }
	var all []damage
	add := func(name string, want []string, sql ...string) { all = append(all, damage{name, sql, want}) }

	for leaf := range total {
		edited := []string{row(session.FaultEdited, leaf)}
		add(fmt.Sprintf("edit row %d", leaf), edited, fmt.Sprintf("UPDATE access_log SET why = 'nothing' WHERE leaf = %d", leaf))
		missing := []string{row(session.FaultMissing, leaf)}
		if leaf == last {
			missing = []string{whole(session.FaultTruncated)}
		}
		add(fmt.Sprintf("delete row %d", leaf), missing, fmt.Sprintf("DELETE FROM access_log WHERE leaf = %d", leaf))
		if leaf < last {
			// Numbers are unique, so a third one stands in between.
			add(fmt.Sprintf("swap rows %d and %d", leaf, leaf+1),
				[]string{row(session.FaultMoved, leaf), row(session.FaultMoved, leaf+1)},
				fmt.Sprintf("UPDATE access_log SET leaf = 1000 WHERE leaf = %d", leaf),
				fmt.Sprintf("UPDATE access_log SET leaf = %d WHERE leaf = %d", leaf, leaf+1),
				fmt.Sprintf("UPDATE access_log SET leaf = %d WHERE leaf = 1000", leaf+1))
		}
		add(fmt.Sprintf("truncate the rows to %d", leaf), []string{whole(session.FaultTruncated)},
			fmt.Sprintf("DELETE FROM access_log WHERE leaf >= %d", leaf))
		add(fmt.Sprintf("alter the hash of row %d", leaf), []string{row(session.FaultHash, leaf)},
			fmt.Sprintf("UPDATE access_hashes SET hash = (SELECT hash FROM kept_access_hashes WHERE place = 2) WHERE place = %d", tlog.StoredHashIndex(0, int64(leaf))))
		add(fmt.Sprintf("remove the hash of row %d", leaf), []string{row(session.FaultHash, leaf)},
			fmt.Sprintf("DELETE FROM access_hashes WHERE place = %d", tlog.StoredHashIndex(0, int64(leaf))))
	}
	for column, value := range map[string]string{
		"id": other, "at": "(SELECT max(at) FROM kept_access_log)", "tenant": "'acme'", "role": "'platform'", "subject": other, "action": "'mission.read'",
		"mission": other, "agent": "''", "object": other, "why": "why || ' '", "salt": "(SELECT salt FROM kept_access_log WHERE leaf = 0)", "mac": "(SELECT mac FROM kept_access_log WHERE leaf = 0)",
	} {
		add("edit the "+column+" of row 5", []string{row(session.FaultEdited, 5)},
			fmt.Sprintf("UPDATE access_log SET %s = %s WHERE leaf = 5", column, value))
	}
	// Rows 5 to 12 move up into the place of row 4.
	shift := []string{"DELETE FROM access_log WHERE leaf = 4"}
	moved := []string{row(session.FaultMissing, 4), whole(session.FaultTruncated)}
	for leaf := 5; leaf <= last; leaf++ {
		shift = append(shift, fmt.Sprintf("UPDATE access_log SET leaf = %d WHERE leaf = %d", leaf-1, leaf))
		moved = append(moved, row(session.FaultMoved, leaf-1))
	}
	add("delete row 4 and number the others anew", moved, shift...)
	add("delete rows 5 to 7", []string{string(session.FaultMissing) + ":5-7"}, "DELETE FROM access_log WHERE leaf BETWEEN 5 AND 7")
	add("take row 6 out of the tree", []string{row(session.FaultMissing, 6)}, "UPDATE access_log SET leaf = NULL WHERE leaf = 6")
	add("number the last row past the end", []string{whole(session.FaultTruncated), row(session.FaultUnsigned, 40)},
		fmt.Sprintf("UPDATE access_log SET leaf = 40 WHERE leaf = %d", last))
	joins := []string{string(session.FaultHash) + ":4-7"} // rows 4 to 7 have one hash together
	above := fmt.Sprintf("WHERE place = %d", tlog.StoredHashIndex(2, 1))
	add("alter a hash of four rows", joins, "UPDATE access_hashes SET hash = (SELECT hash FROM kept_access_hashes WHERE place = 0) "+above)
	add("remove a hash of four rows", joins, "DELETE FROM access_hashes "+above)
	add("forge the newest checkpoint", []string{whole(session.FaultForged)},
		fmt.Sprintf("UPDATE access_checkpoints SET note = replace(note, '%d', '%d') WHERE size = %[1]d", total, total+1))
	const many = 5_003 // more than are read at once
	add("forge many", slices.Repeat([]string{whole(session.FaultForged)}, many), fmt.Sprintf(`INSERT INTO access_checkpoints (size, signed_at, note)
		WITH RECURSIVE forged(size) AS (SELECT 100 UNION ALL SELECT size + 1 FROM forged WHERE size < %d)
		SELECT size, (SELECT max(signed_at) FROM kept_access_checkpoints), 'none' FROM forged`, 100+many-1))
	add("forge one before", []string{whole(session.FaultForged)}, "UPDATE access_checkpoints SET note = 'none' WHERE size = 3")
	return all
}
