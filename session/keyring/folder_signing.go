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
	keys, err := f.signingKeys()
	return bare(keys), unavailable(err)
}

// EnsureSigningKey implements session.Keyring.
func (f *Folder) EnsureSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	keys, err := f.SigningKeys(ctx)
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	if err := f.makeSigningKey(1); err != nil {
		return nil, unavailable(err)
	}
	return f.SigningKeys(ctx)
}

// RotateSigningKey implements session.Keyring.
func (f *Folder) RotateSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	if err := asked(ctx); err != nil {
		return nil, err
	}
	keys, err := f.signingKeys()
	if err == nil {
		err = f.makeSigningKey(next(keys))
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return f.SigningKeys(ctx)
}

// RemoveSigningKeys implements session.Keyring.
func (f *Folder) RemoveSigningKeys(ctx context.Context, ids ...string) (removed int, err error) {
	if err := asked(ctx); err != nil {
		return 0, err
	}
	keys, err := f.signingKeys()
	if err != nil {
		return 0, unavailable(err)
	}
	for _, number := range removable(keys, ids) {
		gone, err := f.destroy(signingName(number))
		if err != nil {
			return removed, unavailable(err)
		}
		if gone {
			removed++
		}
	}
	return removed, unavailable(f.sync(signingPart))
}

// signingKeys returns all keys, the newest first.
func (f *Folder) signingKeys() ([]numberedKey, error) {
	names, err := f.names(signingPart)
	if err != nil {
		return nil, err
	}
	var keys []numberedKey
	for _, name := range slices.Backward(names) {
		number, err := strconv.Atoi(name)
		if err != nil || signingName(number) != path.Join(signingPart, name) {
			continue // being made or removed, or none of ours
		}
		content, err := f.read(signingName(number))
		if err != nil && f.gone(signingName(number)) {
			continue // removed since, and perhaps overwritten while it was read
		}
		if err != nil {
			return nil, err
		}
		key, err := parseSigningKey(number, content)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// makeSigningKey makes the key of that number unless another process did.
func (f *Folder) makeSigningKey(number int) error {
	err := f.create(signingName(number), newSigningKey())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
