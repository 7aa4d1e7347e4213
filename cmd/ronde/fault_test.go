package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session/postgres/pgtest"
	"ronde/tracker"
	"ronde/tracker/redisbus/redistest"
)

// fault is something that happens to a cluster under load, and how it passes.
type fault struct {
	name string
	// inject makes it happen; heal, if there is one, makes it pass. In between the load goes on for a while that is longer
	// than the reconcile interval, unless inject lasts as long itself.
	inject func(c *fleet, rng *rand.Rand) error
	heal   func(c *fleet, rng *rand.Rand) error
	lasts  bool // inject does
	tells  bool // viewers are to be told
}

// holds is how long a fault lasts: longer than the reconcile interval and the time in which a lost message is noticed.
const holds = 2 * tracker.Interval

var faults = []fault{
	{name: "none", inject: nothing},

	{name: "bus killed", tells: true,
		inject: func(c *fleet, _ *rand.Rand) error { c.redis[0].Kill(c.t); return nil },
		heal:   func(c *fleet, _ *rand.Rand) error { c.redis[0].Restart(c.t); return nil }},
	{name: "bus hangs", tells: true,
		inject: func(c *fleet, _ *rand.Rand) error { c.redis[0].Freeze(c.t); return nil },
		heal:   func(c *fleet, _ *rand.Rand) error { c.redis[0].Thaw(c.t); return nil }},
	{name: "bus pauses its clients", tells: true, inject: func(c *fleet, _ *rand.Rand) error {
		c.redis[0].Do(c.t, "CLIENT", "PAUSE", holds.Milliseconds(), "ALL")
		return nil
	}},
	{name: "forged messages on the bus", inject: forgeMessages},
	{name: "subscribers cut", inject: func(c *fleet, _ *rand.Rand) error {
		c.redis[0].Do(c.t, "CLIENT", "KILL", "TYPE", "pubsub")
		return nil
	}},

	{name: "database killed", tells: true,
		inject: func(c *fleet, _ *rand.Rand) error { return c.pg.Stop(pgtest.Immediate) },
		heal:   func(c *fleet, _ *rand.Rand) error { return c.pg.Restart() }},
	{name: "database hangs", tells: true,
		inject: func(c *fleet, _ *rand.Rand) error { return c.pg.Freeze() },
		heal:   func(c *fleet, _ *rand.Rand) error { return c.pg.Thaw() }},
	{name: "backends terminated", inject: terminateBackends, heal: terminateBackends},
	{name: "no connection to the database left", tells: true, inject: exhaustConnections, heal: freeConnections},
	{name: "replies of the database lost", inject: cutLinks},
	{name: "a mission is locked", inject: lockMission, lasts: true},

	{name: "node killed", inject: func(c *fleet, rng *rand.Rand) error { c.victim(rng).kill(); return nil }, heal: startStopped},
	{name: "node frozen", inject: func(c *fleet, rng *rand.Rand) error { return c.victim(rng).freeze() }, heal: thawAll},
	{name: "slow network", inject: slowDown, heal: rejoinAll},
	{name: "node cut off", inject: func(c *fleet, rng *rand.Rand) error { return c.victim(rng).isolate() }, heal: rejoinAll},
	{name: "rolling restart", inject: rollingRestart},
}

func nothing(*fleet, *rand.Rand) error { return nil }

// victim draws the node that something happens to.
func (c *fleet) victim(rng *rand.Rand) *fleetNode { return c.nodes[rng.IntN(len(c.nodes))] }

func startStopped(c *fleet, _ *rand.Rand) error {
	for _, n := range c.nodes {
		if n.cmd == nil {
			n.start()
		}
	}
	return nil
}

func thawAll(c *fleet, _ *rand.Rand) (err error) {
	for _, n := range c.nodes {
		err = errors.Join(err, n.thaw())
	}
	return err
}

func rejoinAll(c *fleet, _ *rand.Rand) error {
	for _, n := range c.nodes {
		n.rejoin()
	}
	return nil
}

// rollingRestart replaces one node after the other, as an update does.
func rollingRestart(c *fleet, _ *rand.Rand) error {
	for _, n := range c.nodes {
		n.drain()
		n.start()
	}
	return nil
}

// terminateBackends ends every session of the nodes at the database.
func terminateBackends(c *fleet, _ *rand.Rand) error {
	return c.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ronde_node'`)
}

// exhaustConnections sends every node away from the database and lets none in again; freeConnections does.
func exhaustConnections(c *fleet, rng *rand.Rand) error {
	return errors.Join(c.exec(`ALTER ROLE ronde_node CONNECTION LIMIT 0`), terminateBackends(c, rng))
}

func freeConnections(c *fleet, _ *rand.Rand) error {
	return c.exec(`ALTER ROLE ronde_node CONNECTION LIMIT -1`)
}

// forgeMessages publishes, on every channel that nodes listen on, what a stranger might and what a node might have said
// in another place.
func forgeMessages(c *fleet, rng *rand.Rand) error {
	channels := channelsOf(c.t, c.redis[0])
	if len(channels) == 0 {
		return errors.New("no node listens")
	}
	for range 20 {
		for _, channel := range channels {
			forged := make([]byte, rng.IntN(300))
			for i := range forged {
				forged[i] = byte(rng.Uint32())
			}
			c.redis[0].Do(c.t, "SPUBLISH", channel, forged)
		}
	}
	return nil
}

// channelsOf lists the channels that nodes listen on at a server.
func channelsOf(t testing.TB, s *redistest.Server) []any {
	channels, _ := s.Do(t, "PUBSUB", "SHARDCHANNELS").([]any)
	return channels
}

// moveSlots gives every slot that nodes listen on to another master.
func moveSlots(c *fleet, _ *rand.Rand) error {
	moves := map[int64]*redistest.Server{}
	for i, from := range c.redis {
		for _, channel := range channelsOf(c.t, from) {
			slot, _ := from.Do(c.t, "CLUSTER", "KEYSLOT", channel).(int64)
			moves[slot] = c.redis[(i+1)%len(c.redis)]
		}
	}
	for slot, to := range moves {
		c.slots.Move(c.t, int(slot), to)
	}
	return nil
}

// slowDown delays everything on the links of one node.
func slowDown(c *fleet, rng *rand.Rand) error {
	return c.victim(rng).poison(`"latency"`, `{"latency":100,"jitter":80}`)
}

// cutLinks closes the connections of every node, several times, whatever is on its way: among it answers to commits.
func cutLinks(c *fleet, rng *rand.Rand) (err error) {
	for range 10 {
		for _, n := range c.nodes {
			waits(c.t.Context(), time.Duration(rng.Int64N(int64(50*time.Millisecond))))
			err = errors.Join(err, n.cut())
		}
	}
	return err
}

// lockMission holds the row of one running mission, as a transition does that hangs.
func lockMission(c *fleet, _ *rand.Rand) error {
	return c.onDatabase(c.t.Context(), func(conn *pgx.Conn) error {
		tx, err := conn.Begin(c.t.Context())
		if err != nil {
			return err
		}
		if _, err := tx.Exec(c.t.Context(), `SELECT FROM missions WHERE state = 'active' LIMIT 1 FOR UPDATE`); err != nil {
			return err
		}
		waits(c.t.Context(), holds)
		return tx.Rollback(c.t.Context())
	})
}

// trial is what came of letting one fault happen.
type trial struct {
	verdict
	injected bool          // everybody streamed before, and the fault came and passed
	recovery time.Duration // from healing until everybody was live again
	told     int           // how often viewers were told that they see less than there is
	err      error         // what never came
}

const (
	crews = 3
	// mayLinger is how long after a close a position may still be shown: the interval of I4, and what a machine with two
	// busy cores adds on the way to the screen.
	mayLinger = tracker.Interval + time.Second
)

// try lets a fault happen to a cluster under load and judges what was seen. patience bounds all of it; no sound cluster
// comes near. The first crew is left in peace, so that what it sees is the fault's work alone.
func (f *fault) try(c *fleet, seed uint64, patience time.Duration) (o trial) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	rng := rand.New(rand.NewPCG(seed, 0))
	var all []*crew
	for i := range crews {
		all = append(all, startCrew(ctx, c, rng.Uint64(), i > 0))
	}
	defer func() {
		for _, w := range all {
			o.err = errors.Join(o.err, w.end(ctx))
		}
	}()
	if o.err = eventually(ctx, all, func(w *crew) error { return w.streaming(time.Time{}) }); o.err != nil {
		return o
	}
	if o.err = f.happen(ctx, c, rng); o.err != nil {
		return o
	}
	o.injected = true
	healed := time.Now()
	for _, w := range all {
		w.directing()
		w.plays.Wait()
	}
	if o.err = eventually(ctx, all, func(w *crew) error { return w.streaming(healed) }); o.err != nil {
		return o
	}
	o.recovery = time.Since(healed)
	for _, w := range all {
		o.err = errors.Join(o.err, o.judge(ctx, w))
	}
	return o
}

func (f *fault) happen(ctx context.Context, c *fleet, rng *rand.Rand) error {
	if err := f.inject(c, rng); err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	if !f.lasts {
		waits(ctx, holds)
	}
	if f.heal == nil {
		return nil
	}
	if err := f.heal(c, rng); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	return nil
}

func (o *trial) judge(ctx context.Context, w *crew) error {
	stored, windows, err := w.settle(ctx)
	if err != nil {
		return err
	}
	err = eventually(ctx, []*crew{w}, func(w *crew) error { return w.converged(stored) })
	o.add(w.history.judge(stored, windows, mayLinger))
	for _, v := range w.watchers {
		o.told += v.wasTold()
	}
	return err
}

// eventually waits until ready returns nil for every crew.
func eventually(ctx context.Context, all []*crew, ready func(*crew) error) error {
	for {
		var missing error
		for _, w := range all {
			missing = errors.Join(missing, ready(w))
		}
		if missing == nil {
			return nil
		}
		if !waits(ctx, 20*time.Millisecond) {
			return fmt.Errorf("never came: %w", missing)
		}
	}
}

// clusterFaults are those that only a Redis Cluster knows.
var clusterFaults = []fault{
	{name: "slots move", inject: moveSlots},
	{name: "a master killed",
		inject: func(c *fleet, _ *rand.Rand) error { c.redis[0].Kill(c.t); return nil },
		heal:   func(c *fleet, _ *rand.Rand) error { c.redis[0].Restart(c.t); return nil }},
}

// TestFaultsOfBusCluster does what TestFaults does, over a Redis Cluster.
func TestFaultsOfBusCluster(t *testing.T) {
	c := startFleet(t, size{nodes: 3, masters: 3})
	for _, f := range clusterFaults {
		t.Run(f.name, func(t *testing.T) { f.test(t, c) })
	}
}

// TestFaults lets everything happen to a cluster that may happen to one: nothing acked is lost or stored twice, nothing
// is stored outside of a window, nothing is shown that was not stored or after a close, and everybody recovers. The seed
// of a trial can be given with RONDE_SEED.
func TestFaults(t *testing.T) {
	c := startFleet(t, size{nodes: 3})
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) { f.test(t, c) })
	}
}

func (f *fault) test(t *testing.T, c *fleet) {
	for round := range rounds(1, 20) {
		seed := seedOf(t, round)
		o := f.try(c, seed, 4*testPatience)
		t.Logf("seed %d: %v; told %d times; recovered in %v", seed, o.verdict, o.told, o.recovery.Round(time.Millisecond))
		if o.err != nil || o.wrong() != "" {
			t.Fatalf("seed %d: %s; %v", seed, o.wrong(), o.err)
		}
		if f.tells && o.told == 0 {
			t.Fatalf("seed %d: viewers saw less than there was, and were not told", seed)
		}
	}
}

// seedOf derives the seed of a round from the name of its test, so that every trial differs and each can be repeated.
func seedOf(t *testing.T, round int) uint64 {
	if given := os.Getenv("RONDE_SEED"); given != "" {
		seed, err := strconv.ParseUint(given, 10, 64)
		check(t, err)
		return seed
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", t.Name(), round)
	return h.Sum64() % 1_000_000
}
