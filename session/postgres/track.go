package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// place is what a query for positions must carry: the day, which names the
// partition, and what its mission says about slots and agents.
type place struct {
	Tenant    string
	Mission   uuid.UUID
	ExpiresOn *time.Time
	Track     bool
	Interval  int64 // milliseconds
	agents    []string
	opened    []time.Time // for readLocated: of each agent's open window
}

const (
	readPlace = "SELECT expires_on, track, min_interval_ms FROM missions WHERE tenant = $1 AND id = $2"
	// readAgents and readLocated list whose positions there may be, and whose
	// may be shown as the latest.
	readAgents = `SELECT agent, 'epoch'::timestamptz FROM mission_agents
		WHERE tenant = $1 AND mission = $2 AND ($3 = '' OR agent = $3) ORDER BY agent`
	readLocated = `SELECT w.agent, w.opened FROM windows w JOIN missions m ON m.tenant = w.tenant AND m.id = w.mission
		WHERE w.tenant = $1 AND w.mission = $2 AND w.closed IS NULL AND m.deadline > ronde_now() ORDER BY w.agent`
)

// place returns the place of a mission, with the agents that a query selects. The
// query is given the tenant and the mission, and more.
func (s *Store) place(ctx context.Context, tenant string, id uuid.UUID, agents string, more ...any) (*place, error) {
	p := &place{Tenant: tenant, Mission: id}
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(readPlace, tenant, id).QueryRow(func(row pgx.Row) error {
			return row.Scan(&p.ExpiresOn, &p.Track, &p.Interval)
		})
		b.Queue(agents, append([]any{tenant, id}, more...)...).Query(func(rows pgx.Rows) error {
			var agent string
			var opened time.Time
			_, err := pgx.ForEachRow(rows, []any{&agent, &opened}, func() error {
				p.agents, p.opened = append(p.agents, agent), append(p.opened, opened)
				return nil
			})
			return err
		})
	})
	return p, err
}

// readTrack reads one page of a track. Positions lie in the order of agents and
// slots, and the page is to be in the order of times. The two orders of an agent
// are nearly one: a time is never later than its slot ends, and earlier than the
// device time by at most session.MaxAhead, where that ran ahead. So a page takes
// of each agent the next so many slots, and those that follow within that.
//
// OFFSET 0 keeps the planner from joining the positions first and asking for the
// reach of each: a partition that nobody has analysed yet looks empty to it.
//
// $1 day, $2 mission, $3 agents, $4 to $6 the cursor, $7 limit, $8 interval.
const readTrack = `
	SELECT page.agent, page.slot, page.at, page.sealed
	FROM unnest($3::text[]) AS a(agent)
	CROSS JOIN LATERAL (
		SELECT max(next.slot) + 1 + 60000 / $8 AS slot
		FROM (SELECT p.slot FROM positions p
			WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = a.agent
				AND p.slot >= ronde_slot(ronde_ms($4), $8) AND (p.at, p.agent, p.slot) > ($4, $5, $6)
			ORDER BY p.slot LIMIT $7) AS next
	) AS reach
	CROSS JOIN LATERAL (
		SELECT p.agent, p.slot, p.at, p.sealed FROM positions p
		WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = a.agent
			AND p.slot BETWEEN ronde_slot(ronde_ms($4), $8) AND reach.slot AND (p.at, p.agent, p.slot) > ($4, $5, $6)
		OFFSET 0
	) AS page
	ORDER BY page.at, page.agent, page.slot LIMIT $7`

// Track implements session.Store.
func (s *Store) Track(ctx context.Context, tenant string, id uuid.UUID, after session.Cursor, limit int) ([]session.Row, error) {
	return s.AgentTrack(ctx, tenant, id, "", after, limit)
}

// AgentTrack implements session.Store. No agent stands for all.
func (s *Store) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) ([]session.Row, error) {
	p, err := s.place(ctx, tenant, id, readAgents, agent)
	if err != nil || p.ExpiresOn == nil || !p.Track {
		return nil, err
	}
	return s.rows(ctx, tenant, readTrack, *p.ExpiresOn, id, p.agents, session.Millis(after.At), after.Agent, after.Slot, limit, p.Interval)
}

// readLatest reads the newest positions of open windows. The newest slots are
// nearly the newest times; nothing newer than the earliest time among them lies
// below that time's slot.
//
// $1 day, $2 mission, $3 agents, $4 since when, $5 limit, $6 interval.
const readLatest = `
	SELECT newest.agent, newest.slot, newest.at, newest.sealed
	FROM unnest($3::text[], $4::timestamptz[]) AS w(agent, opened)
	CROSS JOIN LATERAL (
		SELECT min(last.at) AS at
		FROM (SELECT p.at FROM positions p
			WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = w.agent
				AND p.slot >= ronde_slot(ronde_ms(w.opened), $6) AND p.at >= w.opened
			ORDER BY p.slot DESC LIMIT $5) AS last
	) AS edge
	CROSS JOIN LATERAL (
		SELECT p.agent, p.slot, p.at, p.sealed FROM positions p
		WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = w.agent
			AND p.slot >= ronde_slot(ronde_ms(edge.at), $6) AND p.at >= w.opened
		ORDER BY p.at DESC, p.slot DESC LIMIT $5
	) AS newest
	ORDER BY newest.agent, newest.at, newest.slot`

// readUntracked reads the one position that a mission without a track keeps of
// each located agent. $1 tenant, $2 mission, $3 agents, $4 since when.
const readUntracked = `
	SELECT l.agent, l.slot, l.at, l.sealed FROM unnest($3::text[], $4::timestamptz[]) AS w(agent, opened)
	JOIN latest l ON l.tenant = $1 AND l.mission = $2 AND l.agent = w.agent AND l.at >= w.opened
	ORDER BY l.agent`

// Latest implements session.Store.
func (s *Store) Latest(ctx context.Context, tenant string, id uuid.UUID, n int) ([]session.Row, error) {
	p, err := s.place(ctx, tenant, id, readLocated)
	if err != nil || len(p.agents) == 0 || n <= 0 {
		return nil, err
	}
	if !p.Track {
		return s.rows(ctx, tenant, readUntracked, tenant, id, p.agents, p.opened)
	}
	return s.rows(ctx, tenant, readLatest, *p.ExpiresOn, id, p.agents, p.opened, n, p.Interval)
}

// planForDay has the rest of the transaction planned for its arguments, so that
// only the partition of the day asked for is opened and locked.
const planForDay = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"

func (s *Store) rows(ctx context.Context, tenant, sql string, args ...any) ([]session.Row, error) {
	var found []session.Row
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue(planForDay)
		b.Queue(sql, args...).Query(collectRows(&found))
	})
	return found, err
}

// collectRows returns what adds the positions of a result to found.
func collectRows(found *[]session.Row) func(rows pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var r session.Row
		_, err := pgx.ForEachRow(rows, []any{&r.Agent, &r.Slot, &r.At, &r.Sealed}, func() error {
			r.At = session.Millis(r.At)
			*found = append(*found, r)
			r.Sealed = nil // the next row must not share the memory of this one
			return nil
		})
		return err
	}
}

// Refusals implements session.Store.
func (s *Store) Refusals(ctx context.Context, tenant string, id uuid.UUID) (refusals []session.Refusal, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT true FROM missions WHERE tenant = $1 AND id = $2", tenant, id).
			QueryRow(func(row pgx.Row) error { return row.Scan(new(bool)) })
		b.Queue("SELECT agent, reason, count FROM refusals WHERE tenant = $1 AND mission = $2 ORDER BY agent, reason", tenant, id).
			Query(func(rows pgx.Rows) (err error) {
				refusals, err = pgx.CollectRows(rows, pgx.RowToStructByPos[session.Refusal])
				return err
			})
	})
	return refusals, err
}
