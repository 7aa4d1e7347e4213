package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"ronde/session"
)

// putReceipt keeps a receipt unless one of its name stands. It waits for a
// transaction that is just about to keep another one. One whose life is over
// makes room, even if nobody has purged it yet.
const putReceipt = `
	INSERT INTO receipts AS r (tenant, id, mission, expires_at, sealed)
	SELECT $1, $2, $3, c.now + $4 * interval '1 ms', $5 FROM (SELECT ronde_now() AS now) c
	ON CONFLICT (tenant, id) DO UPDATE SET mission = excluded.mission, expires_at = excluded.expires_at, sealed = excluded.sealed
		WHERE r.expires_at <= ronde_now()`

// CreateOnce implements session.Store.
func (s *Store) CreateOnce(ctx context.Context, c session.Creation) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for n := 1; ; n++ {
		err := s.tryCreate(ctx, &c)
		var own *changeError
		switch {
		case errors.As(err, &own):
			return own.err
		case !again(err) || n == attempts:
			return storeError(err)
		}
	}
}

// tryCreate stores the object before the receipt, which is to tell what the
// database made of it.
func (s *Store) tryCreate(ctx context.Context, c *session.Creation) error {
	var b pgx.Batch
	b.BeginTx(pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	b.Queue(setTenant, c.Tenant)
	switch {
	case c.Mission != nil:
		queueNewMission(&b, c.Mission)
	case c.Link != nil:
		queueNewLink(&b, c.Link)
	}
	results := s.pool.SendBatch(ctx, &b)
	tx := results.Tx()
	if tx != nil {
		defer tx.Rollback(ctx) //nolint:errcheck // after a commit it does nothing, and before it nobody depends on it
	}
	if err := results.Close(); err != nil {
		return err
	}
	sealed, err := c.Seal()
	if err != nil {
		return &changeError{err}
	}
	kept, err := tx.Exec(ctx, putReceipt, c.Tenant, c.Receipt[:], c.ID, session.ReceiptLife.Milliseconds(), sealed)
	if err != nil {
		return err
	}
	if kept.RowsAffected() == 0 {
		return session.ErrRepeated
	}
	return tx.Commit(ctx)
}

// Receipt implements session.Store.
func (s *Store) Receipt(ctx context.Context, tenant string, id session.ReceiptID) (sealed []byte, err error) {
	err = s.inTenant(ctx, tenant, func(b *pgx.Batch) {
		b.Queue("SELECT sealed FROM receipts WHERE tenant = $1 AND id = $2 AND expires_at > ronde_now()", tenant, id[:]).
			QueryRow(func(row pgx.Row) error { return row.Scan(&sealed) })
	})
	return sealed, err
}

// PurgeReceipts implements session.Store.
func (s *Store) PurgeReceipts(ctx context.Context, limit int) (purged int, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, "SELECT ronde_purge_receipts($1)", limit).Scan(&purged)
	return purged, storeError(err)
}
