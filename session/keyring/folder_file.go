package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

const (
	// maxFile is more than any file of a keyring holds.
	maxFile = 4096
	// hidden begins the names of files that are being made or destroyed. No
	// entry's name does.
	hidden = "."
	// unfinished begins the names of those that are being made.
	unfinished = hidden + "tmp-"
)

// read returns the content of an entry. The error is fs.ErrNotExist if there is
// none, and names the entry if it does not open.
func (f *Folder) read(name string) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sealed, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, err
	}
	return f.box.open(name, sealed)
}

// create makes an entry, durably, all or nothing. The error is fs.ErrExist if
// there is one: of several that race, link(2) lets one through.
func (f *Folder) create(name string, content []byte) error {
	dir := path.Dir(name)
	temp := path.Join(dir, unfinished+rand.Text())
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.root.Remove(temp) }()
	_, err = file.Write(f.box.seal(name, content))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.root.Link(temp, name); err != nil {
		return err
	}
	return f.sync(dir)
}

// destroy makes the content of a file unreadable and removes it. It reports
// whether it was the one to do so: first it takes the file's name away, and of
// several only one can. Then it overwrites it, which on file systems that write
// in place leaves no copy on the disk.
func (f *Folder) destroy(name string) (bool, error) {
	doomed := path.Join(path.Dir(name), hidden+"gone-"+rand.Text())
	err := f.root.Rename(name, doomed)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := f.blank(doomed); err != nil {
		return false, fmt.Errorf("overwrite %s: %w", name, err)
	}
	if err := f.root.Remove(doomed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// gone reports whether there is no file of that name any more.
func (f *Folder) gone(name string) bool {
	_, err := f.root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// blank overwrites the file in place.
func (f *Folder) blank(name string) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process destroys it at this moment
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.Write(make([]byte, info.Size()))
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// names returns the names in a folder, in order.
func (f *Folder) names(dir string) ([]string, error) {
	entries, err := fs.ReadDir(f.root.FS(), dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// sync makes what happened to the names in a folder durable.
func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
