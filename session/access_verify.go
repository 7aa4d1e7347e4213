package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// AccessSource is what a log is verified from: a Store, or a file that was
// exported from one.
type AccessSource interface {
	AccessRows(ctx context.Context, from int64, limit int) ([]LoggedAccess, error)
	AccessHashes(ctx context.Context, indexes []int64) (map[int64]tlog.Hash, error)
	AccessCheckpoints(ctx context.Context, from int64, limit int) ([]StoredCheckpoint, error)
}

// leafHashes returns the hashes of the leaves from one on, and before another, by
// their indexes. Those that are missing are left out.
func leafHashes(ctx context.Context, source AccessSource, from, to int64) (map[int64]tlog.Hash, error) {
	indexes := make([]int64, 0, to-from)
	for leaf := from; leaf < to; leaf++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, leaf))
	}
	return source.AccessHashes(ctx, indexes)
}

// eachCheckpoint calls do for the checkpoints of a source in the order of their
// sizes, from that one on.
func eachCheckpoint(ctx context.Context, source AccessSource, from int64, do func(note string) error) error {
	return eachPage(atOnce, func(at int64) ([]StoredCheckpoint, error) {
		return source.AccessCheckpoints(ctx, max(from, at), atOnce)
	}, func(last *StoredCheckpoint) int64 { return last.Size + 1 }, func(page []StoredCheckpoint) error {
		for i := range page {
			if err := do(page[i].Note); err != nil {
				return err
			}
		}
		return nil
	})
}

// NamedCheckpoint is a checkpoint that was kept outside the database.
type NamedCheckpoint struct {
	Name string // where it was found
	Text string
}

// AccessFault names a kind of damage to the access log.
type AccessFault string

// What may be wrong with the log.
const (
	FaultEdited     AccessFault = "row_edited"        // a column is not what was recorded
	FaultMissing    AccessFault = "row_missing"       // and it was not purged
	FaultMoved      AccessFault = "row_moved"         // it holds what was recorded as another one: swapped, shifted
	FaultTwice      AccessFault = "row_twice"         // two rows have one leaf
	FaultUnsigned   AccessFault = "row_unsigned"      // a row with a leaf that no checkpoint covers
	FaultTruncated  AccessFault = "truncated"         // the end is missing
	FaultRolledBack AccessFault = "rolled_back"       // the database is older than a checkpoint outside
	FaultRewritten  AccessFault = "rewritten"         // the tree is another than the one that was signed
	FaultHash       AccessFault = "hash_altered"      // a stored hash is not that of what lies below it, or gone
	FaultForged     AccessFault = "checkpoint_forged" // the installation did not sign it

	FaultRowForged         AccessFault = "row_forged"         // the installation did not make it
	FaultBackdated         AccessFault = "row_backdated"      // it says an earlier time than rows before it
	FaultPostdated         AccessFault = "row_postdated"      // it says a later time than that at which it was signed
	FaultCheckpointMissing AccessFault = "checkpoint_missing" // from the database, which should have it
	FaultEmptied           AccessFault = "emptied"            // there is no log, and much to be recorded
)

// AccessFinding is one thing that is wrong.
type AccessFinding struct {
	Fault AccessFault `json:"fault"`
	From  int64       `json:"from"` // the first row (leaf number) concerned; -1: none in particular
	To    int64       `json:"to"`   // the last one
	Text  string      `json:"text"` // the same in words
}

// AccessReport is the outcome of a verification.
type AccessReport struct {
	Rows        int64            // that are there and were looked at
	Purged      int64            // the first so many went after their time
	Checkpoints int              // that the tree agrees with
	Newest      AccessCheckpoint // the zero AccessCheckpoint: none
	// Authenticated says whether it was checked that the installation made the rows:
	// it takes the root secret.
	Authenticated bool
	Findings      []AccessFinding // none: the log is what was recorded
}

// verification is one in progress. All rows of the log pass through, but of each
// only the hashes stay in memory.
type verification struct {
	source   AccessSource
	verifier *AccessVerifier
	now      time.Time
	report   *AccessReport

	signed []AccessCheckpoint // all that are genuine, by size
	inside int64              // the size of the newest one in the database
	size   int64              // of the newest one of all: what the log must hold
	leaves []leafState        // one a row, up to size

	inDatabase map[int64]bool // sizes of the genuine checkpoints there
	replaced   bool           // others there are not genuine
	covering   int            // of signed: the first that covers the row that is looked at
	latest     time.Time      // that a row said which was looked at

	// Set by index:

	homes map[tlog.Hash]int64 // where what has that hash was recorded
	held  map[tlog.Hash]bool  // whether a row has it
}

// leafState is what is known of one row.
type leafState struct {
	stored   tlog.Hash // the hash in the database
	computed tlog.Hash // what it would be of the row that is there
	hashed   bool      // stored is set
	present  bool      // computed is set
	damaged  string
}

// atOnce is how many rows or hashes a verification reads at once.
const atOnce = 5_000

// VerifyAccessLog checks the access log in source against the checkpoints that it
// holds and those kept outside it, all of which must be signed by the installation
// of v. now is the time at which rows have to be old enough to be purged.
//
// The error is that of reading; what is wrong with the log is in the report.
func VerifyAccessLog(ctx context.Context, source AccessSource, v *AccessVerifier, outside []NamedCheckpoint, now time.Time) (*AccessReport, error) {
	c := &verification{source: source, verifier: v, now: now, report: &AccessReport{Authenticated: v.rows != nil}}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return c.readCheckpoints(ctx, outside) },
		c.readHashes, c.readRows, c.readBeyond,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("verify access log: %w", err)
		}
	}
	end := c.findEnd()
	c.findGaps(end)
	if err := c.findChanges(ctx, end); err != nil {
		return nil, fmt.Errorf("verify access log: %w", err)
	}
	slices.SortStableFunc(c.report.Findings, func(a, b AccessFinding) int { return cmp.Compare(a.From, b.From) })
	return c.report, nil
}

// found adds a finding about the rows from and to, in words that begin with them.
func (c *verification) found(fault AccessFault, from, to int64, format string, args ...any) {
	rows := ""
	switch {
	case from >= 0 && from == to:
		rows = fmt.Sprintf("row %d ", from)
	case from >= 0:
		rows = fmt.Sprintf("rows %d to %d ", from, to)
	}
	c.report.Findings = append(c.report.Findings, AccessFinding{fault, from, to, rows + fmt.Sprintf(format, args...)})
}

func (c *verification) readCheckpoints(ctx context.Context, outside []NamedCheckpoint) error {
	add := func(where, text string) {
		opened, err := c.verifier.Open(text)
		if err != nil {
			c.found(FaultForged, -1, -1, "the checkpoint in %s was not signed by this installation, or was changed: %s", where, firstLines(text))
			return
		}
		c.signed = append(c.signed, opened)
	}
	err := eachCheckpoint(ctx, c.source, 0, func(note string) error {
		add("the database", note)
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range c.signed {
		c.inside = max(c.inside, s.Size)
	}
	c.inDatabase = make(map[int64]bool, len(c.signed))
	for _, s := range c.signed {
		c.inDatabase[s.Size] = true
	}
	c.replaced = len(c.report.Findings) > 0
	for _, o := range outside {
		add(o.Name, o.Text)
	}
	slices.SortFunc(c.signed, func(a, b AccessCheckpoint) int {
		return cmp.Or(cmp.Compare(a.Size, b.Size), a.At.Compare(b.At))
	})
	if n := len(c.signed); n > 0 {
		c.report.Newest = c.signed[n-1]
		c.size = c.report.Newest.Size
	}
	return nil
}

// firstLines returns of a checkpoint what tells which one it is meant to be.
func firstLines(text string) string {
	lines := strings.SplitN(text, "\n", 3)
	if len(lines) < 3 {
		return "it has no lines"
	}
	return fmt.Sprintf("%.80q, %.20q rows", lines[0], lines[1])
}

func (c *verification) readHashes(ctx context.Context) error {
	c.leaves = make([]leafState, c.size)
	for from := int64(0); from < c.size; from += atOnce {
		to := min(from+atOnce, c.size)
		found, err := leafHashes(ctx, c.source, from, to)
		if err != nil {
			return err
		}
		for leaf := from; leaf < to; leaf++ {
			l := &c.leaves[leaf]
			l.stored, l.hashed = found[tlog.StoredHashIndex(0, leaf)]
		}
	}
	return nil
}

func (c *verification) readRows(ctx context.Context) error {
	return c.eachRow(ctx, 0, func(row *LoggedAccess) bool {
		if row.Leaf >= c.size {
			return false
		}
		l := &c.leaves[row.Leaf]
		if l.present {
			c.found(FaultTwice, row.Leaf, row.Leaf, "is there twice")
			return true
		}
		c.report.Rows++
		l.present, l.computed, l.damaged = true, row.LeafHash(), row.Damaged
		if l.computed == l.stored && l.damaged == "" {
			c.judgeRow(row)
		}
		return true
	})
}

// readBeyond looks for rows that have a leaf which no checkpoint covers. A server
// that runs may have signed more meanwhile.
func (c *verification) readBeyond(ctx context.Context) error {
	covered := c.size
	err := eachCheckpoint(ctx, c.source, covered+1, func(note string) error {
		if opened, err := c.verifier.Open(note); err == nil {
			covered = max(covered, opened.Size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.eachRow(ctx, covered, func(row *LoggedAccess) bool {
		c.found(FaultUnsigned, row.Leaf, row.Leaf, "has a place in the log that no checkpoint covers")
		return len(c.report.Findings) < atOnce
	})
}

// eachRow calls f for rows from one leaf on, until it returns false.
func (c *verification) eachRow(ctx context.Context, from int64, f func(row *LoggedAccess) bool) error {
	for {
		rows, err := c.source.AccessRows(ctx, from, atOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			if !f(&rows[i]) {
				return nil
			}
		}
		if len(rows) < atOnce {
			return nil
		}
		from = rows[len(rows)-1].Leaf + 1
	}
}
