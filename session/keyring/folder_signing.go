package keyring

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"ronde/session"
)

// SigningKeys implements session.Keyring. It reads the folder each time.
func (f *Folder) SigningKeys(ctx context.Context) ([]session.SigningKey, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	keys, _, err := f.signingKeys()
	if err == nil && len(keys) == 0 {
		if err = f.makeSigningKey(1); err == nil {
			keys, _, err = f.signingKeys()
		}
	}
	return keys, unavailable(err)
}

// RotateSigningKey makes a new signing key and returns all of them, the newest
// first. Of several callers at once, one makes it and all get it. The older
// ones keep verifying.
func (f *Folder) RotateSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	_, last, err := f.signingKeys()
	if err == nil {
		err = f.makeSigningKey(last + 1)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return f.SigningKeys(ctx)
}

// signingKeys returns all keys, the newest first, and the highest number.
func (f *Folder) signingKeys() ([]session.SigningKey, int, error) {
	names, err := f.names(signingPart)
	if err != nil {
		return nil, 0, err
	}
	var keys []session.SigningKey
	last := 0
	for _, name := range slices.Backward(names) {
		number, err := strconv.Atoi(name)
		if err != nil || signingName(number) != path.Join(signingPart, name) {
			continue // being made, or none of ours
		}
		last = max(last, number)
		content, err := f.read(signingName(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue // withdrawn since
		}
		if err != nil {
			return nil, 0, err
		}
		key, err := parseSigningKey(signingName(number), content)
		if err != nil {
			return nil, 0, err
		}
		keys = append(keys, key)
	}
	return keys, last, nil
}

// makeSigningKey makes the key of that number unless another process did.
func (f *Folder) makeSigningKey(number int) error {
	err := f.create(signingName(number), newSigningKey())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
