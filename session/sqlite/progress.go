package sqlite

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"ronde/session"
)

// SaveProgress keeps what agents' progress has come to: see session.Store.
func (s *Store) SaveProgress(ctx context.Context, batch []session.SavedProgress) error {
	if len(batch) == 0 {
		return nil
	}
	return s.write(ctx, func(t *tx) error {
		for _, p := range batch {
			_, err := t.exec(`INSERT OR REPLACE INTO progress (mission, agent, opened, at, sealed)
				SELECT w.mission, w.agent, w.opened, ?5, ?6 FROM missions m JOIN windows w ON w.mission = m.id
				WHERE m.tenant = ?1 AND m.id = ?2 AND m.state = 'active' AND m.deadline > ?7
					AND w.agent = ?3 AND w.closed IS NULL AND w.opened = ?4 AND w.opened <= ?5
					AND NOT EXISTS (SELECT 1 FROM progress p
						WHERE p.mission = ?2 AND p.agent = ?3 AND p.opened = ?4 AND p.at >= ?5)`,
				p.Tenant, p.ID, p.Agent, p.Opened.UnixMilli(), p.At.UnixMilli(), p.Sealed, t.now)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SavedProgress returns what SaveProgress kept of a mission's open windows, in
// the order of their agents.
func (s *Store) SavedProgress(ctx context.Context, tenant string, id uuid.UUID) (saved []session.SavedProgress, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			p := session.SavedProgress{Ref: session.Ref{Tenant: tenant, ID: id}}
			err := row.Scan(&p.Agent, asTime{&p.Opened}, asTime{&p.At}, &p.Sealed)
			saved = append(saved, p)
			return err
		}, `SELECT p.agent, p.opened, p.at, p.sealed FROM missions m JOIN progress p ON p.mission = m.id
			WHERE m.tenant = ? AND m.id = ? AND m.deadline > ? ORDER BY p.agent`, tenant, id, now)
	})
	return saved, err
}
