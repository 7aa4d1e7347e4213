package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/google/uuid"

	"ronde/session"
)

// HoldSalt implements session.Keyring.
func (f *Folder) HoldSalt(ctx context.Context, hold uuid.UUID, create bool) ([]byte, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	name := holdName(hold)
	for range attempts {
		salt, err := f.readSalt(name)
		// Asked after reading, as in Salt: what is being destroyed is given to
		// nobody, nor reported as damaged by it.
		if gone, askErr := f.holdDestroyed(hold); askErr != nil || gone {
			return nil, unavailable(errors.Join(askErr, goneIf(gone)))
		}
		switch {
		case err == nil:
			return salt, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, unavailable(err)
		case !create:
			return nil, session.ErrGone
		}
		if err := f.makeHoldSalt(name); err != nil {
			return nil, unavailable(err)
		}
	}
	return nil, unavailable(fmt.Errorf("%s keeps changing", name))
}

func goneIf(gone bool) error {
	if gone {
		return session.ErrGone
	}
	return nil
}

// holdDestroyed reports whether the salt of a hold was destroyed, or is being.
// If that cannot be known, it is an error.
func (f *Folder) holdDestroyed(hold uuid.UUID) (bool, error) {
	for _, part := range []string{saltsPart, destroyedPart} {
		if _, err := f.root.Stat(part); err != nil {
			return false, err
		}
	}
	_, err := f.root.Stat(path.Join(destroyedPart, hold.String()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// makeHoldSalt makes the salt of that name unless another process does.
func (f *Folder) makeHoldSalt(name string) error {
	err := f.root.Mkdir(path.Dir(name), 0o700)
	if err == nil {
		err = f.sync(saltsPart)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err = f.create(name, newSalt()); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// DestroyHoldSalt implements session.Keyring. First it records that, from when
// on HoldSalt gives none; then it destroys the file.
func (f *Folder) DestroyHoldSalt(ctx context.Context, hold uuid.UUID) error {
	if err := asked(ctx); err != nil {
		return err
	}
	err := f.create(path.Join(destroyedPart, hold.String()), nil)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return unavailable(err)
	}
	if _, err := f.destroy(holdName(hold)); err != nil {
		return unavailable(err)
	}
	err = f.sync(path.Dir(holdName(hold)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no hold ever had a salt
	}
	return unavailable(err)
}
