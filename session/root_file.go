package session

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxRootFile is more than any root secret file holds.
const maxRootFile = 1024

// LoadRootSecret reads the root secret from a regular file that only its owner
// can read. ErrInvalid for a file that others can read too, and for what
// ParseRootSecret refuses; an error that is fs.ErrNotExist if there is none.
func LoadRootSecret(path string) (RootSecret, error) {
	f, err := os.Open(path)
	if err != nil {
		return RootSecret{}, fmt.Errorf("read the root secret: %w", err)
	}
	defer f.Close()
	// The open file is asked, not the path: it is what will be read.
	info, err := f.Stat()
	if err != nil {
		return RootSecret{}, fmt.Errorf("read the root secret: %w", err)
	}
	invalid := ErrInvalid.At("root secret file " + path)
	if !info.Mode().IsRegular() {
		return RootSecret{}, invalid.Because("must be a regular file")
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return RootSecret{}, invalid.Because("has mode %04o and must not be open to group or others: chmod 600", perm)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRootFile))
	if err != nil {
		return RootSecret{}, fmt.Errorf("read the root secret: %w", err)
	}
	return ParseRootSecret(string(text))
}

// CreateRootSecret makes a random root secret and keeps it at path with mode
// 0600, whole and on disk before the name appears. It never overwrites: if the
// file exists, or another process makes it first, that one is loaded.
func CreateRootSecret(path string) (RootSecret, error) {
	root := NewRootSecret()
	err := createFile(path, []byte(hex.EncodeToString(root.bytes())+"\n"))
	if errors.Is(err, fs.ErrExist) {
		return LoadRootSecret(path)
	}
	if err != nil {
		return RootSecret{}, fmt.Errorf("create the root secret: %w", err)
	}
	return root, nil
}

// createFile makes the file with that content, durably, all or nothing. It
// returns an error that is fs.ErrExist, and changes nothing, if there is one:
// of several that race, link(2) lets one through.
func createFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	temp := filepath.Join(dir, ".tmp-"+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
