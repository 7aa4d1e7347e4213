package session

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
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
	Row   *fileRow    `json:"row,omitempty"`
	Proof []tlog.Hash `json:"proof,omitempty"` // from the leaf up to the root that the checkpoint signs
}

// fileRow holds the columns of a row.
type fileRow struct {
	Salt    []byte       `json:"salt"` // base64, as the MAC
	MAC     []byte       `json:"mac"`
	ID      uuid.UUID    `json:"id"`
	At      time.Time    `json:"at"`
	Tenant  string       `json:"tenant"`
	Role    Role         `json:"role"`
	Subject uuid.UUID    `json:"subject"`
	Action  AccessAction `json:"action"`
	Mission uuid.UUID    `json:"mission"`
	Agent   string       `json:"agent"`
	Object  uuid.UUID    `json:"object"`
	Why     string       `json:"why"`
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
	for next := int64(0); next < e.newest.Size; {
		rows, err := e.source.AccessRows(ctx, next, atOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].Leaf >= e.newest.Size {
				break // it was recorded meanwhile
			}
			if err := e.writePurged(ctx, next, rows[i].Leaf); err != nil {
				return err
			}
			if err := e.writeRow(ctx, &rows[i]); err != nil {
				return err
			}
			next = rows[i].Leaf + 1
		}
		if len(rows) < atOnce {
			return e.writePurged(ctx, next, e.newest.Size)
		}
	}
	return nil
}

// writeCheckpoints writes all checkpoints, or for a tenant the newest.
func (e *accessExport) writeCheckpoints(ctx context.Context, v *AccessVerifier) error {
	last := ""
	for after := int64(0); ; {
		page, err := e.source.AccessCheckpoints(ctx, after, atOnce)
		if err != nil {
			return err
		}
		for _, text := range page {
			c, err := v.Open(text)
			if err != nil {
				return fmt.Errorf("%w: run ronde audit verify", err)
			}
			e.newest, after, last = c, c.Size, text
			if e.tenant != "" {
				continue
			}
			if err := e.lines.Encode(fileLine{Checkpoint: text}); err != nil {
				return err
			}
		}
		if len(page) < atOnce {
			break
		}
	}
	if e.tenant == "" || last == "" {
		return nil
	}
	return e.lines.Encode(fileLine{Checkpoint: last})
}

// writePurged writes the hashes of rows that are gone, of a whole log.
func (e *accessExport) writePurged(ctx context.Context, from, to int64) error {
	if e.tenant != "" {
		return nil
	}
	for ; from < to; from++ {
		index := tlog.StoredHashIndex(0, from)
		found, err := e.source.AccessHashes(ctx, []int64{index})
		if err != nil {
			return err
		}
		if hash, ok := found[index]; ok {
			if err := e.lines.Encode(fileLine{Leaf: &from, Hash: &hash}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *accessExport) writeRow(ctx context.Context, a *LoggedAccess) error {
	if e.tenant != "" && a.Tenant != e.tenant {
		return nil
	}
	line := fileLine{Leaf: &a.Leaf, Row: &fileRow{
		Salt: a.Salt, MAC: a.MAC, ID: a.ID, At: a.At.UTC(), Tenant: a.Tenant, Role: a.Role, Subject: a.Subject, Action: a.Action,
		Mission: a.Mission, Agent: a.Agent, Object: a.Object, Why: a.Why,
	}}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found, err := e.source.AccessHashes(ctx, indexes)
		if err != nil {
			return nil, err
		}
		return HashesOf(found, indexes)
	})
	if e.tenant != "" {
		proof, err := tlog.ProveRecord(e.newest.Size, a.Leaf, reader)
		if err != nil {
			return err
		}
		line.Proof = proof
	} else {
		hashes, err := reader([]int64{tlog.StoredHashIndex(0, a.Leaf)})
		if err != nil {
			return err
		}
		line.Hash = &hashes[0]
	}
	e.rows++
	return e.lines.Encode(line)
}

// AccessFile is an exported access log, read back. It is an AccessSource if it
// holds a whole log.
type AccessFile struct {
	Tenant string // whose part it is; "": the whole log
	Key    string // that it says signed its checkpoints

	checkpoints []string
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
		f.checkpoints = append(f.checkpoints, line.Checkpoint)
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
	r := line.Row
	if n := len(f.rows); n > 0 && f.rows[n-1].Leaf > *line.Leaf {
		return fmt.Errorf("row %d comes after row %d", *line.Leaf, f.rows[n-1].Leaf)
	}
	f.rows = append(f.rows, LoggedAccess{Leaf: *line.Leaf, Access: Access{
		ID: r.ID, At: r.At, Tenant: r.Tenant, Role: r.Role, Subject: r.Subject, Action: r.Action,
		Mission: r.Mission, Agent: r.Agent, Object: r.Object, Why: r.Why, Salt: r.Salt, MAC: r.MAC,
	}})
	f.proofs = append(f.proofs, line.Proof)
	return nil
}
