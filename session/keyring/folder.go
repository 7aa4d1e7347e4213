package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"ronde/session"
)

// destroyedPart holds the markers of destroyed days.
const destroyedPart = "destroyed"

var parts = []string{saltsPart, signingPart, destroyedPart}

// laterParts came with later versions: a folder that an earlier one made lacks
// them.
var laterParts = []string{tombstonesPart}

// Folder is a keyring in a folder. It is safe for many goroutines and for many
// processes on one machine, and keeps no secret in memory but the key that the
// root secret gives.
type Folder struct {
	root *os.Root
	box  *box
	id   uuid.UUID
}

var _ session.Keyring = (*Folder)(nil)

// OpenFolder opens the keyring in dir, and makes it if there is none. The error
// is ErrWrongRoot if the keyring was made under another root secret,
// session.ErrInvalid if dir is open to group or others, and otherwise what the
// file system said.
func OpenFolder(dir string, root session.RootSecret) (*Folder, error) {
	b, err := newBox(root)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	f := &Folder{root: r, box: b}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open keyring: %w", err), r.Close())
	}
	return f, nil
}

// prepare checks the folder, or lays it out. The identity is written last: a
// folder that has one but lacks a part was not made so, and is not mended by
// making an empty part, which would forget every salt.
func (f *Folder) prepare() error {
	info, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return session.ErrInvalid.At("keyring folder").Because("has mode %04o and must not be open to group or others: chmod 700", perm)
	}
	content, err := f.read(identityName)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.layOut(); err != nil {
			return err
		}
		content, err = f.read(identityName)
	}
	if err != nil {
		return err
	}
	if f.id, err = parseIdentity(content); err != nil {
		return err
	}
	for _, dir := range parts {
		if _, err := f.root.Stat(dir); err != nil {
			return fmt.Errorf("the folder is not whole: %w", err)
		}
	}
	return f.makeFolders(laterParts)
}

// layOut makes a new keyring, possibly beside others who make it too.
func (f *Folder) layOut() error {
	if err := f.makeFolders(parts); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(f.root.Name()))
	if err != nil {
		return err
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return err
	}
	id := session.NewID()
	if err := f.create(identityName, id[:]); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// makeFolders makes those folders that there are not.
func (f *Folder) makeFolders(names []string) error {
	for _, dir := range names {
		if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// ID implements session.Keyring.
func (f *Folder) ID() uuid.UUID { return f.id }

// Close releases the folder. Calls that come later return
// session.ErrUnavailable.
func (f *Folder) Close() error { return f.root.Close() }

// asked returns an error if the caller no longer waits: files take no context.
func asked(ctx context.Context) error { return unavailable(ctx.Err()) }
