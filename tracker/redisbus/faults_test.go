package redisbus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/redisbus"
	"ronde/tracker/redisbus/redistest"
)

// hasty is a patience that lets tests of faults end soon.
func hasty(o *redisbus.Options) { o.Patience = time.Second }

// patient is a patience that outlasts the test: silence is no help to it.
func patient(o *redisbus.Options) { o.Patience = time.Hour }

// changed is the simplest message.
func changed(mission uuid.UUID, revision int64) *tracker.Message {
	return &tracker.Message{Mission: mission, Kind: tracker.Changed, Revision: revision}
}

// subscribe subscribes and returns the revisions that are heard, the newest of
// them if nobody asks.
func subscribe(t *testing.T, n node, mission uuid.UUID) (heard chan int64, cancel func()) {
	t.Helper()
	heard = make(chan int64, 1)
	cancel, err := n.Subscribe(t.Context(), mission, func(m *tracker.Message) {
		select {
		case <-heard:
		default:
		}
		heard <- m.Revision
	})
	if err != nil {
		t.Fatal(err)
	}
	return heard, cancel
}

// publishUntil publishes until something published here is heard there.
func publishUntil(t *testing.T, here node, mission uuid.UUID, heard <-chan int64) {
	t.Helper()
	first := time.Now().UnixNano()
	until(t, "a message is heard", func() bool {
		_ = here.Publish(t.Context(), []*tracker.Message{changed(mission, time.Now().UnixNano())})
		select {
		case revision := <-heard:
			return revision >= first
		default:
			return false
		}
	})
}

// until asks every few milliseconds whether something has come about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%s: %v, want session.ErrUnavailable", what, err)
	}
}

// TestRedisGone: whatever Redis does, publishing costs next to nothing and
// subscribers of the same node hear all; afterwards everything is as before.
func TestRedisGone(t *testing.T) {
	for name, c := range map[string]struct {
		spoil, mend func(*testing.T, *redistest.Server)
	}{
		"crash": {
			func(t *testing.T, s *redistest.Server) { s.Kill(t) },
			func(t *testing.T, s *redistest.Server) { s.Restart(t) },
		},
		"hang": {
			func(t *testing.T, s *redistest.Server) { s.Freeze(t) },
			func(t *testing.T, s *redistest.Server) { s.Thaw(t) },
		},
		"pause": {
			func(t *testing.T, s *redistest.Server) { s.Do(t, "client", "pause", 5000, "all") },
			func(*testing.T, *redistest.Server) {}, // it ends by itself
		},
	} {
		t.Run(name, func(t *testing.T) {
			redis := redistest.Start(t)
			url, root := "redis://"+redis.Addr(), session.NewRootSecret()
			here, there := open(t, url, root, hasty), open(t, url, root, hasty)
			mission := session.NewID()
			local, _ := subscribe(t, here, mission)
			remote, _ := subscribe(t, there, mission)
			publishUntil(t, here, mission, remote)

			c.spoil(t, redis)
			publishWhileGone(t, here, mission, local)
			subscribeWhileGone(t, there)
			until(t, "both nodes know", func() bool { return here.Check() != nil && there.Check() != nil })
			unavailable(t, "check", here.Check())
			_, err := there.Subscribe(t.Context(), session.NewID(), func(*tracker.Message) {})
			unavailable(t, "subscribe, known to be down", err)

			c.mend(t, redis)
			publishUntil(t, here, mission, remote)
			until(t, "both nodes know", func() bool { return here.Check() == nil && there.Check() == nil })
			other := session.NewID()
			heard, _ := subscribe(t, there, other)
			publishUntil(t, here, other, heard)
		})
	}
}

// publishWhileGone publishes more than the queue holds. If each waited for
// Redis, however shortly, it would take hours.
func publishWhileGone(t *testing.T, here node, mission uuid.UUID, local <-chan int64) {
	t.Helper()
	const n = 50_000
	start, refused := time.Now(), 0
	for i := range int64(n) {
		err := here.Publish(t.Context(), []*tracker.Message{changed(mission, i)})
		if err != nil {
			unavailable(t, "publish", err)
			refused++
		}
		if got := <-local; got != i {
			t.Fatalf("a subscriber of the same node heard %d instead of %d", got, i)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("publishing took %v", took)
	}
	until(t, "publishing is refused", func() bool {
		err := here.Publish(t.Context(), []*tracker.Message{changed(mission, 0)})
		return errors.Is(err, session.ErrUnavailable)
	})
	if n := here.count(t, "ronde_bus_dropped_total", "unsent") + here.count(t, "ronde_bus_dropped_total", "overflow"); n < float64(refused) {
		t.Errorf("%d messages were refused and %v counted", refused, n)
	}
}

func subscribeWhileGone(t *testing.T, there node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := there.Subscribe(ctx, session.NewID(), func(*tracker.Message) {})
	unavailable(t, "subscribe", err)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("subscribing took %v", took)
	}
}

// TestOverflow: a full queue drops what does not fit, says so and counts it.
func TestOverflow(t *testing.T) {
	redis := redistest.Start(t)
	here := open(t, "redis://"+redis.Addr(), session.NewRootSecret(), func(o *redisbus.Options) { o.Patience = time.Minute })
	mission := session.NewID()
	local, _ := subscribe(t, here, mission)
	redis.Freeze(t)
	var refused float64
	for i := int64(0); refused < 2 && i < 100_000; i++ {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it will not wait for room
		if err := here.Publish(ctx, []*tracker.Message{changed(mission, i)}); err != nil {
			unavailable(t, "publish", err)
			refused++
		}
		if got := <-local; got != i {
			t.Fatalf("a subscriber of the same node heard %d instead of %d", got, i)
		}
	}
	if got := here.count(t, "ronde_bus_dropped_total", "overflow"); refused != 2 || got != refused {
		t.Errorf("%v messages were refused and %v counted", refused, got)
	}
	redis.Thaw(t)
	until(t, "there is room again", func() bool {
		return here.Publish(t.Context(), []*tracker.Message{changed(mission, 0)}) == nil
	})
}

// TestQueueIsGivenUp: what waits for a Redis that hangs is given up with the
// first command that it does not answer, and does not wait for one each.
func TestQueueIsGivenUp(t *testing.T) {
	redis := redistest.Start(t)
	// Sixteen commands, of which each is given up after six seconds, would take
	// longer than until waits.
	here := open(t, "redis://"+redis.Addr(), session.NewRootSecret(), func(o *redisbus.Options) { o.Patience = 12 * time.Second })
	mission := session.NewID()
	redis.Freeze(t)
	const n = 16_000
	for i := range int64(n) {
		if err := here.Publish(t.Context(), []*tracker.Message{changed(mission, i)}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all are given up", func() bool { return here.count(t, "ronde_bus_dropped_total", "unsent") == n })
	redis.Thaw(t)
}

// TestComingAndGoing: a mission that is given up and wanted again at once costs
// no connection: Redis confirming the one is not taken for its losing the other.
func TestComingAndGoing(t *testing.T) {
	redis := redistest.Start(t)
	n := open(t, "redis://"+redis.Addr(), session.NewRootSecret(), nil)
	stays, goes := twoOfOnePartition()
	subscribe(t, n, stays)
	for range 5000 {
		_, cancel := subscribe(t, n, goes)
		cancel()
	}
	heard, _ := subscribe(t, n, goes)
	publishUntil(t, n, goes, heard)
	if got := n.count(t, "ronde_bus_remakes_total", ""); got != 0 {
		t.Errorf("%v connections were replaced, and nothing was wrong", got)
	}
}

// twoOfOnePartition returns two missions that share a partition.
func twoOfOnePartition() (first, second uuid.UUID) {
	first, second = session.NewID(), session.NewID()
	for redisbus.PartitionOf(second) != redisbus.PartitionOf(first) {
		second = session.NewID()
	}
	return first, second
}

// TestSubscriberCut: Redis cuts subscribers off, and they come back.
func TestSubscriberCut(t *testing.T) {
	redis := redistest.Start(t)
	url, root := "redis://"+redis.Addr(), session.NewRootSecret()
	here, there := open(t, url, root, patient), open(t, url, root, patient)
	mission := session.NewID()
	heard, _ := subscribe(t, there, mission)
	for round := range 3 {
		if cut := redis.Do(t, "client", "kill", "type", "pubsub"); cut.(int64) == 0 {
			t.Error("there was nobody to cut off")
		}
		publishUntil(t, here, mission, heard)
		if got := there.count(t, "ronde_bus_remakes_total", ""); got != float64(round+1) {
			t.Errorf("cut off %d times, and %v connections were replaced", round+1, got)
		}
	}
	if err := here.Check(); err != nil {
		t.Errorf("the publisher noticed: %v", err)
	}
}

// TestConnections: a partition has a connection as long as anybody subscribes to
// one of its missions, and no more than one.
func TestConnections(t *testing.T) {
	redis := redistest.Start(t)
	n := open(t, "redis://"+redis.Addr(), session.NewRootSecret(), nil)
	connections := func() int {
		return strings.Count(redis.Do(t, "client", "list", "type", "pubsub").(string), "\n")
	}
	partitions := map[int]bool{}
	var cancels []func()
	for range 40 {
		mission := session.NewID()
		partitions[redisbus.PartitionOf(mission)] = true
		_, cancel := subscribe(t, n, mission)
		cancels = append(cancels, cancel)
	}
	if got := connections(); got != len(partitions) {
		t.Errorf("%d connections for %d partitions", got, len(partitions))
	}
	if got := n.count(t, "ronde_bus_partitions_open", ""); got != float64(len(partitions)) {
		t.Errorf("%v partitions are counted instead of %d", got, len(partitions))
	}
	for _, cancel := range cancels {
		cancel()
	}
	until(t, "all connections are closed", func() bool {
		return connections() == 0 && n.count(t, "ronde_bus_partitions_open", "") == 0
	})
}

// TestSilence: a connection over which nothing comes any more, and that tells
// nobody, is found out and replaced.
func TestSilence(t *testing.T) {
	redis := redistest.Start(t)
	root := session.NewRootSecret()
	wire := newWire(t, redis.Addr())
	here := open(t, "redis://"+redis.Addr(), root, nil)
	there := open(t, "redis://"+wire.addr(), root, hasty)
	mission := session.NewID()
	heard, cancel := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)
	wire.forget()
	publishUntil(t, here, mission, heard)
	wire.forget()
	cancel() // as the hub does when it finds what the bus did not bring
	var err error
	until(t, "a subscription is to be had", func() bool {
		cancel, err = there.Subscribe(t.Context(), mission, func(m *tracker.Message) {
			select {
			case heard <- m.Revision:
			default:
			}
		})
		return err == nil
	})
	publishUntil(t, here, mission, heard)
	cancel()
}

// TestSlotMoves: a subscription follows its slot, and one that is made right
// after the move ends up where the slot is.
func TestSlotMoves(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	url, root := "redis-cluster://"+cluster.Masters[0].Addr(), session.NewRootSecret()
	here, there := open(t, url, root, patient), open(t, url, root, patient)
	mission := session.NewID()
	channel := redisbus.MissionChannel(mission)
	slot := int(cluster.Masters[0].Do(t, "cluster", "keyslot", channel).(int64))
	heard, cancel := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)
	for i, to := range []*redistest.Server{cluster.Masters[0], cluster.Masters[1], cluster.Masters[2], cluster.Masters[0]} {
		if to == cluster.Owner(t, slot) {
			continue
		}
		cluster.Move(t, slot, to)
		if i%2 == 0 {
			cancel()
			heard, cancel = subscribe(t, there, mission)
		}
		publishUntil(t, here, mission, heard)
		if got := to.Do(t, "pubsub", "shardnumsub", channel).([]any)[1]; got != int64(1) {
			t.Errorf("the new owner of the slot has %v subscribers", got)
		}
	}
	if there.count(t, "ronde_bus_remakes_total", "") == 0 {
		t.Error("the subscription was not made anew")
	}
}

// TestMasterHangs: what one master of a cluster does is felt in its partitions
// alone.
func TestMasterHangs(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, func() []string { return []string{"cluster-require-full-coverage no"} })
	url, root := "redis-cluster://"+cluster.Masters[1].Addr(), session.NewRootSecret()
	here, there := open(t, url, root, hasty), open(t, url, root, hasty)
	missions := map[*redistest.Server]uuid.UUID{}
	heard := map[*redistest.Server]chan int64{}
	for len(missions) < len(cluster.Masters) {
		mission := session.NewID()
		slot := cluster.Masters[0].Do(t, "cluster", "keyslot", redisbus.MissionChannel(mission)).(int64)
		owner := cluster.Owner(t, int(slot))
		if heard[owner] == nil {
			missions[owner] = mission
			heard[owner], _ = subscribe(t, there, mission)
		}
	}
	hung := cluster.Masters[0]
	hung.Freeze(t)
	until(t, "the publisher knows", func() bool {
		return errors.Is(here.Publish(t.Context(), []*tracker.Message{changed(missions[hung], 1)}), session.ErrUnavailable)
	})
	for owner, mission := range missions {
		if owner == hung {
			continue
		}
		for range 100 {
			publishUntil(t, here, mission, heard[owner])
		}
		if err := here.Publish(t.Context(), []*tracker.Message{changed(mission, 1)}); err != nil {
			t.Errorf("publishing where nothing is wrong: %v", err)
		}
		next := session.NewID()
		for redisbus.PartitionOf(next) != redisbus.PartitionOf(mission) {
			next = session.NewID()
		}
		subscribe(t, there, next)
	}
	if down := here.count(t, "ronde_bus_partitions_down", ""); down != 10 {
		t.Errorf("%v partitions are said to be down, and a master of three hangs", down)
	}
	hung.Thaw(t)
	publishUntil(t, here, missions[hung], heard[hung])
}
