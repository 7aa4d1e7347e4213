package sqlite

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"ronde/session"
)

// CreateLink stores a link of an existing mission.
func (s *Store) CreateLink(ctx context.Context, l session.Link) error {
	return s.write(ctx, func(t *tx) error { return t.createLink(&l) })
}

func (t *tx) createLink(l *session.Link) error {
	_, err := t.exec(`INSERT INTO links (id, tenant, mission, profile, trail, label, max_viewers, created_at, expires_at, revoked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.Tenant, l.Mission, string(l.View.Profile), l.View.Trail, l.Label, l.MaxViewers,
		l.CreatedAt.UnixMilli(), l.ExpiresAt.UnixMilli(), millis(l.RevokedAt))
	return err
}

// Links lists a mission's links, oldest first: their ids sort by the time they
// were made.
func (s *Store) Links(ctx context.Context, tenant string, mission, after uuid.UUID, limit int) (links []session.Link, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		if _, err := readHead(q, tenant, mission); err != nil {
			return err
		}
		return q.each(func(row *sql.Rows) error {
			l := session.Link{Tenant: tenant, Mission: mission}
			err := row.Scan(&l.ID, &l.View.Profile, &l.View.Trail, &l.Label, &l.MaxViewers,
				asTime{&l.CreatedAt}, asTime{&l.ExpiresAt}, asTime{&l.RevokedAt},
				&l.Opened, asTime{&l.LastOpenedAt}, &l.Watching)
			links = append(links, l)
			return err
		}, `SELECT id, profile, trail, label, max_viewers, created_at, expires_at, revoked_at, opened, last_opened_at,
				(SELECT coalesce(sum(v.count), 0) FROM viewers v JOIN nodes n ON n.id = v.node AND n.until > ? WHERE v.link = links.id)
			FROM links WHERE mission = ? AND id > ? ORDER BY id LIMIT ?`, now, mission, after, limit)
	})
	return links, err
}

// RevokeLink revokes a link and raises its mission's Revision; repeating it is
// harmless.
func (s *Store) RevokeLink(ctx context.Context, tenant string, id uuid.UUID) (mission uuid.UUID, err error) {
	err = s.write(ctx, func(t *tx) error {
		if err := queryer(t.query).one([]any{&mission}, "SELECT mission FROM links WHERE tenant = ? AND id = ?", tenant, id); err != nil {
			return err
		}
		n, err := t.exec("UPDATE links SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", t.now, id)
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec("UPDATE missions SET revision = revision + 1 WHERE id = ?", mission)
		return err
	})
	if err != nil {
		return uuid.Nil, err
	}
	return mission, nil
}
