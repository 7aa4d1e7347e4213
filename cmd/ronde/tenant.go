package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"ronde/configs"
	"ronde/session"
)

// tenantCmd is about the customers of the installation.
type tenantCmd struct {
	List  tenantList  `cmd:"" help:"List the tenants."`
	Close tenantClose `cmd:"" help:"Erase a tenant with everything that is theirs, for good; prints a receipt."`
}

// Help is the longer text of ronde tenant --help.
func (tenantCmd) Help() string {
	return `A tenant is made with its first key, by ronde apikey create.

Examples:

    ronde tenant list
    ronde tenant close acme --confirm acme`
}

type tenantList struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde tenant list --help.
func (tenantList) Help() string {
	return `In the order of their names, with the time at which they were made.

Examples:

    ronde tenant list
    ronde tenant list --json`
}

type tenantInfo struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// Run lists the tenants.
func (cmd tenantList) Run(ctx context.Context, c configs.Config, s streams) error {
	infos := []tenantInfo{}
	err := withStore(ctx, c, func(store session.Store) error {
		tenants, err := store.Tenants(ctx)
		for _, t := range tenants {
			infos = append(infos, tenantInfo(t))
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
	fmt.Fprintln(t, "NAME\tCREATED")
	for _, i := range infos {
		fmt.Fprintf(t, "%s\t%s\n", i.Name, i.CreatedAt.Format(time.RFC3339))
	}
	return t.Flush()
}

type tenantClose struct {
	Name    string `arg:"" help:"The tenant."`
	Confirm string `required:"" placeholder:"NAME" help:"The tenant's name again: there is no way back."`
	End     bool   `help:"End missions that are under way. Without, they make the command fail."`
	Holds   bool   `help:"Erase what holds keep, too. Without, a hold that stands makes the command fail."`
	JSON    bool   `name:"json" help:"Print the receipt as JSON."`
}

// Help is the longer text of ronde tenant close --help.
func (tenantClose) Help() string {
	return `First the tenant's keys to its tracks are destroyed, which makes every position unreadable at once, in every backup of
the store too; then everything of the tenant is removed: missions, positions, links, API keys, notices. A tombstone in
the keyring sees to it that a backup restored later loses them again before it serves. What stays is the access log,
for its 12 months, and the receipt, which has counts and no names.

It works beside running servers. If it is interrupted, run it again: it goes on where it stopped, and the receipt
counts everything; a node does so with its next sweep. Until it is finished no key of that name can be made.

A dispute or an incident may need what a hold keeps: as long as one stands, --holds must say that it goes.

Examples:

    ronde tenant close acme --confirm acme
    ronde tenant close acme --confirm acme --end --json`
}

// receiptInfo is a receipt as JSON.
type receiptInfo struct {
	Receipt          int64     `json:"receipt"`
	ClosedAt         time.Time `json:"closed_at"`
	Missions         int64     `json:"missions"`
	Positions        int64     `json:"positions"`
	RefusalCounts    int64     `json:"refusal_counts"`
	Acknowledgements int64     `json:"acknowledgements"`
	Links            int64     `json:"links"`
	APIKeys          int64     `json:"api_keys"`
	Notices          int64     `json:"notices"`
}

// Run closes the tenant.
func (cmd tenantClose) Run(ctx context.Context, c configs.Config, s streams) error {
	if cmd.Confirm != cmd.Name {
		return usageError{fmt.Errorf("--confirm must be the tenant's name, %q", cmd.Name)}
	}
	if err := session.ValidateTenant(cmd.Name); err != nil {
		return usageError{err}
	}
	var e session.Erasure
	err := withService(ctx, c, s, func(service *session.Service) (err error) {
		e, err = service.CloseTenant(ctx, cmd.Name, cmd.End, cmd.Holds)
		return err
	})
	switch {
	case errors.Is(err, session.ErrState):
		return fmt.Errorf("%w (--end does)", err)
	case errors.Is(err, session.ErrHeld):
		return fmt.Errorf("%w (--holds does)", err)
	case err != nil:
		return err
	}
	receipt := receiptInfo{e.Number, e.DoneAt, e.Missions, e.Positions, e.Refusals, e.Acknowledgements, e.Links, e.APIKeys, e.Notices}
	if cmd.JSON {
		return s.printJSON(receipt)
	}
	_, err = fmt.Fprintf(s.out, "erasure %d, %s: %d missions, %d positions, %d counts of refused positions, %d acknowledgements, %d links, %d API keys, %d notices\n",
		e.Number, e.DoneAt.Format(time.RFC3339), e.Missions, e.Positions, e.Refusals, e.Acknowledgements, e.Links, e.APIKeys, e.Notices)
	return err
}
