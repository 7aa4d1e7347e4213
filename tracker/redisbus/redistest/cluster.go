package redistest

import (
	"context"
	"strconv"
	"strings"
	"testing"
)

// slots is the number of hash slots of every Redis Cluster.
const slots = 16384

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Masters []*Server
}

// StartCluster starts a cluster of as many masters, among which the slots are
// split evenly. It belongs to tb alone. Each of the functions returns more lines
// of redis.conf for one master.
func StartCluster(tb testing.TB, masters int, settings ...func() []string) *Cluster {
	tb.Helper()
	c := &Cluster{}
	folder := watch(tb)
	for range masters {
		lines := []string{"cluster-enabled yes", "cluster-port " + strconv.Itoa(FreePort(tb)), "cluster-node-timeout 2000"}
		for _, more := range settings {
			lines = append(lines, more()...)
		}
		c.Masters = append(c.Masters, start(tb, folder, lines...))
	}
	for i, s := range c.Masters {
		s.Do(tb, "cluster", "set-config-epoch", i+1)
		s.Do(tb, "cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1)
		if i > 0 {
			first := c.Masters[0]
			s.Do(tb, "cluster", "meet", "127.0.0.1", first.Port, first.setting(tb, "cluster-port"))
		}
	}
	c.settle(tb)
	return c
}

// settle waits until every master knows every other one and the owner of every
// slot.
func (c *Cluster) settle(tb testing.TB) {
	tb.Helper()
	for _, s := range c.Masters {
		settled := poll(func() bool {
			info, err := s.admin.ClusterInfo(context.WithoutCancel(tb.Context())).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(c.Masters))+"\r") &&
				strings.Contains(info, "cluster_slots_ok:"+strconv.Itoa(slots)+"\r")
		})
		if !settled {
			tb.Fatalf("redistest: the cluster does not come together:\n%v", s.Do(tb, "cluster", "nodes"))
		}
	}
}

// Owner returns the master that a slot belongs to.
func (c *Cluster) Owner(tb testing.TB, slot int) *Server {
	tb.Helper()
	shards, err := c.Masters[0].admin.ClusterShards(context.WithoutCancel(tb.Context())).Result()
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	for _, shard := range shards {
		for _, r := range shard.Slots {
			if int64(slot) < r.Start || int64(slot) > r.End {
				continue
			}
			for _, s := range c.Masters {
				if int64(s.Port) == shard.Nodes[0].Port {
					return s
				}
			}
		}
	}
	tb.Fatalf("redistest: nobody owns slot %d", slot)
	return nil
}

// Move migrates a slot that holds no keys to another master, as redis-cli does.
func (c *Cluster) Move(tb testing.TB, slot int, to *Server) {
	tb.Helper()
	from := c.Owner(tb, slot)
	source, target := from.Do(tb, "cluster", "myid"), to.Do(tb, "cluster", "myid")
	to.Do(tb, "cluster", "setslot", slot, "importing", source)
	from.Do(tb, "cluster", "setslot", slot, "migrating", target)
	to.Do(tb, "cluster", "setslot", slot, "node", target)
	for _, s := range c.Masters {
		if s != to {
			s.Do(tb, "cluster", "setslot", slot, "node", target)
		}
	}
}

// setting returns the value of a server's setting.
func (s *Server) setting(tb testing.TB, name string) string {
	tb.Helper()
	return s.Do(tb, "config", "get", name).([]any)[1].(string)
}
