package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/configs"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/sqlite"
	"ronde/tracker"
	"ronde/tracker/redisbus"
)

// storeOpener opens the store that the configuration names.
type storeOpener func(ctx context.Context, c configs.Config, now func() time.Time) (session.Store, error)

// openStore is the storeOpener of every node.
func openStore(ctx context.Context, c configs.Config, now func() time.Time) (session.Store, error) {
	scheme, path := configs.Split(c.Store)
	if scheme == "sqlite" {
		s, err := sqlite.Open(ctx, path, now)
		if err != nil {
			return nil, fmt.Errorf("--store: %w", explainFolder(c, filepath.Dir(path), err))
		}
		return s, nil
	}
	s, err := postgres.Open(ctx, c.Store, postgres.Options{Writers: postgresWriters})
	if errors.Is(err, session.ErrUnavailable) {
		return nil, fmt.Errorf("--store: %w; %s", err, unreachableStore)
	}
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	return s, nil
}

// unreachableStore is what to look at if PostgreSQL does not let us in.
const unreachableStore = "is it up, and do host, port, name, user, password and pg_hba.conf agree with --store?"

// postgresWriters is how many transactions of pings run at once. More would make the batches smaller, and each commit
// costs the database the same.
const postgresWriters = 4

// writers is how many transactions the store takes at once: SQLite has one writer.
func writers(c configs.Config) int {
	if c.Embedded() {
		return 1
	}
	return postgresWriters
}

// withStore lends do the configured store.
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

// withKeyring lends do the configured store and the keyring that seals what is in it.
func withKeyring(ctx context.Context, c configs.Config, do func(session.Store, session.Keyring, session.RootSecret) error) error {
	root, err := rootSecret(c)
	if err != nil {
		return err
	}
	if _, err := checkKeysApart(ctx, c); err != nil {
		return err
	}
	return withStore(ctx, c, func(store session.Store) error {
		ring, err := openSealingKeyring(ctx, c, root, store, false)
		if err != nil {
			return err
		}
		return errors.Join(do(store, ring, root), ring.Close())
	})
}

// withService lends do a service on the configured store and keyring, without sockets.
func withService(ctx context.Context, c configs.Config, s streams, do func(*session.Service) error) error {
	return withKeyring(ctx, c, func(store session.Store, ring session.Keyring, root session.RootSecret) error {
		return do(&session.Service{
			Store: store, Sealer: session.NewSealer(root, ring), Tokens: session.NewTokens(ring, time.Now),
			Log: newLogger(s, slog.LevelWarn.String()),
		})
	})
}

// record enters what a command is about to do in the access log: what is not recorded does not happen, on the command
// line neither. It is nobody's doing whom Ronde knows; why says what was typed.
func record(ctx context.Context, store session.Store, a session.Access, command string) error {
	a.Why = command
	return store.LogAccess(ctx, []session.Access{a})
}

// openKeyring opens the keyring that the configuration names.
func openKeyring(ctx context.Context, c configs.Config, root session.RootSecret) (ring session.Keyring, err error) {
	if scheme, path := configs.Split(c.Keys); scheme == "file" {
		ring, err = keyring.OpenFolder(path, root)
	} else {
		ring, err = keyring.OpenDatabase(ctx, c.Keys, root, 0)
	}
	switch {
	case errors.Is(err, keyring.ErrWrongRoot):
		return nil, fmt.Errorf("--keys: %w; give every node the --root-secret-file that these keys were made under", err)
	case err != nil:
		return nil, fmt.Errorf("--keys: %w", err)
	}
	return ring, nil
}

// checkKeysApart refuses a keyring in the store's own database, by whatever addresses the two are given, and reports
// whether they are on one server.
func checkKeysApart(ctx context.Context, c configs.Config) (oneServer bool, err error) {
	if c.Embedded() || !c.KeysInDatabase() {
		return false, nil
	}
	store, err := keyring.Locate(ctx, c.Store)
	if err != nil {
		return false, fmt.Errorf("--store: %w", err)
	}
	keys, err := keyring.Locate(ctx, c.Keys)
	if err != nil {
		return false, fmt.Errorf("--keys: %w", err)
	}
	if keys == store {
		return false, errors.New("--keys leads to the same database as --store: " +
			"make another one for keys, or a backup of one would open the other")
	}
	return keys.SameServer(store), nil
}

// openBus opens the bus that the configuration names.
func openBus(ctx context.Context, c configs.Config, root session.RootSecret, log *slog.Logger, registry prometheus.Registerer) (tracker.Bus, error) {
	if scheme, _ := configs.Split(c.Bus); scheme == "mem" {
		return new(tracker.MemBus), nil
	}
	bus, err := redisbus.Open(ctx, redisbus.Options{URL: c.Bus, Root: root, Log: log, Registry: registry})
	if err != nil {
		return nil, fmt.Errorf("--bus: %w", err)
	}
	return bus, nil
}

// rootSecret reads the root secret. Only the embedded default makes one: nodes that share a database must be given the
// same.
func rootSecret(c configs.Config) (session.RootSecret, error) {
	root, err := session.LoadRootSecret(c.RootSecretFile)
	if errors.Is(err, fs.ErrNotExist) && c.Embedded() {
		root, err = createRootSecret(c)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return root, fmt.Errorf("--root-secret-file: %w; make one with: (umask 077; openssl rand -hex 32 > FILE), the same file on every node", err)
	}
	if err != nil {
		return root, fmt.Errorf("--root-secret-file: %w", err)
	}
	return root, nil
}

func createRootSecret(c configs.Config) (root session.RootSecret, err error) {
	folder := filepath.Dir(c.RootSecretFile)
	if err = os.MkdirAll(folder, 0o700); err == nil {
		root, err = session.CreateRootSecret(c.RootSecretFile)
	}
	return root, explainFolder(c, folder, err)
}

// installationOf returns what the privacy policy says of this installation, whose store and keyring may be databases of
// one server: then a backup of that server opens what it holds.
func installationOf(c configs.Config, oneServer bool) session.Installation {
	private := true
	for _, t := range []configs.Transport{c.StoreTransport(), c.KeysTransport(), c.BusTransport()} {
		private = private && t != configs.Plain
	}
	return session.Installation{
		Operator: c.OperatorName, Contact: c.OperatorContact,
		HTTPS: strings.HasPrefix(c.PublicURL, "https://"), Private: private, KeysApart: c.KeysInDatabase() && !oneServer,
	}
}

// newLogger returns the log of a process: JSON lines on standard error.
func newLogger(s streams, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // configs has refused any other word
	}
	return slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: l}))
}
