package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
)

const (
	tidyEvery   = 10 * time.Minute
	tidyAgain   = time.Minute // after one that failed
	tidyTimeout = 5 * time.Minute
)

// tidier removes what has outlived its time, and tells what it could not remove.
type tidier struct {
	*app
	overdue *prometheus.GaugeVec
}

func (a *app) newTidier(registry prometheus.Registerer) *tidier {
	t := &tidier{app: a, overdue: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ronde_retention_overdue_rows",
		Help: "Rows, and salts, that have outlived their limit, as of this node's last sweep. It must be zero.",
	}, []string{"class"})}
	registry.MustRegister(t.overdue)
	return t
}

// keepTidy sweeps: at once, then now and then, and as each day begins, until the app stops. Every node does; of several
// at once one has an effect.
func (a *app) keepTidy(registry prometheus.Registerer) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t := a.newTidier(registry)
	go func() {
		defer close(done)
		for {
			wait := time.NewTimer(t.tidy(ctx))
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
		}
	}()
	a.onStop("tidying", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// tidy sweeps once and returns after how long to do so again.
func (t *tidier) tidy(ctx context.Context) time.Duration {
	bounded, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	swept, err := t.service.Sweep(bounded)
	if swept != (session.Swept{}) {
		t.log.Info("swept", "swept", swept)
	}
	list, countErr := t.service.Overdue(bounded)
	for _, o := range list {
		t.overdue.WithLabelValues(string(o.Class)).Set(float64(o.Rows))
	}
	now, clockErr := t.service.Store.Now(bounded)
	folderErr := checkpointFolder{t.config.Checkpoints}.tidy(t.now())
	for _, failed := range []error{err, countErr, clockErr, folderErr} {
		if failed != nil && ctx.Err() == nil {
			t.log.Warn("sweep_failed", "error", failed)
			return tidyAgain
		}
	}
	return untilSweep(now)
}

// untilSweep returns how long the next sweep has time: days end at midnight in UTC.
func untilSweep(now time.Time) time.Duration {
	return min(tidyEvery, (session.DayOf(now) + 1).Time().Sub(now))
}
