package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// Missions implements session.Store.
func (s *Store) Missions(ctx context.Context, tenant string, f session.MissionFilter, after uuid.UUID, limit int) ([]*session.Mission, error) {
	var found []*session.Mission
	sql, args := selectMissions(tenant, &f, after, limit)
	err := s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		queueMissions(b, &found, sql, args...)
	})
	return found, err
}

// unended is the condition of the indexes of missions that are not over.
const unended = "state NOT IN ('ended', 'cancelled')"

// selectMissions returns the query for one page of what f selects. It names only
// what f asks for, so that each of its few forms has a plan of its own.
func selectMissions(tenant string, f *session.MissionFilter, after uuid.UUID, limit int) (sql string, args []any) {
	var b strings.Builder
	// and adds a condition; every %s in it stands for the next of the values.
	and := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			places[i] = fmt.Sprintf("$%d", len(args))
		}
		fmt.Fprintf(&b, condition, places...)
	}
	and("SELECT "+missionColumns+" FROM mission_rows WHERE tenant = %s", tenant)
	if after != uuid.Nil {
		and(" AND id < %s", after)
	}
	if f.Unended() {
		and(" AND " + unended)
	}
	if len(f.States) > 0 {
		and(" AND CASE WHEN "+unended+" AND deadline <= "+readAt+" THEN 'ended' ELSE state END = ANY (%s)", f.States)
	}
	if !f.From.IsZero() {
		// A plan is never longer than MaxDuration, which bounds the search.
		and(" AND ends_at > %s AND starts_at > %s", f.From, f.From.Add(-session.MaxDuration))
	}
	if !f.To.IsZero() {
		and(" AND starts_at < %s", f.To)
	}
	if f.Agent != "" {
		and(" AND id IN (SELECT a.mission FROM mission_agents a WHERE a.tenant = %s AND a.agent = %s)", tenant, f.Agent)
	}
	if f.Reference != "" {
		and(" AND reference = %s", f.Reference)
	}
	and(" ORDER BY id DESC LIMIT %s", limit)
	return b.String(), args
}
