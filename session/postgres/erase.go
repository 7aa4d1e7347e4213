package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// Bar implements session.Store.
func (s *Store) Bar(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	for n := 1; ; n++ {
		barred, err := s.tryBar(ctx, t)
		if !again(err) || n == attempts {
			return barred, storeError(err)
		}
	}
}

func (s *Store) tryBar(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var b pgx.Batch
	var pseudonym, inTheWay *string
	var at *time.Time
	b.Queue(setTenant, t.Tenant)
	b.Queue("SELECT pseudonym, at, in_the_way FROM ronde_bar($1, $2, $3)", t.Tenant, t.Agent, t.Pseudonym).
		QueryRow(func(row pgx.Row) error { return row.Scan(&pseudonym, &at, &inTheWay) })
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return session.Tombstone{}, err
	}
	if inTheWay != nil {
		return session.Tombstone{}, &session.Error{Code: *inTheWay}
	}
	t.Pseudonym, t.At = *pseudonym, session.Millis(*at)
	return t, nil
}

// Barred implements session.Store.
func (s *Store) Barred(ctx context.Context) ([]session.Tombstone, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT tenant, agent, pseudonym, at FROM ronde_barred()")
	barred, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t session.Tombstone, err error) {
		err = row.Scan(&t.Tenant, &t.Agent, &t.Pseudonym, &t.At)
		t.At = session.Millis(t.At)
		return t, err
	})
	return barred, storeError(err)
}

// queueAdmit queues what refuses something new of the tenant, or of agents of
// it, if one of them is barred, and otherwise keeps them from being barred until
// the transaction is over.
func queueAdmit(b *pgx.Batch, tenant string, agents ...string) {
	b.Queue("SELECT ronde_admit($1, $2)", tenant, append([]string{""}, agents...))
}

// Erase implements session.Store.
func (s *Store) Erase(ctx context.Context, t session.Tombstone) (session.ErasureStep, error) {
	for n := 1; ; n++ {
		step, err := s.tryErase(ctx, t)
		if !again(err) || n == attempts {
			return step, storeError(err)
		}
	}
}

func (s *Store) tryErase(ctx context.Context, t session.Tombstone) (step session.ErasureStep, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var b pgx.Batch
	b.Queue(setTenant, t.Tenant)
	var taken *pgx.QueuedQuery
	if t.Agent == "" {
		taken = b.Queue("SELECT changed, done FROM ronde_erase_tenant($1, $2, $3, $4)", t.Number, t.Tenant, t.At, session.ErasureLimit)
	} else {
		taken = b.Queue("SELECT changed, done FROM ronde_erase_agent($1, $2, $3, $4, $5, $6)",
			t.Number, t.Tenant, t.Agent, t.Pseudonym, t.At, session.ErasureLimit)
	}
	taken.QueryRow(func(row pgx.Row) error {
		var changed *uuid.UUID
		err := row.Scan(&changed, &step.Done)
		if changed != nil {
			step.Mission = *changed
		}
		return err
	})
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return session.ErasureStep{}, err
	}
	return step, nil
}

// Erasure implements session.Store.
func (s *Store) Erasure(ctx context.Context, number int64) (session.Erasure, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	e := session.Erasure{Number: number}
	var done *time.Time
	err := s.pool.QueryRow(ctx, `SELECT done_at, missions, positions, refusals, acknowledgements, links, api_keys, notices
		FROM erasures WHERE number = $1`, number).
		Scan(&done, &e.Missions, &e.Positions, &e.Refusals, &e.Acknowledgements, &e.Links, &e.APIKeys, &e.Notices)
	e.DoneAt = required(done)
	return e, storeError(err)
}

// LastErasure implements session.Store.
func (s *Store) LastErasure(ctx context.Context) (int64, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return lastErasure(ctx, s.pool)
}

func lastErasure(ctx context.Context, q rowQueryer) (number int64, err error) {
	err = q.QueryRow(ctx, "SELECT coalesce(max(number), 0) FROM public.erasures WHERE done_at IS NOT NULL").Scan(&number)
	return number, storeError(err)
}

// Tenants implements session.Store.
func (s *Store) Tenants(ctx context.Context) ([]session.Tenant, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT name, created_at FROM ronde_tenants()")
	tenants, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session.Tenant])
	for i := range tenants {
		tenants[i].CreatedAt = session.Millis(tenants[i].CreatedAt)
	}
	return tenants, storeError(err)
}

// Acknowledgements implements session.Store.
func (s *Store) Acknowledgements(ctx context.Context, tenant, agent string) (list []session.Acknowledgement, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT version, acknowledged_at FROM acknowledgements WHERE tenant = $1 AND agent = $2 ORDER BY version", tenant, agent).
			Query(func(rows pgx.Rows) (err error) {
				list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[session.Acknowledgement])
				return err
			})
	})
	for i := range list {
		list[i].At = session.Millis(list[i].At)
	}
	return list, err
}
