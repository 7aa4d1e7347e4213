package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// CreateLink implements session.Store.
func (s *Store) CreateLink(ctx context.Context, l session.Link) error {
	return s.inTenant(ctx, l.Tenant, func(b *pgx.Batch) { queueNewLink(b, &l) })
}

func queueNewLink(b *pgx.Batch, l *session.Link) {
	b.Queue(`INSERT INTO links (id, tenant, mission, profile, trail, label, max_viewers, created_at, expires_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		l.ID, l.Tenant, l.Mission, l.View.Profile, l.View.Trail, l.Label, l.MaxViewers,
		session.Millis(l.CreatedAt), session.Millis(l.ExpiresAt), optional(l.RevokedAt))
}

// Links implements session.Store.
func (s *Store) Links(ctx context.Context, tenant string, mission, after uuid.UUID, limit int) (links []session.Link, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT true FROM missions WHERE tenant = $1 AND id = $2", tenant, mission).
			QueryRow(func(row pgx.Row) error { return row.Scan(new(bool)) })
		b.Queue(`SELECT id, tenant, mission, profile, trail, label, max_viewers, created_at, expires_at, revoked_at, opened, last_opened_at,
				(SELECT coalesce(sum(v.count), 0) FROM viewers v JOIN nodes n ON n.id = v.node AND n.until > ronde_now() WHERE v.link = links.id)
			FROM links WHERE tenant = $1 AND mission = $2 AND id > $3 ORDER BY id LIMIT $4`, tenant, mission, after, limit).
			Query(func(rows pgx.Rows) (err error) {
				links, err = pgx.CollectRows(rows, scanLink)
				return err
			})
	})
	return links, err
}

func scanLink(row pgx.CollectableRow) (session.Link, error) {
	var l session.Link
	var revoked, opened *time.Time
	err := row.Scan(&l.ID, &l.Tenant, &l.Mission, &l.View.Profile, &l.View.Trail, &l.Label, &l.MaxViewers,
		&l.CreatedAt, &l.ExpiresAt, &revoked, &l.Opened, &opened, &l.Watching)
	l.CreatedAt, l.ExpiresAt = session.Millis(l.CreatedAt), session.Millis(l.ExpiresAt)
	l.RevokedAt, l.LastOpenedAt = required(revoked), required(opened)
	return l, err
}

// revokeLink revokes a link and raises its mission's revision, unless it was
// revoked before, and returns its mission in any case.
const revokeLink = `
	WITH revoked AS (
		UPDATE links SET revoked_at = ronde_now() WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL RETURNING mission
	), raised AS (
		UPDATE missions SET revision = revision + 1 WHERE tenant = $1 AND id = (SELECT mission FROM revoked)
	)
	SELECT mission FROM links WHERE tenant = $1 AND id = $2`

// RevokeLink implements session.Store.
func (s *Store) RevokeLink(ctx context.Context, tenant string, id uuid.UUID) (mission uuid.UUID, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(revokeLink, tenant, id).QueryRow(func(row pgx.Row) error { return row.Scan(&mission) })
	})
	return mission, err
}
