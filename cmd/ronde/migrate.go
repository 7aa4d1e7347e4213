package main

import (
	"context"
	"fmt"
	"time"

	"ronde/configs"
	"ronde/session/postgres"
)

// migrateCmd brings the schema of the store up to date.
type migrateCmd struct{}

// Help is the longer text of ronde migrate --help.
func (migrateCmd) Help() string {
	return `For PostgreSQL, the role of --store must be allowed to create roles and schema objects; serve itself needs only a
login that is a member of ronde_app. Repeating it is harmless, also from several machines at once. The embedded
database is brought up to date by every command that opens it.

There is no way back: a node of an older version refuses a newer schema, and says so.

Examples:

    ronde migrate --store postgres://postgres@db/ronde
    ronde migrate --config /etc/ronde/ronde.yaml --store postgres://owner@db/ronde`
}

// Run migrates.
func (migrateCmd) Run(ctx context.Context, c configs.Config, s streams) error {
	if c.Embedded() {
		store, err := openStore(ctx, c, time.Now)
		if err != nil {
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
	} else if err := postgres.Migrate(ctx, c.Store); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	_, err := fmt.Fprintln(s.out, "the schema is up to date")
	return err
}
