package session

import (
	"context"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

var _ AccessSource = (*AccessFile)(nil)

// AccessRows implements AccessSource.
func (f *AccessFile) AccessRows(_ context.Context, from int64, limit int) ([]LoggedAccess, error) {
	first := sort.Search(len(f.rows), func(i int) bool { return f.rows[i].Leaf >= from })
	return f.rows[first:min(first+limit, len(f.rows))], nil
}

// AccessHashes implements AccessSource: it knows the hashes of leaves alone.
func (f *AccessFile) AccessHashes(_ context.Context, indexes []int64) (map[int64]tlog.Hash, error) {
	found := make(map[int64]tlog.Hash, len(indexes))
	for _, index := range indexes {
		if hash, ok := f.hashes[index]; ok {
			found[index] = hash
		}
	}
	return found, nil
}

// AccessCheckpoints implements AccessSource: it takes the place in the file for
// the size.
func (f *AccessFile) AccessCheckpoints(_ context.Context, from int64, limit int) ([]StoredCheckpoint, error) {
	first := min(int(from), len(f.checkpoints))
	return f.checkpoints[first:min(first+limit, len(f.checkpoints))], nil
}

// Origin returns a checkpoint of the file, for OriginOf; "" if it has none.
func (f *AccessFile) Origin() string {
	if len(f.checkpoints) == 0 {
		return ""
	}
	return f.checkpoints[0].Note
}

// Verify checks the file as VerifyAccessLog checks a store. A tenant's part is
// proven row by row: each is what was recorded, at its place in the log that the
// checkpoint signs. That no row was left out, a part cannot prove.
func (f *AccessFile) Verify(ctx context.Context, v *AccessVerifier, outside []NamedCheckpoint, now time.Time) (*AccessReport, error) {
	if f.Tenant == "" {
		return VerifyAccessLog(ctx, f, v, outside, now)
	}
	c := &verification{source: f, verifier: v, now: now, report: &AccessReport{Authenticated: v.rows != nil}}
	if err := c.readCheckpoints(ctx, outside); err != nil {
		return nil, err
	}
	signed := AccessCheckpoint{}
	for _, s := range c.signed {
		if s.Size == c.inside {
			signed = s
		}
	}
	for _, s := range c.signed {
		if s.Size == signed.Size && s.Root != signed.Root {
			c.found(FaultRewritten, 0, s.Size-1, "not the same in two checkpoints of that size: the log was rewritten")
		} else {
			c.report.Checkpoints++
		}
	}
	for i := range f.rows {
		c.proveRow(&f.rows[i], f.proofs[i], signed, i > 0 && f.rows[i-1].Leaf == f.rows[i].Leaf, f.Tenant)
	}
	return c.report, nil
}

func (c *verification) proveRow(row *LoggedAccess, proof tlog.RecordProof, signed AccessCheckpoint, again bool, tenant string) {
	leaf := row.Leaf
	c.report.Rows++
	switch {
	case again:
		c.found(FaultTwice, leaf, leaf, "is there twice")
	case leaf >= signed.Size:
		c.found(FaultUnsigned, leaf, leaf, "has a place in the log that no checkpoint covers")
	case row.Tenant != tenant:
		c.found(FaultEdited, leaf, leaf, "edited: it is not of tenant %s", tenant)
	case tlog.CheckRecord(proof, signed.Size, signed.Root, leaf, row.LeafHash()) != nil:
		c.found(FaultEdited, leaf, leaf, "edited, or its proof was: it is not what the checkpoint signed there")
	default:
		c.judgeRow(row)
	}
}
