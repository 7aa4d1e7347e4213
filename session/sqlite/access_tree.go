package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"ronde/session"
)

// AccessState says how the access log stands.
func (s *Store) AccessState(ctx context.Context) (st session.AccessState, err error) {
	err = s.read(ctx, func(q queryer) error {
		st.Now = time.UnixMilli(s.clock().UnixMilli()).UTC()
		if err := readTree(q, &st.Size, &st.Checkpoint, &st.SignedAt); err != nil {
			return err
		}
		return q.each(func(row *sql.Rows) error { return row.Scan(asTime{&st.Pending}) },
			"SELECT at FROM access_log WHERE leaf IS NULL ORDER BY id LIMIT 1")
	})
	return st, err
}

// readTree reads what was signed last: nothing, of an empty tree.
func readTree(q queryer, size *int64, note *string, signed *time.Time) error {
	return q.each(func(row *sql.Rows) error { return row.Scan(size, note, asTime{signed}) },
		"SELECT size, note, signed_at FROM access_checkpoints ORDER BY size DESC LIMIT 1")
}

// GrowAccessTree gives leaves to rows of the access log under the write lock: see
// session.Store. grow must not use the store.
func (s *Store) GrowAccessTree(ctx context.Context, limit int, grow func(g *session.AccessGrowth) error) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		g := session.AccessGrowth{
			Now: time.UnixMilli(t.now).UTC(),
			Hashes: func(indexes []int64) ([]tlog.Hash, error) {
				found, err := readHashes(t.query, indexes)
				if err != nil {
					return nil, err
				}
				return session.HashesOf(found, indexes)
			},
		}
		if err := readTree(t.query, &g.Size, &g.Checkpoint, new(time.Time)); err != nil {
			return err
		}
		if g.Rows, err = readLogged(t.query, "leaf IS NULL ORDER BY id LIMIT ?", limit); err != nil || len(g.Rows) == 0 {
			return err
		}
		if err := grow(&g); err != nil {
			return err
		}
		n = len(g.Rows)
		return t.putGrowth(&g)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (t *tx) putGrowth(g *session.AccessGrowth) error {
	for i := range g.Rows {
		given, err := t.exec("UPDATE access_log SET leaf = ? WHERE id = ? AND leaf IS NULL", g.Size+int64(i), g.Rows[i].ID)
		if err == nil && given != 1 {
			err = fmt.Errorf("row %s of the access log could not be given a leaf", g.Rows[i].ID)
		}
		if err != nil {
			return err
		}
	}
	first := tlog.StoredHashCount(g.Size)
	for i := range g.New {
		if _, err := t.exec("INSERT INTO access_hashes (place, hash) VALUES (?, ?)", first+int64(i), g.New[i][:]); err != nil {
			return err
		}
	}
	_, err := t.exec("INSERT INTO access_checkpoints (size, signed_at, note) VALUES (?, ?, ?)",
		g.Size+int64(len(g.Rows)), g.Now.UnixMilli(), g.Signed)
	return err
}

// AccessRows returns rows of all tenants that have a leaf, in the order of their
// leaves.
func (s *Store) AccessRows(ctx context.Context, from int64, limit int) (rows []session.LoggedAccess, err error) {
	err = s.read(ctx, func(q queryer) error {
		rows, err = readLogged(q, "leaf >= ? ORDER BY leaf, id LIMIT ?", from, limit)
		return err
	})
	return rows, err
}

func readLogged(q queryer, where string, args ...any) (rows []session.LoggedAccess, err error) {
	err = q.each(func(row *sql.Rows) error {
		var a session.LoggedAccess
		var ids [4]string
		err := row.Scan(&ids[0], asTime{&a.At}, &a.Tenant, &a.Role, &ids[1], &a.Action, &ids[2], &a.Agent, &ids[3], &a.Why, &a.Salt, &a.MAC, &a.Leaf)
		for i, id := range []*uuid.UUID{&a.ID, &a.Subject, &a.Mission, &a.Object} {
			// An id has one form: another spelling of it is a change.
			if *id, _ = uuid.Parse(ids[i]); id.String() != ids[i] {
				a.Damaged = fmt.Sprintf("%q is no id", ids[i])
			}
		}
		rows = append(rows, a)
		return err
	}, "SELECT "+accessColumns+", salt, mac, coalesce(leaf, -1) FROM access_log WHERE "+where, args...)
	return rows, err
}

func readHashes(q queryer, indexes []int64) (map[int64]tlog.Hash, error) {
	list, err := json.Marshal(indexes)
	if err != nil {
		return nil, err
	}
	found := make(map[int64]tlog.Hash, len(indexes))
	err = q.each(func(row *sql.Rows) error {
		var place int64
		var hash []byte
		if err := row.Scan(&place, &hash); err != nil {
			return err
		}
		if len(hash) == tlog.HashSize {
			found[place] = tlog.Hash(hash)
		}
		return nil
	}, "SELECT h.place, h.hash FROM json_each(?) i JOIN access_hashes h ON h.place = i.value", string(list))
	return found, err
}

// AccessHashes returns stored hashes of the tree by their index.
func (s *Store) AccessHashes(ctx context.Context, indexes []int64) (found map[int64]tlog.Hash, err error) {
	err = s.read(ctx, func(q queryer) error {
		found, err = readHashes(q, indexes)
		return err
	})
	return found, err
}

// AccessCheckpoints returns signed checkpoints in the order of their sizes.
func (s *Store) AccessCheckpoints(ctx context.Context, from int64, limit int) (list []session.StoredCheckpoint, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.each(func(row *sql.Rows) error {
			var c session.StoredCheckpoint
			err := row.Scan(&c.Size, &c.Note)
			list = append(list, c)
			return err
		}, "SELECT size, note FROM access_checkpoints WHERE size >= ? ORDER BY size LIMIT ?", from, limit)
	})
	return list, err
}

const dayMillis = 86_400_000

// PurgeAccess removes rows of the access log whose time is over, and checkpoints
// that no longer say anything.
func (s *Store) PurgeAccess(ctx context.Context, limit int) (rows, checkpoints int, err error) {
	var purged, thinned int64
	err = s.write(ctx, func(t *tx) (err error) {
		var old int64
		before := time.UnixMilli(t.now).UTC().AddDate(0, -session.AccessMonths, 0).UnixMilli()
		if err := queryer(t.query).one([]any{&old},
			"SELECT coalesce(max(size), 0) FROM access_checkpoints WHERE signed_at <= ?", before); err != nil {
			return err
		}
		purged, err = t.exec("DELETE FROM access_log WHERE leaf IN (SELECT leaf FROM access_log WHERE leaf < ? ORDER BY leaf LIMIT ?)", old, limit)
		if err != nil {
			return err
		}
		thinned, err = t.exec(`DELETE FROM access_checkpoints WHERE size IN (
			SELECT c.size FROM access_checkpoints c
			WHERE c.size < ?1 OR c.signed_at < ?2 / ?3 * ?3 AND EXISTS (
				SELECT 1 FROM access_checkpoints later
				WHERE later.size > c.size AND later.signed_at >= c.signed_at AND later.signed_at < (c.signed_at / ?3 + 1) * ?3)
			ORDER BY c.size LIMIT ?4)`, old, t.now, dayMillis, limit)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return int(purged), int(thinned), nil
}
