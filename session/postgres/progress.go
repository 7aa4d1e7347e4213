package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// SaveProgress implements session.Store.
func (s *Store) SaveProgress(ctx context.Context, batch []session.SavedProgress) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	sorted := slices.SortedFunc(slices.Values(batch), func(a, b session.SavedProgress) int { // one order of locks for all
		return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), cmp.Compare(a.Agent, b.Agent))
	})
	n := len(sorted)
	tenants, missions, agents := make([]string, n), make([]uuid.UUID, n), make([]string, n)
	opened, at, sealed := make([]time.Time, n), make([]time.Time, n), make([][]byte, n)
	for i, p := range sorted {
		tenants[i], missions[i], agents[i] = p.Tenant, p.ID, p.Agent
		opened[i], at[i], sealed[i] = session.Millis(p.Opened), session.Millis(p.At), p.Sealed
	}
	_, err := s.pool.Exec(ctx, "SELECT ronde_save_progress($1, $2, $3, $4, $5, $6)", tenants, missions, agents, opened, at, sealed)
	return storeError(err)
}

// SavedProgress implements session.Store.
func (s *Store) SavedProgress(ctx context.Context, tenant string, id uuid.UUID) (saved []session.SavedProgress, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(`SELECT p.agent, p.opened, p.at, p.sealed FROM progress p
			JOIN missions m ON m.tenant = p.tenant AND m.id = p.mission AND m.deadline > ronde_now()
			WHERE p.tenant = $1 AND p.mission = $2 ORDER BY p.agent`, tenant, id).Query(func(rows pgx.Rows) error {
			p := session.SavedProgress{Ref: session.Ref{Tenant: tenant, ID: id}}
			_, err := pgx.ForEachRow(rows, []any{&p.Agent, &p.Opened, &p.At, &p.Sealed}, func() error {
				p.Opened, p.At = session.Millis(p.Opened), session.Millis(p.At)
				saved = append(saved, p)
				p.Sealed = nil // the next row must not share the memory of this one
				return nil
			})
			return err
		})
	})
	return saved, err
}
