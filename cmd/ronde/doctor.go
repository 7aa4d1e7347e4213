package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/configs"
	"ronde/session"
	"ronde/session/postgres"
	"ronde/tracker"
	"ronde/tracker/redisbus"
)

// doctorCmd examines the installation.
type doctorCmd struct {
	URL  string        `name:"url" placeholder:"ORIGIN" help:"Where to reach the server from here, if not at --public-url: through the proxy, as a browser does."`
	Idle time.Duration `default:"5s" placeholder:"TIME" help:"How long to leave sockets silent, to see whether the proxy cuts them. Longer than 25s proves that they stay. Default: ${default}."`
	Wait time.Duration `default:"10s" placeholder:"TIME" help:"How long to wait for each answer. Default: ${default}."`
	JSON bool          `name:"json" help:"Print JSON."`

	KeyringBackups string `name:"keyring-backups" type:"path" placeholder:"DIR" help:"Look also at the copies of the keyring in this folder: none may bring back what has expired."`
}

// Help is the longer text of ronde doctor --help.
func (doctorCmd) Help() string {
	return `Looks at everything a node needs, with the settings that the node has, and changes nothing: give it the same flags,
environment and --config, and run it as the same user. Then it goes through --public-url (or --url) to the running
server, as phones and browsers do, and finds what proxies do to sockets: upgrades and headers that do not arrive,
event streams that are held back, timeouts that are too short. For that it makes itself a token that is good for
nothing else and for a few minutes.

One line a check: ok, warn (it works, and will trouble you) or FAIL, what was found, and what to do about it. The exit
code is 1 if a check failed.

Examples:

    ronde doctor
    ronde doctor --config /etc/ronde/ronde.yaml --idle 70s
    ronde doctor --public-url https://ronde.example --url https://10.0.0.7 --json
    ronde doctor --keyring-backups /var/backups/ronde-keys`
}

// The verdicts of a check.
const (
	verdictOK   = "ok"
	verdictWarn = "warn" // it works, and will trouble somebody
	verdictFail = "FAIL"
)

// finding is what a check found.
type finding struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"` // ok, warn or FAIL
	Found   string `json:"found"`
	Advice  string `json:"advice,omitempty"` // what to do, unless it is ok
}

func healthy(check, format string, args ...any) finding {
	return finding{Check: check, Verdict: verdictOK, Found: fmt.Sprintf(format, args...)}
}

// doubtful and broken take the advice first, because what was found is longer.
func doubtful(check, advice, format string, args ...any) finding {
	return finding{check, verdictWarn, fmt.Sprintf(format, args...), advice}
}

func broken(check, advice, format string, args ...any) finding {
	return finding{check, verdictFail, fmt.Sprintf(format, args...), advice}
}

// doctor is one examination: what to look at, and what earlier checks have
// found that later ones build on.
type doctor struct {
	config configs.Config
	url    string // where the server is reached
	asked  bool   // whoever called named that place, so somebody must be there
	idle   time.Duration
	wait   time.Duration
	now    func() time.Time

	backups string // folder of copies of the keyring; "": not to be looked at

	root     session.RootSecret // zero unless it is good
	database *postgres.Report   // nil unless it was reached
	drift    *time.Duration     // how far the database's clock is ahead of this process's; nil: unknown
	known    uuid.UUID          // the keyring that the store was sealed with
	sealed   bool               // the store holds tracks that have not expired
	erased   int64              // the last tombstone that the store has carried out
	unmade   string             // the embedded database, if there is none yet
	ring     session.Keyring    // nil unless it opened
	running  bool               // a Ronde listens where --listen says
	fds      uint64             // open files that the running node may have; 0: unknown
}

func newDoctor(c configs.Config, cmd doctorCmd) *doctor {
	d := &doctor{config: c, url: cmd.URL, asked: cmd.URL != "", idle: cmd.Idle, wait: cmd.Wait, now: time.Now, backups: cmd.KeyringBackups}
	if d.url == "" {
		d.url = c.PublicURL
	}
	return d
}

// Run examines, and fails if a check does.
func (cmd doctorCmd) Run(ctx context.Context, c configs.Config, s streams) error {
	if err := cmd.check(); err != nil {
		return usageError{err}
	}
	d := newDoctor(c, cmd)
	all, failed := []finding{}, 0
	err := d.examine(ctx, func(f finding) error {
		all = append(all, f)
		if f.Verdict == verdictFail {
			failed++
		}
		if cmd.JSON {
			return nil
		}
		return f.print(s)
	})
	if err == nil && cmd.JSON {
		err = s.printJSON(struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{failed == 0, all})
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, len(all))
	}
	return err
}

func (cmd doctorCmd) check() error {
	if err := configs.CheckOrigin(cmd.URL); err != nil {
		return fmt.Errorf("--url %w", err)
	}
	if cmd.Idle < 0 || cmd.Idle > maxIdle {
		return fmt.Errorf("--idle must be from 0 to %v", maxIdle)
	}
	if cmd.Wait <= 0 || cmd.Wait > maxWait {
		return fmt.Errorf("--wait must be above 0 and at most %v", maxWait)
	}
	return nil
}

func (f finding) print(s streams) error {
	text := f.Found
	if f.Advice != "" {
		text += "; " + f.Advice
	}
	text = strings.Join(strings.Fields(text), " ") // drivers' errors have lines of their own
	_, err := fmt.Fprintf(s.out, "%-4s  %-13s  %s\n", f.Verdict, f.Check, text)
	return err
}

// examine runs all checks, in an order in which each finds what it builds on,
// and reports each as soon as it is done.
func (d *doctor) examine(ctx context.Context, report func(finding) error) (err error) {
	defer func() {
		if d.ring != nil {
			err = errors.Join(err, d.ring.Close())
		}
	}()
	for _, check := range []func(context.Context) finding{
		d.checkData, d.checkSecret, d.checkCheckpoints, d.checkStore, d.checkRole, d.checkKeys, d.checkSalts, d.checkKeyBackups, d.checkErasures,
		d.checkClock, d.checkBus,
		d.checkListen, d.checkOpsListen, d.checkFiles, d.checkPublicURL,
	} {
		f := check(ctx)
		if f.Check == "" {
			continue // there is nothing to check here
		}
		if err := report(f); err != nil {
			return err
		}
	}
	if d.url == "" {
		return nil // which was said of the public URL
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // one of this machine's own would be examined instead
	defer transport.CloseIdleConnections()
	v := &visit{doctor: d, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return v.examine(ctx, report)
}

// checkBus opens the bus as a node does: what makes it unusable, openBus says.
func (d *doctor) checkBus(ctx context.Context) finding {
	scheme, _ := configs.Split(d.config.Bus)
	if scheme != "mem" && d.root.IsZero() {
		return doubtful("bus", "mend the root secret first", "was not tried: what goes over it is sealed with the root secret")
	}
	bus, err := openBus(ctx, d.config, d.root, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if redis, ok := bus.(*redisbus.Bus); ok && err == nil {
		err = redis.Check() // a node would start without it, and go on trying
	}
	if bus != nil {
		err = errors.Join(err, bus.Close())
	}
	switch _, alone := bus.(*tracker.MemBus); {
	case err != nil:
		return broken("bus", "start it, or name another with --bus", "%v", err)
	case alone && !d.config.Embedded():
		return doubtful("bus", "name a Redis with --bus as soon as there is a second node", "%s carries progress inside one node only", scheme+":")
	}
	return healthy("bus", "%s works", scheme+":")
}
