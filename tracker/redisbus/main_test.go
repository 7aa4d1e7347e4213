package redisbus_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/bustest"
	"ronde/tracker/redisbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unhurried is the patience of buses whose test is not about it: a machine that
// has other things to do must not look like a broken Redis.
const unhurried = 20 * time.Second

// node is one node's bus, and what it counts.
type node struct {
	*redisbus.Bus
	registry *prometheus.Registry
}

// open opens a bus, with the options changed as the test likes.
func open(tb testing.TB, url string, root session.RootSecret, change func(*redisbus.Options)) node {
	tb.Helper()
	n := node{registry: prometheus.NewRegistry()}
	o := redisbus.Options{
		URL: url, Root: root, Registry: n.registry, Patience: unhurried,
		Log: slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if n.Bus, err = redisbus.Open(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := n.Close(); err != nil {
			tb.Error(err)
		}
	})
	return n
}

// pair is two nodes: what is published on the one is heard on the other.
type pair struct{ here, there node }

func (p pair) Publish(ctx context.Context, batch []*tracker.Message) error {
	return p.here.Publish(ctx, batch)
}

func (p pair) Subscribe(ctx context.Context, mission uuid.UUID, fn func(*tracker.Message)) (func(), error) {
	return p.there.Subscribe(ctx, mission, fn)
}

func (p pair) Close() error {
	_ = p.there.Close()
	return p.here.Close()
}

// conform runs the suite on one node and between two.
func conform(t *testing.T, url string) {
	root := session.NewRootSecret()
	t.Run("one node", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) tracker.Bus { return open(t, url, root, nil) })
	})
	t.Run("two nodes", func(t *testing.T) {
		bustest.Run(t, func(t *testing.T) tracker.Bus {
			return pair{open(t, url, root, nil), open(t, url, root, nil)}
		})
	})
}

// count returns the value of a metric, for a reason if it is told apart by one.
func (n node) count(tb testing.TB, name, reason string) float64 {
	tb.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (reason == "" || m.GetLabel()[0].GetValue() == reason) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	tb.Fatalf("there is no metric %s for %q", name, reason)
	return 0
}
