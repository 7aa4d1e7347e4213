package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"ronde/session"
)

// Attend renews the lease of a node, or makes a new node: see session.Store.
func (s *Store) Attend(ctx context.Context, node uuid.UUID) (uuid.UUID, error) {
	fresh := session.NewID()
	err := s.write(ctx, func(t *tx) error {
		until := t.now + session.AttendanceLife.Milliseconds()
		if _, err := t.exec("DELETE FROM nodes WHERE until <= ?", t.now); err != nil {
			return err
		}
		n, err := t.exec("UPDATE nodes SET until = ? WHERE id = ?", until, node)
		if err != nil || n > 0 {
			return err
		}
		node = fresh
		_, err = t.exec("INSERT INTO nodes (id, until) VALUES (?, ?)", node, until)
		return err
	})
	if err != nil {
		return uuid.Nil, err
	}
	return node, nil
}

// Watch judges how many may watch through links at a node: see session.Store.
func (s *Store) Watch(ctx context.Context, node uuid.UUID, batch []*session.Attendance) error {
	if len(batch) == 0 {
		return nil
	}
	return s.write(ctx, func(t *tx) error {
		err := queryer(t.query).one([]any{new(int)}, "SELECT 1 FROM nodes WHERE id = ? AND until > ?", node, t.now)
		if err != nil {
			return err
		}
		for _, a := range batch {
			if err := t.attend(node, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// attend judges one attendance.
func (t *tx) attend(node uuid.UUID, a *session.Attendance) error {
	var mission uuid.UUID
	var most, others int
	err := queryer(t.query).one([]any{&mission, &most, &others}, `SELECT l.mission, l.max_viewers,
			(SELECT coalesce(sum(v.count), 0) FROM viewers v JOIN nodes n ON n.id = v.node AND n.until > ?4
				WHERE v.link = l.id AND v.node <> ?3)
		FROM links l WHERE l.tenant = ?1 AND l.id = ?2`, a.Tenant, a.Link, node, t.now)
	if errors.Is(err, session.ErrNotFound) {
		a.Granted, a.Verdict = 0, session.AttendanceUnknown
		return nil
	}
	if err != nil {
		return err
	}
	a.Granted, a.Verdict = a.Want, session.AttendanceJudged
	if most > 0 {
		a.Granted = min(a.Want, max(0, most-others))
	}
	if a.Granted == 0 {
		_, err = t.exec("DELETE FROM viewers WHERE link = ? AND node = ?", a.Link, node)
	} else {
		_, err = t.exec(`INSERT INTO viewers (link, node, mission, count) VALUES (?, ?, ?, ?)
			ON CONFLICT (link, node) DO UPDATE SET count = excluded.count`, a.Link, node, mission, a.Granted)
	}
	if admitted := a.Granted - (a.Want - a.New); err == nil && admitted > 0 {
		_, err = t.exec("UPDATE links SET opened = opened + ?, last_opened_at = ? WHERE id = ?", admitted, t.now, a.Link)
	}
	return err
}

// readViewers notes how many watch the missions asked for, by nodes whose lease
// holds.
func readViewers(q queryer, list string, now int64, news *session.News) error {
	return q.each(func(row *sql.Rows) error {
		var v session.Viewers
		err := row.Scan(&v.Mission, &v.Node, &v.Count)
		news.Viewers = append(news.Viewers, v)
		return err
	}, `SELECT v.mission, v.node, sum(v.count) FROM json_each(?) k
			JOIN missions m ON m.id = k.value ->> 'id' AND m.tenant = k.value ->> 'tenant'
			JOIN viewers v ON v.mission = m.id
			JOIN nodes n ON n.id = v.node AND n.until > ?
		GROUP BY v.mission, v.node`, list, now)
}
