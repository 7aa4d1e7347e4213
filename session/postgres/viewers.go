package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// Attend implements session.Store.
func (s *Store) Attend(ctx context.Context, node uuid.UUID) (uuid.UUID, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err := s.pool.QueryRow(ctx, "SELECT ronde_attend($1, $2, $3, $4)", node, session.NewID(), session.AttendanceLife, s.limit).Scan(&node)
	if err != nil {
		return uuid.Nil, storeError(err)
	}
	return node, nil
}

// Watch implements session.Store.
func (s *Store) Watch(ctx context.Context, node uuid.UUID, batch []*session.Attendance) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	n := len(batch)
	tenants, links, want, opened := make([]string, n), make([]uuid.UUID, n), make([]int, n), make([]int, n)
	for i, a := range batch {
		tenants[i], links[i], want[i], opened[i] = a.Tenant, a.Link, a.Want, a.New
		a.Verdict = session.AttendanceLocked
	}
	rows, _ := s.pool.Query(ctx, "SELECT place, granted FROM ronde_watch($1, $2, $3, $4, $5)", node, tenants, links, want, opened)
	var place int
	var granted *int
	judged, err := pgx.ForEachRow(rows, []any{&place, &granted}, func() error {
		switch a := batch[place-1]; {
		case granted == nil: // another holds the link
		case *granted < 0:
			a.Granted, a.Verdict = 0, session.AttendanceUnknown
		default:
			a.Granted, a.Verdict = *granted, session.AttendanceJudged
		}
		return nil
	})
	if err == nil && judged.RowsAffected() == 0 {
		return session.ErrNotFound.Because("the lease of this node has lapsed")
	}
	return storeError(err)
}
