package main

import (
	"context"
	"time"
)

const (
	tidyEvery   = 10 * time.Minute
	tidyTimeout = time.Minute
)

// keepTidy removes what has outlived its time: at once, and then now and then, until the app stops. Every node does; of
// several at once one has an effect.
func (a *app) keepTidy() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(tidyEvery)
		defer tick.Stop()
		for {
			a.tidy(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	a.onStop("tidying", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

func (a *app) tidy(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	if n, err := a.service.PurgeReceipts(bounded); err != nil && ctx.Err() == nil {
		a.log.Warn("purge_receipts_failed", "purged", n, "error", err)
	}
	if n, err := a.service.PurgeAccess(bounded); err != nil && ctx.Err() == nil {
		a.log.Warn("purge_access_log_failed", "purged", n, "error", err)
	}
	if err := (checkpointFolder{a.config.Checkpoints}).tidy(a.now()); err != nil {
		a.log.Warn("tidy_checkpoints_failed", "error", err)
	}
}
