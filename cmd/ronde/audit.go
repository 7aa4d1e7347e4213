package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session"
)

// auditCmd answers for the access log.
type auditCmd struct {
	Verify auditVerify `cmd:"" help:"Find out whether the access log is what was recorded."`
	Export auditExport `cmd:"" help:"Write the access log, or a tenant's part of it, as JSON lines."`
	Key    auditKey    `cmd:"" help:"Print the key that verifies the log's checkpoints."`
}

// Help is the longer text of ronde audit --help.
func (auditCmd) Help() string {
	return `Every read and every change is recorded before its data goes out, and within a second becomes a leaf of a Merkle tree
whose root is signed. Whoever edits, removes or reorders what is recorded changes the root. What was signed is kept in
the database and, with --checkpoints, outside it: only the latter shows that a whole database was rolled back.

Examples:

    ronde audit verify
    ronde audit verify --checkpoint /mnt/witness
    ronde audit export --tenant acme > acme.jsonl
    ronde audit verify --file acme.jsonl --key ronde-access-log/…`
}

type auditVerify struct {
	File       string   `placeholder:"FILE" help:"What ronde audit export wrote, instead of --store."`
	Key        string   `placeholder:"KEY" help:"What ronde audit key printed. Default: it follows from the root secret."`
	Checkpoint []string `placeholder:"PATH" help:"More checkpoints: a file, or a folder like --checkpoints."`
	JSON       bool     `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde audit verify --help.
func (auditVerify) Help() string {
	return `No server needs to run; it may. The exit code is 1 if anything is found; each finding names the number of its row.

What is found, whoever did it in the database:
  a signed row that was edited, removed, moved or doubled; the end cut off; a hash or a checkpoint that was altered
  a row that no node or command of this installation made (row_forged), also one added before it was signed
  a row dated before rows that came earlier (row_backdated), or after it was signed (row_postdated), by over five minutes
  an older copy of the database, a log that was written anew, and a checkpoint that the database lost: these three only
  by checkpoints kept outside it, which is why --checkpoints should lie where who runs the database cannot write
  a log that is empty although there are missions (emptied)

What cannot be found:
  a row that was removed before it was signed: less than a second after it was recorded while a node runs; what a
  command records is signed before it exits, but before an installation's first start there is no key to sign with
  that the newest rows are gone if every checkpoint over them is gone too, inside the database and outside
  what somebody does who has the root secret: they can make rows, and sign
  what was never recorded: the position that somebody read in the memory of a node, or in a database and its keys

Rows go after twelve months and leave their hashes behind: the proofs of what is younger stay whole, and a row that went
too early is found. That a row made by Ronde is put back after it was purged is found by its date alone.

With --file nothing but the file is read, and what --checkpoint names. A tenant's part proves of each row that it is
what was recorded, at its place; that none was left out, only the whole log proves. With --key instead of the root
secret, which only the installation has, it cannot be checked who made a row; the answer says so.

Examples:

    ronde audit verify --config /etc/ronde/ronde.yaml
    ronde audit verify --file acme.jsonl --key ronde-access-log/…`
}

// Run verifies, and fails if anything is wrong.
func (cmd auditVerify) Run(ctx context.Context, c configs.Config, s streams) error {
	outside, err := cmd.outside(c)
	if err != nil {
		return err
	}
	var r *session.AccessReport
	if cmd.File != "" {
		r, err = cmd.verifyFile(ctx, c, outside)
	} else {
		err = withLog(ctx, c, func(store session.Store) (err error) {
			r, err = cmd.verifyStore(ctx, c, store, outside)
			return err
		})
	}
	if err != nil {
		return err
	}
	if err := cmd.print(s, r, len(outside)); err != nil {
		return err
	}
	if n := len(r.Findings); n > 0 {
		return fmt.Errorf("the access log is not what was recorded: %d findings", n)
	}
	return nil
}

// outside reads the checkpoints that are kept outside what is verified.
func (cmd auditVerify) outside(c configs.Config) (all []session.NamedCheckpoint, err error) {
	paths := cmd.Checkpoint
	if cmd.File == "" {
		if _, err := os.Stat(c.Checkpoints); !errors.Is(err, fs.ErrNotExist) || c.Checkpoints != c.DefaultCheckpoints() {
			paths = append([]string{c.Checkpoints}, paths...)
		}
	}
	for _, path := range paths {
		found, err := readCheckpoints(path)
		if err != nil {
			return nil, fmt.Errorf("checkpoints: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (cmd auditVerify) verifyStore(ctx context.Context, c configs.Config, store session.Store, outside []session.NamedCheckpoint) (*session.AccessReport, error) {
	v, err := cmd.verifier(func() (*session.AccessVerifier, error) { return storeVerifier(ctx, c, store) })
	if err != nil {
		return nil, err
	}
	return session.VerifyStoredLog(ctx, store, v, outside)
}

func (cmd auditVerify) verifyFile(ctx context.Context, c configs.Config, outside []session.NamedCheckpoint) (*session.AccessReport, error) {
	file, err := os.Open(cmd.File)
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	defer file.Close()
	f, err := session.ReadAccessFile(file)
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	v, err := cmd.verifier(func() (*session.AccessVerifier, error) {
		root, err := session.LoadRootSecret(c.RootSecretFile)
		if err != nil {
			return nil, fmt.Errorf("--root-secret-file: %w; or give the installation's key with --key", err)
		}
		signer, err := session.NewAccessSigner(root, session.OriginOf(f.Origin()))
		if err != nil {
			return nil, err
		}
		return &signer.AccessVerifier, nil
	})
	if err != nil {
		return nil, err
	}
	return f.Verify(ctx, v, outside, time.Now())
}

// verifier returns that of --key or, without it, what otherwise returns.
func (cmd auditVerify) verifier(otherwise func() (*session.AccessVerifier, error)) (*session.AccessVerifier, error) {
	if cmd.Key == "" {
		return otherwise()
	}
	v, err := session.NewAccessVerifier(cmd.Key)
	if err != nil {
		return nil, usageError{fmt.Errorf("--key: %w", err)}
	}
	return v, nil
}

// withLog runs do with the store, which must be there: an empty one that was just made would pass for a sound one.
func withLog(ctx context.Context, c configs.Config, do func(session.Store) error) error {
	if c.Embedded() {
		_, path := configs.Split(c.Store)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--store: %w", err)
		}
	}
	return withStore(ctx, c, do)
}

// storeVerifier returns the verifier of the installation that the store belongs to.
func storeVerifier(ctx context.Context, c configs.Config, store session.Store) (*session.AccessVerifier, error) {
	keyring, err := store.KeyringID(ctx)
	if err != nil {
		return nil, err
	}
	if keyring == uuid.Nil {
		return nil, errors.New("no node has served from this --store yet: it has no access log and no key")
	}
	root, err := session.LoadRootSecret(c.RootSecretFile)
	if err != nil {
		return nil, fmt.Errorf("--root-secret-file: %w", err)
	}
	signer, err := session.NewAccessSigner(root, keyring)
	if err != nil {
		return nil, err
	}
	return &signer.AccessVerifier, nil
}

// verifyReport is what --json prints.
type verifyReport struct {
	OK          bool                    `json:"ok"`
	Rows        int64                   `json:"rows"`
	Purged      int64                   `json:"purged"`
	Checkpoints int                     `json:"checkpoints"`
	Outside     int                     `json:"outside"`
	Size        int64                   `json:"size"`
	SignedAt    *time.Time              `json:"signed_at"`
	MACsChecked bool                    `json:"macs_checked"`
	Findings    []session.AccessFinding `json:"findings"`
}

func (cmd auditVerify) print(s streams, r *session.AccessReport, outside int) error {
	if cmd.JSON {
		v := verifyReport{len(r.Findings) == 0, r.Rows, r.Purged, r.Checkpoints, outside, r.Newest.Size, nil, r.Authenticated, r.Findings}
		if v.Findings == nil {
			v.Findings = []session.AccessFinding{}
		}
		if r.Newest.Size > 0 {
			v.SignedAt = &r.Newest.At
		}
		return s.printJSON(v)
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(s.out, "%-18s  %s\n", f.Fault, f.Text); err != nil {
			return err
		}
	}
	if len(r.Findings) > 0 {
		return nil
	}
	text := fmt.Sprintf("the access log is what was recorded: %d rows, as %d checkpoints say", r.Rows, r.Checkpoints)
	if r.Purged > 0 {
		text += fmt.Sprintf("; the first %d went after their twelve months", r.Purged)
	}
	if outside == 0 {
		text += "; no checkpoint was given that is kept outside: that an older copy was put back would not be seen"
	}
	if !r.Authenticated {
		text += "; the MACs of the rows were not checked, because that takes the root secret: a row that no node made would not be seen"
	}
	_, err := fmt.Fprintln(s.out, text)
	return err
}
