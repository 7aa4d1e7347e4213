package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// known is the stored form of a session.Known: SQL reads it as JSON.
type known struct {
	Tenant   string    `json:"tenant"`
	ID       uuid.UUID `json:"id"`
	Revision int64     `json:"revision"`
	Watched  bool      `json:"watched"`
}

// News tells a node what it does not know about the missions it has sockets
// for.
func (s *Store) News(ctx context.Context, asked []session.Known) (session.News, error) {
	now := s.clock().UnixMilli()
	news := session.News{Now: time.UnixMilli(now).UTC()}
	list := make([]known, len(asked))
	for i, k := range asked {
		list[i] = known{k.Tenant, k.ID, k.Revision, k.Watched}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return session.News{}, err
	}
	err = s.read(ctx, func(q queryer) error {
		changed, err := readChanges(q, string(text), &news)
		if err != nil {
			return err
		}
		for _, ref := range changed {
			m, err := readMission(q, ref.Tenant, ref.ID, now)
			if err != nil {
				return err
			}
			news.Missions = append(news.Missions, m)
		}
		if err := readNewest(q, string(text), now, &news); err != nil {
			return err
		}
		return readViewers(q, string(text), now, &news)
	})
	if err != nil {
		return session.News{}, err
	}
	return news, nil
}

// readChanges returns the missions whose revision is another than the known
// one, and notes those that are missing.
func readChanges(q queryer, list string, news *session.News) (changed []session.Ref, err error) {
	err = q.each(func(row *sql.Rows) error {
		var ref session.Ref
		var found bool
		if err := row.Scan(&ref.Tenant, &ref.ID, &found); err != nil {
			return err
		}
		if found {
			changed = append(changed, ref)
		} else {
			news.Missing = append(news.Missing, ref.ID)
		}
		return nil
	}, `SELECT k.value ->> 'tenant', k.value ->> 'id', m.id IS NOT NULL
		FROM json_each(?) k LEFT JOIN missions m ON m.id = k.value ->> 'id' AND m.tenant = k.value ->> 'tenant'
		WHERE m.id IS NULL OR m.revision <> k.value ->> 'revision'`, list)
	return changed, err
}

// readNewest notes the newest position of every located agent of the watched
// missions. Times do not rise with slots everywhere, but the newest time lies
// within MaxAhead of the highest slot.
func readNewest(q queryer, list string, now int64, news *session.News) error {
	return q.each(func(row *sql.Rows) error {
		var n session.Newest
		err := row.Scan(&n.Mission, &n.Agent, asTime{&n.At})
		news.Newest = append(news.Newest, n)
		return err
	}, `SELECT w.mission, w.agent, CASE WHEN m.track THEN
			(SELECT max(p.at) FROM positions p
				WHERE p.expires_on = m.expires_on AND p.mission = m.id AND p.agent = w.agent
					AND p.slot >= (SELECT max(slot) FROM positions
						WHERE expires_on = m.expires_on AND mission = m.id AND agent = w.agent) - ?3 / m.min_interval_ms - 1
					AND p.at >= w.opened)
			ELSE (SELECT l.at FROM latest l WHERE l.mission = m.id AND l.agent = w.agent) END AS newest
		FROM json_each(?1) k
			JOIN missions m ON m.id = k.value ->> 'id' AND m.tenant = k.value ->> 'tenant'
			JOIN windows w ON w.mission = m.id AND w.closed IS NULL
		WHERE k.value ->> 'watched' AND m.deadline > ?2 AND newest IS NOT NULL`,
		list, now, session.MaxAhead.Milliseconds())
}
