package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session"
	"ronde/session/keyring"
)

// openSealingKeyring opens the keyring that seals what is in the store, and no
// other. A store that knows of none yet adopts the one that the configuration
// names. If tracks are in it already, that must not be an empty one, unless fresh
// says that their keyring is lost.
func openSealingKeyring(ctx context.Context, c configs.Config, root session.RootSecret, store session.Store, fresh bool) (session.Keyring, error) {
	known, err := store.KeyringID(ctx)
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	if err := checkKeyringThere(ctx, c, known); err != nil {
		return nil, err
	}
	sealed := false
	if known == uuid.Nil && !fresh {
		if sealed, err = store.Sealed(ctx); err != nil {
			return nil, fmt.Errorf("--store: %w", err)
		}
	}
	if there, err := keyringThere(ctx, c); sealed && (err != nil || !there) {
		return nil, errors.Join(errEmptyKeyring, err)
	}
	ring, err := openKeyring(ctx, c, root)
	if err != nil {
		return nil, err
	}
	if days, err := ring.SaltDays(ctx); sealed && (err != nil || len(days) == 0) {
		return nil, errors.Join(errEmptyKeyring, err, ring.Close())
	}
	known, err = store.AdoptKeyring(ctx, ring.ID())
	if err == nil && known != ring.ID() {
		err = strangeKeyring(ring.ID(), known)
	}
	if err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return ring, nil
}

// errEmptyKeyring says that a store of before it remembered its keyring is about
// to be given an empty one.
var errEmptyKeyring = errors.New("--keys leads to an empty keyring, but there are tracks in the database of --store: " +
	"mount its disk, name its place with --keys, or restore its backup; if it is lost for good, and the tracks with it, ronde serve --new-keyring goes on with a new one")

// keyringThere reports whether --keys leads to a keyring, without making one.
func keyringThere(ctx context.Context, c configs.Config) (there bool, err error) {
	if scheme, path := configs.Split(c.Keys); scheme == "file" {
		there, err = keyring.FolderExists(path)
	} else {
		there, err = keyring.DatabaseExists(ctx, c.Keys)
	}
	if err != nil {
		return false, fmt.Errorf("--keys: %w", err)
	}
	return there, nil
}

// checkKeyringThere refuses a place without a keyring if the store knows of one:
// opening it would make a new one, where a mount is missing or a name is wrong.
func checkKeyringThere(ctx context.Context, c configs.Config, known uuid.UUID) error {
	if known == uuid.Nil {
		return nil
	}
	there, err := keyringThere(ctx, c)
	if err != nil || there {
		return err
	}
	place := "the database"
	if scheme, path := configs.Split(c.Keys); scheme == "file" {
		place = path
	}
	return fmt.Errorf("--keys: %s holds no keyring, but the database of --store was sealed with one (%s): "+
		"mount its disk, name its place with --keys, or restore its backup; a new keyring could not open what is stored", place, known)
}

// strangeKeyring says that a keyring is not the one that the store was sealed
// with.
func strangeKeyring(found, known uuid.UUID) error {
	return fmt.Errorf("--keys: this is the keyring %s, and the database was sealed with the keyring %s: "+
		"name that one with --keys, or the database that belongs to this one with --store", found, known)
}
