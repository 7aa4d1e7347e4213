package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"ronde/configs"
)

// Exit codes, the same for every subcommand.
const (
	exitOK    = 0
	exitRun   = 1 // what was asked could not be done
	exitUsage = 2 // what was asked makes no sense: command line or configuration
)

const description = `Live progress of security missions: an agent's phone streams positions while a mission is active,
the mission's client watches, and nothing from before, between or after is stored or shown.

Every setting may also stand in the environment (RONDE_OPS_LISTEN for --ops-listen) or in the file that --config
names; a flag wins over the environment, the environment over the file.`

// cli is the command line: the flags that every subcommand takes, and the subcommands.
//
// A subcommand is a field with the tag cmd, of a type whose method Run(…) error asks for what it needs by the types of
// its parameters: context.Context (ended by SIGINT, SIGTERM or SIGHUP), configs.Config (the effective settings; a
// command that does not ask runs whatever the configuration looks like) and streams. What it returns is printed and becomes exit
// code 1, or 2 if it is a usageError.
type cli struct {
	globalFlags `embed:"" group:"Settings:"`

	Serve     serveCmd     `cmd:"" group:"Run it:" help:"Run a node."`
	Migrate   migrateCmd   `cmd:"" group:"Run it:" help:"Bring the schemas of the store and of the keyring up to date."`
	Doctor    doctorCmd    `cmd:"" group:"Run it:" help:"Find out whether this installation can work, down to the proxy in front of it."`
	Config    configCmd    `cmd:"" group:"Run it:" help:"Print the effective configuration, passwords hidden."`
	Apikey    apikeyCmd    `cmd:"" group:"Let others in:" name:"apikey" help:"Make, list and revoke API keys."`
	Keys      keysCmd      `cmd:"" group:"Let others in:" help:"Rotate the keys that tokens are signed with."`
	Tenant    tenantCmd    `cmd:"" group:"Let others in:" help:"List tenants, and close one for good."`
	Retention retentionCmd `cmd:"" group:"Answer for it:" help:"Remove what has outlived its limit, and check that nothing has."`
	Audit     auditCmd     `cmd:"" group:"Answer for it:" help:"Verify and export the access log."`
	Demo      demoCmd      `cmd:"" group:"Try it:" help:"Run a node with made-up missions to watch."`
	Simulate  simulateCmd  `cmd:"" group:"Try it:" help:"Replay recordings or made-up rounds as agents over real sockets."`

	Completion completionCmd `cmd:"" group:"About it:" help:"Print what makes a shell complete this command line."`
	Version    versionCmd    `cmd:"" group:"About it:" help:"Print the version of Ronde and of the Go it was built with."`
}

// streams are the standard streams of the process, or a test's own.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// printJSON writes v to standard output as indented JSON, the form that --json promises everywhere.
func (s streams) printJSON(v any) error {
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// usageError marks an error of whoever typed the command or wrote the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := execute(ctx, args, streams{stdin, stdout, stderr})
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "ronde: %v\n", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, `Run "ronde --help" or "ronde COMMAND --help" for what is possible.`)
		return exitUsage
	}
	return exitRun
}

func execute(ctx context.Context, args []string, s streams) error {
	var c cli
	helped := false
	parser, err := kong.New(&c,
		kong.Name("ronde"),
		kong.Description(description),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 110}),
		kong.Exit(func(int) { helped = true }), // --help, which prints while parsing; the parser then goes on
		kong.Bind(s),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindToProvider(func() (configs.Config, error) { return c.load(os.LookupEnv) }),
	)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	if len(args) > 0 && args[0] == completeWord {
		return complete(parser.Model, args[1:], s)
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{err}
	}
	return parsed.Run()
}
