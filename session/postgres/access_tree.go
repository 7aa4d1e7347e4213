package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"ronde/session"
)

// AccessState implements session.Store.
func (s *Store) AccessState(ctx context.Context) (st session.AccessState, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var pending, signed *time.Time
	err = s.pool.QueryRow(ctx, `SELECT ronde_now(), ronde_access_pending_since(), coalesce(c.size, 0), coalesce(c.note, ''), c.signed_at
		FROM (SELECT) one LEFT JOIN (SELECT * FROM access_checkpoints ORDER BY size DESC LIMIT 1) c ON true`).
		Scan(&st.Now, &pending, &st.Size, &st.Checkpoint, &signed)
	st.Now, st.Pending, st.SignedAt = session.Millis(st.Now), required(pending), required(signed)
	return st, storeError(err)
}

// lockTree is held by the one caller who grows the tree, until its transaction
// ends.
const lockTree = "SELECT pg_try_advisory_xact_lock(hashtextextended('ronde_access_tree', 0))"

// GrowAccessTree implements session.Store.
func (s *Store) GrowAccessTree(ctx context.Context, limit int, grow func(g *session.AccessGrowth) error) (n int, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		n, err = growTree(ctx, tx, limit, grow)
		return err
	})
	var own *changeError
	switch {
	case errors.As(err, &own):
		return 0, own.err
	case err != nil:
		return 0, storeError(err)
	}
	return n, nil
}

func growTree(ctx context.Context, tx pgx.Tx, limit int, grow func(g *session.AccessGrowth) error) (int, error) {
	var locked bool
	if err := tx.QueryRow(ctx, lockTree).Scan(&locked); err != nil || !locked {
		return 0, err
	}
	// What follows sees everything that was committed before the lock was given.
	g := session.AccessGrowth{Hashes: func(indexes []int64) ([]tlog.Hash, error) { return hashesAt(ctx, tx, indexes) }}
	err := tx.QueryRow(ctx, `SELECT ronde_now(), coalesce(c.size, 0), coalesce(c.note, '')
		FROM (SELECT) one LEFT JOIN (SELECT * FROM access_checkpoints ORDER BY size DESC LIMIT 1) c ON true`).
		Scan(&g.Now, &g.Size, &g.Checkpoint)
	if err != nil {
		return 0, err
	}
	g.Now = session.Millis(g.Now)
	rows, _ := tx.Query(ctx, "SELECT "+loggedColumns+" FROM ronde_access_pending($1)", limit)
	if g.Rows, err = pgx.CollectRows(rows, scanLogged); err != nil || len(g.Rows) == 0 {
		return 0, err
	}
	if err := grow(&g); err != nil {
		return 0, &changeError{err}
	}
	ids := make([]uuid.UUID, len(g.Rows))
	for i := range g.Rows {
		ids[i] = g.Rows[i].ID
	}
	hashes := make([][]byte, len(g.New))
	for i := range g.New {
		hashes[i] = g.New[i][:]
	}
	_, err = tx.Exec(ctx, "SELECT ronde_access_grow($1, $2, $3, $4, $5, $6)",
		g.Size, ids, tlog.StoredHashCount(g.Size), hashes, g.Now, g.Signed)
	return len(g.Rows), err
}

const loggedColumns = accessColumns + ", salt, mac, coalesce(leaf, -1)"

func scanLogged(row pgx.CollectableRow) (session.LoggedAccess, error) {
	var a session.LoggedAccess
	err := row.Scan(append(intoAccess(&a.Access), &a.Salt, &a.MAC, &a.Leaf)...)
	a.At = a.At.UTC() // as exact as it is stored: what was changed must not be rounded away
	return a, err
}

// AccessRows implements session.Store. The types of the columns leave nothing
// that could not be read.
func (s *Store) AccessRows(ctx context.Context, from int64, limit int) ([]session.LoggedAccess, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT "+loggedColumns+" FROM ronde_access_rows($1, $2)", from, limit)
	list, err := pgx.CollectRows(rows, scanLogged)
	return list, storeError(err)
}

// queryable is a pool or a transaction.
type queryable interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readHashes(ctx context.Context, q queryable, indexes []int64) (map[int64]tlog.Hash, error) {
	found := make(map[int64]tlog.Hash, len(indexes))
	rows, _ := q.Query(ctx, "SELECT place, hash FROM access_hashes WHERE place = ANY ($1)", indexes)
	var index int64
	var hash []byte
	_, err := pgx.ForEachRow(rows, []any{&index, &hash}, func() error {
		if len(hash) == tlog.HashSize {
			found[index] = tlog.Hash(hash)
		}
		return nil
	})
	return found, err
}

// hashesAt returns the hashes of those indexes, all of which are needed.
func hashesAt(ctx context.Context, q queryable, indexes []int64) ([]tlog.Hash, error) {
	found, err := readHashes(ctx, q, indexes)
	if err != nil {
		return nil, err
	}
	return session.HashesOf(found, indexes)
}

// AccessHashes implements session.Store.
func (s *Store) AccessHashes(ctx context.Context, indexes []int64) (map[int64]tlog.Hash, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	found, err := readHashes(ctx, s.pool, indexes)
	return found, storeError(err)
}

// AccessCheckpoints implements session.Store.
func (s *Store) AccessCheckpoints(ctx context.Context, from int64, limit int) ([]session.StoredCheckpoint, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, "SELECT size, note FROM access_checkpoints WHERE size >= $1 ORDER BY size LIMIT $2", from, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session.StoredCheckpoint])
	return list, storeError(err)
}

// PurgeAccess implements session.Store.
func (s *Store) PurgeAccess(ctx context.Context, limit int) (rows, checkpoints int, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, "SELECT purged, thinned FROM ronde_purge_access($1, $2)", session.AccessMonths, limit).Scan(&rows, &checkpoints)
	return rows, checkpoints, storeError(err)
}
