package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// LoggedAccess is a row of the access log as it is stored: a leaf of the Merkle
// tree (RFC 6962) that makes every change of the log visible.
type LoggedAccess struct {
	Access
	Leaf int64 // its number in the tree, from 0
	// Damaged says what of the row cannot be what Ronde wrote; "": nothing.
	Damaged string
}

// accessForm is the first byte of the form of a row that leaves are made of.
const accessForm = 1

// LeafHash returns the hash of the row's leaf: RecordHash(SHA-256(form)), where
// form is a version and then every column after its length. Without the salt
// nobody who has the hash can try out which row it may be of.
func (a *LoggedAccess) LeafHash() tlog.Hash {
	b := a.appendSaid([]byte{accessForm})
	b = appendBound(b, string(binary.BigEndian.AppendUint64(nil, uint64(a.At.UnixMicro()))))
	b = appendBound(b, string(a.MAC))
	sum := sha256.Sum256(b)
	return tlog.RecordHash(sum[:])
}

// appendSaid appends what the row says, all but its time and MAC, each column
// after its length.
func (a *Access) appendSaid(b []byte) []byte {
	for _, text := range []string{
		string(a.Salt), string(a.ID[:]), a.Tenant, string(a.Role), string(a.Subject[:]), string(a.Action), string(a.Mission[:]), a.Agent, string(a.Object[:]), a.Why,
	} {
		b = appendBound(b, text)
	}
	return b
}

// AccessGrowth is one step by which the tree over the access log grows.
type AccessGrowth struct {
	// What there is, read by the store under the lock that lets one grow the
	// tree at a time:

	Now        time.Time
	Size       int64          // leaves of the tree
	Checkpoint string         // of that size; "": none was signed yet
	Rows       []LoggedAccess // without leaves, in the order of their ids
	// Hashes returns stored hashes by their index (tlog.StoredHashIndex).
	Hashes func(indexes []int64) ([]tlog.Hash, error)

	// What is to be stored:

	New    []tlog.Hash // in the order of their indexes, from tlog.StoredHashCount(Size) on
	Signed string      // the checkpoint of the tree with Rows as its next leaves
}

// AccessState says how the access log stands.
type AccessState struct {
	Now        time.Time // the store's clock
	Pending    time.Time // when the oldest row without a leaf was recorded; zero: all have one
	Size       int64     // leaves of the tree
	Checkpoint string    // of that size; "": none was signed yet
	SignedAt   time.Time
}

// accessAtOnce is how many rows get their leaves, or are purged, in one
// transaction.
const accessAtOnce = 5_000

// GrowAccessTree gives every committed row of the access log its leaf, in order
// and without a gap, and signs what the tree comes to. It returns how many rows
// got one, and how many of them are forged: no node made them. They get theirs all
// the same, so that they cannot vanish again. It is safe on all nodes at once: of
// several, one has an effect.
func GrowAccessTree(ctx context.Context, store Store, signer *AccessSigner) (grown, forged int, err error) {
	grown, err = repeated(func(ctx context.Context, limit int) (int, error) {
		strange := 0
		n, err := store.GrowAccessTree(ctx, limit, func(g *AccessGrowth) error {
			strange = signer.strange(g.Rows)
			return signer.grow(g)
		})
		if err == nil {
			forged += strange
		}
		return n, err
	}, accessAtOnce)(ctx)
	return grown, forged, err
}

// strange returns how many rows the installation did not make.
func (s *AccessSigner) strange(rows []LoggedAccess) (n int) {
	for i := range rows {
		if !s.rows.Authentic(&rows[i].Access) {
			n++
		}
	}
	return n
}

var errTreeChanged = errors.New("the stored tree of the access log is not that of its last checkpoint, and nothing is signed on top of it: run ronde audit verify")

// grow computes the new hashes and the checkpoint. It signs nothing on top of a
// tree that it did not sign.
func (s *AccessSigner) grow(g *AccessGrowth) error {
	base := tlog.StoredHashCount(g.Size)
	edge := edgeIndexes(g.Size)
	old, err := g.Hashes(edge)
	if err != nil {
		return err
	}
	known := make(map[int64]tlog.Hash, len(edge))
	for i, index := range edge {
		known[index] = old[i]
	}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= base {
				hashes[i] = g.New[index-base]
				continue
			}
			h, ok := known[index]
			if !ok {
				return nil, fmt.Errorf("the tree needs hash %d, which is not on its edge", index)
			}
			hashes[i] = h
		}
		return hashes, nil
	})
	if err := s.checkTree(g, reader); err != nil {
		return err
	}
	for i := range g.Rows {
		if d := g.Rows[i].Damaged; d != "" {
			return fmt.Errorf("row %s of the access log has been changed: %s", g.Rows[i].ID, d)
		}
		hashes, err := tlog.StoredHashesForRecordHash(g.Size+int64(i), g.Rows[i].LeafHash(), reader)
		if err != nil {
			return err
		}
		g.New = append(g.New, hashes...)
	}
	c := AccessCheckpoint{Size: g.Size + int64(len(g.Rows)), At: g.Now}
	if c.Root, err = tlog.TreeHash(c.Size, reader); err != nil {
		return err
	}
	g.Signed, err = s.sign(c)
	return err
}

// checkTree makes sure that the tree is the one that was signed last.
func (s *AccessSigner) checkTree(g *AccessGrowth, reader tlog.HashReader) error {
	if g.Checkpoint == "" && g.Size == 0 {
		return nil
	}
	c, err := s.Open(g.Checkpoint)
	if err != nil {
		return fmt.Errorf("%w (%w)", errTreeChanged, err)
	}
	root, err := tlog.TreeHash(g.Size, reader)
	if err != nil {
		return err
	}
	if c.Size != g.Size || c.Root != root {
		return errTreeChanged
	}
	return nil
}

// edgeIndexes returns the indexes of the hashes of the largest complete subtrees
// that a tree of that size consists of: all that growing it needs.
func edgeIndexes(size int64) (indexes []int64) {
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- {
		if n := size >> level; n&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, n-1))
		}
	}
	return indexes
}

// HashesOf returns the hashes of those indexes in their order. It is for
// adapters, and fails if one is missing.
func HashesOf(found map[int64]tlog.Hash, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := found[index]
		if !ok {
			return nil, fmt.Errorf("hash %d of the access log's tree is missing: run ronde audit verify", index)
		}
		hashes[i] = h
	}
	return hashes, nil
}
