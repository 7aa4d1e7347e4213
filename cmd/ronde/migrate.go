package main

import (
	"context"
	"fmt"
	"time"

	"ronde/configs"
	"ronde/session/keyring"
	"ronde/session/postgres"
)

// migrateCmd brings the schemas of the store and of the keyring up to date.
type migrateCmd struct{}

// Help is the longer text of ronde migrate --help.
func (migrateCmd) Help() string {
	return `For PostgreSQL, the roles of --store and of --keys must be allowed to create roles and schema objects; serve itself
needs only logins that are members of ronde_app and of ronde_keys. Repeating it is harmless, also from several machines
at once. The embedded database is brought up to date by every command that opens it; a keyring in a folder has no schema.

There is no way back: a node of an older version refuses a newer schema, and says so.

Examples:

    ronde migrate --store postgres://postgres@db/ronde --keys postgres://postgres@vault/keys
    ronde migrate --config /etc/ronde/ronde.yaml --store postgres://owner@db/ronde`
}

// Run migrates.
func (migrateCmd) Run(ctx context.Context, c configs.Config, s streams) error {
	if _, err := checkKeysApart(ctx, c); err != nil {
		return err
	}
	if err := migrateStore(ctx, c); err != nil {
		return err
	}
	if c.KeysInDatabase() {
		if err := keyring.Migrate(ctx, c.Keys); err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
	}
	_, err := fmt.Fprintln(s.out, "the schema is up to date")
	return err
}

func migrateStore(ctx context.Context, c configs.Config) error {
	if c.Embedded() {
		store, err := openStore(ctx, c, time.Now)
		if err != nil {
			return err
		}
		return store.Close()
	}
	if err := postgres.Migrate(ctx, c.Store); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	return nil
}
