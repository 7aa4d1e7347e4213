package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"ronde/configs"
	"ronde/session"
)

// planted makes the test binary be ronde serve with a bug of that name.
const planted = "RONDE_TEST_PLANTED"

// bugs are mistakes in the code between a node and its store. A test that cannot tell them from a sound node shows
// nothing.
var bugs = map[string]func(session.Store) session.Store{
	"published before it was stored": func(s session.Store) session.Store { return &hasty{Store: s} },
	"nothing is reconciled":          func(s session.Store) session.Store { return &incurious{Store: s} },
}

// hasty says that everything is stored before it asks.
type hasty struct {
	session.Store
	later sync.WaitGroup
}

func (h *hasty) Append(ctx context.Context, batch []*session.Submission) error {
	var copies []*session.Submission
	for _, s := range batch {
		if len(s.Sealed) == 0 {
			return h.Store.Append(ctx, batch) // or the node would never learn that it has to seal
		}
	}
	for _, s := range batch {
		copied := *s
		copies = append(copies, &copied)
		s.Now, s.Verdicts = time.Now().UnixMilli(), make([]session.Verdict, len(s.Pings))
		for i := range s.Verdicts {
			s.Verdicts[i] = session.Stored
		}
	}
	h.later.Go(func() { _ = h.Store.Append(context.WithoutCancel(ctx), copies) }) // nobody looks: that is the bug
	return nil
}

func (h *hasty) Close() error {
	h.later.Wait()
	return h.Store.Close()
}

// incurious learns nothing from the store but the time.
type incurious struct{ session.Store }

func (i *incurious) News(ctx context.Context, known []session.Known) (session.News, error) {
	news, err := i.Store.News(ctx, known)
	return session.News{Now: news.Now}, err
}

// servePlanted is ronde serve with a bug. It returns the exit code.
func servePlanted(bug string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := streams{os.Stdin, os.Stdout, os.Stderr}
	if err := serveWith(ctx, bugs[bug], args, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRun
	}
	return exitOK
}

func serveWith(ctx context.Context, plant func(session.Store) session.Store, args []string, s streams) error {
	var c cli
	parser, err := kong.New(&c, kong.Bind(s), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(args); err != nil {
		return err
	}
	config, err := c.load(os.LookupEnv)
	if err != nil {
		return err
	}
	a := newApp(config, newLogger(s, config.LogLevel), time.Now)
	a.open = func(ctx context.Context, c configs.Config, now func() time.Time) (session.Store, error) {
		store, err := openStore(ctx, c, now)
		if err != nil {
			return nil, err
		}
		return plant(store), nil
	}
	if err := a.start(ctx); err != nil {
		return err
	}
	err = a.wait(ctx)
	return errors.Join(err, a.stop())
}

// slowTransitions makes every transition take a while between reading the clock and its commit.
func (c *fleet) slowTransitions() {
	c.t.Helper()
	check(c.t, c.exec(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$`,
		`CREATE TRIGGER slow BEFORE UPDATE ON missions FOR EACH ROW EXECUTE FUNCTION slow()`))
}

// unlock takes the lock out of the judging function.
func (c *fleet) unlock() {
	c.t.Helper()
	const lock = " FOR SHARE SKIP LOCKED"
	var definition string
	check(c.t, c.onDatabase(c.t.Context(), func(conn *pgx.Conn) error {
		return conn.QueryRow(c.t.Context(), `SELECT pg_get_functiondef('ronde_append'::regproc)`).Scan(&definition)
	}))
	if strings.Count(definition, lock) != 1 {
		c.t.Fatalf("the judging function locks in another way: %s", definition)
	}
	check(c.t, c.exec(strings.Replace(definition, lock, "", 1)))
}

// TestPlantedBugsAreCaught: each bug shows in what the judge counts, or in what viewers were not told.
func TestPlantedBugsAreCaught(t *testing.T) {
	for _, c := range []struct {
		bug   string
		fault string
		shows func(trial) bool
	}{
		{"published before it was stored", "none", func(o trial) bool { return o.unstored > 0 && o.lost > 0 }},
		{"nothing is reconciled", "bus killed", func(o trial) bool { return o.told == 0 || o.err != nil }},
	} {
		t.Run(c.bug, func(t *testing.T) {
			faultNamed(t, c.fault).shows(t, startFleet(t, size{nodes: 2, bug: c.bug}), 1, c.shows)
		})
	}
}

// TestMissingLockIsCaught: while transitions are slow nothing is stored outside of a window, until the judging function
// does not lock any more.
func TestMissingLockIsCaught(t *testing.T) {
	c, none := startFleet(t, size{nodes: 2}), faultNamed(t, "none")
	c.slowTransitions()
	if o := none.try(c, 1, 4*testPatience); o.err != nil || o.wrong() != "" {
		t.Fatalf("%s; %v; %v", o.wrong(), o.err, o.verdict)
	}
	c.unlock()
	none.shows(t, c, 2, func(o trial) bool { return o.outside > 0 })
}

// shows checks that a trial with a bug in the cluster shows it. Not every bug does with every seed.
func (f *fault) shows(t *testing.T, c *fleet, seed uint64, bug func(trial) bool) {
	t.Helper()
	o := f.try(c, seed, testPatience/2)
	t.Logf("%v; told %d times; %v", o.verdict, o.told, o.err)
	if !o.injected || !bug(o) {
		t.Error("nobody noticed")
	}
}

func faultNamed(t *testing.T, name string) *fault {
	t.Helper()
	for i := range faults {
		if faults[i].name == name {
			return &faults[i]
		}
	}
	t.Fatalf("no fault is named %q", name)
	return nil
}
