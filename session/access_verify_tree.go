package session

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"
)

// findEnd returns up to where the log is there, and says so if a checkpoint says
// that it was longer.
func (c *verification) findEnd() (end int64) {
	end = c.size
	for end > 0 && !c.leaves[end-1].present {
		end--
	}
	purgeable := c.purgeable()
	switch {
	case end == c.size || end == 0 && purgeable == c.size:
		return c.size
	case end == c.inside && c.inside < c.size:
		c.found(FaultRolledBack, -1, -1, "the database has been rolled back: it ends after %d rows, and a checkpoint outside of %s says %d",
			end, c.when(c.report.Newest), c.size)
	default:
		c.found(FaultTruncated, -1, -1, "the log is truncated to %d rows: a checkpoint of %s says %d",
			end, c.when(c.report.Newest), c.size)
	}
	return end
}

// purgeable returns how many rows may be gone: those that a checkpoint covers
// that is old enough.
func (c *verification) purgeable() (n int64) {
	limit := c.now.UTC().AddDate(0, -AccessMonths, 0)
	for _, s := range c.signed {
		if !s.At.After(limit) {
			n = max(n, s.Size)
		}
	}
	return n
}

// findGaps finds rows that are missing before end. The first rows may be, once
// they are old enough.
func (c *verification) findGaps(end int64) {
	first := int64(0)
	for first < end && !c.leaves[first].present {
		first++
	}
	old := c.purgeable()
	c.report.Purged = min(first, old)
	if first > old {
		c.found(FaultMissing, old, first-1, "missing, and too young to have been purged")
	}
	for from := first; from < end; from++ {
		if c.leaves[from].present {
			continue
		}
		to := from
		for to+1 < end && !c.leaves[to+1].present {
			to++
		}
		c.found(FaultMissing, from, to, "missing")
		from = to
	}
}

// findChanges compares rows, hashes and checkpoints with each other.
//
// A row and its hash that disagree do not say which of them was changed. The
// signed checkpoints do: if the tree of the stored hashes is the one that was
// signed, the rows were changed; if it is so with the hashes of the rows that are
// there, the hashes were. If it is neither, the tree itself was made anew.
func (c *verification) findChanges(ctx context.Context, end int64) error {
	var t tree
	proven, before := int64(0), int64(0) // up to where the tree is what was signed, and the same but for the latest checkpoint
	for _, s := range c.signed {
		if s.Size == 0 {
			continue
		}
		// Every part between two checkpoints is judged on its own.
		if s.Size > proven {
			before = proven
		}
		next, known := c.judge(t, proven, s)
		if !known || next.root() != s.Root {
			if known {
				c.found(FaultRewritten, before, s.Size-1, "not what the checkpoint of %s signed: that part of the log was rewritten", c.when(s))
			}
			c.nameChanges(proven, end)
			c.findLost(proven)
			return nil
		}
		c.nameChanges(proven, min(end, s.Size))
		t, proven = next, s.Size
		c.report.Checkpoints++
	}
	c.findLost(min(proven, end))
	if _, exported := c.source.(*AccessFile); exported {
		return nil // it holds the hashes of leaves alone
	}
	return c.findAltered(ctx)
}

// judge returns the tree with the leaves up to s: those that the database has, or
// those of the rows that are there if only they make it the one that was signed.
// known is false if there is neither of some leaf.
func (c *verification) judge(t tree, from int64, s AccessCheckpoint) (next tree, known bool) {
	next = t
	for leaf := from; leaf < s.Size; leaf++ {
		l := &c.leaves[leaf]
		switch {
		case !l.hashed && !l.present:
			if leaf < c.report.Purged {
				c.found(FaultHash, leaf, leaf, "was purged, and its hash, which was to stay, is gone")
			}
			return t, false
		case !l.hashed:
			c.found(FaultHash, leaf, leaf, "has no hash in the database any more")
			l.stored, l.hashed = l.computed, true
		}
		next = next.with(l.stored)
	}
	if next.root() == s.Root {
		return next, true
	}
	byRows := t
	for leaf := from; leaf < s.Size; leaf++ {
		if l := &c.leaves[leaf]; l.present {
			byRows = byRows.with(l.computed)
		} else {
			byRows = byRows.with(l.stored)
		}
	}
	if byRows.root() != s.Root {
		return next, true
	}
	for leaf := from; leaf < s.Size; leaf++ {
		if l := &c.leaves[leaf]; l.present && l.computed != l.stored {
			c.found(FaultHash, leaf, leaf, "is what was recorded, and its hash in the database was altered")
			l.stored = l.computed
		}
	}
	return byRows, true
}

// nameChanges names the rows from one on, and before another, that are not what
// their hash says.
func (c *verification) nameChanges(from, to int64) {
	for leaf := from; leaf < to; leaf++ {
		l := &c.leaves[leaf]
		if !l.present || !l.hashed || l.computed == l.stored && l.damaged == "" {
			continue
		}
		c.index()
		home, moved := c.homes[l.computed]
		switch {
		case l.damaged != "":
			c.found(FaultEdited, leaf, leaf, "edited: %s", l.damaged)
		case !moved:
			c.found(FaultEdited, leaf, leaf, "edited: it is not what was recorded")
		default:
			c.found(FaultMoved, leaf, leaf, "out of order: it holds what was recorded as row %d", home)
			if !c.held[l.stored] {
				c.found(FaultMissing, leaf, leaf, "missing: nothing holds what was recorded there")
			}
		}
	}
}

// index makes it possible to find where a row belongs. It is made only if one is
// not where it belongs.
func (c *verification) index() {
	if c.homes != nil {
		return
	}
	c.homes, c.held = make(map[tlog.Hash]int64, len(c.leaves)), make(map[tlog.Hash]bool, len(c.leaves))
	for leaf := range c.leaves {
		l := &c.leaves[leaf]
		if l.hashed {
			c.homes[l.stored] = int64(leaf)
		}
		if l.present {
			c.held[l.computed] = true
		}
	}
}

// findAltered compares the stored hashes above the leaves with what they must be.
// All leaves are proven by now.
func (c *verification) findAltered(ctx context.Context) error {
	below := make([]tlog.Hash, len(c.leaves))
	for i := range c.leaves {
		below[i] = c.leaves[i].stored
	}
	for level := 1; len(below) > 1; level++ {
		above := make([]tlog.Hash, len(below)/2)
		for i := range above {
			above[i] = tlog.NodeHash(below[2*i], below[2*i+1])
		}
		for from := 0; from < len(above); from += atOnce {
			part := above[from:min(from+atOnce, len(above))]
			indexes := make([]int64, len(part))
			for i := range part {
				indexes[i] = tlog.StoredHashIndex(level, int64(from+i))
			}
			found, err := c.source.AccessHashes(ctx, indexes)
			if err != nil {
				return err
			}
			for i, want := range part {
				if got, ok := found[indexes[i]]; !ok || got != want {
					first := int64(from+i) << level
					c.found(FaultHash, first, first+1<<level-1, "are joined by hash %d of the tree, which was altered or removed in the database", indexes[i])
				}
			}
		}
		below = above
	}
	return nil
}

func (c *verification) when(s AccessCheckpoint) string {
	return s.At.UTC().Format("2006-01-02 15:04:05 UTC")
}

// tree is a Merkle tree of which only the edge is kept: the roots of the largest
// complete subtrees, the largest first. It never changes.
type tree struct {
	size int64
	edge []tlog.Hash
}

// with returns the tree with one leaf more.
func (t tree) with(leaf tlog.Hash) tree {
	edge := append(t.edge[:len(t.edge):len(t.edge)], leaf)
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(edge) - 1
		edge = append(edge[:last-1], tlog.NodeHash(edge[last-1], edge[last]))
	}
	return tree{t.size + 1, edge}
}

// root returns the hash of a tree that has leaves, and the zero Hash otherwise.
func (t tree) root() (root tlog.Hash) {
	for i := len(t.edge) - 1; i >= 0; i-- {
		if i == len(t.edge)-1 {
			root = t.edge[i]
		} else {
			root = tlog.NodeHash(t.edge[i], root)
		}
	}
	return root
}
