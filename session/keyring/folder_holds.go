package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// HoldSalt implements session.Keyring.
func (f *Folder) HoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) ([]byte, error) {
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
		case until.IsZero():
			return nil, session.ErrGone
		}
		if err := f.makeHoldSalt(hold, until); err != nil {
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

// makeHoldSalt makes the salt of a hold unless another process does. Until when
// it is to live comes first: no salt is without that.
func (f *Folder) makeHoldSalt(hold uuid.UUID, until time.Time) error {
	name := holdName(hold)
	err := f.root.Mkdir(path.Dir(name), 0o700)
	if err == nil {
		err = f.sync(saltsPart)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, made := range []struct {
		name    string
		content []byte
	}{{untilName(hold, until), nil}, {name, newSalt()}} {
		if err := f.create(made.name, made.content); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// ExtendHoldSalt implements session.Keyring. Of a hold with several times the
// latest counts, so there is always one.
func (f *Folder) ExtendHoldSalt(ctx context.Context, hold uuid.UUID, until time.Time) error {
	ends, err := f.HoldSalts(ctx)
	if err != nil {
		return err
	}
	if old, there := ends[hold]; !there || !until.After(old) {
		return nil
	}
	err = f.create(untilName(hold, until), nil)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = f.forgetEnds(hold, until)
	}
	return unavailable(err)
}

// HoldSalts implements session.Keyring.
func (f *Folder) HoldSalts(ctx context.Context) (map[uuid.UUID]time.Time, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	if _, err := f.root.Stat(saltsPart); err != nil {
		return nil, unavailable(err)
	}
	names, err := f.names(holdsPart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no hold ever had a salt
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return holdEnds(names), nil
}

// forgetEnds removes the times of a hold before the one given.
func (f *Folder) forgetEnds(hold uuid.UUID, before time.Time) error {
	names, err := f.names(holdsPart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		id, until, err := parseUntil(name)
		if err != nil || id != hold || !until.Before(before) {
			continue
		}
		if err := f.root.Remove(path.Join(holdsPart, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
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
	if err := f.forgetEnds(hold, forever); err != nil {
		return unavailable(err)
	}
	err = f.sync(holdsPart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no hold ever had a salt
	}
	return unavailable(err)
}
