package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"ronde/configs"
	"ronde/session"
)

// retentionCmd looks after how long data live. It works beside running nodes.
type retentionCmd struct {
	Check retentionCheck `cmd:"" help:"Count what has outlived its limit; exit 1 if anything has."`
	Sweep retentionSweep `cmd:"" help:"Remove what has outlived its limit."`
	Term  retentionTerm  `cmd:"" help:"Show or set for how long a tenant's mission records name anybody."`
}

// Help is the longer text of ronde retention --help.
func (retentionCmd) Help() string {
	return `Every node sweeps by itself, every ten minutes and as each day begins in UTC. These commands are for whoever wants
to see that nothing is left, or to do it while no node runs.

Examples:

    ronde retention check
    ronde retention sweep
    ronde retention term --tenant acme --months 6`
}

type retentionCheck struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde retention check --help.
func (retentionCheck) Help() string {
	return `It says how many rows of each class have outlived their limit, and never which. What ends at a moment, and not with
a day, counts a quarter of an hour after it: the next sweep has time until then. The exit code is 1 if anything counts.

Examples:

    ronde retention check
    ronde retention check --json`
}

type overdueInfo struct {
	Class session.Class `json:"class"`
	Rows  int64         `json:"rows"`
}

// Run counts.
func (cmd retentionCheck) Run(ctx context.Context, c configs.Config, s streams) error {
	infos := []overdueInfo{}
	total := int64(0)
	err := withService(ctx, c, s, func(service *session.Service) error {
		list, err := service.Overdue(ctx)
		for _, o := range list {
			infos = append(infos, overdueInfo(o))
			total += o.Rows
		}
		return err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		err = s.printJSON(infos)
	} else {
		t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "CLASS\tOVERDUE")
		for _, o := range infos {
			fmt.Fprintf(t, "%s\t%d\n", o.Class, o.Rows)
		}
		err = t.Flush()
	}
	if err == nil && total > 0 {
		err = fmt.Errorf("%d rows have outlived their limit: run ronde retention sweep, which says of each hold whose track it keeps, and of each step that fails, why", total)
	}
	return err
}

type retentionSweep struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde retention sweep --help.
func (retentionSweep) Help() string {
	return `It can be stopped at any time and run on several machines at once; what is done is done. Copies that holds demand are
made first. Then the salts of the days that are over go, and with them whatever they sealed; then the rows. A hold whose
copy cannot be made keeps its own track, and is named on standard error with the reason.

Examples:

    ronde retention sweep
    ronde retention sweep --json`
}

// Run sweeps.
func (cmd retentionSweep) Run(ctx context.Context, c configs.Config, s streams) error {
	var done session.Swept
	err := withService(ctx, c, s, func(service *session.Service) (err error) {
		done, err = service.Sweep(ctx)
		return err
	})
	if cmd.JSON {
		return errors.Join(err, s.printJSON(done))
	}
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		what string
		n    int
	}{
		{"missions closed at their deadline", done.Closed},
		{"held tracks copied", done.Copied},
		{"salts destroyed", done.Salts},
		{"salts destroyed of holds that were forgotten", done.HoldSalts},
		{"tracks cut to their newest positions", done.Trimmed},
		{"latest positions and progress removed", done.Locations},
		{"copies of ended holds deleted", done.Deleted},
		{"mission records made anonymous", done.Anonymized},
		{"acknowledgements removed", done.Acknowledged},
		{"receipts removed", done.Receipts},
		{"rows of the access log removed", done.Recorded},
		{"tombstones of erasures removed", done.Tombstones},
		{"expired tracks kept for holds without a whole copy", done.Kept},
	} {
		fmt.Fprintf(t, "%s\t%d\n", line.what, line.n)
	}
	return errors.Join(err, t.Flush())
}

type retentionTerm struct {
	Tenant string `required:"" placeholder:"NAME" help:"The tenant whose term it is."`
	Months *int   `placeholder:"N" help:"Months after a mission is over until its record names nobody: 1 to 60. Without it, the term is shown."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Help is the longer text of ronde retention term --help.
func (retentionTerm) Help() string {
	return `After the term a record keeps states, times and counts; its reference, site, checkpoints, names of agents and links are
gone. It is 12 months unless set. A hold keeps the record of its mission.

Examples:

    ronde retention term --tenant acme
    ronde retention term --tenant acme --months 6`
}

// Run shows or sets the term.
func (cmd retentionTerm) Run(ctx context.Context, c configs.Config, s streams) error {
	if m := cmd.Months; m != nil && (*m < 1 || *m > session.MaxMissionTerm) {
		return usageError{fmt.Errorf("--months must be 1 to %d", session.MaxMissionTerm)}
	}
	var months int
	err := withStore(ctx, c, func(store session.Store) (err error) {
		months, err = store.MissionTerm(ctx, cmd.Tenant)
		if err != nil || cmd.Months == nil {
			return err
		}
		months = *cmd.Months
		row := session.Access{Tenant: cmd.Tenant, Action: session.AccessRetentionTerm}
		if err := record(ctx, store, row, fmt.Sprintf("ronde retention term --months %d", months)); err != nil {
			return err
		}
		return store.SetMissionTerm(ctx, cmd.Tenant, months)
	})
	if errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("there is no tenant %s", cmd.Tenant)
	}
	if err != nil {
		return err
	}
	if cmd.JSON {
		return s.printJSON(struct {
			Tenant string `json:"tenant"`
			Months int    `json:"months"`
		}{cmd.Tenant, months})
	}
	_, err = fmt.Fprintf(s.out, "%d months\n", months)
	return err
}
