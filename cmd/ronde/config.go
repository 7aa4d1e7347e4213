package main

import (
	"fmt"

	"ronde/configs"
)

// configCmd prints what the flags, the environment, the file and the defaults amount to.
type configCmd struct {
	JSON bool `name:"json" help:"Print JSON instead of YAML."`
}

// Help is the longer text of ronde config --help.
func (configCmd) Help() string {
	return `The output is what "serve" with the same flags and environment would run with, values that follow from
others filled in. Saved to a file, it can be read with --config once the hidden passwords are put back.

Examples:

    ronde config
    ronde config --config /etc/ronde/ronde.yaml --log-level debug
    ronde config --json`
}

// Run prints the settings.
func (cmd configCmd) Run(c configs.Config, s streams) error {
	if cmd.JSON {
		return s.printJSON(c)
	}
	_, err := fmt.Fprint(s.out, c)
	return err
}
