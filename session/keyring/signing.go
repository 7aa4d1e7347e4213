package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	"ronde/session"
)

// A signing key's content is, in this order:
//
//	time of making (8), milliseconds since the epoch | seed (32)
//
// Its number orders it. Its id follows from the public key, so that no two
// keys can share one.
const signingSize = 8 + ed25519.SeedSize

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
	names, err := f.names(signingDir)
	if err != nil {
		return nil, 0, err
	}
	var keys []session.SigningKey
	last := 0
	for _, name := range slices.Backward(names) {
		number, err := strconv.Atoi(name)
		if err != nil || signingName(number) != path.Join(signingDir, name) {
			continue // being made, or none of ours
		}
		last = max(last, number)
		content, err := f.read(signingName(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue // withdrawn since
		}
		if err == nil && len(content) != signingSize {
			err = fmt.Errorf("%s %w", signingName(number), ErrDamaged)
		}
		if err != nil {
			return nil, 0, err
		}
		keys = append(keys, parseSigningKey(content))
	}
	return keys, last, nil
}

// makeSigningKey makes the key of that number unless another process did.
func (f *Folder) makeSigningKey(number int) error {
	content := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli()))
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: it aborts the process instead
	err := f.create(signingName(number), append(content, seed...))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func parseSigningKey(content []byte) session.SigningKey {
	seed := content[8:]
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	return session.SigningKey{
		ID:        hex.EncodeToString(sum[:8]),
		CreatedAt: time.UnixMilli(int64(binary.BigEndian.Uint64(content))).UTC(),
		Seed:      seed,
	}
}

// signingName returns the name of the key of that number: eight digits, so
// that the order of names is that of numbers.
func signingName(number int) string { return path.Join(signingDir, fmt.Sprintf("%08d", number)) }
