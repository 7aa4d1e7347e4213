package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// MissionTerm returns for how many months a tenant's records name anybody.
func (s *Store) MissionTerm(ctx context.Context, tenant string) (months int, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.one([]any{&months}, "SELECT mission_months FROM tenants WHERE name = ?", tenant)
	})
	return months, err
}

// SetMissionTerm changes it.
func (s *Store) SetMissionTerm(ctx context.Context, tenant string, months int) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE tenants SET mission_months = ? WHERE name = ?", months, tenant)
		if err == nil && n == 0 {
			return session.ErrNotFound
		}
		return err
	})
}

// ClaimDays claims the days that are over, and returns the first that is not, and
// what is to be kept of those before it.
func (s *Store) ClaimDays(ctx context.Context) (before session.Day, kept []session.Pin, err error) {
	err = s.write(ctx, func(t *tx) error {
		kept = nil
		if _, err := t.exec("UPDATE expiry SET before = ?1 WHERE before < ?1", t.today(1)); err != nil {
			return err
		}
		q := queryer(t.query)
		if err := q.one([]any{asDay{&before}}, "SELECT before FROM expiry"); err != nil {
			return err
		}
		return q.each(func(row *sql.Rows) error {
			var p session.Pin
			err := row.Scan(&p.Hold, &p.Tenant, asDay{&p.Day})
			kept = append(kept, p)
			return err
		}, `SELECT h.id, h.tenant, m.expires_on FROM holds h JOIN missions m ON m.id = h.mission
			WHERE `+uncopied+" AND m.expires_on < ? ORDER BY m.expires_on, h.id", t.now, day(before))
	})
	return before, kept, err
}

// today returns the day of the store's clock, or one so many days later.
func (t *tx) today(later session.Day) any { return day(session.DayOf(time.UnixMilli(t.now)) + later) }

// purgeBatch is how many positions one transaction removes: others wait for it.
const purgeBatch = 2000

// PurgePositions removes some of the positions that expire before a day, but none
// whose copy a hold still waits for.
func (s *Store) PurgePositions(ctx context.Context, before session.Day) (more bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err := t.exec(`DELETE FROM positions WHERE (expires_on, mission, agent, slot) IN (
			SELECT expires_on, mission, agent, slot FROM positions WHERE expires_on < min(?, (SELECT before FROM expiry))
				AND mission NOT IN (SELECT mission FROM holds WHERE `+uncopied+`) LIMIT ?)`, day(before), t.now, purgeBatch)
		more = n == purgeBatch
		return err
	})
	return more, err
}

// stands is the condition of a hold that stood at the time ?1.
const stands = "h.gone_at IS NULL AND h.released_at IS NULL AND h.until > ?1"

// excess is the condition of missions that have more positions than they keep,
// and no hold that stood at the time ?1.
const excess = `state = 'ended' AND max_points > 0 AND expires_on >= (SELECT before FROM expiry)
	AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.mission = m.id AND ` + stands + `)
	AND (SELECT count(*) FROM positions p WHERE p.expires_on = m.expires_on AND p.mission = m.id) > max_points`

// Overfull returns missions that have ended with more positions than their
// policy keeps.
func (s *Store) Overfull(ctx context.Context, limit int) (refs []session.Ref, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var ref session.Ref
			err := row.Scan(&ref.Tenant, &ref.ID)
			refs = append(refs, ref)
			return err
		}, "SELECT tenant, id FROM missions m WHERE "+excess+" LIMIT ?2", now, limit)
	})
	return refs, err
}

// cut removes all but the newest positions that an ended mission may keep, and
// counts them: none while a hold stands.
func (t *tx) cut(m *session.Mission) error {
	if m.State != session.Ended || m.Policy.MaxPoints == 0 || m.ExpiresOn == 0 {
		return nil
	}
	var agents []string
	var slots []int64
	err := queryer(t.query).each(func(row *sql.Rows) error {
		var agent string
		var slot int64
		err := row.Scan(&agent, &slot)
		agents, slots = append(agents, agent), append(slots, slot)
		return err
	}, `SELECT agent, slot FROM positions WHERE expires_on = ?2 AND mission = ?3
		AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.mission = ?3 AND `+stands+`)
		ORDER BY at DESC, slot DESC, agent DESC LIMIT -1 OFFSET ?4`, t.now, day(m.ExpiresOn), m.ID, m.Policy.MaxPoints)
	if err != nil {
		return err
	}
	for i, slot := range slots {
		n, err := t.exec("DELETE FROM positions WHERE expires_on = ? AND mission = ? AND agent = ? AND slot = ?", day(m.ExpiresOn), m.ID, agents[i], slot)
		if err != nil {
			return err
		}
		if a := m.Agent(agents[i]); a != nil {
			a.Removed += n
		}
	}
	return nil
}

// adrift is the condition of a latest position, or saved progress, of nobody who
// is located; ?1 is the time by which the deadline must not have passed.
const adrift = `NOT EXISTS (SELECT 1 FROM windows w JOIN missions m ON m.id = w.mission
	WHERE w.mission = l.mission AND w.agent = l.agent AND w.closed IS NULL AND m.deadline > ?1)`

// PurgeLocations removes latest positions and saved progress of nobody who is
// located.
func (s *Store) PurgeLocations(ctx context.Context) (purged int, err error) {
	err = s.write(ctx, func(t *tx) error {
		purged = 0
		for _, query := range []string{"DELETE FROM latest AS l WHERE " + adrift, "DELETE FROM progress AS l WHERE " + adrift} {
			n, err := t.exec(query, t.now)
			if err != nil {
				return err
			}
			purged += int(n)
		}
		return nil
	})
	return purged, err
}

// named is the condition of missions whose record is to be anonymous, but for
// the positions or copies that it still has to wait for. ?1 is today, ?2 the
// time of its first instant.
const named = `anonymous_at IS NULL AND ended_at IS NOT NULL AND coalesce(expires_on, '') <= ?1
	AND unixepoch(m.ended_at / 1000, 'unixepoch', '+' || (SELECT mission_months FROM tenants WHERE name = m.tenant) || ' months', 'start of day') * 1000 <= ?2
	AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.mission = m.id AND h.gone_at IS NULL)`

func (t *tx) todayAt() any { return session.DayOf(time.UnixMilli(t.now)).Time().UnixMilli() }

// AnonymizeMissions takes names and places out of records whose term is over.
func (s *Store) AnonymizeMissions(ctx context.Context, limit int) (int, error) {
	var ids []uuid.UUID
	err := s.write(ctx, func(t *tx) error {
		ids = nil
		err := queryer(t.query).each(func(row *sql.Rows) error {
			var id uuid.UUID
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		}, "SELECT id FROM missions m WHERE "+named+` AND NOT EXISTS (
			SELECT 1 FROM positions p WHERE p.expires_on = m.expires_on AND p.mission = m.id)
			ORDER BY ended_at LIMIT ?3`, t.today(0), t.todayAt(), limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := t.anonymize(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(ids), nil
}

// anonymize takes names and places out of one record. An agent's new name says
// only which of the mission's agents it is, and is no other mission's.
func (t *tx) anonymize(mission uuid.UUID) error {
	const name = "'anonymous-' || mission || '-' || (ordinal + 1)"
	for _, step := range []string{
		"DELETE FROM links WHERE mission = ?1",
		"DELETE FROM receipts WHERE mission = ?1",
		"DELETE FROM holds WHERE mission = ?1",
		"DELETE FROM latest WHERE mission = ?1",
		"DELETE FROM progress WHERE mission = ?1",
		"UPDATE mission_agents SET alias = '-' || ordinal WHERE mission = ?1",
		`INSERT INTO mission_agents (mission, ordinal, agent, alias, paused, relieved, sos, tokens_after, removed)
			SELECT mission, ordinal, ` + name + `, 'A' || (ordinal + 1), paused, relieved, sos, tokens_after, removed FROM mission_agents WHERE mission = ?1`,
		`INSERT INTO windows (tenant, mission, agent, opened, closed)
			SELECT w.tenant, w.mission, 'anonymous-' || a.mission || '-' || (a.ordinal + 1), w.opened, w.closed
			FROM windows w JOIN mission_agents a ON a.mission = w.mission AND a.agent = w.agent WHERE w.mission = ?1`,
		"UPDATE refusals SET agent = (SELECT 'anonymous-' || a.mission || '-' || (a.ordinal + 1) FROM mission_agents a WHERE a.mission = ?1 AND a.agent = refusals.agent) WHERE mission = ?1",
		"DELETE FROM windows WHERE mission = ?1 AND agent IN (SELECT agent FROM mission_agents WHERE mission = ?1 AND substr(alias, 1, 1) = '-')",
		"DELETE FROM mission_agents WHERE mission = ?1 AND substr(alias, 1, 1) = '-'",
	} {
		if _, err := t.exec(step, mission); err != nil {
			return fmt.Errorf("make a record anonymous: %w", err)
		}
	}
	_, err := t.exec(`UPDATE missions SET reference = '', site_name = '', site_latitude = 0, site_longitude = 0, site_radius_m = 0, site_area = NULL,
		checkpoints = '[]', anonymous_at = ?, revision = revision + 1 WHERE id = ?`, t.now, mission)
	return err
}

// former is the condition of an acknowledgement of an agent whom nothing else
// names; ?1 is the time of today's first instant.
const former = `unixepoch(k.acknowledged_at / 1000, 'unixepoch', '+' || (SELECT mission_months FROM tenants WHERE name = k.tenant) || ' months', 'start of day') * 1000 <= ?1
	AND NOT EXISTS (SELECT 1 FROM mission_agents a JOIN missions m ON m.id = a.mission WHERE a.agent = k.agent AND m.tenant = k.tenant)`

// PurgeAcknowledgements removes acknowledgements of former agents.
func (s *Store) PurgeAcknowledgements(ctx context.Context, limit int) (int, error) {
	var purged int64
	err := s.write(ctx, func(t *tx) (err error) {
		purged, err = t.exec(`DELETE FROM acknowledgements WHERE (tenant, agent, version) IN (
			SELECT tenant, agent, version FROM acknowledgements k WHERE `+former+" LIMIT ?2)", t.todayAt(), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(purged), nil
}

// Overdue counts the rows that have outlived their limit.
func (s *Store) Overdue(ctx context.Context) (list []session.Overdue, err error) {
	now := s.clock()
	today := session.DayOf(now)
	late := now.Add(-session.TidyingSlack).UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		list = nil
		for _, c := range []struct {
			class session.Class
			query string
			args  []any
		}{
			{session.ClassPositions, "SELECT count(*) FROM positions WHERE expires_on <= ?", []any{day(today)}},
			{session.ClassExcess, "SELECT coalesce(sum((SELECT count(*) FROM positions p WHERE p.expires_on = m.expires_on AND p.mission = m.id) - max_points), 0) FROM missions m WHERE " + excess, []any{late}},
			{session.ClassLocations, "SELECT (SELECT count(*) FROM latest l WHERE " + adrift + ") + (SELECT count(*) FROM progress l WHERE " + adrift + ")", []any{late}},
			{session.ClassHeld, `SELECT count(*) FROM archive a JOIN holds h ON h.id = a.hold
				WHERE h.released_at <= ?1 OR h.until <= ?1 OR h.gone_at IS NOT NULL`, []any{late}},
			{session.ClassRecords, "SELECT count(*) FROM missions m WHERE " + named, []any{day(today), today.Time().UnixMilli()}},
			{session.ClassAcknowledgement, "SELECT count(*) FROM acknowledgements k WHERE " + former, []any{today.Time().UnixMilli()}},
			{session.ClassReceipts, "SELECT count(*) FROM receipts WHERE expires_at <= ?", []any{late}},
			{session.ClassAccessLog, "SELECT count(*) FROM access_log WHERE at < ?", []any{session.AccessOverdue(now).UnixMilli()}},
		} {
			o := session.Overdue{Class: c.class}
			if err := q.one([]any{&o.Rows}, c.query, c.args...); err != nil {
				return err
			}
			list = append(list, o)
		}
		return nil
	})
	return list, err
}
