package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
)

const (
	// accessEvery is how often a node looks for rows without a leaf: within a second of its commit a row is in the signed
	// tree.
	accessEvery   = 400 * time.Millisecond
	accessTimeout = 10 * time.Second
)

// accessKeeper gives the rows of the access log their leaves, and keeps the checkpoints outside the database. Every node
// has one; of several, one at a time lets the tree grow, and each keeps every newest checkpoint that it sees.
type accessKeeper struct {
	store  session.Store
	signer *session.AccessSigner
	folder checkpointFolder
	log    *slog.Logger

	// Owned by the loop:

	kept    int64     // size of the newest checkpoint that was written to the folder
	unkept  time.Time // since when a newer one could not be written; zero: it could
	down    bool      // the last attempt to let the tree grow failed
	lastRun time.Time // when one last succeeded

	pending, age, lag, leaves prometheus.Gauge
	failures                  *prometheus.CounterVec
	forged                    prometheus.Counter
}

// keepAccessLog starts the keeper, which runs until the app stops.
func (a *app) keepAccessLog(ctx context.Context, root session.RootSecret, ring session.Keyring, registry prometheus.Registerer) error {
	folder, err := openCheckpoints(a.config)
	if err != nil {
		return err
	}
	signer, err := session.NewAccessSigner(root, ring.ID())
	if err != nil {
		return err
	}
	k := &accessKeeper{store: a.service.Store, signer: signer, folder: folder, log: a.log, lastRun: time.Now()}
	k.measure(registry)
	if err := k.compare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(accessEvery)
		defer tick.Stop()
		for {
			k.step(ctx)
			select {
			case <-ctx.Done():
				k.step(context.Background()) // what was recorded while the node drained
				return
			case <-tick.C:
			}
		}
	}()
	a.onStop("access log", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

func (k *accessKeeper) measure(registry prometheus.Registerer) {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		registry.MustRegister(g)
		return g
	}
	k.pending = gauge("ronde_access_log_unsigned_age_seconds", "Age of the oldest row of the access log that is in no signed tree yet; it should stay below 2.")
	k.age = gauge("ronde_access_log_checkpoint_age_seconds", "Age of the newest checkpoint of the access log: as long as nothing is recorded, none is signed.")
	k.lag = gauge("ronde_access_log_outside_lag_seconds", "For how long the newest checkpoint could not be written to the folder outside the database; it should be 0.")
	k.leaves = gauge("ronde_access_log_leaves", "Rows that ever got into the signed tree of the access log.")
	k.failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ronde_access_log_failures_total", Help: "Attempts that failed: to let the tree of the access log grow (tree), or to write a checkpoint outside the database (file).",
	}, []string{"step"})
	k.forged = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ronde_access_log_forged_rows_total", Help: "Rows that this node took into the signed tree of the access log though neither a node nor a command of this installation made them; it should be 0.",
	})
	registry.MustRegister(k.failures, k.forged)
	for _, step := range []string{"tree", "file"} {
		k.failures.WithLabelValues(step)
	}
}

// compare says so if the database is older than a checkpoint in the folder. The node starts all the same: what is
// recorded from now on must be kept, and the damage is found by whoever verifies.
func (k *accessKeeper) compare(ctx context.Context) error {
	outside, err := k.folder.newestOf(&k.signer.AccessVerifier)
	if err != nil {
		return err
	}
	st, err := k.store.AccessState(ctx)
	if err == nil && outside > st.Size {
		k.log.Error("access_log_rolled_back", "rows", st.Size, "outside", outside,
			"advice", "the database is older than a checkpoint in --checkpoints: was a backup restored? ronde audit verify tells what is missing")
	}
	return err
}

// step lets the tree grow by what was recorded, and keeps the newest checkpoint outside.
func (k *accessKeeper) step(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, accessTimeout)
	defer cancel()
	st, forged, err := growAccessTree(bounded, k.store, k.signer)
	if forged > 0 {
		k.forged.Add(float64(forged))
		k.log.Error("access_log_row_forged", "rows", forged,
			"advice", "somebody writes to the database who is no node: ronde audit verify names the rows")
	}
	if err != nil && ctx.Err() != nil {
		return // the node stops
	}
	if err != nil {
		k.failures.WithLabelValues("tree").Inc()
		k.pending.Set(time.Since(k.lastRun).Seconds())
		if !k.down {
			k.log.Warn("access_log_not_signed", "error", err)
		}
		k.down = true
		return
	}
	if k.down {
		k.log.Info("access_log_signed_again", "rows", st.Size)
	}
	k.down, k.lastRun = false, time.Now()
	k.pending.Set(secondsSince(st.Pending, st.Now))
	k.age.Set(secondsSince(st.SignedAt, st.Now))
	k.leaves.Set(float64(st.Size))
	k.keep(st)
}

// growAccessTree lets the tree grow by what waits for a leaf, and returns how the log stands then. Forged is how many of
// the rows that it took in no node made.
func growAccessTree(ctx context.Context, store session.Store, signer *session.AccessSigner) (st session.AccessState, forged int, err error) {
	st, err = store.AccessState(ctx)
	if err != nil || st.Pending.IsZero() {
		return st, 0, err
	}
	if _, forged, err = session.GrowAccessTree(ctx, store, signer); err != nil {
		return st, forged, err
	}
	st, err = store.AccessState(ctx)
	return st, forged, err
}

// keep writes the newest checkpoint to the folder, unless it is there. The database has it in any case.
func (k *accessKeeper) keep(st session.AccessState) {
	if st.Size > k.kept {
		if err := k.folder.append(st.Checkpoint, st.SignedAt); err != nil {
			k.failures.WithLabelValues("file").Inc()
			if k.unkept.IsZero() {
				k.unkept = time.Now()
				k.log.Warn("checkpoint_not_kept_outside", "error", err, "advice", checkpointsAdvice(k.folder.dir))
			}
			k.lag.Set(time.Since(k.unkept).Seconds())
			return
		}
		k.kept = st.Size
	}
	if !k.unkept.IsZero() {
		k.log.Info("checkpoint_kept_outside_again")
	}
	k.unkept = time.Time{}
	k.lag.Set(0)
}

// secondsSince returns how long before now t was, 0 for the zero Time.
func secondsSince(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, now.Sub(t).Seconds())
}
