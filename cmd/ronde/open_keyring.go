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
// other. A store that has none yet adopts the one that the configuration names.
func openSealingKeyring(ctx context.Context, c configs.Config, root session.RootSecret, store session.Store) (session.Keyring, error) {
	known, err := store.KeyringID(ctx)
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	if err := checkKeyringThere(c, known); err != nil {
		return nil, err
	}
	ring, err := openKeyring(ctx, c, root)
	if err != nil {
		return nil, err
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

// checkKeyringThere refuses a folder without a keyring if the store knows of
// one: opening it would lay out a new one, in the place where the mount is
// missing.
func checkKeyringThere(c configs.Config, known uuid.UUID) error {
	scheme, path := configs.Split(c.Keys)
	if known == uuid.Nil || scheme != "file" {
		return nil
	}
	there, err := keyring.FolderExists(path)
	if err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	if !there {
		return fmt.Errorf("--keys: %s holds no keyring, but the database was sealed with one (%s): "+
			"mount its disk, name its folder with --keys, or restore its backup; a new keyring could not open what is stored", path, known)
	}
	return nil
}

// strangeKeyring says that a keyring is not the one that the store was sealed
// with.
func strangeKeyring(found, known uuid.UUID) error {
	return fmt.Errorf("--keys: this is the keyring %s, and the database was sealed with the keyring %s: "+
		"name that one with --keys, or the database that belongs to this one with --store", found, known)
}
