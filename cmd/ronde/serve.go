package main

import (
	"context"
	"errors"
	"time"

	"ronde/configs"
)

// serveCmd runs a node.
type serveCmd struct {
	NewKeyring bool `help:"Go on with an empty keyring although the store holds tracks: their keyring is lost, and nobody will ever read them."`
}

// Help is the longer text of ronde serve --help.
func (serveCmd) Help() string {
	return `Without any flag it runs on the embedded default: database, keyring and root secret in ./data, one process.
SIGTERM drains: not ready any more, sockets closed with 1001, what was received stored and answered.

Several nodes share a PostgreSQL database, a bus, a keyring and the root secret, and stand behind any proxy that passes
WebSockets on; ronde doctor tells whether it does. The folder configs of the source has files for compose, systemd,
HAProxy, nginx and Caddy.

Examples:

    ronde serve
    ronde serve --public-url https://ronde.example --trusted-proxies 10.0.0.5
    ronde serve --config /etc/ronde/ronde.yaml --store postgres://ronde@db/ronde --root-secret-file /run/secrets/ronde`
}

// Run serves until ctx is done.
func (cmd serveCmd) Run(ctx context.Context, c configs.Config, s streams) error {
	a := newApp(c, newLogger(s, c.LogLevel), time.Now)
	a.newKeyring = cmd.NewKeyring
	if err := a.start(ctx); err != nil {
		return err
	}
	err := a.wait(ctx)
	return errors.Join(err, a.stop())
}
