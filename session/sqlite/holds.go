package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// UpdateHold lets change alter the latest hold of a mission under the write
// lock: see session.HoldStore. change must not use the store.
func (s *Store) UpdateHold(ctx context.Context, tenant string, mission uuid.UUID, agent string, change func(c *session.HoldChange) error) (session.Hold, error) {
	var h session.Hold
	err := s.write(ctx, func(t *tx) error {
		m, err := readMission(t.query, tenant, mission, t.now)
		if err != nil {
			return err
		}
		m.Settle(m.ReadAt)
		m.Log = nil // it is not this change that ends the mission
		c := session.HoldChange{Mission: m}
		if err := queryer(t.query).one([]any{asDay{&c.Expired}}, "SELECT before FROM expiry"); err != nil {
			return err
		}
		holds, err := readHolds(t.query, "WHERE mission = ? AND agent = ? ORDER BY id DESC LIMIT 1", mission, agent)
		if err != nil {
			return err
		}
		if len(holds) > 0 {
			c.Hold = holds[0]
		}
		before := c.Hold
		if err := change(&c); err != nil {
			return err
		}
		if err := t.logChanges(m); err != nil {
			return err
		}
		h = c.Hold
		if h == before {
			return nil
		}
		if h.Stands(m.ReadAt) {
			agents := m.Joining(nil)
			if h.Agent != "" {
				agents = []string{h.Agent}
			}
			if err := t.spare(tenant, agents...); err != nil {
				return err
			}
		}
		return t.putHold(h, before.ID)
	})
	if err != nil {
		return session.Hold{}, err
	}
	return h, nil
}

// putHold stores what the application says of a hold: a new one, or that of the
// id known. It is no upsert, for which the triggers of an insert would fire.
func (t *tx) putHold(h session.Hold, known uuid.UUID) error {
	if h.ID == known {
		_, err := t.exec("UPDATE holds SET reason = ?, role = ?, subject = ?, until = ?, released_at = ? WHERE id = ?",
			h.Reason, string(h.Role), h.Subject, h.Until.UnixMilli(), millis(h.ReleasedAt), h.ID)
		return err
	}
	_, err := t.exec("INSERT INTO holds (id, tenant, mission, agent, reason, role, subject, set_at, until, released_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		h.ID, h.Tenant, h.Mission, h.Agent, h.Reason, string(h.Role), h.Subject, h.SetAt.UnixMilli(), h.Until.UnixMilli(), millis(h.ReleasedAt))
	return err
}

// Holds returns the holds of missions, standing and ended.
func (s *Store) Holds(ctx context.Context, tenant string, missions ...uuid.UUID) (holds []session.Hold, err error) {
	if len(missions) == 0 {
		return nil, nil
	}
	args := []any{tenant}
	for _, id := range missions {
		args = append(args, id)
	}
	err = s.read(ctx, func(q queryer) error {
		holds, err = readHolds(q, "WHERE tenant = ? AND mission IN (?"+strings.Repeat(", ?", len(missions)-1)+") ORDER BY mission, id", args...)
		return err
	})
	return holds, err
}

func readHolds(q queryer, clause string, args ...any) (holds []session.Hold, err error) {
	err = q.each(func(row *sql.Rows) error {
		var h session.Hold
		err := row.Scan(&h.ID, &h.Tenant, &h.Mission, &h.Agent, &h.Reason, &h.Role, &h.Subject, asTime{&h.SetAt}, asTime{&h.Until},
			asTime{&h.ReleasedAt}, asTime{&h.CopiedAt}, &h.Copied, asTime{&h.GoneAt})
		holds = append(holds, h)
		return err
	}, "SELECT id, tenant, mission, agent, reason, role, subject, set_at, until, released_at, copied_at, copied, gone_at FROM holds "+clause, args...)
	return holds, err
}

// StandingHolds returns which of these holds stand, and until when.
func (s *Store) StandingHolds(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]time.Time, error) {
	now := s.clock().UnixMilli()
	standing := map[uuid.UUID]time.Time{}
	err := s.read(ctx, func(q queryer) error {
		for _, id := range ids {
			var until time.Time
			err := q.one([]any{asTime{&until}}, "SELECT until FROM holds WHERE id = ? AND gone_at IS NULL AND released_at IS NULL AND until > ?", id, now)
			if err == nil {
				standing[id] = until
			} else if !errors.Is(err, session.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	return standing, err
}

// uncopied is the condition of a hold that stands and has no whole copy; the
// parameter is the time.
const uncopied = "gone_at IS NULL AND released_at IS NULL AND copied_at IS NULL AND until > ?"

// UncopiedHolds returns holds that stand on missions that are over and have no
// whole copy yet, by their missions' expiry.
func (s *Store) UncopiedHolds(ctx context.Context, limit int) (holds []session.Hold, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		holds, err = readHolds(q, "WHERE "+uncopied+` AND (SELECT state FROM missions m WHERE m.id = mission) IN ('ended', 'cancelled')
			ORDER BY (SELECT expires_on FROM missions m WHERE m.id = mission), id LIMIT ?`, now, limit)
		return err
	})
	return holds, err
}

// CopyHeld adds positions to the copy of a hold.
func (s *Store) CopyHeld(ctx context.Context, h session.Hold, rows []session.Row) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.copying(h.ID); err != nil {
			return err
		}
		for _, r := range rows {
			_, err := t.exec(`INSERT INTO archive (hold, agent, slot, at, sealed)
				SELECT ?1, p.agent, p.slot, p.at, ?6 FROM missions m
				JOIN positions p ON p.expires_on = m.expires_on AND p.mission = m.id AND p.agent = ?3 AND p.slot = ?4 AND p.at = ?5
				WHERE m.id = ?2 AND (?7 = '' OR p.agent = ?7) ON CONFLICT DO NOTHING`,
				h.ID, h.Mission, r.Agent, r.Slot, r.At.UnixMilli(), r.Sealed, h.Agent)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// copying returns ErrState unless the hold stands without a whole copy.
func (t *tx) copying(hold uuid.UUID) error {
	err := queryer(t.query).one([]any{new(int)}, "SELECT 1 FROM holds WHERE id = ? AND "+uncopied, hold, t.now)
	if errors.Is(err, session.ErrNotFound) {
		return session.ErrState.Because("the hold has ended, or its copy is whole")
	}
	return err
}

// CopyEnd returns the place of the last position in the copy of a hold.
func (s *Store) CopyEnd(ctx context.Context, h session.Hold) (end session.Cursor, err error) {
	err = s.read(ctx, func(q queryer) error {
		err := q.one([]any{asTime{&end.At}, &end.Agent, &end.Slot},
			"SELECT at, agent, slot FROM archive WHERE hold = ? ORDER BY at DESC, agent DESC, slot DESC LIMIT 1", h.ID)
		if errors.Is(err, session.ErrNotFound) {
			return nil
		}
		return err
	})
	return end, err
}

// HoldCopied declares the copy of a hold whole, if it is.
func (s *Store) HoldCopied(ctx context.Context, h session.Hold, lost int64) error {
	return s.write(ctx, func(t *tx) error {
		q := queryer(t.query)
		whole, missing, copied := false, int64(0), int64(0)
		if err := q.one([]any{&whole}, "SELECT copied_at IS NOT NULL FROM holds WHERE id = ?", h.ID); err != nil || whole {
			return err
		}
		if err := t.copying(h.ID); err != nil {
			return err
		}
		err := q.one([]any{&missing, &copied}, `SELECT
			(SELECT count(*) FROM missions m JOIN positions p ON p.expires_on = m.expires_on AND p.mission = m.id
				WHERE m.id = ?2 AND (?3 = '' OR p.agent = ?3) AND NOT EXISTS (SELECT 1 FROM archive a WHERE a.hold = ?1 AND a.agent = p.agent AND a.slot = p.slot)),
			(SELECT count(*) FROM archive WHERE hold = ?1)`, h.ID, h.Mission, h.Agent)
		if err != nil {
			return err
		}
		if missing > lost {
			return session.ErrState.Because("%d positions are not copied yet", missing-lost)
		}
		_, err = t.exec("UPDATE holds SET copied_at = ?, copied = ? WHERE id = ?", t.now, copied, h.ID)
		return err
	})
}

// HeldTrack returns positions of the copy of a hold that stands.
func (s *Store) HeldTrack(ctx context.Context, h session.Hold, agent string, after session.Cursor, limit int) (rows []session.Row, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		err := q.one([]any{new(int)}, "SELECT 1 FROM holds WHERE tenant = ? AND id = ? AND released_at IS NULL AND until > ?", h.Tenant, h.ID, now)
		if errors.Is(err, session.ErrNotFound) {
			return session.ErrGone
		}
		if err != nil {
			return err
		}
		return q.each(func(row *sql.Rows) error {
			r, err := scanRow(row)
			rows = append(rows, r)
			return err
		}, `SELECT agent, slot, at, sealed FROM archive
			WHERE hold = ?1 AND (?2 = '' OR agent = ?2) AND (at, agent, slot) > (?3, ?4, ?5) ORDER BY at, agent, slot LIMIT ?6`,
			h.ID, agent, after.At.UnixMilli(), after.Agent, after.Slot, limit)
	})
	return rows, err
}

// EndedHolds returns holds that have ended and whose copy may still be there.
func (s *Store) EndedHolds(ctx context.Context, limit int) (holds []session.Hold, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		holds, err = readHolds(q, "WHERE gone_at IS NULL AND (released_at IS NOT NULL OR until <= ?) ORDER BY id LIMIT ?", now, limit)
		return err
	})
	return holds, err
}

// DeleteHeld removes positions of the copy of a hold that has ended.
func (s *Store) DeleteHeld(ctx context.Context, h session.Hold, limit int) (int, error) {
	var deleted int64
	err := s.write(ctx, func(t *tx) (err error) {
		err = queryer(t.query).one([]any{new(int)}, "SELECT 1 FROM holds WHERE id = ? AND (released_at IS NOT NULL OR until <= ?)", h.ID, t.now)
		if errors.Is(err, session.ErrNotFound) {
			return session.ErrState.Because("the hold stands")
		}
		if err != nil {
			return err
		}
		deleted, err = t.exec(`DELETE FROM archive WHERE (hold, agent, slot) IN (
			SELECT hold, agent, slot FROM archive WHERE hold = ? LIMIT ?)`, h.ID, limit)
		if err != nil || deleted == int64(limit) {
			return err
		}
		_, err = t.exec("UPDATE holds SET gone_at = ? WHERE id = ? AND gone_at IS NULL", t.now, h.ID)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(deleted), nil
}
