package postgres

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// attempts is how often a transaction is tried that fails only because of
// another one.
const attempts = 5

// lockMission takes the lock that ronde_append takes shared. What is read by
// the statements after it was committed before the lock was given.
const lockMission = "SELECT FROM missions WHERE tenant = $1 AND id = $2 FOR UPDATE"

// UpdateMission implements session.Store.
func (s *Store) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *session.Mission) error) (*session.Mission, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for n := 1; ; n++ {
		m, err := s.tryUpdate(ctx, tenant, id, change)
		var own *changeError
		switch {
		case errors.As(err, &own):
			return nil, own.err
		case err == nil:
			return m, nil
		case !again(err) || n == attempts:
			return nil, storeError(err)
		}
	}
}

// changeError carries an error of the caller's change past everything that
// interprets errors of the database.
type changeError struct{ err error }

func (e *changeError) Error() string { return e.err.Error() }

func (s *Store) tryUpdate(ctx context.Context, tenant string, id uuid.UUID, change func(m *session.Mission) error) (*session.Mission, error) {
	var b pgx.Batch
	var found []*session.Mission
	b.BeginTx(pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	b.Queue(setTenant, tenant)
	b.Queue(lockMission, tenant, id)
	queueMissions(&b, &found, readMission, tenant, id)
	results := s.pool.SendBatch(ctx, &b)
	tx := results.Tx()
	if tx != nil {
		defer tx.Rollback(ctx) //nolint:errcheck // after a commit it does nothing, and before it nobody depends on it
	}
	if err := results.Close(); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, session.ErrNotFound
	}
	before, m := found[0], found[0].Clone()
	if err := change(m); err != nil {
		return nil, &changeError{err}
	}
	if err := persist(ctx, tx, before, m); err != nil {
		return nil, err
	}
	return m, tx.Commit(ctx)
}

// persist stores in what m differs from before, if it does.
func persist(ctx context.Context, tx pgx.Tx, before, m *session.Mission) error {
	if err := trim(ctx, tx, m); err != nil {
		return err
	}
	if err := cut(ctx, tx, m); err != nil {
		return err
	}
	if err := logChanges(ctx, tx, m); err != nil {
		return err
	}
	if reflect.DeepEqual(before, m) {
		return nil
	}
	m.Revision++
	var b pgx.Batch
	if m.State != before.State && m.State == session.Active {
		queueAdmit(&b, m.Tenant)
	}
	if joining := m.Joining(before); len(joining) > 0 {
		queueAdmit(&b, m.Tenant, joining...)
	}
	// Partitions come before windows: who waits for another's window must not
	// be waited for because of a partition.
	if before.ExpiresOn == 0 && m.ExpiresOn != 0 && m.Policy.Track {
		b.Queue("SELECT ronde_partition($1)", m.ExpiresOn.Time())
	}
	b.Queue(`UPDATE missions SET starts_at = $3, ends_at = $4, overrun_ms = $5, early_begin_ms = $6, state = $7,
			changed_by = $8, end_reason = $9, began_at = $10, ended_at = $11, expires_on = $12, deadline = $13, revision = $14
		WHERE tenant = $1 AND id = $2`,
		m.Tenant, m.ID, m.StartsAt, m.EndsAt, m.Overrun.Milliseconds(), m.EarlyBegin.Milliseconds(), m.State,
		m.ChangedBy, m.EndReason, optional(m.BeganAt), optional(m.EndedAt), optionalDay(m.ExpiresOn), m.Deadline, m.Revision)
	if !reflect.DeepEqual(before.Agents, m.Agents) {
		queueAgents(&b, m.Tenant, m.ID, m.Agents)
		queueWindows(&b, before, m)
	}
	// Where somebody is, is forgotten with the window.
	b.Queue(`DELETE FROM progress p WHERE p.tenant = $1 AND p.mission = $2 AND NOT EXISTS (
		SELECT FROM windows w WHERE w.tenant = $1 AND w.mission = $2 AND w.agent = p.agent
			AND w.closed IS NULL AND w.opened = p.opened)`, m.Tenant, m.ID)
	if !m.Policy.Track {
		b.Queue(`DELETE FROM latest l WHERE l.tenant = $1 AND l.mission = $2 AND NOT EXISTS (
			SELECT FROM windows w WHERE w.tenant = $1 AND w.mission = $2 AND w.agent = l.agent
				AND w.closed IS NULL AND w.opened <= l.at)`, m.Tenant, m.ID)
	}
	return tx.SendBatch(ctx, &b).Close()
}

// logChanges adds what m.Log says to the access log, and consumes it.
func logChanges(ctx context.Context, tx pgx.Tx, m *session.Mission) error {
	rows := m.Log
	m.Log = nil
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		rows[i].Tenant, rows[i].Mission = m.Tenant, m.ID
	}
	_, err := tx.Exec(ctx, putAccess, accessArguments(rows)...)
	return err
}

// trim removes the positions that Trim of the agents names, and counts them.
// A position's time is never later than its slot ends, so none that is to go
// lies in an earlier slot.
func trim(ctx context.Context, tx pgx.Tx, m *session.Mission) error {
	var agents []string
	var from []time.Time
	for i := range m.Agents {
		a := &m.Agents[i]
		if !a.Trim.IsZero() {
			agents, from = append(agents, a.ID), append(from, session.Millis(a.Trim))
			a.Trim = time.Time{}
		}
	}
	if len(agents) == 0 || m.ExpiresOn == 0 || !m.Policy.Track {
		return nil
	}
	rows, _ := tx.Query(ctx, `WITH gone AS (
			DELETE FROM positions p USING unnest($3::text[], $4::timestamptz[]) AS t(agent, at)
			WHERE p.expires_on = $1 AND p.mission = $2 AND p.agent = t.agent
				AND p.slot >= ronde_slot(ronde_ms(t.at), $5) AND p.at >= t.at
			RETURNING p.agent)
		SELECT agent, count(*) FROM gone GROUP BY agent`,
		m.ExpiresOn.Time(), m.ID, agents, from, m.Policy.MinInterval.Milliseconds())
	return countRemoved(rows, m)
}

// queueWindows queues what turns the windows of before into those of m. Windows
// go before others come, which could otherwise overlap them, and agents are in
// the order of their names, so that two missions that want the same agents wait
// for each other in one direction only.
func queueWindows(b *pgx.Batch, before, m *session.Mission) {
	type opening struct {
		agent string
		at    int64
	}
	had := map[opening]time.Time{}
	for i := range before.Agents {
		for _, w := range before.Agents[i].Windows {
			had[opening{before.Agents[i].ID, w.Opened.UnixMilli()}] = w.Closed
		}
	}
	var closed, opened []windowRow
	for i := range m.Agents {
		for _, w := range m.Agents[i].Windows {
			key := opening{m.Agents[i].ID, w.Opened.UnixMilli()}
			was, kept := had[key]
			delete(had, key)
			row := windowRow{key.agent, session.Millis(w.Opened), optional(w.Closed)}
			switch {
			case !kept:
				opened = append(opened, row)
			case !was.Equal(w.Closed):
				closed = append(closed, row)
			}
		}
	}
	var dropped []windowRow
	for key := range had {
		dropped = append(dropped, windowRow{agent: key.agent, opened: time.UnixMilli(key.at).UTC()})
	}
	for _, step := range []struct {
		rows []windowRow
		sql  string
	}{
		{dropped, `DELETE FROM windows w USING unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS t(agent, opened, closed)
			WHERE w.tenant = $1 AND w.mission = $2 AND w.agent = t.agent AND w.opened = t.opened`},
		{closed, `UPDATE windows w SET closed = t.closed FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS t(agent, opened, closed)
			WHERE w.tenant = $1 AND w.mission = $2 AND w.agent = t.agent AND w.opened = t.opened`},
		{opened, `INSERT INTO windows (tenant, mission, agent, opened, closed)
			SELECT $1, $2, * FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS t(agent, opened, closed)`},
	} {
		if len(step.rows) > 0 {
			agents, from, to := columns(step.rows)
			b.Queue(step.sql, m.Tenant, m.ID, agents, from, to)
		}
	}
}

type windowRow struct {
	agent  string
	opened time.Time
	closed *time.Time
}

// columns returns the rows, sorted, as arrays.
func columns(rows []windowRow) (agents []string, opened []time.Time, closed []*time.Time) {
	slices.SortFunc(rows, func(a, b windowRow) int {
		if a.agent != b.agent {
			if a.agent < b.agent {
				return -1
			}
			return 1
		}
		return a.opened.Compare(b.opened)
	})
	for _, r := range rows {
		agents, opened, closed = append(agents, r.agent), append(opened, r.opened), append(closed, r.closed)
	}
	return agents, opened, closed
}
