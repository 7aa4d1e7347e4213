package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/google/uuid"

	"ronde/session"
)

// The key of a position is its slot, the order of a track is its time, and no
// index joins them: it would make every append half as slow again. It need not,
// because the two are never far apart. A position's time is its device time or,
// of a fast phone, up to MaxAhead less; so what lies in [from, to) has a slot
// between that of from and that of to + MaxAhead, and reading such a range and
// sorting it is cheap as long as ranges are short. Readers start with a range
// that holds what they need if nothing is missing, and double it.

// head is what reading a mission's positions needs to know of it.
type head struct {
	id              uuid.UUID
	expires         any
	track           bool
	interval        int64
	began, deadline int64 // of a mission that has begun
}

// readHead returns the head of a mission, or ErrNotFound.
func readHead(q queryer, tenant string, id uuid.UUID) (head, error) {
	h := head{id: id}
	var expires sql.NullString
	err := q.one([]any{&expires, &h.track, &h.interval, &h.began, &h.deadline},
		"SELECT expires_on, track, min_interval_ms, coalesce(began_at, 0), deadline FROM missions WHERE tenant = ? AND id = ?", tenant, id)
	if expires.Valid {
		h.expires = expires.String
	}
	return h, err
}

// slots returns the slots that hold every position with from <= at < to.
func (h *head) slots(from, to int64) (first, last int64) {
	return session.Slot(from, h.interval), session.Slot(to-1+session.MaxAhead.Milliseconds(), h.interval)
}

// span returns a length of time that holds n positions of one agent if none is
// missing.
func (h *head) span(n int) int64 {
	return int64(min(n, 100_000))*h.interval + session.MaxAhead.Milliseconds()
}

// Track returns stored positions of a mission in order of (At, Agent, Slot),
// beginning after the cursor.
func (s *Store) Track(ctx context.Context, tenant string, id uuid.UUID, after session.Cursor, limit int) ([]session.Row, error) {
	return s.AgentTrack(ctx, tenant, id, "", after, limit)
}

// AgentTrack returns of a track what is one agent's. No agent stands for all.
func (s *Store) AgentTrack(ctx context.Context, tenant string, id uuid.UUID, agent string, after session.Cursor, limit int) (rows []session.Row, err error) {
	err = s.read(ctx, func(q queryer) error {
		h, err := readHead(q, tenant, id)
		if err != nil || h.expires == nil {
			return err
		}
		from := max(h.began, after.At.UnixMilli())
		for span := h.span(limit); from < h.deadline && len(rows) < limit; span *= 2 {
			to := min(from+span, h.deadline)
			first, last := h.slots(from, to)
			err := q.each(func(row *sql.Rows) error {
				r, err := scanRow(row)
				rows = append(rows, r)
				return err
			}, `SELECT p.agent, p.slot, p.at, p.sealed FROM mission_agents a CROSS JOIN positions p
				WHERE a.mission = ?2 AND (?11 = '' OR a.agent = ?11) AND p.expires_on = ?1 AND p.mission = ?2 AND p.agent = a.agent
					AND p.slot BETWEEN ?3 AND ?4 AND p.at >= ?5 AND p.at < ?6
					AND (p.at, p.agent, p.slot) > (?7, ?8, ?9)
				ORDER BY p.at, p.agent, p.slot LIMIT ?10`,
				h.expires, id, first, last, from, to, after.At.UnixMilli(), after.Agent, after.Slot, limit-len(rows), agent)
			if err != nil {
				return err
			}
			from = to
		}
		return nil
	})
	return rows, err
}

// Latest returns, for every agent with an open window, the newest stored
// positions of that window, at most n an agent, in order of (Agent, At).
func (s *Store) Latest(ctx context.Context, tenant string, id uuid.UUID, n int) (rows []session.Row, err error) {
	now := s.clock().UnixMilli()
	err = s.read(ctx, func(q queryer) error {
		h, err := readHead(q, tenant, id)
		if err != nil || h.expires == nil || h.deadline <= now {
			return err
		}
		if !h.track {
			return q.each(func(row *sql.Rows) error {
				r, err := scanRow(row)
				rows = append(rows, r)
				return err
			}, "SELECT agent, slot, at, sealed FROM latest WHERE mission = ? ORDER BY agent", id)
		}
		return q.each(func(row *sql.Rows) error {
			var agent string
			var opened int64
			if err := row.Scan(&agent, &opened); err != nil {
				return err
			}
			found, err := h.newest(q, agent, opened, n)
			rows = append(rows, found...)
			return err
		}, "SELECT agent, opened FROM windows WHERE mission = ? AND closed IS NULL ORDER BY agent", id)
	})
	return rows, err
}

// newest returns the newest n positions of an agent since a time, the oldest
// first.
func (h *head) newest(q queryer, agent string, since int64, n int) (rows []session.Row, err error) {
	to := h.deadline
	for span := h.span(n); to > since && len(rows) < n; span *= 2 {
		from := max(to-span, since)
		first, last := h.slots(from, to)
		err := q.each(func(row *sql.Rows) error {
			r, err := scanRow(row)
			rows = append(rows, r)
			return err
		}, `SELECT agent, slot, at, sealed FROM positions
			WHERE expires_on = ? AND mission = ? AND agent = ? AND slot BETWEEN ? AND ? AND at >= ? AND at < ?
			ORDER BY at DESC, slot DESC LIMIT ?`,
			h.expires, h.id, agent, first, last, from, to, n-len(rows))
		if err != nil {
			return nil, err
		}
		to = from
	}
	slices.Reverse(rows)
	return rows, nil
}

func scanRow(row *sql.Rows) (session.Row, error) {
	var r session.Row
	err := row.Scan(&r.Agent, &r.Slot, asTime{&r.At}, &r.Sealed)
	return r, err
}

// Refusals returns how many pings of a mission were refused.
func (s *Store) Refusals(ctx context.Context, tenant string, id uuid.UUID) (refusals []session.Refusal, err error) {
	err = s.read(ctx, func(q queryer) error {
		if _, err := readHead(q, tenant, id); err != nil {
			return err
		}
		return q.each(func(row *sql.Rows) error {
			var r session.Refusal
			err := row.Scan(&r.Agent, &r.Reason, &r.Count)
			refusals = append(refusals, r)
			return err
		}, "SELECT agent, reason, count FROM refusals WHERE mission = ? ORDER BY agent, reason", id)
	})
	return refusals, err
}
