package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// Bar makes sure that nothing is in the way of an erasure, and that nothing comes
// in its way: see session.Store.
func (s *Store) Bar(ctx context.Context, t session.Tombstone) (session.Tombstone, error) {
	err := s.write(ctx, func(tx *tx) error {
		err := queryer(tx.query).one([]any{&t.Pseudonym, asTime{&t.At}},
			"SELECT pseudonym, at FROM erasing WHERE tenant = ? AND agent = ?", t.Tenant, t.Agent)
		if !errors.Is(err, session.ErrNotFound) {
			return err
		}
		if err := tx.inTheWay(&t); err != nil {
			return err
		}
		t.At = time.UnixMilli(tx.now).UTC()
		_, err = tx.exec("INSERT INTO erasing (tenant, agent, pseudonym, at) VALUES (?, ?, ?, ?)", t.Tenant, t.Agent, t.Pseudonym, tx.now)
		return err
	})
	if err != nil {
		return session.Tombstone{}, err
	}
	return t, nil
}

// inTheWay returns why somebody is not to be erased now, or nil.
func (t *tx) inTheWay(stone *session.Tombstone) error {
	for _, way := range []struct {
		of    bool
		err   error
		query string
	}{
		{stone.Agent == "", session.ErrState, "missions m WHERE m.tenant = ?1 AND ?2 = '' AND m.state IN ('active', 'paused') AND m.deadline > ?3"},
		{stone.Agent != "", session.ErrOnDuty, `mission_agents a JOIN missions m ON m.id = a.mission
			WHERE m.tenant = ?1 AND a.agent = ?2 AND NOT a.relieved AND m.` + unended + " AND m.deadline > ?3"},
		{stone.Agent != "", session.ErrHeld, `mission_agents a JOIN holds h ON h.mission = a.mission
			WHERE h.tenant = ?1 AND a.agent = ?2 AND h.agent IN ('', ?2) AND h.released_at IS NULL AND h.until > ?3`},
	} {
		if !way.of {
			continue
		}
		found := false
		err := queryer(t.query).one([]any{&found}, "SELECT EXISTS (SELECT 1 FROM "+way.query+")", stone.Tenant, stone.Agent, t.now)
		if err != nil {
			return err
		}
		if found {
			return way.err
		}
	}
	return nil
}

// spare returns ErrErasing if the tenant is barred or one of the agents, by name or
// by what takes its place.
func (t *tx) spare(tenant string, agents ...string) error {
	return queryer(t.query).each(func(row *sql.Rows) error {
		var agent, pseudonym string
		if err := row.Scan(&agent, &pseudonym); err != nil {
			return err
		}
		if agent == "" || slices.Contains(agents, agent) || slices.Contains(agents, pseudonym) {
			return session.ErrErasing
		}
		return nil
	}, "SELECT agent, pseudonym FROM erasing WHERE tenant = ?", tenant)
}

// Barred returns who is barred.
func (s *Store) Barred(ctx context.Context) (barred []session.Tombstone, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var t session.Tombstone
			err := row.Scan(&t.Tenant, &t.Agent, &t.Pseudonym, asTime{&t.At})
			barred = append(barred, t)
			return err
		}, "SELECT tenant, agent, pseudonym, at FROM erasing ORDER BY at, tenant, agent")
	})
	return barred, err
}

// Erase takes one step of a tombstone: see session.Store.
func (s *Store) Erase(ctx context.Context, t session.Tombstone) (step session.ErasureStep, err error) {
	err = s.write(ctx, func(tx *tx) error {
		// From here on the store knows that something is being erased: no hold keeps it.
		if _, err := tx.exec("INSERT INTO erasures (number, pseudonym) VALUES (?, ?) ON CONFLICT DO NOTHING", t.Number, t.Pseudonym); err != nil {
			return err
		}
		e := eraser{tx: tx, stone: t}
		if step.Done, err = e.over(); err == nil && !step.Done {
			step, err = e.step()
		}
		if err != nil {
			return err
		}
		if step.Done {
			if err := e.lift(); err != nil {
				return err
			}
		}
		return e.count(step.Done)
	})
	if err != nil {
		return session.ErasureStep{}, err
	}
	return step, nil
}

// eraser is one step in progress.
type eraser struct {
	*tx
	stone  session.Tombstone
	erased session.Erased
}

// over reports whether the tombstone was carried out, also under another number
// that two closers gave it: since then the name may be somebody's again.
func (e *eraser) over() (over bool, err error) {
	err = queryer(e.query).one([]any{&over}, `SELECT EXISTS (SELECT 1 FROM erasures
		WHERE done_at IS NOT NULL AND (number = ?1 OR number < ?1 AND pseudonym = ?2 AND ?2 <> ''))`, e.stone.Number, e.stone.Pseudonym)
	return over, err
}

// lift ends that somebody is barred.
func (e *eraser) lift() error {
	_, err := e.exec("DELETE FROM erasing WHERE tenant = ?1 AND (agent = ?2 OR ?2 = '') AND at <= ?3",
		e.stone.Tenant, e.stone.Agent, e.stone.At.UnixMilli())
	return err
}

func (e *eraser) step() (session.ErasureStep, error) {
	if e.stone.Agent == "" {
		return e.stepTenant()
	}
	return e.stepAgent()
}

// remove adds the rows that a statement removes to a count.
func (e *eraser) remove(count *int64, query string, args ...any) error {
	n, err := e.exec(query, args...)
	*count += n
	return err
}

// stepAgent takes the agent out of one mission, or out of what is left once they
// are in none.
func (e *eraser) stepAgent() (session.ErasureStep, error) {
	var mission uuid.UUID
	var expires sql.NullString
	err := queryer(e.query).one([]any{&mission, &expires}, `SELECT m.id, m.expires_on FROM mission_agents a JOIN missions m ON m.id = a.mission
		WHERE a.agent = ? AND m.tenant = ? AND m.created_at <= ? ORDER BY m.id LIMIT 1`,
		e.stone.Agent, e.stone.Tenant, e.stone.At.UnixMilli())
	switch {
	case errors.Is(err, session.ErrNotFound):
		err = e.remove(&e.erased.Acknowledgements, "DELETE FROM acknowledgements WHERE tenant = ? AND agent = ? AND acknowledged_at <= ?",
			e.stone.Tenant, e.stone.Agent, e.stone.At.UnixMilli())
		return session.ErasureStep{Done: true}, err
	case err != nil:
		return session.ErasureStep{}, err
	}
	if more, err := e.removePositions(mission, expires, e.stone.Agent); err != nil || more {
		return session.ErasureStep{}, err
	}
	e.erased.Missions++
	return session.ErasureStep{Mission: mission}, e.rename(mission)
}

// removePositions removes positions of a mission and copies that holds keep of
// them, of one agent, or of all together with the holds. It reports whether more
// may be left.
func (e *eraser) removePositions(mission uuid.UUID, expires sql.NullString, agent string) (more bool, err error) {
	before := e.erased.Positions
	err = e.remove(&e.erased.Positions, `DELETE FROM archive WHERE (hold, agent, slot) IN (
		SELECT a.hold, a.agent, a.slot FROM holds h JOIN archive a ON a.hold = h.id
		WHERE h.mission = ?1 AND (?2 = '' OR a.agent = ?2) LIMIT ?3)`, mission, agent, session.ErasureLimit)
	if err == nil && agent == "" && e.erased.Positions-before < session.ErasureLimit {
		// Without its holds nothing of the mission waits for a copy.
		_, err = e.exec("DELETE FROM holds WHERE mission = ?", mission)
	}
	if err != nil || e.erased.Positions-before == session.ErasureLimit {
		return true, err
	}
	before = e.erased.Positions
	err = e.remove(&e.erased.Positions, `DELETE FROM positions WHERE (expires_on, mission, agent, slot) IN (
		SELECT expires_on, mission, agent, slot FROM positions
		WHERE expires_on = ?1 AND mission = ?2 AND (?3 = '' OR agent = ?3) LIMIT ?4)`,
		expires.String, mission, agent, session.ErasureLimit)
	if e.erased.Positions-before == session.ErasureLimit {
		return true, err
	}
	if err == nil {
		err = e.remove(&e.erased.Positions, "DELETE FROM latest WHERE mission = ?1 AND (?2 = '' OR agent = ?2)", mission, agent)
	}
	return false, err
}

// rename puts the pseudonym in the agent's place in a mission's record, and
// removes what else is known of them there.
func (e *eraser) rename(mission uuid.UUID) error {
	if err := e.remove(&e.erased.Refusals, "DELETE FROM refusals WHERE mission = ? AND agent = ?", mission, e.stone.Agent); err != nil {
		return err
	}
	who := []any{mission, e.stone.Agent}
	renamed := append(who, e.stone.Pseudonym, e.now)
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO mission_agents (mission, ordinal, agent, alias, paused, relieved, sos, tokens_after, removed)
			SELECT mission, ordinal, ?3, ?3, 0, 1, sos, ?4, removed FROM mission_agents WHERE mission = ?1 AND agent = ?2`, renamed},
		{`INSERT INTO windows (tenant, mission, agent, opened, closed)
			SELECT w.tenant, w.mission, ?3, w.opened, coalesce(w.closed, max(w.opened + 1, min(?4, m.deadline)))
			FROM windows w JOIN missions m ON m.id = w.mission WHERE w.mission = ?1 AND w.agent = ?2`, renamed},
		{"UPDATE holds SET agent = ?3, reason = ?3 WHERE mission = ?1 AND agent = ?2", renamed[:3]}, // their own words
		{"DELETE FROM windows WHERE mission = ? AND agent = ?", who},
		{"DELETE FROM progress WHERE mission = ? AND agent = ?", who},
		{"DELETE FROM mission_agents WHERE mission = ? AND agent = ?", who},
		{"DELETE FROM receipts WHERE mission = ?", who[:1]},
		{"UPDATE missions SET revision = revision + 1 WHERE id = ?", who[:1]},
	} {
		if _, err := e.exec(statement.query, statement.args...); err != nil {
			return err
		}
	}
	return nil
}

// stepTenant removes one mission of the tenant, or what is left once there is
// none.
func (e *eraser) stepTenant() (session.ErasureStep, error) {
	name, until := e.stone.Tenant, e.stone.At.UnixMilli()
	err := queryer(e.query).one([]any{new(int)}, "SELECT 1 FROM tenants WHERE name = ? AND created_at <= ?", name, until)
	if errors.Is(err, session.ErrNotFound) {
		return session.ErasureStep{Done: true}, nil
	}
	if err == nil {
		err = e.remove(&e.erased.APIKeys, "DELETE FROM api_keys WHERE tenant = ?", name)
	}
	if err != nil {
		return session.ErasureStep{}, err
	}
	var mission uuid.UUID
	var expires sql.NullString
	err = queryer(e.query).one([]any{&mission, &expires}, "SELECT id, expires_on FROM missions WHERE tenant = ? ORDER BY id LIMIT 1", name)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return session.ErasureStep{Done: true}, e.removeTenant()
	case err != nil:
		return session.ErasureStep{}, err
	}
	if more, err := e.removePositions(mission, expires, ""); err != nil || more {
		return session.ErasureStep{}, err
	}
	e.erased.Missions++
	return session.ErasureStep{Mission: mission}, e.removeMission(mission)
}

func (e *eraser) removeMission(mission uuid.UUID) error {
	err := e.remove(&e.erased.Refusals, "DELETE FROM refusals WHERE mission = ?", mission)
	if err == nil {
		err = e.remove(&e.erased.Links, "DELETE FROM links WHERE mission = ?", mission)
	}
	if err != nil {
		return err
	}
	for _, table := range []string{"receipts WHERE mission", "progress WHERE mission", "windows WHERE mission", "mission_agents WHERE mission", "missions WHERE id"} {
		if _, err := e.exec("DELETE FROM "+table+" = ?", mission); err != nil {
			return err
		}
	}
	return nil
}

func (e *eraser) removeTenant() error {
	err := e.remove(&e.erased.Acknowledgements, "DELETE FROM acknowledgements WHERE tenant = ?", e.stone.Tenant)
	if err == nil {
		err = e.remove(&e.erased.Notices, "DELETE FROM notices WHERE tenant = ?", e.stone.Tenant)
	}
	if err == nil {
		_, err = e.exec("DELETE FROM tenants WHERE name = ?", e.stone.Tenant)
	}
	return err
}

// count adds what the step removed to what is remembered of the tombstone.
func (e *eraser) count(done bool) error {
	n := &e.erased
	_, err := e.exec(`UPDATE erasures SET missions = missions + ?2, positions = positions + ?3, refusals = refusals + ?4,
		acknowledgements = acknowledgements + ?5, links = links + ?6, api_keys = api_keys + ?7, notices = notices + ?8,
		done_at = coalesce(done_at, CASE WHEN ?9 THEN ?10 END) WHERE number = ?1`,
		e.stone.Number, n.Missions, n.Positions, n.Refusals, n.Acknowledgements, n.Links, n.APIKeys, n.Notices, done, e.now)
	return err
}

// Erasure returns what is remembered of a tombstone.
func (s *Store) Erasure(ctx context.Context, number int64) (session.Erasure, error) {
	e := session.Erasure{Number: number}
	err := s.read(ctx, func(q queryer) error {
		return q.one([]any{
			asTime{&e.DoneAt}, &e.Missions, &e.Positions, &e.Refusals, &e.Acknowledgements, &e.Links, &e.APIKeys, &e.Notices,
		}, `SELECT done_at, missions, positions, refusals, acknowledgements, links, api_keys, notices
			FROM erasures WHERE number = ?`, number)
	})
	return e, err
}

// LastErasure returns the highest number of a tombstone that was carried out.
func (s *Store) LastErasure(ctx context.Context) (number int64, err error) {
	err = s.read(ctx, func(q queryer) error { return lastErasure(q, &number) })
	return number, err
}

func lastErasure(q queryer, number *int64) error {
	return q.one([]any{number}, "SELECT coalesce(max(number), 0) FROM erasures WHERE done_at IS NOT NULL")
}

// Tenants lists all tenants by name.
func (s *Store) Tenants(ctx context.Context) (tenants []session.Tenant, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var t session.Tenant
			err := row.Scan(&t.Name, asTime{&t.CreatedAt})
			tenants = append(tenants, t)
			return err
		}, "SELECT name, created_at FROM tenants ORDER BY name")
	})
	return tenants, err
}

// Acknowledgements lists the versions of the notice that the agent acknowledged.
func (s *Store) Acknowledgements(ctx context.Context, tenant, agent string) (list []session.Acknowledgement, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var a session.Acknowledgement
			err := row.Scan(&a.Version, asTime{&a.At})
			list = append(list, a)
			return err
		}, "SELECT version, acknowledged_at FROM acknowledgements WHERE tenant = ? AND agent = ? ORDER BY version", tenant, agent)
	})
	return list, err
}
