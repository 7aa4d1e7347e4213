package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// CreateMission stores a new, valid, scheduled mission of an existing tenant
// and sets its CreatedAt, Revision and ReadAt.
func (s *Store) CreateMission(ctx context.Context, m *session.Mission) error {
	made := *m
	err := s.write(ctx, func(t *tx) error { return t.createMission(&made) })
	if err == nil {
		*m = made
	}
	return err
}

// createMission stores m and sets what CreateMission sets.
func (t *tx) createMission(m *session.Mission) error {
	if err := t.spare(m.Tenant, m.Joining(nil)...); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO missions (
			id, tenant, reference, site_name, site_latitude, site_longitude, site_radius_m, site_area, checkpoints,
			starts_at, ends_at, overrun_ms, early_begin_ms,
			track, proof, retention_days, min_interval_ms, max_points, speed, agent_controls,
			state, changed_by, end_reason, created_at, began_at, ended_at, expires_on, deadline, revision)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
		m.ID, m.Tenant, m.Reference,
		m.Site.Name, m.Site.Center.Latitude, m.Site.Center.Longitude, m.Site.RadiusM, area{m.Site.Area}, checkpoints(m.Checkpoints),
		m.StartsAt.UnixMilli(), m.EndsAt.UnixMilli(), m.Overrun.Milliseconds(), m.EarlyBegin.Milliseconds(),
		m.Policy.Track, m.Policy.Proof, m.Policy.RetentionDays, m.Policy.MinInterval.Milliseconds(),
		m.Policy.MaxPoints, m.Policy.Speed, m.Policy.AgentControls,
		string(m.State), string(m.ChangedBy), string(m.EndReason), t.now,
		millis(m.BeganAt), millis(m.EndedAt), day(m.ExpiresOn), m.Deadline.UnixMilli())
	if err != nil {
		return err
	}
	for i := range m.Agents {
		if err := t.putAgent(m.ID, i, &m.Agents[i]); err != nil {
			return err
		}
	}
	m.CreatedAt, m.Revision = time.UnixMilli(t.now).UTC(), 1
	m.ReadAt = m.CreatedAt
	return nil
}

// Mission returns a mission as it stands, with ReadAt set.
func (s *Store) Mission(ctx context.Context, tenant string, id uuid.UUID) (m *session.Mission, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		m, err = readMission(q, tenant, id, now)
		return err
	})
	return m, err
}

// Missions lists the missions of a tenant that f selects, newest first: their ids
// sort by the time they were made.
func (s *Store) Missions(ctx context.Context, tenant string, f session.MissionFilter, after uuid.UUID, limit int) (list []*session.Mission, err error) {
	now := s.clock().UnixMilli()
	where, args := selection(tenant, &f, after, now)
	err = s.read(ctx, func(q queryer) error {
		list, err = readMissions(q, now, where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
		return err
	})
	return list, err
}

// unended is written wherever a query is to use the indexes of missions that are
// not over: SQLite knows them by these words.
const unended = "state IN ('scheduled', 'active', 'paused')"

// selection returns the condition of what f selects, with its arguments.
func selection(tenant string, f *session.MissionFilter, after uuid.UUID, now int64) (where string, args []any) {
	var b strings.Builder
	and := func(condition string, values ...any) {
		b.WriteString(condition)
		args = append(args, values...)
	}
	and("WHERE tenant = ?", tenant)
	if after != uuid.Nil {
		and(" AND id < ?", after)
	}
	if f.Unended() {
		and(" AND " + unended)
	}
	if n := len(f.States); n > 0 {
		and(" AND CASE WHEN "+unended+" AND deadline <= ? THEN 'ended' ELSE state END IN (?"+strings.Repeat(", ?", n-1)+")", now)
		for _, state := range f.States {
			args = append(args, string(state))
		}
	}
	if !f.From.IsZero() {
		// A plan is never longer than MaxDuration, which bounds the search.
		and(" AND ends_at > ? AND starts_at > ?", f.From.UnixMilli(), f.From.Add(-session.MaxDuration).UnixMilli())
	}
	if !f.To.IsZero() {
		and(" AND starts_at < ?", f.To.UnixMilli())
	}
	if f.Agent != "" {
		and(" AND id IN (SELECT mission FROM mission_agents WHERE agent = ?)", f.Agent)
	}
	if f.Reference != "" {
		and(" AND reference = ?", f.Reference)
	}
	return b.String(), args
}

// Due returns missions, of all tenants, whose deadline has passed and that are
// not over, the longest due first.
func (s *Store) Due(ctx context.Context, limit int) (due []session.Ref, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var ref session.Ref
			err := row.Scan(&ref.Tenant, &ref.ID)
			due = append(due, ref)
			return err
		}, "SELECT tenant, id FROM missions WHERE "+unended+" AND deadline <= ? ORDER BY deadline LIMIT ?", now, limit)
	})
	return due, err
}

// readMission returns one mission, or ErrNotFound. now becomes its ReadAt.
func readMission(q queryer, tenant string, id uuid.UUID, now int64) (*session.Mission, error) {
	list, err := readMissions(q, now, "WHERE tenant = ? AND id = ?", tenant, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, session.ErrNotFound
	}
	return list[0], nil
}

// readMissions returns the missions that a clause selects. now becomes their
// ReadAt.
func readMissions(q queryer, now int64, clause string, args ...any) ([]*session.Mission, error) {
	var list []*session.Mission
	err := q.each(func(row *sql.Rows) error {
		m := &session.Mission{ReadAt: time.UnixMilli(now).UTC()}
		list = append(list, m)
		return row.Scan(&m.ID, &m.Tenant, &m.Reference,
			&m.Site.Name, &m.Site.Center.Latitude, &m.Site.Center.Longitude, &m.Site.RadiusM, asArea{&m.Site}, asCheckpoints{&m.Checkpoints},
			asTime{&m.StartsAt}, asTime{&m.EndsAt}, asSpan{&m.Overrun}, asSpan{&m.EarlyBegin},
			&m.Policy.Track, &m.Policy.Proof, &m.Policy.RetentionDays, asSpan{&m.Policy.MinInterval},
			&m.Policy.MaxPoints, &m.Policy.Speed, &m.Policy.AgentControls,
			&m.State, &m.ChangedBy, &m.EndReason, asTime{&m.CreatedAt}, asTime{&m.BeganAt}, asTime{&m.EndedAt},
			asDay{&m.ExpiresOn}, asTime{&m.Deadline}, &m.Revision)
	}, `SELECT id, tenant, reference, site_name, site_latitude, site_longitude, site_radius_m, site_area, checkpoints,
			starts_at, ends_at, overrun_ms, early_begin_ms,
			track, proof, retention_days, min_interval_ms, max_points, speed, agent_controls,
			state, changed_by, end_reason, created_at, began_at, ended_at, expires_on, deadline, revision
		FROM missions `+clause, args...)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		if err := readParts(q, m); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// readParts reads what belongs to a mission and lies in other tables.
func readParts(q queryer, m *session.Mission) error {
	err := q.each(func(row *sql.Rows) error {
		var a session.Agent
		err := row.Scan(&a.ID, &a.Alias, &a.Paused, &a.Relieved, &a.SOS, asTime{&a.TokensAfter}, &a.Removed)
		m.Agents = append(m.Agents, a)
		return err
	}, "SELECT agent, alias, paused, relieved, sos, tokens_after, removed FROM mission_agents WHERE mission = ? ORDER BY ordinal", m.ID)
	if err != nil {
		return err
	}
	err = q.each(func(row *sql.Rows) error {
		var agent string
		var w session.Window
		if err := row.Scan(&agent, asTime{&w.Opened}, asTime{&w.Closed}); err != nil {
			return err
		}
		a := m.Agent(agent) // there is one: a foreign key says so
		a.Windows = append(a.Windows, w)
		return nil
	}, "SELECT agent, opened, closed FROM windows WHERE mission = ? ORDER BY agent, opened", m.ID)
	if err != nil {
		return err
	}
	return q.each(func(row *sql.Rows) error {
		var id uuid.UUID
		err := row.Scan(&id)
		m.RevokedLinks = append(m.RevokedLinks, id)
		return err
	}, "SELECT id FROM links WHERE mission = ? AND revoked_at IS NOT NULL ORDER BY revoked_at, id", m.ID)
}
