package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// insertMission and its agents: the statement of one and of the other.
const (
	insertMission = `INSERT INTO missions (id, tenant, reference, site, checkpoints, starts_at, ends_at, overrun_ms, early_begin_ms,
		track, proof, retention_days, min_interval_ms, max_points, speed, agent_controls,
		state, changed_by, end_reason, created_at, began_at, ended_at, expires_on, deadline, revision)
		VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, ronde_now(), $20, $21, $22, $23, 1)
		RETURNING created_at`
	// putAgents adds agents, or changes what may change of those there are.
	putAgents = `INSERT INTO mission_agents (tenant, mission, agent, place, alias, paused, relieved, sos, tokens_after, removed)
		SELECT $1, $2, * FROM unnest($3::text[], $4::integer[], $5::text[], $6::boolean[], $7::boolean[], $8::text[], $9::timestamptz[], $10::bigint[])
		ON CONFLICT (mission, agent) DO UPDATE SET alias = excluded.alias, paused = excluded.paused,
			relieved = excluded.relieved, sos = excluded.sos, tokens_after = excluded.tokens_after, removed = excluded.removed`
)

// CreateMission implements session.Store.
func (s *Store) CreateMission(ctx context.Context, m *session.Mission) error {
	made := *m
	err := s.inTenant(ctx, m.Tenant, func(b *pgx.Batch) { queueNewMission(b, &made) })
	if err == nil {
		*m = made
	}
	return err
}

// queueNewMission queues the storing of m, and sets what CreateMission sets.
func queueNewMission(b *pgx.Batch, m *session.Mission) {
	p := &m.Policy
	queueAdmit(b, m.Tenant, m.Joining(nil)...)
	b.Queue(insertMission, m.Tenant, m.ID, m.Reference, siteOf(m.Site), checkpointsOf(m.Checkpoints),
		m.StartsAt, m.EndsAt, m.Overrun.Milliseconds(), m.EarlyBegin.Milliseconds(),
		p.Track, p.Proof, p.RetentionDays, p.MinInterval.Milliseconds(), p.MaxPoints, p.Speed, p.AgentControls,
		m.State, m.ChangedBy, m.EndReason, optional(m.BeganAt), optional(m.EndedAt), optionalDay(m.ExpiresOn), m.Deadline,
	).QueryRow(func(row pgx.Row) error {
		var created time.Time
		err := row.Scan(&created)
		m.CreatedAt, m.Revision = session.Millis(created), 1
		m.ReadAt = m.CreatedAt
		return err
	})
	queueAgents(b, m.Tenant, m.ID, m.Agents)
}

// queueAgents queues the writing of all agents of a mission.
func queueAgents(b *pgx.Batch, tenant string, mission uuid.UUID, agents []session.Agent) {
	n := len(agents)
	ids, aliases, alarms, places := make([]string, n), make([]string, n), make([]string, n), make([]int32, n)
	paused, relieved := make([]bool, n), make([]bool, n)
	tokensAfter, removed := make([]*time.Time, n), make([]int64, n)
	for i := range agents {
		a := &agents[i]
		ids[i], aliases[i], places[i] = a.ID, a.Alias, int32(i)
		paused[i], relieved[i], alarms[i] = a.Paused, a.Relieved, string(a.SOS)
		tokensAfter[i], removed[i] = optional(a.TokensAfter), a.Removed
	}
	b.Queue(putAgents, tenant, mission, ids, places, aliases, paused, relieved, alarms, tokensAfter, removed)
}

// The clock is read before the mission, so that ReadAt never claims to know
// more than was read. A later statement of the transaction that selects by the
// time has it as readAt.
const (
	readClock   = "SELECT set_config('ronde.read_at', ronde_now()::text, true)::timestamptz"
	readAt      = "current_setting('ronde.read_at')::timestamptz"
	readMission = "SELECT " + missionColumns + " FROM mission_rows WHERE tenant = $1 AND id = $2"
)

// Mission implements session.Store.
func (s *Store) Mission(ctx context.Context, tenant string, id uuid.UUID) (*session.Mission, error) {
	var found []*session.Mission
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		queueMissions(b, &found, readMission, tenant, id)
	})
	if err == nil && len(found) == 0 {
		err = session.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// queueMissions queues the reading of the clock, which it returns, and then of
// missions.
func queueMissions(b *pgx.Batch, found *[]*session.Mission, sql string, args ...any) (now *time.Time) {
	now = new(time.Time)
	b.Queue(readClock).QueryRow(func(row pgx.Row) error { return row.Scan(now) })
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*found, err = scanMissions(rows, *now)
		return err
	})
	return now
}

func scanMissions(rows pgx.Rows, now time.Time) ([]*session.Mission, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*session.Mission, error) {
		r, err := pgx.RowToStructByName[missionRow](row)
		if err != nil {
			return nil, err
		}
		m := r.mission()
		m.ReadAt = session.Millis(now)
		return m, nil
	})
}
