package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"ronde/configs"
	"ronde/geo"
	"ronde/session"
)

// demoCmd runs a node on the embedded default with missions to watch.
type demoCmd struct{}

// Help is the longer text of ronde demo --help.
func (demoCmd) Help() string {
	return `Serves on the embedded default in a temporary folder, which is removed at the end, and lets simulated agents walk
made-up missions around Paris over real sockets. It prints the links to open and says what to look for. --store,
--keys, --bus, --data, --checkpoints and --root-secret-file must make sense, as everywhere, and are not used. Stop it
with Ctrl-C; it also ends with its terminal, or once nobody reads what it prints. Only a signal that leaves no time for
it (SIGKILL, or SIGQUIT, which prints where every goroutine is) leaves the folder behind, ronde-demo-* among the
temporary files.

Examples:

    ronde demo
    ronde demo --listen 127.0.0.1:8000 --ops-listen 127.0.0.1:9000
    RONDE_LISTEN=127.0.0.1:8000 RONDE_OPS_LISTEN=127.0.0.1:9000 make run`
}

// story is one mission of the demo.
type story struct {
	reference string
	site      geo.Site
	approach  float64 // metres outside the site at which the agent begins
	offline   []span
	plot      func(ctx context.Context, p *phone) // what happens besides walking; nil for nothing
	tells     string                              // what to look for
}

// stories are the missions of the demo: each shows one thing that Ronde promises.
var stories = []story{
	{"D-1", geo.Site{Name: "Entrepôt de Bercy", Center: geo.Point{Latitude: 48.8339, Longitude: 2.3862}, RadiusM: 90}, 900, nil, nil,
		"on the way, and arriving after a few minutes"},
	{"D-2", geo.Site{Name: "Bureaux du Marais", Center: geo.Point{Latitude: 48.8572, Longitude: 2.3507}, RadiusM: 110}, 0, nil, nil,
		"on site, walking its round"},
	{"D-3", geo.Site{Name: "Galerie Montparnasse", Center: geo.Point{Latitude: 48.8413, Longitude: 2.3226}, RadiusM: 100}, 0, nil, takeBreaks,
		"takes a break after 30 seconds, and vanishes from the map for as long"},
	{"D-4", geo.Site{Name: "Chantier de Pantin", Center: geo.Point{Latitude: 48.8909, Longitude: 2.4039}, RadiusM: 120}, 0, nil, endSoon,
		"ends after 90 seconds, and the page says so"},
	{"D-5", geo.Site{Name: "Dépôt de Levallois", Center: geo.Point{Latitude: 48.8923, Longitude: 2.2985}, RadiusM: 120}, 60,
		[]span{{20 * time.Second, 50 * time.Second}, {80 * time.Second, 110 * time.Second}}, nil,
		"its phone loses the network after 20 seconds, and catches up"},
}

// takeBreaks lets an agent work and pause by turns.
func takeBreaks(ctx context.Context, p *phone) {
	const turn = 30 * time.Second
	for p.OnDuty(ctx) == nil && sleep(ctx, turn) {
		p.Pause(time.Time{})
		if !sleep(ctx, turn) {
			return
		}
		p.Resume()
	}
}

// endSoon ends the mission a while after it began.
func endSoon(ctx context.Context, p *phone) {
	if p.OnDuty(ctx) == nil && sleep(ctx, 90*time.Second) {
		p.End(time.Time{})
	}
}

// Run serves the demo until ctx is done.
func (demoCmd) Run(ctx context.Context, c configs.Config, s streams) (err error) {
	folder, err := os.MkdirTemp("", "ronde-demo-")
	if err != nil {
		return fmt.Errorf("folder of the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	d := configs.Default()
	d.Listen, d.OpsListen, d.PublicURL, d.TrustedProxies, d.LogLevel, d.Data = c.Listen, c.OpsListen, c.PublicURL, c.TrustedProxies, c.LogLevel, folder
	a := newApp(d.Resolve(), demoLogger(s, c.LogLevel), time.Now)
	if err := a.start(ctx); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // it would end the process before the folder is removed
	read, unread := context.WithCancelCause(ctx)
	defer unread(nil)
	demo := &demo{
		app: a, out: printer{s.out, unread},
		platform: &session.Principal{Role: session.Platform, Tenant: "demo", Subject: session.NewID()},
	}
	if err = demo.prepare(read); err == nil {
		err = demo.run(read)
	}
	if read.Err() != nil && ctx.Err() == nil {
		err = context.Cause(read)
	}
	return errors.Join(err, a.stop())
}

// printer is where the demo prints. It says so when that is no longer possible.
type printer struct {
	io.Writer
	failed context.CancelCauseFunc
}

func (p printer) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if err != nil {
		p.failed(fmt.Errorf("the demo ends, because what it prints cannot be written: %w", err))
	}
	return n, err
}

// demoLogger keeps what is usual out of the way of what the demo prints.
func demoLogger(s streams, level string) *slog.Logger {
	if level == configs.Default().LogLevel {
		level = "warn"
	}
	return newLogger(s, level)
}

// demo is a running demonstration.
type demo struct {
	app      *app
	out      io.Writer
	platform *session.Principal
	replays  []*replay
	plots    []func(context.Context)
}

// prepare makes the tenant, the missions and the phones, and prints what there is to see.
func (d *demo) prepare(ctx context.Context) error {
	_, printed, err := createKey(ctx, d.app.service.Store, d.platform.Tenant, session.Operator, "demo")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Ronde demo at %s — everything is made up, and gone when you press Ctrl-C.\n\n", d.app.config.PublicURL)
	var lastToken string
	for i, st := range stories {
		if lastToken, err = d.stage(ctx, i, st); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, `What the agent's phone has is a token for one mission; this one is %s's:
  %s

What an operator has is a key. Pause a mission, and look at its page:
  curl -H 'Authorization: Bearer %s' %s/v1/missions
  curl -H 'Authorization: Bearer %s' -X POST %s/v1/missions/ID/pause

Metrics: http://%s/metrics
`, stories[len(stories)-1].reference, lastToken, printed, d.app.config.PublicURL, printed, d.app.config.PublicURL, d.app.ops.Addr())
	return nil
}

// stage makes one story's mission, link and phone, and prints the link. It returns the agent's token.
func (d *demo) stage(ctx context.Context, i int, st story) (token string, err error) {
	now := time.Now()
	m := &session.Mission{
		Reference: st.reference, Site: st.site, StartsAt: now, EndsAt: now.Add(2 * time.Hour),
		Overrun: session.DefaultOverrun, EarlyBegin: session.DefaultEarlyBegin, Policy: session.DefaultPolicy(),
		Agents: []session.Agent{{ID: fmt.Sprintf("badge-%d", i+1)}},
	}
	service := d.app.service
	if err := service.CreateMission(ctx, d.platform, m); err != nil {
		return "", err
	}
	token, _, err = service.IssueAgentToken(ctx, d.platform, m.ID, m.Agents[0].ID)
	if err != nil {
		return "", err
	}
	_, link, err := service.CreateLink(ctx, d.platform, session.Link{Mission: m.ID, View: session.View{Profile: session.ProfileExact}})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(d.out, "%s  %s: %s\n  %s/live#%s\n\n", st.reference, st.site.Name, st.tells, d.app.config.PublicURL, link)

	p := newPhone(phoneConfig{URL: d.app.config.PublicURL, Token: token})
	walk := round{Center: st.site.Center, Radius: st.site.RadiusM, Approach: st.approach, Seed: uint64(i + 1)}.track()
	source := func(serverFrame) (track, error) { return walk, nil }
	d.replays = append(d.replays, newReplay(p, source, replayOptions{Loop: true, Begin: true, Offline: st.offline}))
	if st.plot != nil {
		d.plots = append(d.plots, func(ctx context.Context) { st.plot(ctx, p) })
	}
	return token, nil
}

// run lets the stories play until ctx is done, or the node fails with the error that it returns.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range d.replays {
		all.Go(func() {
			if err := r.Run(ctx); err != nil {
				fmt.Fprintf(d.out, "an agent of the demo stopped: %v\n", err)
			}
		})
	}
	for _, plot := range d.plots {
		all.Go(func() { plot(ctx) })
	}
	err := d.app.wait(ctx)
	cancel()
	all.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return err
}
