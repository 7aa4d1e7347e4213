package session

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// accessFormat is what the first line of an exported log says of its form.
const accessFormat = "ronde access log 1"

// fileLine is one line of an exported access log: JSON. The first says what it
// is, then come checkpoints, then rows. Of a purged row the hash is left.
type fileLine struct {
	Format string `json:"format,omitempty"`
	Tenant string `json:"tenant,omitempty"` // whose part it is; "": the whole log
	Key    string `json:"key,omitempty"`    // that signed the checkpoints

	Checkpoint string `json:"checkpoint,omitempty"`

	Leaf  *int64      `json:"leaf,omitempty"`
	Hash  *tlog.Hash  `json:"hash,omitempty"` // of the leaf
	Row   *Access     `json:"row,omitempty"`
	Proof []tlog.Hash `json:"proof,omitempty"` // from the leaf up to the root that the checkpoint signs
}

// ExportAccessLog writes the access log to w as JSON lines that ronde audit verify
// reads: all of it, or a tenant's own rows, each with the proof that it is in the
// log that the newest checkpoint signs. It returns how many rows it wrote. Rows
// without a leaf are not in it yet.
func ExportAccessLog(ctx context.Context, source AccessSource, v *AccessVerifier, tenant string, w io.Writer) (int, error) {
	out := bufio.NewWriter(w)
	e := &accessExport{source: source, tenant: tenant, lines: json.NewEncoder(out)}
	e.lines.SetEscapeHTML(false)
	if err := e.write(ctx, v); err != nil {
		return e.rows, fmt.Errorf("export access log: %w", err)
	}
	return e.rows, out.Flush()
}

type accessExport struct {
	source AccessSource
	tenant string
	lines  *json.Encoder
	newest AccessCheckpoint
	rows   int
}

func (e *accessExport) write(ctx context.Context, v *AccessVerifier) error {
	if err := e.lines.Encode(fileLine{Format: accessFormat, Tenant: e.tenant, Key: v.Key()}); err != nil {
		return err
	}
	if err := e.writeCheckpoints(ctx, v); err != nil {
		return err
	}
	next := int64(0)
	err := eachPage(atOnce, func(from int64) ([]LoggedAccess, error) {
		return e.source.AccessRows(ctx, from, atOnce)
	}, func(last *LoggedAccess) int64 { return last.Leaf + 1 }, func(page []LoggedAccess) error {
		if e.tenant != "" {
			return e.writePart(ctx, page)
		}
		end := min(page[len(page)-1].Leaf+1, e.newest.Size) // what comes after was recorded meanwhile
		err := e.writeLeaves(ctx, next, end, page)
		next = end
		return err
	})
	if err != nil || e.tenant != "" {
		return err
	}
	return e.writeLeaves(ctx, next, e.newest.Size, nil)
}

// writeCheckpoints writes all checkpoints, or for a tenant the newest.
func (e *accessExport) writeCheckpoints(ctx context.Context, v *AccessVerifier) error {
	last := ""
	err := eachCheckpoint(ctx, e.source, 0, func(note string) error {
		c, err := v.Open(note)
		if err != nil {
			return fmt.Errorf("%w: run ronde audit verify", err)
		}
		e.newest, last = c, note
		if e.tenant != "" {
			return nil
		}
		return e.lines.Encode(fileLine{Checkpoint: note})
	})
	if err != nil || e.tenant == "" || last == "" {
		return err
	}
	return e.lines.Encode(fileLine{Checkpoint: last})
}

// writeLeaves writes leaves of a whole log: their hashes and the rows that are
// theirs. Of a purged row the hash is all there is.
func (e *accessExport) writeLeaves(ctx context.Context, from, to int64, rows []LoggedAccess) error {
	for ; from < to; from += atOnce {
		end := min(from+atOnce, to)
		hashes, err := leafHashes(ctx, e.source, from, end)
		if err != nil {
			return err
		}
		for leaf := from; leaf < end; leaf++ {
			hash, there := hashes[tlog.StoredHashIndex(0, leaf)]
			if there && (len(rows) == 0 || rows[0].Leaf != leaf) {
				if err := e.lines.Encode(fileLine{Leaf: &leaf, Hash: &hash}); err != nil {
					return err
				}
			}
			for ; len(rows) > 0 && rows[0].Leaf == leaf; rows = rows[1:] {
				if !there {
					return fmt.Errorf("the hash of row %d is missing: run ronde audit verify", leaf)
				}
				if err := e.writeRow(&rows[0], fileLine{Hash: &hash}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// writePart writes those rows that are the tenant's, with their proofs.
func (e *accessExport) writePart(ctx context.Context, page []LoggedAccess) error {
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found, err := e.source.AccessHashes(ctx, indexes)
		if err != nil {
			return nil, err
		}
		return HashesOf(found, indexes)
	})
	for i := range page {
		if page[i].Tenant != e.tenant || page[i].Leaf >= e.newest.Size {
			continue
		}
		proof, err := tlog.ProveRecord(e.newest.Size, page[i].Leaf, reader)
		if err == nil {
			err = e.writeRow(&page[i], fileLine{Proof: proof})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeRow completes a line with a row, and writes it.
func (e *accessExport) writeRow(a *LoggedAccess, line fileLine) error {
	row := a.Access
	row.At = a.At.UTC()
	line.Leaf, line.Row = &a.Leaf, &row
	e.rows++
	return e.lines.Encode(line)
}

// AccessFile is an exported access log, read back. It is an AccessSource if it
// holds a whole log.
type AccessFile struct {
	Tenant string // whose part it is; "": the whole log
	Key    string // that it says signed its checkpoints

	checkpoints []StoredCheckpoint
	rows        []LoggedAccess
	hashes      map[int64]tlog.Hash // of leaves, by index
	proofs      [][]tlog.Hash       // of a tenant's rows
}

// maxAccessLine is the longest line of an exported log, in bytes.
const maxAccessLine = 1 << 20

// ReadAccessFile reads what ExportAccessLog wrote. The error names the line that
// cannot be read.
func ReadAccessFile(r io.Reader) (*AccessFile, error) {
	f := &AccessFile{hashes: map[int64]tlog.Hash{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAccessLine)
	n := 0
	for lines.Scan() {
		n++
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var line fileLine
		err := decoder.Decode(&line)
		if err == nil {
			err = f.add(&line, n == 1)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if n == 0 {
		return nil, errors.New("the file is empty")
	}
	return f, nil
}

func (f *AccessFile) add(line *fileLine, first bool) error {
	switch {
	case first:
		if line.Format != accessFormat {
			return fmt.Errorf("it is no exported access log of this version: its first line must say %q", accessFormat)
		}
		f.Key, f.Tenant = line.Key, line.Tenant
	case line.Checkpoint != "":
		f.checkpoints = append(f.checkpoints, StoredCheckpoint{Size: int64(len(f.checkpoints)), Note: line.Checkpoint})
	case line.Leaf == nil || *line.Leaf < 0:
		return errors.New("it is neither a checkpoint nor a row")
	case line.Row == nil && line.Hash == nil:
		return errors.New("the row has neither columns nor a hash")
	default:
		if line.Hash != nil {
			f.hashes[tlog.StoredHashIndex(0, *line.Leaf)] = *line.Hash
		}
		if line.Row != nil {
			return f.addRow(line)
		}
	}
	return nil
}

func (f *AccessFile) addRow(line *fileLine) error {
	if n := len(f.rows); n > 0 && f.rows[n-1].Leaf > *line.Leaf {
		return fmt.Errorf("row %d comes after row %d", *line.Leaf, f.rows[n-1].Leaf)
	}
	f.rows = append(f.rows, LoggedAccess{Leaf: *line.Leaf, Access: *line.Row})
	f.proofs = append(f.proofs, line.Proof)
	return nil
}
