package sqlite

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// UpdateMission lets change alter a mission under the write lock and stores
// what changed: see session.Store. change must not use the store.
func (s *Store) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(m *session.Mission) error) (*session.Mission, error) {
	var updated *session.Mission
	err := s.write(ctx, func(t *tx) error {
		before, err := readMission(t.query, tenant, id, t.now)
		if err != nil {
			return err
		}
		after := before.Clone()
		if err := change(after); err != nil {
			return err
		}
		// Who a mission is and what was agreed about it never changes.
		after.ID, after.Tenant, after.Policy = before.ID, before.Tenant, before.Policy
		if err := t.trim(after); err != nil {
			return err
		}
		if err := t.cut(after); err != nil {
			return err
		}
		if err := t.logChanges(after); err != nil {
			return err
		}
		if reflect.DeepEqual(before, after) {
			updated = before
			return nil
		}
		if err := t.put(before, after); err != nil {
			return err
		}
		// What is returned is what is stored.
		updated, err = readMission(t.query, tenant, id, t.now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return updated, nil
}

// logChanges adds what m.Log says to the access log, and consumes it.
func (t *tx) logChanges(m *session.Mission) error {
	rows := m.Log
	m.Log = nil
	for i := range rows {
		rows[i].Tenant, rows[i].Mission = m.Tenant, m.ID
	}
	return t.logAccess(rows)
}

// trim removes the positions that lie at or after each agent's Trim, counts
// them, and consumes it.
func (t *tx) trim(m *session.Mission) error {
	for i := range m.Agents {
		a := &m.Agents[i]
		if a.Trim.IsZero() {
			continue
		}
		from := a.Trim.UnixMilli()
		a.Trim = time.Time{}
		if m.ExpiresOn == 0 {
			continue
		}
		// A position's slot is that of its time or, of a fast phone, later: the
		// slot bounds the search, the time decides.
		removed, err := t.exec("DELETE FROM positions WHERE expires_on = ? AND mission = ? AND agent = ? AND slot >= ? AND at >= ?",
			day(m.ExpiresOn), m.ID, a.ID, session.Slot(from, m.Policy.MinInterval.Milliseconds()), from)
		if err != nil {
			return err
		}
		a.Removed += removed
	}
	return nil
}

// put stores the state, plan, agents and windows of a mission that was before.
func (t *tx) put(before, m *session.Mission) error {
	joining := m.Joining(before)
	if len(joining) > 0 || m.State != before.State && m.State == session.Active {
		if err := t.spare(m.Tenant, joining...); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE missions SET starts_at = ?, ends_at = ?, overrun_ms = ?, early_begin_ms = ?,
			state = ?, changed_by = ?, end_reason = ?, began_at = ?, ended_at = ?, expires_on = ?, deadline = ?,
			revision = revision + 1
		WHERE id = ?`,
		m.StartsAt.UnixMilli(), m.EndsAt.UnixMilli(), m.Overrun.Milliseconds(), m.EarlyBegin.Milliseconds(),
		string(m.State), string(m.ChangedBy), string(m.EndReason), millis(m.BeganAt), millis(m.EndedAt),
		day(m.ExpiresOn), m.Deadline.UnixMilli(), m.ID)
	if err != nil {
		return err
	}
	for i := range m.Agents {
		a, old := &m.Agents[i], before.Agent(m.Agents[i].ID)
		if err := t.putAgent(m.ID, i, a); err != nil {
			return err
		}
		// A deadline is the end of an open window.
		if old != nil && slices.Equal(old.Windows, a.Windows) && m.Deadline.Equal(before.Deadline) {
			continue
		}
		if err := t.putWindows(m, a); err != nil {
			return err
		}
	}
	// Where somebody is, is forgotten with the window.
	_, err = t.exec(`DELETE FROM latest WHERE mission = ?1 AND NOT EXISTS (
		SELECT 1 FROM windows w WHERE w.mission = ?1 AND w.agent = latest.agent AND w.closed IS NULL AND w.opened <= latest.at)`, m.ID)
	if err != nil {
		return err
	}
	_, err = t.exec(`DELETE FROM progress WHERE mission = ?1 AND NOT EXISTS (
		SELECT 1 FROM windows w WHERE w.mission = ?1 AND w.agent = progress.agent AND w.closed IS NULL AND w.opened = progress.opened)`, m.ID)
	return err
}

// putAgent stores an agent, without windows.
func (t *tx) putAgent(mission uuid.UUID, ordinal int, a *session.Agent) error {
	_, err := t.exec(`INSERT INTO mission_agents (mission, ordinal, agent, alias, paused, relieved, sos, tokens_after, removed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (mission, agent) DO UPDATE SET ordinal = excluded.ordinal, alias = excluded.alias,
			paused = excluded.paused, relieved = excluded.relieved, sos = excluded.sos, tokens_after = excluded.tokens_after, removed = excluded.removed`,
		mission, ordinal, a.ID, a.Alias, a.Paused, a.Relieved, string(a.SOS), millis(a.TokensAfter), a.Removed)
	return err
}

// putWindows replaces an agent's windows. ErrLocated if one would overlap a
// window of the same agent in another mission of the tenant.
func (t *tx) putWindows(m *session.Mission, a *session.Agent) error {
	if _, err := t.exec("DELETE FROM windows WHERE mission = ? AND agent = ?", m.ID, a.ID); err != nil {
		return err
	}
	for _, w := range a.Windows {
		located := false
		err := queryer(t.query).one([]any{&located}, `SELECT EXISTS (
			SELECT 1 FROM windows w JOIN missions m ON m.id = w.mission
			WHERE w.tenant = ?1 AND w.agent = ?2 AND w.mission <> ?3
				AND (?5 IS NULL OR w.opened < ?5) AND coalesce(w.closed, m.deadline) > ?4)`,
			m.Tenant, a.ID, m.ID, w.Opened.UnixMilli(), millis(w.Closed))
		if err != nil {
			return err
		}
		if located {
			return session.ErrLocated
		}
		if _, err := t.exec("INSERT INTO windows (tenant, mission, agent, opened, closed) VALUES (?, ?, ?, ?, ?)",
			m.Tenant, m.ID, a.ID, w.Opened.UnixMilli(), millis(w.Closed)); err != nil {
			return err
		}
	}
	return nil
}
