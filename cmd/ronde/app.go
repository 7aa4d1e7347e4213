package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ronde/configs"
	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/redisbus"
	"ronde/web"
)

// app is one node: what serve runs and tests start on port 0. Its wiring reads from top to bottom in start; what start
// opens, stop closes in reverse.
type app struct {
	config configs.Config
	log    *slog.Logger
	now    func() time.Time // the clock of the embedded store and of tokens; time.Now unless a test owns it
	open   storeOpener      // openStore, unless a test plants a fault in what it opens

	newKeyring bool // an empty keyring may seal a store that holds tracks already

	service *session.Service
	public  net.Listener
	ops     net.Listener

	stops []stopper // last in, first out
	fails chan error
}

type stopper struct {
	name string
	stop func(context.Context) error
}

// stopTimeout bounds how long a node takes to stop.
const stopTimeout = 20 * time.Second

func newApp(c configs.Config, log *slog.Logger, now func() time.Time) *app {
	return &app{config: c, log: log, now: now, open: openStore, fails: make(chan error, 2)}
}

func (a *app) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, stopper{name, stop})
}

// start brings the node up. On an error, what was opened is closed again.
func (a *app) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, a.stop())
		}
	}()
	root, err := rootSecret(a.config)
	if err != nil {
		return err
	}
	oneServer, err := checkKeysApart(ctx, a.config)
	if err != nil {
		return err
	}
	if oneServer {
		a.log.Warn("keys_on_server_of_store", "advice", "a backup of the whole server, or its archived log, holds the keys to what it holds: keep it no longer than keys, or move --keys to another server")
	}
	store, err := a.open(ctx, a.config, a.now)
	if err != nil {
		return err
	}
	a.onStop("store", func(context.Context) error { return store.Close() })
	ring, err := openSealingKeyring(ctx, a.config, root, store, a.newKeyring)
	if err != nil {
		return err
	}
	a.onStop("keyring", func(context.Context) error { return ring.Close() })
	if _, err := ring.EnsureSigningKey(ctx); err != nil { // before anybody looks at the keyring, who makes none
		return fmt.Errorf("--keys: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	bus, err := openBus(ctx, a.config, root, a.log, registry)
	if err != nil {
		return err
	}
	a.onStop("bus", func(context.Context) error { return bus.Close() })

	rows, err := session.NewAccessKey(root)
	if err != nil {
		return err
	}
	store = rows.Store(store)
	a.service = &session.Service{
		Store:  store,
		Sealer: session.NewSealer(root, ring),
		Tokens: session.NewTokens(ring, a.now),
		Log:    a.log,
		Access: session.NewAccessWriter(store),

		Installation: installationOf(a.config, oneServer),
	}
	if err := a.keepAccessLog(ctx, root, ring, registry); err != nil {
		return err
	}
	if err := a.replayTombstones(ctx); err != nil {
		return err
	}
	hub := tracker.New(tracker.Options{
		Service: a.service, Bus: bus, Log: a.log, Registry: registry, Now: a.now, Shards: writers(a.config),
	})
	a.onStop("recorder", func(context.Context) error { hub.Close(); return nil })
	a.keepTidy(registry)
	return a.listen(ctx, registry, hub, readiness(store, ring, bus))
}

// replayTombstones erases again what a restored backup of the store brought back, before anybody can ask for it.
func (a *app) replayTombstones(ctx context.Context) error {
	n, err := a.service.ReplayTombstones(ctx)
	if err != nil {
		return fmt.Errorf("erase again what was erased before: %w", err)
	}
	if n > 0 {
		a.log.Warn("tombstones_replayed", "erasures", n, "because", "the store was restored from a backup, or an erasure was interrupted")
	}
	return nil
}

// listen opens both listeners and serves them.
func (a *app) listen(ctx context.Context, registry *prometheus.Registry, hub *tracker.Hub, checks []web.Check) (err error) {
	if a.public, err = listenOn(ctx, "listen", a.config.Listen); err != nil {
		return err
	}
	a.onStop("public listener", closeListener(a.public))
	if a.ops, err = listenOn(ctx, "ops-listen", a.config.OpsListen); err != nil {
		return err
	}
	a.onStop("ops listener", closeListener(a.ops))
	if a.config.PublicURL == "" {
		a.config.PublicURL = configs.Origin(a.public.Addr().String())
	}
	drain := make(chan struct{})
	a.serve("ops", a.ops, web.NewOps(web.OpsOptions{
		Gatherer: registry,
		Checks:   append(checks, draining(drain)),
	}))
	a.serve("public", a.public, web.New(web.Options{
		Service: a.service, PublicURL: a.config.PublicURL,
		AgentSocket: http.HandlerFunc(hub.ServeAgent),
		LiveSocket:  http.HandlerFunc(hub.ServeViewer),
		LiveEvents:  hub.ServeEvents,
		Log:         a.log, Version: version, TrustedProxies: a.config.Proxies(),
	}))
	// Sockets go before their server: it waits for event streams.
	a.onStop("sockets", func(context.Context) error { hub.Close(); return nil })
	a.onStop("readiness", func(context.Context) error { close(drain); return nil })
	a.log.Info("started", "public_url", a.config.PublicURL, "listen", a.public.Addr().String(), "ops", a.ops.Addr().String(), "version", version)
	return nil
}

func listenOn(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--%s %s: %w; %s", flag, address, err, listenAdvice(flag, address, err))
	}
	return l, nil
}

// listenAdvice says what to do about an address that cannot be listened on.
func listenAdvice(flag, address string, err error) string {
	_, port, _ := net.SplitHostPort(address)
	set := fmt.Sprintf("with --%s or, where that cannot be given (make run), %s=HOST:PORT", flag, configs.EnvName(flag))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("see who has the port with: ss -ltnp 'sport = :%s'; stop that, or choose another address %s", port, set)
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("ports below 1024 are not for ordinary users: choose a higher one %s, behind a proxy, or grant CAP_NET_BIND_SERVICE", set)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("no interface of this machine has that address: choose one that `ip address` shows %s", set)
	}
	return "choose another address " + set
}

// closeListener returns a stopper for a listener that its server may have closed already.
func closeListener(l net.Listener) func(context.Context) error {
	return func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// serve runs an HTTP server on l until the app stops.
func (a *app) serve(name string, l net.Listener, h http.Handler) {
	server := web.NewHTTPServer(h, a.log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.fails <- fmt.Errorf("%s listener: %w", name, err)
		}
	}()
	a.onStop(name+" server", func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		<-done
		return err
	})
}

// stop takes the node down: not ready, no new request, sockets drained, recorder flushed, store closed.
func (a *app) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for i := len(a.stops) - 1; i >= 0; i-- {
		if err := a.stops[i].stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", a.stops[i].name, err))
		}
	}
	a.stops = nil
	return errors.Join(errs...)
}

// wait returns when ctx is done or a listener has failed.
func (a *app) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.fails:
		return err
	}
}

// readiness lists what this node needs to serve, and the bus, without which it serves all the same.
func readiness(store session.Store, ring session.Keyring, bus tracker.Bus) []web.Check {
	checks := []web.Check{
		{Name: "store", Advice: "is the database of --store up, reachable and not full?", Probe: func(ctx context.Context) error {
			_, err := store.Now(ctx)
			return err
		}},
		{Name: "keys", Advice: "is the keyring of --keys reachable and readable?", Probe: func(ctx context.Context) error {
			_, err := ring.SigningKeys(ctx)
			return err
		}},
	}
	if b, ok := bus.(*redisbus.Bus); ok {
		checks = append(checks, web.Check{
			Name: "bus", Advice: "is the Redis of --bus up and reachable? until it is, viewers see what other nodes receive 2 s late",
			Probe: func(context.Context) error { return b.Check() }, Optional: true,
		})
	}
	return checks
}

// draining is the check that fails once the node drains.
func draining(drain <-chan struct{}) web.Check {
	return web.Check{Name: "running", Advice: "the node is stopping: send it nothing more", Probe: func(context.Context) error {
		select {
		case <-drain:
			return errors.New("draining")
		default:
			return nil
		}
	}}
}
