package keyring

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"time"

	"ronde/session"
)

// Tombstone implements session.Keyring. It also returns session.ErrInvalid for
// one that names nobody.
func (f *Folder) Tombstone(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	content, err := tombstoneContent(&t)
	if err != nil {
		return t, err
	}
	if err := asked(ctx); err != nil {
		return t, err
	}
	for {
		numbers, err := f.tombstones()
		if err != nil {
			return t, unavailable(err)
		}
		next := t.Number + 1
		if n := len(numbers); n > 0 {
			next = max(next, numbers[n-1]+1)
		}
		err = f.create(tombstoneName(next), content)
		if errors.Is(err, fs.ErrExist) {
			continue // another process was faster
		}
		t.Number = next
		return t, unavailable(err)
	}
}

// Tombstones implements session.Keyring. It reads no more than it returns.
func (f *Folder) Tombstones(ctx context.Context, above int64) ([]session.Tombstone, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	numbers, err := f.tombstones()
	if err != nil {
		return nil, unavailable(err)
	}
	var list []session.Tombstone
	for _, number := range numbers {
		if number <= above {
			continue
		}
		t, err := f.readTombstone(number)
		if errors.Is(err, fs.ErrNotExist) {
			continue // purged since
		}
		if err != nil {
			return nil, unavailable(err)
		}
		list = append(list, t)
	}
	return list, nil
}

// PurgeTombstones implements session.Keyring.
func (f *Folder) PurgeTombstones(ctx context.Context, before time.Time) (int, error) {
	if err := asked(ctx); err != nil {
		return 0, err
	}
	numbers, err := f.tombstones()
	if err != nil {
		return 0, unavailable(err)
	}
	purged := 0
	for _, number := range numbers[:max(0, len(numbers)-1)] {
		t, err := f.readTombstone(number)
		if err == nil && t.At.Before(before) {
			var mine bool
			if mine, err = f.destroy(tombstoneName(number)); mine {
				purged++
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return purged, unavailable(err)
		}
	}
	return purged, nil
}

// tombstones returns the numbers of all tombstones, in order.
func (f *Folder) tombstones() ([]int64, error) {
	names, err := f.names(tombstonesPart)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for _, name := range names {
		number, err := strconv.ParseInt(name, 10, 64)
		if err == nil && tombstoneName(number) == path.Join(tombstonesPart, name) {
			numbers = append(numbers, number)
		}
	}
	return numbers, nil
}

func (f *Folder) readTombstone(number int64) (session.Tombstone, error) {
	content, err := f.read(tombstoneName(number))
	if err != nil {
		return session.Tombstone{}, err
	}
	return parseTombstone(number, content)
}
