package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// MissionTerm implements session.RetentionStore.
func (s *Store) MissionTerm(ctx context.Context, tenant string) (months int, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT mission_months FROM tenants WHERE name = $1", tenant).QueryRow(func(row pgx.Row) error { return row.Scan(&months) })
	})
	return months, err
}

// SetMissionTerm implements session.RetentionStore.
func (s *Store) SetMissionTerm(ctx context.Context, tenant string, months int) error {
	return s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("UPDATE tenants SET mission_months = $2 WHERE name = $1 RETURNING true", tenant, months).
			QueryRow(func(row pgx.Row) error { return row.Scan(new(bool)) })
	})
}

// ClaimDays implements session.RetentionStore.
func (s *Store) ClaimDays(ctx context.Context) (before session.Day, kept []session.Pin, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var day time.Time
	if err := s.pool.QueryRow(ctx, "SELECT ronde_claim_days()").Scan(&day); err != nil {
		return 0, nil, storeError(err)
	}
	// After the claim: this sees every hold that was set in time.
	rows, _ := s.pool.Query(ctx, "SELECT hold, tenant, day FROM ronde_kept() WHERE day < $1 ORDER BY day, hold", day)
	kept, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p session.Pin, err error) {
		var day time.Time
		err = row.Scan(&p.Hold, &p.Tenant, &day)
		p.Day = session.DayOf(day)
		return p, err
	})
	return session.DayOf(day), kept, storeError(err)
}

// purgeBeside is how many positions one transaction removes from a partition
// that stays.
const purgeBeside = 5_000

// PurgePositions implements session.RetentionStore: it drops whole partitions,
// each in a transaction of its own, and removes positions from those that stay.
func (s *Store) PurgePositions(ctx context.Context, before session.Day) (more bool, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, `SELECT d.day FROM ronde_partitions(least($1, ronde_claimed())) d (day)
		WHERE NOT EXISTS (SELECT FROM ronde_kept() k WHERE k.day = d.day)`, before.Time())
	days, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	if err != nil {
		return false, storeError(err)
	}
	for _, day := range days {
		if _, err := s.pool.Exec(ctx, "SELECT ronde_drop_partition($1)", day); err != nil {
			return false, storeError(err)
		}
	}
	n, err := s.purge(ctx, "SELECT ronde_purge_beside($1, $2)", before.Time(), purgeBeside)
	return n == purgeBeside, err
}

// Overfull implements session.RetentionStore.
func (s *Store) Overfull(ctx context.Context, limit int) ([]session.Ref, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT tenant, mission FROM ronde_overfull($1, ronde_now())", limit)
	refs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session.Ref])
	return refs, storeError(err)
}

// cut removes all but the newest positions that an ended mission may keep, and
// counts them: none while a hold stands.
func cut(ctx context.Context, tx pgx.Tx, m *session.Mission) error {
	if m.State != session.Ended || m.Policy.MaxPoints == 0 || m.ExpiresOn == 0 || !m.Policy.Track {
		return nil
	}
	rows, _ := tx.Query(ctx, `WITH gone AS (
			DELETE FROM positions p USING (
				SELECT o.agent, o.slot FROM positions o WHERE o.expires_on = $1 AND o.mission = $2
					AND NOT EXISTS (SELECT FROM holds h WHERE h.tenant = $4 AND h.mission = $2
						AND h.gone_at IS NULL AND h.released_at IS NULL AND h.until > $5)
				ORDER BY o.at DESC, o.slot DESC, o.agent DESC OFFSET $3) old
			WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = old.agent AND p.slot = old.slot
			RETURNING p.agent)
		SELECT agent, count(*) FROM gone GROUP BY agent`, m.ExpiresOn.Time(), m.ID, m.Policy.MaxPoints, m.Tenant, m.ReadAt)
	return countRemoved(rows, m)
}

// countRemoved adds to each agent's Removed what the rows say.
func countRemoved(rows pgx.Rows, m *session.Mission) error {
	var agent string
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&agent, &n}, func() error {
		if a := m.Agent(agent); a != nil {
			a.Removed += n
		}
		return nil
	})
	return err
}

// PurgeLocations implements session.RetentionStore.
func (s *Store) PurgeLocations(ctx context.Context) (int, error) {
	return s.purge(ctx, "SELECT ronde_purge_locations()")
}

// AnonymizeMissions implements session.RetentionStore.
func (s *Store) AnonymizeMissions(ctx context.Context, limit int) (int, error) {
	return s.purge(ctx, "SELECT ronde_anonymize($1)", limit)
}

// PurgeAcknowledgements implements session.RetentionStore.
func (s *Store) PurgeAcknowledgements(ctx context.Context, limit int) (int, error) {
	return s.purge(ctx, "SELECT ronde_purge_acknowledgements($1)", limit)
}

// purge returns the number that a purging function returns.
func (s *Store) purge(ctx context.Context, sql string, args ...any) (n int, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, sql, args...).Scan(&n)
	return n, storeError(err)
}

// Overdue implements session.RetentionStore.
func (s *Store) Overdue(ctx context.Context) ([]session.Overdue, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT class, n FROM ronde_overdue($1, $2)", session.TidyingSlack.Milliseconds(), session.AccessMonths)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session.Overdue])
	return list, storeError(err)
}
