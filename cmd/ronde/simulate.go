package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"ronde/geo"
)

// simulateCmd makes agents that walk, as phones over real sockets.
type simulateCmd struct {
	URL       string   `name:"url" default:"http://127.0.0.1:8080" placeholder:"ORIGIN" help:"Server to report to. Default: ${default}."`
	Token     []string `env:"RONDE_TOKEN" placeholder:"TOKEN" help:"Token of an agent; repeatable, one agent each. The environment and --token-file keep it off the list of processes."`
	TokenFile string   `placeholder:"FILE" help:"File with tokens, one a line; - is standard input."`

	GPX      []string `name:"gpx" placeholder:"FILE" help:"Recording to replay; repeatable, agents take them in turn. Without, they walk made-up rounds."`
	Center   *latLon  `placeholder:"LAT,LON" help:"Middle of the rounds. Default: the mission's site."`
	Radius   float64  `placeholder:"METRES" help:"Radius of the rounds. Default: the site's, or 80."`
	Approach float64  `default:"150" placeholder:"METRES" help:"How far outside the rounds begin. Default: ${default}."`
	Seed     uint64   `default:"1" placeholder:"N" help:"What makes rounds differ; each agent adds its number. Default: ${default}."`

	Speed    float64       `default:"1" placeholder:"N" help:"Times real time. Gaps shrink both in sending and in device time, which stays true to the server's clock. Default: ${default}."`
	Loop     bool          `help:"Begin again at the end, until interrupted."`
	Duration time.Duration `placeholder:"TIME" help:"Stop after that long, such as 90s or 2h."`
	Offline  []span        `placeholder:"FROM-TO" help:"Time without a network, such as 30s-90s after the first position; repeatable. The phone keeps what it takes and sends it afterwards."`

	Begin        bool `help:"Begin the mission."`
	End          bool `help:"End the mission when everything is settled, also after an interrupt."`
	AcceptNotice bool `help:"Acknowledge the tenant's privacy notice."`

	JSON bool `name:"json" help:"Print the report as JSON."`
}

// Help is the longer text of ronde simulate --help.
func (simulateCmd) Help() string {
	return `Replays recordings, or walks made-up rounds, as the phones of agents: with the gaps, jumps and order of the
recording, buffering without a network and sending again what was not acknowledged. Points without a time are skipped
and counted. Without --begin it waits for the mission to begin. The exit code is 1 if the server left anything
unanswered.

The token of an agent comes from the API: POST /v1/missions/{id}/agents/{agent}/token.

Examples, with the token in RONDE_TOKEN:

    ronde simulate --begin --end --duration 10s
    ronde simulate --gpx round.gpx --speed 20 --offline 30s-90s
    ronde simulate --url https://ronde.example --token-file tokens.txt --loop`
}

// Run simulates the agents until all are done or ctx ends, and prints the report.
func (cmd *simulateCmd) Run(ctx context.Context, s streams) error {
	if err := cmd.check(); err != nil {
		return usageError{err}
	}
	tokens, err := cmd.tokens(s.in)
	if err != nil {
		return usageError{err}
	}
	tracks, err := cmd.recordings()
	if err != nil {
		return err
	}
	// Handshakes are all that the client is for, and an agent has one connection: nothing to keep.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()

	sim := simulation{began: time.Now()}
	for i, token := range tokens {
		p := newPhone(phoneConfig{URL: cmd.URL, Token: token, Client: &http.Client{Transport: transport}})
		sim.replays = append(sim.replays, newReplay(p, cmd.source(i, tracks), cmd.options()))
	}
	sim.run(ctx, s.err)
	report := sim.report()
	if err := report.print(s, cmd.JSON); err != nil {
		return err
	}
	return report.verdict()
}

func (cmd *simulateCmd) options() replayOptions {
	return replayOptions{
		Speed: cmd.Speed, Loop: cmd.Loop, Duration: cmd.Duration, Offline: cmd.Offline,
		Begin: cmd.Begin, End: cmd.End, Acknowledge: cmd.AcceptNotice,
	}
}

// check finds what kong cannot: values out of their range.
func (cmd *simulateCmd) check() error {
	u, err := url.Parse(cmd.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ws" && u.Scheme != "wss"):
		return errors.New("--url must be an origin, such as https://ronde.example")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("--url must be an origin, without user, query or fragment")
	case !(cmd.Speed > 0 && cmd.Speed <= 10_000):
		return errors.New("--speed must be above 0 and at most 10000")
	case !(cmd.Radius >= 0 && cmd.Radius <= 20_000):
		return errors.New("--radius must be from 0 to 20000 metres")
	case !(cmd.Approach >= 0 && cmd.Approach <= 20_000):
		return errors.New("--approach must be from 0 to 20000 metres")
	case cmd.Duration < 0:
		return errors.New("--duration must not be negative")
	}
	return nil
}

// tokens gathers the tokens of the command line, the environment and the file.
func (cmd *simulateCmd) tokens(stdin io.Reader) ([]string, error) {
	tokens := cmd.Token
	if cmd.TokenFile != "" {
		more, err := readTokens(cmd.TokenFile, stdin)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, more...)
	}
	if len(tokens) == 0 {
		return nil, errors.New("no agent: give --token, RONDE_TOKEN or --token-file")
	}
	return tokens, nil
}

func readTokens(name string, stdin io.Reader) ([]string, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
		defer f.Close()
		r = f
	}
	var tokens []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			tokens = append(tokens, line)
		}
	}
	return tokens, lines.Err()
}

// recordings reads the GPX files.
func (cmd *simulateCmd) recordings() ([][]point, error) {
	var all [][]point
	for _, name := range cmd.GPX {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		points, err := readGPX(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(points) == 0 {
			return nil, fmt.Errorf("%s: no track points", name)
		}
		all = append(all, points)
	}
	return all, nil
}

// source returns what the agent of the given number is carried along.
func (cmd *simulateCmd) source(agent int, recordings [][]point) func(serverFrame) (track, error) {
	if len(recordings) > 0 {
		points := recordings[agent%len(recordings)]
		return func(serverFrame) (track, error) {
			return func(int) []point { return points }, nil
		}
	}
	return func(hello serverFrame) (track, error) {
		r, err := cmd.roundAt(hello.Mission.Site)
		if err != nil {
			return nil, err
		}
		r.Seed += uint64(agent)
		return r.track(), nil
	}
}

// roundAt places a round where the flags say, or else at the site.
func (cmd *simulateCmd) roundAt(site helloSite) (round, error) {
	r := round{Radius: cmd.Radius, Approach: cmd.Approach, Seed: cmd.Seed}
	inner := site.RadiusM
	switch {
	case cmd.Center != nil:
		r.Center = geo.Point(*cmd.Center)
	case site.Point != nil:
		r.Center = geo.Point{Latitude: site.Point.Latitude, Longitude: site.Point.Longitude}
	case site.Area != nil:
		area := geo.NewAreaSite("", site.Area)
		r.Center, inner = area.Center, max(1, -area.ToBorder(area.Center))
	default:
		return round{}, errors.New("the mission's site has no point to walk around: give --center")
	}
	if r.Radius == 0 && cmd.Center == nil {
		r.Radius = inner
	}
	if r.Radius == 0 {
		r.Radius = 80
	}
	return r, nil
}

// simulation is several agents at once.
type simulation struct {
	replays []*replay
	errs    []error // by agent, once run has returned
	began   time.Time
	took    time.Duration
}

// run carries all agents along and tells how it goes on w, if that is a terminal.
func (s *simulation) run(ctx context.Context, w io.Writer) {
	s.errs = make([]error, len(s.replays))
	stop := s.showProgress(w)
	var agents sync.WaitGroup
	for i, r := range s.replays {
		agents.Go(func() { s.errs[i] = r.Run(ctx) })
	}
	agents.Wait()
	s.took = time.Since(s.began)
	stop()
}
