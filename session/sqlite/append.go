package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"ronde/session"
)

// Append judges every ping of the batch and stores the good ones, in one
// transaction: see session.Store.
func (s *Store) Append(ctx context.Context, batch []*session.Submission) error {
	err := s.write(ctx, func(t *tx) error {
		for _, sub := range batch {
			if err := t.append(sub); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, sub := range batch {
			undecided(sub)
		}
	}
	return err
}

// undecided sets the verdict on every ping to Undecided, in the memory of an
// earlier judgement if there is any.
func undecided(sub *session.Submission) {
	if cap(sub.Verdicts) < len(sub.Pings) {
		sub.Verdicts = make([]session.Verdict, len(sub.Pings))
		return
	}
	sub.Verdicts = sub.Verdicts[:len(sub.Pings)]
	clear(sub.Verdicts)
}

func (t *tx) append(sub *session.Submission) error {
	undecided(sub)
	sub.Now = t.now
	b, err := t.brief(sub)
	if err != nil {
		return err
	}
	keep := b.keep
	if !b.mission.Policy.Track {
		keep = b.keepLatest
	}
	for i := range sub.Pings {
		timestamp := sub.Pings[i].Timestamp
		at, verdict := b.mission.Judge(sub.Agent, b.acknowledged, timestamp, t.now)
		if verdict == session.Stored {
			if i >= len(sub.Sealed) || len(sub.Sealed[i]) == 0 {
				verdict = session.Unsealed
			} else if verdict, err = keep(session.Slot(timestamp, b.interval), at, sub.Sealed[i]); err != nil {
				return err
			}
		}
		sub.Verdicts[i] = verdict
	}
	if b.row == nil {
		return nil
	}
	return t.count(sub)
}

// count adds up what of a submission was refused.
func (t *tx) count(sub *session.Submission) error {
	var refused [session.NoticeMissing + 1]int64
	for _, v := range sub.Verdicts {
		if v.Refused() {
			refused[v]++
		}
	}
	for v, n := range refused {
		if n == 0 {
			continue
		}
		_, err := t.exec(`INSERT INTO refusals (mission, agent, reason, count) VALUES (?, ?, ?, ?)
			ON CONFLICT (mission, agent, reason) DO UPDATE SET count = count + excluded.count`,
			sub.ID, sub.Agent, session.Verdict(v).Code(), n)
		if err != nil {
			return err
		}
	}
	return nil
}

// brief is what decides over one submission, as it stands under the lock.
type brief struct {
	t            *tx
	mission      session.Mission // what Judge reads of it, with the one agent
	acknowledged bool
	interval     int64 // of a slot, milliseconds
	opened       int64 // when the open window opened, if there is one
	located      bool  // there is an open window
	// row is the position to store: expires_on, mission, agent, and what keep
	// fills in: slot, at, sealed. It is nil for an agent who is not on the
	// mission.
	row []any
}

// brief reads what decides over a submission. If the agent is not on the
// mission, or the mission is missing or another tenant's, it has no agent, and
// everything is judged not active.
//
// Its statements run once for every phone that sends, so they name one table
// each and sort nothing: SQLite plans a join or a sorted query anew whenever
// its bindings were cleared, which the driver does before every call, and that
// costs six times what the statements themselves do.
func (t *tx) brief(sub *session.Submission) (*brief, error) {
	b := &brief{t: t, interval: 1}
	var deadline int64
	var state, expires string
	var member bool
	err := queryer(t.query).one([]any{&state, &deadline, &expires, &b.mission.Policy.Track, &b.interval, &member, &b.acknowledged},
		`SELECT state, deadline, coalesce(expires_on, ''), track, min_interval_ms,
			EXISTS (SELECT 1 FROM mission_agents a WHERE a.mission = m.id AND a.agent = ?3),
			NOT EXISTS (SELECT 1 FROM notices n WHERE n.tenant = m.tenant AND NOT EXISTS (
				SELECT 1 FROM acknowledgements k WHERE k.tenant = n.tenant AND k.agent = ?3 AND k.version >= n.version))
		FROM missions m WHERE tenant = ?1 AND id = ?2`, sub.Tenant, sub.ID, sub.Agent)
	if errors.Is(err, session.ErrNotFound) || err == nil && !member {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	b.mission.State, b.mission.Deadline = session.State(state), time.UnixMilli(deadline)
	b.row = []any{expires, sub.ID.String(), sub.Agent, nil, nil, nil}
	agent := session.Agent{ID: sub.Agent}
	err = queryer(t.query).each(func(row *sql.Rows) error {
		var opened, closed int64
		err := row.Scan(&opened, &closed)
		w := session.Window{Opened: time.UnixMilli(opened)}
		if closed == stillOpen {
			b.opened, b.located = opened, true
		} else {
			w.Closed = time.UnixMilli(closed)
		}
		agent.Windows = append(agent.Windows, w)
		return err
	}, "SELECT opened, coalesce(closed, ?3) FROM windows WHERE mission = ?1 AND agent = ?2", b.row[1], sub.Agent, stillOpen)
	b.mission.Agents = []session.Agent{agent}
	return b, err
}

// stillOpen stands for the end of a window that has none.
const stillOpen int64 = math.MaxInt64

// keep stores a good position, unless its slot is taken: the first one stays.
func (b *brief) keep(slot, at int64, sealed []byte) (session.Verdict, error) {
	b.row[3], b.row[4], b.row[5] = slot, at, sealed
	n, err := b.t.exec(`INSERT INTO positions (expires_on, mission, agent, slot, at, sealed)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, b.row...)
	if err != nil || n == 1 {
		return session.Stored, err
	}
	var stored []byte
	err = queryer(b.t.query).one([]any{&stored},
		"SELECT sealed FROM positions WHERE expires_on = ? AND mission = ? AND agent = ? AND slot = ?", b.row[:4]...)
	return again(stored, sealed), err
}

// keepLatest stores a good position of a mission that keeps no track as its
// agent's latest, if it is: a later slot replaces an earlier one, and what was
// caught before the present window is not where the agent is now.
func (b *brief) keepLatest(slot, at int64, sealed []byte) (session.Verdict, error) {
	var newest int64
	var stored []byte
	err := queryer(b.t.query).one([]any{&newest, &stored}, "SELECT slot, sealed FROM latest WHERE mission = ? AND agent = ?", b.row[1:3]...)
	switch {
	case err != nil && !errors.Is(err, session.ErrNotFound):
		return session.Undecided, err
	case err == nil && slot == newest:
		return again(stored, sealed), nil
	case err == nil && slot < newest || !b.located || at < b.opened:
		return session.Stored, nil
	}
	_, err = b.t.exec("INSERT OR REPLACE INTO latest (mission, agent, slot, at, sealed) VALUES (?, ?, ?, ?, ?)",
		b.row[1], b.row[2], slot, at, sealed)
	return session.Stored, err
}

// again is the verdict on a position whose slot is taken: by itself, or by
// another.
func again(stored, sealed []byte) session.Verdict {
	const n = session.FingerprintSize
	if len(stored) >= n && len(sealed) >= n && bytes.Equal(stored[:n], sealed[:n]) {
		return session.Unchanged
	}
	return session.TooFrequent
}
