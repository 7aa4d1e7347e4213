package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session"
)

// apikeyCmd manages the API keys of tenants. It works beside a running server.
type apikeyCmd struct {
	Create apikeyCreate `cmd:"" help:"Make a key, and its tenant if needed; prints the key alone."`
	List   apikeyList   `cmd:"" help:"List a tenant's keys."`
	Revoke apikeyRevoke `cmd:"" help:"Revoke a key, at once and for good."`
}

// Help is the longer text of ronde apikey --help.
func (apikeyCmd) Help() string {
	return `A key is what the platform's own systems, or an operator, call the API with. It belongs to one tenant and sees
nothing of the others. These commands work on the store itself, also beside a running server.

Examples:

    ronde apikey create --tenant acme --role platform
    ronde apikey list --tenant acme`
}

type apikeyCreate struct {
	Tenant string `required:"" placeholder:"NAME" help:"The customer of this installation that the key belongs to."`
	Role   string `required:"" enum:"platform,operator,auditor" placeholder:"ROLE" help:"platform (everything of its tenant), operator (run missions) or auditor (access log, policy)."`
	Label  string `placeholder:"TEXT" help:"What the key is for, to find it again."`
	JSON   bool   `name:"json" help:"Print JSON, with the key's id."`
}

// Help is the longer text of ronde apikey create --help.
func (apikeyCreate) Help() string {
	return `Only a hash of the key is stored: what is printed here cannot be shown again. It is printed alone, so that a script
can take it as it is.

Examples:

    ronde apikey create --tenant acme --role platform
    ronde apikey create --tenant acme --role operator --label night-desk
    ronde apikey create --tenant acme --role auditor --json`
}

// Run makes the key.
func (cmd apikeyCreate) Run(ctx context.Context, c configs.Config, s streams) error {
	var k session.APIKey
	var printed string
	err := withStore(ctx, c, func(store session.Store) (err error) {
		k, printed, err = createKey(ctx, store, cmd.Tenant, session.Role(cmd.Role), cmd.Label)
		return err
	})
	if errors.Is(err, session.ErrInvalid) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if cmd.JSON {
		return s.printJSON(struct {
			keyInfo
			Key string `json:"key"`
		}{infoOf(k), printed})
	}
	_, err = fmt.Fprintln(s.out, printed)
	return err
}

// createKey makes a key, and its tenant if needed. The printed form is all there ever is of its secret.
func createKey(ctx context.Context, store session.Store, tenant string, role session.Role, label string) (k session.APIKey, printed string, err error) {
	if k, printed, err = session.NewAPIKey(tenant, role, label); err != nil {
		return k, "", err
	}
	if err = store.EnsureTenant(ctx, tenant); err != nil {
		return k, "", err
	}
	if k.CreatedAt, err = store.Now(ctx); err != nil {
		return k, "", err
	}
	return k, printed, store.CreateAPIKey(ctx, k)
}

type keyInfo struct {
	ID        uuid.UUID    `json:"id"`
	Tenant    string       `json:"tenant"`
	Role      session.Role `json:"role"`
	Label     string       `json:"label"`
	CreatedAt time.Time    `json:"created_at"`
	RevokedAt *time.Time   `json:"revoked_at"`
}

func infoOf(k session.APIKey) keyInfo {
	info := keyInfo{ID: k.ID, Tenant: k.Tenant, Role: k.Role, Label: k.Label, CreatedAt: k.CreatedAt}
	if !k.RevokedAt.IsZero() {
		info.RevokedAt = &k.RevokedAt
	}
	return info
}

type apikeyList struct {
	Tenant string `required:"" placeholder:"NAME" help:"The tenant whose keys to list."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde apikey list --help.
func (apikeyList) Help() string {
	return `Revoked keys are listed too, with the time; the oldest come first. The keys themselves are shown nowhere.

Examples:

    ronde apikey list --tenant acme
    ronde apikey list --tenant acme --json`
}

// Run lists the keys.
func (cmd apikeyList) Run(ctx context.Context, c configs.Config, s streams) error {
	infos := []keyInfo{}
	err := withStore(ctx, c, func(store session.Store) error {
		keys, err := store.APIKeys(ctx, cmd.Tenant)
		for _, k := range keys {
			infos = append(infos, infoOf(k))
		}
		return err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return s.printJSON(infos)
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tROLE\tCREATED\tREVOKED\tLABEL")
	for _, k := range infos {
		revoked := "-"
		if k.RevokedAt != nil {
			revoked = k.RevokedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, k.CreatedAt.Format(time.RFC3339), revoked, k.Label)
	}
	return t.Flush()
}

type apikeyRevoke struct {
	Tenant string `required:"" placeholder:"NAME" help:"The tenant that the key belongs to."`
	ID     string `arg:"" help:"The key's id, as list shows it."`
}

// Help is the longer text of ronde apikey revoke --help.
func (apikeyRevoke) Help() string {
	return `From the next request on, every node refuses the key. Repeating it is harmless. There is no way back: make a new key
instead.

Example, with an id from ronde apikey list:

    ronde apikey revoke --tenant acme 0195a7c2-93b0-7d5e-8a41-3f6e0c9b2d17`
}

// Run revokes the key.
func (cmd apikeyRevoke) Run(ctx context.Context, c configs.Config, s streams) error {
	id, err := uuid.Parse(cmd.ID)
	if err != nil {
		return usageError{fmt.Errorf("%q is no key id; see ronde apikey list", cmd.ID)}
	}
	err = withStore(ctx, c, func(store session.Store) error { return store.RevokeAPIKey(ctx, cmd.Tenant, id) })
	if errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("tenant %s has no key %s", cmd.Tenant, id)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, "revoked")
	return err
}

// withStore lends the configured store to do, and signs what do records.
func withStore(ctx context.Context, c configs.Config, do func(session.Store) error) error {
	store, err := openStore(ctx, c, time.Now)
	if err != nil {
		return err
	}
	recorder := &commandStore{Store: store, config: c}
	err = do(recorder)
	recorder.sign(ctx)
	return errors.Join(err, store.Close())
}
