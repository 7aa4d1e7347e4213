package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// Due implements session.Store.
func (s *Store) Due(ctx context.Context, limit int) ([]session.Ref, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT tenant, mission FROM ronde_due($1)", limit)
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session.Ref])
	return due, storeError(err)
}

// News implements session.Store. Its statements go in one round trip.
func (s *Store) News(ctx context.Context, known []session.Known) (session.News, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	n := len(known)
	tenants, missions, revisions := make([]string, n), make([]uuid.UUID, n), make([]int64, n)
	var watchedTenants []string
	var watched []uuid.UUID
	for i, k := range known {
		tenants[i], missions[i], revisions[i] = k.Tenant, k.ID, k.Revision
		if k.Watched {
			watchedTenants, watched = append(watchedTenants, k.Tenant), append(watched, k.ID)
		}
	}
	var news session.News
	var b pgx.Batch
	now := queueMissions(&b, &news.Missions, "SELECT "+missionColumns+" FROM ronde_changed($1, $2, $3)", tenants, missions, revisions)
	b.Queue("SELECT ronde_missing($1, $2)", tenants, missions).Query(func(rows pgx.Rows) (err error) {
		news.Missing, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	b.Queue("SELECT mission, node, count FROM ronde_viewers($1, $2)", tenants, missions).Query(func(rows pgx.Rows) (err error) {
		news.Viewers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[session.Viewers])
		return err
	})
	if len(watched) > 0 {
		b.Queue("SELECT mission, agent, at FROM ronde_newest($1, $2)", watchedTenants, watched).Query(func(rows pgx.Rows) (err error) {
			news.Newest, err = pgx.CollectRows(rows, pgx.RowToStructByPos[session.Newest])
			return err
		})
	}
	if err := s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return session.News{}, storeError(err)
	}
	news.Now = session.Millis(*now)
	for i := range news.Newest {
		news.Newest[i].At = session.Millis(news.Newest[i].At)
	}
	return news, nil
}
