package main

import (
	"context"
	"fmt"

	"ronde/configs"
	"ronde/session"
)

type auditExport struct {
	Tenant string `placeholder:"NAME" help:"A tenant's own rows alone, each with its proof. Default: the whole log."`
}

// Help is the longer text of ronde audit export --help.
func (auditExport) Help() string {
	return `One JSON object a line: first what the file is, then signed checkpoints, then rows, each with its number, its salt and
its columns. Agents stand in it by pseudonym. Rows of the last second may be missing: they are not signed yet. The
export is itself recorded, of the tenant or of the installation.

A tenant's auditor verifies their part with ronde audit verify --file, and needs nothing but the key that ronde audit key
prints, obtained on another way than the file.

Examples:

    ronde audit export > log.jsonl
    ronde audit export --tenant acme > acme.jsonl`
}

// Run exports.
func (cmd auditExport) Run(ctx context.Context, c configs.Config, s streams) error {
	if cmd.Tenant != "" {
		if err := session.ValidateTenant(cmd.Tenant); err != nil {
			return usageError{fmt.Errorf("--tenant: %w", err)}
		}
	}
	return withLog(ctx, c, func(store session.Store) error {
		v, err := storeVerifier(ctx, c, store)
		if err != nil {
			return err
		}
		if err := record(ctx, store, session.Access{Tenant: cmd.Tenant, Action: session.AccessLogExport}, "ronde audit export"); err != nil {
			return err
		}
		_, err = session.ExportAccessLog(ctx, store, v, cmd.Tenant, s.out)
		return err
	})
}

type auditKey struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde audit key --help.
func (auditKey) Help() string {
	return `It is public, and follows from the root secret and the installation's keyring: give it to whoever is to verify the log,
on another way than the log itself.

Example:

    ronde audit key`
}

// Run prints the key.
func (cmd auditKey) Run(ctx context.Context, c configs.Config, s streams) error {
	return withLog(ctx, c, func(store session.Store) error {
		v, err := storeVerifier(ctx, c, store)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return s.printJSON(struct {
				Key string `json:"key"`
			}{v.Key()})
		}
		_, err = fmt.Fprintln(s.out, v.Key())
		return err
	})
}
