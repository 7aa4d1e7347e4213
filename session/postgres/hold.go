package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

const (
	holdColumns = "id, tenant, mission, agent, reason, role, subject, set_at, until, released_at, copied_at, copied, gone_at"
	latestHold  = "SELECT " + holdColumns + " FROM holds WHERE tenant = $1 AND mission = $2 AND agent = $3 ORDER BY id DESC LIMIT 1"
	putHold     = `INSERT INTO holds (id, tenant, mission, agent, reason, role, subject, set_at, until, released_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, role = excluded.role, subject = excluded.subject,
			until = excluded.until, released_at = excluded.released_at`
)

// UpdateHold implements session.HoldStore.
func (s *Store) UpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *session.HoldChange) error) (session.Hold, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for n := 1; ; n++ {
		h, err := s.tryUpdateHold(ctx, tenant, mission, agent, change)
		var own *changeError
		switch {
		case errors.As(err, &own):
			return session.Hold{}, own.err
		case err == nil:
			return h, nil
		case !again(err) || n == attempts:
			return session.Hold{}, storeError(err)
		}
	}
}

func (s *Store) tryUpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *session.HoldChange) error) (session.Hold, error) {
	var b pgx.Batch
	var found []*session.Mission
	var holds []session.Hold
	var unclaimed time.Time
	b.BeginTx(pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	b.Queue(setTenant, tenant)
	b.Queue(lockMission, tenant, mission)
	b.Queue("SELECT ronde_unclaimed()").QueryRow(func(row pgx.Row) error { return row.Scan(&unclaimed) })
	queueMissions(&b, &found, readMission, tenant, mission)
	queueHolds(&b, &holds, latestHold, tenant, mission, agent)
	results := s.pool.SendBatch(ctx, &b)
	tx := results.Tx()
	if tx != nil {
		defer tx.Rollback(ctx) //nolint:errcheck // after a commit it does nothing, and before it nobody depends on it
	}
	if err := results.Close(); err != nil {
		return session.Hold{}, err
	}
	if len(found) == 0 {
		return session.Hold{}, session.ErrNotFound
	}
	c := session.HoldChange{Mission: found[0], Expired: session.DayOf(unclaimed)}
	c.Mission.Settle(c.Mission.ReadAt)
	c.Mission.Log = nil // it is not this change that ends the mission
	if len(holds) > 0 {
		c.Hold = holds[0]
	}
	before := c.Hold
	if err := change(&c); err != nil {
		return session.Hold{}, &changeError{err}
	}
	if err := logChanges(ctx, tx, c.Mission); err != nil {
		return session.Hold{}, err
	}
	h := c.Hold
	if h == before {
		return h, tx.Commit(ctx)
	}
	if h.Stands(c.Mission.ReadAt) {
		_, err := tx.Exec(ctx, "SELECT ronde_spare($1, ''::text || ARRAY(SELECT agent FROM mission_agents WHERE tenant = $1 AND mission = $2 AND $3 IN ('', agent)))",
			tenant, mission, h.Agent)
		if err != nil {
			return session.Hold{}, err
		}
	}
	_, err := tx.Exec(ctx, putHold, h.ID, tenant, mission, h.Agent, h.Reason, h.Role, h.Subject, h.SetAt, h.Until, optional(h.ReleasedAt))
	if err != nil {
		return session.Hold{}, err
	}
	return h, tx.Commit(ctx)
}

// Holds implements session.HoldStore.
func (s *Store) Holds(ctx context.Context, tenant string, missions ...uuid.UUID) (holds []session.Hold, err error) {
	if len(missions) == 0 {
		return nil, nil
	}
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		queueHolds(b, &holds, "SELECT "+holdColumns+" FROM holds WHERE tenant = $1 AND mission = ANY ($2) ORDER BY mission, id", tenant, missions)
	})
	return holds, err
}

func queueHolds(b *pgx.Batch, holds *[]session.Hold, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*holds, err = pgx.CollectRows(rows, scanHold)
		return err
	})
}

func scanHold(row pgx.CollectableRow) (session.Hold, error) {
	var h session.Hold
	var released, copied, gone *time.Time
	err := row.Scan(&h.ID, &h.Tenant, &h.Mission, &h.Agent, &h.Reason, &h.Role, &h.Subject, &h.SetAt, &h.Until, &released, &copied, &h.Copied, &gone)
	h.SetAt, h.Until = session.Millis(h.SetAt), session.Millis(h.Until)
	h.ReleasedAt, h.CopiedAt, h.GoneAt = required(released), required(copied), required(gone)
	return h, err
}

// StandingHolds implements session.HoldStore.
func (s *Store) StandingHolds(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]time.Time, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	standing := map[uuid.UUID]time.Time{}
	rows, _ := s.pool.Query(ctx, "SELECT id, until FROM ronde_standing_holds($1)", ids)
	var id uuid.UUID
	var until time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &until}, func() error {
		standing[id] = session.Millis(until)
		return nil
	})
	return standing, storeError(err)
}

// UncopiedHolds implements session.HoldStore.
func (s *Store) UncopiedHolds(ctx context.Context, limit int) ([]session.Hold, error) {
	return s.holdsOfAll(ctx, "SELECT "+holdColumns+" FROM ronde_uncopied_holds($1)", limit)
}

// EndedHolds implements session.HoldStore.
func (s *Store) EndedHolds(ctx context.Context, limit int) ([]session.Hold, error) {
	return s.holdsOfAll(ctx, "SELECT "+holdColumns+" FROM ronde_ended_holds($1)", limit)
}

func (s *Store) holdsOfAll(ctx context.Context, sql string, limit int) ([]session.Hold, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, sql, limit)
	holds, err := pgx.CollectRows(rows, scanHold)
	return holds, storeError(err)
}

// CopyHeld implements session.HoldStore.
func (s *Store) CopyHeld(ctx context.Context, h session.Hold, rows []session.Row) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	n := len(rows)
	agents, slots, times, sealed := make([]string, n), make([]int64, n), make([]time.Time, n), make([][]byte, n)
	for i, r := range rows {
		agents[i], slots[i], times[i], sealed[i] = r.Agent, r.Slot, r.At, r.Sealed
	}
	var copying bool
	err := s.pool.QueryRow(ctx, "SELECT ronde_copy_held($1, $2, $3, $4, $5, $6)", h.Tenant, h.ID, agents, slots, times, sealed).Scan(&copying)
	if err == nil && !copying {
		return session.ErrState.Because("the hold has ended, or its copy is whole")
	}
	return storeError(err)
}

// CopyEnd implements session.HoldStore.
func (s *Store) CopyEnd(ctx context.Context, h session.Hold) (end session.Cursor, err error) {
	err = s.inTenant(ctx, h.Tenant, func(b *pgx.Batch) {
		b.Queue("SELECT at, agent, slot FROM archive WHERE tenant = $1 AND hold = $2 ORDER BY at DESC, agent DESC, slot DESC LIMIT 1", h.Tenant, h.ID).
			QueryRow(func(row pgx.Row) error { return row.Scan(&end.At, &end.Agent, &end.Slot) })
	})
	if errors.Is(err, session.ErrNotFound) {
		return session.Cursor{}, nil
	}
	end.At = session.Millis(end.At)
	return end, err
}

// HoldCopied implements session.HoldStore.
func (s *Store) HoldCopied(ctx context.Context, h session.Hold, lost int64) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var missing *int64
	err := s.pool.QueryRow(ctx, "SELECT ronde_hold_copied($1, $2, $3)", h.Tenant, h.ID, lost).Scan(&missing)
	switch {
	case err != nil:
		return storeError(err)
	case missing == nil:
		return session.ErrState.Because("the hold has ended")
	case *missing > 0:
		return session.ErrState.Because("%d positions are not copied yet", *missing)
	}
	return nil
}

// HeldTrack implements session.HoldStore.
func (s *Store) HeldTrack(ctx context.Context, h session.Hold, agent string, after session.Cursor, limit int) (found []session.Row, err error) {
	err = s.inTenant(ctx, h.Tenant, func(b *pgx.Batch) {
		b.Queue("SELECT true FROM holds WHERE tenant = $1 AND id = $2 AND released_at IS NULL AND until > ronde_now()", h.Tenant, h.ID).
			QueryRow(func(row pgx.Row) error {
				err := row.Scan(new(bool))
				if errors.Is(err, pgx.ErrNoRows) {
					return session.ErrGone
				}
				return err
			})
		b.Queue(`SELECT agent, slot, at, sealed FROM archive WHERE tenant = $1 AND hold = $2 AND ($3 = '' OR agent = $3)
			AND (at, agent, slot) > ($4, $5, $6) ORDER BY at, agent, slot LIMIT $7`,
			h.Tenant, h.ID, agent, session.Millis(after.At), after.Agent, after.Slot, limit).Query(collectRows(&found))
	})
	return found, err
}

// DeleteHeld implements session.HoldStore.
func (s *Store) DeleteHeld(ctx context.Context, h session.Hold, limit int) (int, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var n *int
	err := s.pool.QueryRow(ctx, "SELECT ronde_delete_held($1, $2, $3)", h.Tenant, h.ID, limit).Scan(&n)
	if err != nil {
		return 0, storeError(err)
	}
	if n == nil {
		return 0, session.ErrState.Because("the hold stands")
	}
	return *n, nil
}
