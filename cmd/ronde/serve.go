package main

import (
	"context"
	"errors"
	"time"

	"ronde/configs"
)

// serveCmd runs a node.
type serveCmd struct{}

// Help is the longer text of ronde serve --help.
func (serveCmd) Help() string {
	return `Without any flag it runs on the embedded default: database, keyring and root secret in ./data, one process.
SIGTERM drains: not ready any more, sockets closed with 1001, what was received stored and answered.`
}

// Run serves until ctx is done.
func (serveCmd) Run(ctx context.Context, c configs.Config, s streams) error {
	a := newApp(c, newLogger(s, c.LogLevel), time.Now)
	if err := a.start(ctx); err != nil {
		return err
	}
	err := a.wait(ctx)
	return errors.Join(err, a.stop())
}
